// The messages, of which only those in sight (and some around them) are in the document.

import { between, rowAt, tops } from '../model/layout.js'
import { standing } from '../model/timeline.js'
import { Component, html } from './html.js'
import { Message } from './message.js'

const OVER_PX = 900 // drawn beyond the edges of what is in sight, so that scrolling rarely waits
const OLDER_WITHIN_PX = 700 // of the top, more history is asked for
const AT_BOTTOM_PX = 40

/** Holds still: whatever grows, shrinks or is loaded above, the row at the top edge stays where it is; at the bottom, the
 *  newest row stays in sight. `place`, `{stick, row, offset}`, says which of the two and where; it is kept on the
 *  timeline, so a room that is opened again is where it was. */
export class MessageList extends Component {
  #rows = [] // as of the last layout; the timeline may already have others
  #found = new Float64Array(1)
  #drawn = [0, 0]
  #height = 800
  #lastTop = 0
  #bodyHeight = 0
  #observer = new ResizeObserver(() => requestAnimationFrame(() => this.#scroller && this.#settle()))

  get #place() {
    return (this.props.timeline.place ??= { stick: true, row: null, offset: 0 })
  }

  componentDidMount() {
    this.props.handle.current = this
    this.#observer.observe(this.#scroller)
    this.#observer.observe(this.#body)
    this.#settle()
  }

  componentDidUpdate() {
    this.#settle()
  }

  componentWillUnmount() {
    this.#observer.disconnect()
  }

  /** Go to the newest message. */
  toBottom() {
    this.#place.stick = true
    this.#settle()
    this.#report()
  }

  #scroller = null
  #before = null
  #body = null
  #after = null

  render({ timeline, me, ready, onRetry, onDiscard, children }) {
    // Rows are about to move: first take in where the reader has scrolled to since the last event said so.
    if (this.#scroller && this.#scroller.scrollTop !== this.#lastTop) this.#read()
    const { rows, dividerSeq } = timeline
    this.#rows = rows
    this.#found = tops(rows)
    const [from, to] = (this.#drawn = between(this.#found, this.#top(), this.#height, OVER_PX))
    return html`
      <div class="scroller" ref=${node => (this.#scroller = node)} onScroll=${() => this.#onScroll()}
        tabindex="0" role="region" aria-label="Messages" aria-busy=${!ready}>
        <div class="lead">${children}</div>
        <div ref=${node => (this.#before = node)} />
        <div class="rows" role="list" ref=${node => (this.#body = node)}>
          ${rows.slice(from, to).map((row, i) => html`
            <${Message} key=${row.id} row=${row} state=${row.state} mine=${row.userId === me || row.state !== 'sent'}
              ...${standing(rows, from + i, dividerSeq)} onRetry=${onRetry} onDiscard=${onDiscard} onFold=${this.#fold} />`)}
        </div>
        <div ref=${node => (this.#after = node)} />
      </div>
    `
  }

  // Where the top edge should be, in row coordinates.
  #top() {
    const { stick, row, offset } = this.#place
    const found = this.#found
    const end = Math.max(0, found[found.length - 1] - this.#height)
    if (stick) return end
    const i = this.#rows.indexOf(row)
    return i < 0 ? Math.min(end, this.#lastTop) : found[i] + offset
  }

  // A message that unfolds stays where it is and grows downwards. One function for all rows: a row whose properties are
  // the same as before is not drawn again.
  #fold = row => {
    const top = this.#scroller.scrollTop - this.#before.offsetTop
    Object.assign(this.#place, { stick: false, row, offset: top - this.#found[this.#rows.indexOf(row)] })
  }

  // After every change: measure what is drawn, put the place where it belongs, draw more if that is not enough.
  #settle() {
    const rows = this.#rows
    const [from, to] = this.#drawn
    this.#height = this.#scroller.clientHeight
    for (let i = from, node = this.#body.firstElementChild; node; i++, node = node.nextElementSibling) {
      rows[i].height = node.getBoundingClientRect().height
    }
    this.#found = tops(rows)
    const all = this.#found[rows.length]
    this.#before.style.height = `${this.#found[from] ?? 0}px`
    this.#after.style.height = `${all - (this.#found[to] ?? all)}px`
    const top = this.#place.stick ? this.#scroller.scrollHeight : this.#top() + this.#before.offsetTop
    if (Math.abs(this.#scroller.scrollTop - top) > 0.5) this.#scroller.scrollTop = top
    this.#lastTop = this.#scroller.scrollTop
    this.#bodyHeight = this.#body.offsetHeight
    this.#drawMore()
  }

  #drawMore() {
    const [from, to] = this.#drawn
    const top = this.#scroller.scrollTop - this.#before.offsetTop
    const [needFrom, needTo] = between(this.#found, top, this.#height, OVER_PX / 3)
    if (needFrom < from || needTo > to) this.forceUpdate()
    if (top < OLDER_WITHIN_PX) this.props.onOlder()
  }

  #onScroll() {
    if (!this.#scroller) return // the event of an element that has just gone
    this.#read()
    this.#drawMore()
    this.#report()
  }

  // Where the reader has scrolled to. Nothing is read from a list that only changed around a place that stands.
  #read() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    if (scrollTop === this.#lastTop) return
    const left = scrollHeight - scrollTop - clientHeight
    const { stick } = this.#place
    // At the bottom of a list whose size has changed since it was settled, a move is the browser's own, made to stay in
    // bounds; the observer has seen the same two sizes change, so `#settle` follows. Otherwise one can only go up from there, and by a hair is enough, even while messages
    // are pouring in.
    if (stick && (this.#body.offsetHeight !== this.#bodyHeight || clientHeight !== this.#height)) return
    const up = scrollTop < this.#lastTop - 1
    this.#lastTop = scrollTop
    const [row, offset] = this.#edge(scrollTop)
    Object.assign(this.#place, { stick: stick ? !(up && left >= 2) : !up && left < AT_BOTTOM_PX, row, offset })
  }

  // The row at the top edge, and how far it reaches above it: off the document, which is right even where the window
  // has just changed and remembered heights are not; in rows that are not drawn, by those.
  #edge(scrollTop) {
    const edge = this.#scroller.getBoundingClientRect().top
    for (let i = this.#drawn[0], node = this.#body.firstElementChild; node; i++, node = node.nextElementSibling) {
      const { top, bottom } = node.getBoundingClientRect()
      if (bottom > edge && (top <= edge || i === 0)) return [this.#rows[i], edge - top]
    }
    const top = scrollTop - this.#before.offsetTop
    const i = rowAt(this.#found, top)
    return [this.#rows[i] ?? null, top - this.#found[i]]
  }

  #report() {
    this.props.onBottom(this.#place.stick)
  }
}
