// The messages of one room, in order. Pure: no clock, no network, no document.

/** One room's messages: what the log holds, by seq, and after that what is still on its way from here.
 *
 *  A message is one object for its whole life, whatever order things happen in: the optimistic copy, the server's
 *  answer and the broadcast all carry the sender's id, and meet here. */
export class Timeline {
  rows = [] // what is shown, top to bottom
  more = true // whether the server has older ones
  oldestSeq = null // of any event seen, shown or not
  newestSeq = 0
  loaded = false // whether its newest page has been read
  dividerSeq = null // messages after this seq were unread when the room was opened
  place = null // where the list was scrolled to; the list's own business
  #kept = []
  #outgoing = []
  #byId = new Map()

  /** Take events off the wire, in any order and with repetitions.  @returns the messages that were not known */
  merge(events) {
    const added = []
    for (const event of events) {
      if (event.seq !== undefined) this.#saw(event.seq)
      const message = messageOf(event)
      if (!message) continue
      const known = this.#byId.get(message.id)
      if (!known) {
        this.#byId.set(message.id, message)
        this.#insert(message)
        added.push(message)
      } else if (known.state !== 'sent') this.#settle(known, message)
      else known.userId ||= message.userId // the answer came before the broadcast, and we did not know our own name
    }
    this.#show()
    return added
  }

  /** A message that was just written here; it goes to the end, pending. */
  addPending(message) {
    if (this.#byId.has(message.id)) return
    this.#byId.set(message.id, message)
    this.#outgoing.push(message)
    this.#show()
  }

  /** The server has stored message `id` at `seq`. */
  confirm(id, seq) {
    const known = this.#byId.get(id)
    if (known && known.state !== 'sent') this.#settle(known, { seq })
    this.#show()
  }

  /** Message `id`, which is still on its way, has a new `state`, "pending" or "failed", and `error`. */
  mark(id, state, error = null) {
    const known = this.#byId.get(id)
    if (!known || known.state === 'sent') return
    Object.assign(known, { state, error })
    this.#show()
  }

  /** Drop a message that was never stored. */
  discard(id) {
    if (this.#byId.get(id)?.state === 'sent') return
    this.#byId.delete(id)
    this.#outgoing = this.#outgoing.filter(message => message.id !== id)
    this.#show()
  }

  /** Forget what the log held (another log may answer now); what is still on its way stays. */
  clear() {
    this.#kept = []
    this.#byId = new Map(this.#outgoing.map(message => [message.id, message]))
    Object.assign(this, { more: true, oldestSeq: null, newestSeq: 0, loaded: false, dividerSeq: null, place: null })
    this.#show()
  }

  /** Keep the newest `limit` stored messages: a tab that is left open for weeks must not grow for ever. */
  trim(limit) {
    if (this.#kept.length <= limit) return
    for (const message of this.#kept.splice(0, this.#kept.length - limit)) this.#byId.delete(message.id)
    this.oldestSeq = this.#kept.find(message => message.seq !== undefined)?.seq ?? this.newestSeq
    this.more = true
    this.#show()
  }

  get outgoing() {
    return this.#outgoing
  }

  #saw(seq) {
    if (this.oldestSeq === null || seq < this.oldestSeq) this.oldestSeq = seq
    if (seq > this.newestSeq) this.newestSeq = seq
  }

  #settle(known, { seq, timestamp = known.timestamp, userId = known.userId }) {
    this.#outgoing = this.#outgoing.filter(message => message !== known)
    Object.assign(known, { state: 'sent', error: null, seq, timestamp, userId })
    if (seq !== undefined) this.#saw(seq)
    this.#insert(known)
  }

  // Nearly always at the end; a page of history goes in one by one from the front, which a thousand rows do not feel.
  #insert(message) {
    const kept = this.#kept
    // A message that is not kept in the log has no seq: it stays behind what was there when it came.
    message.order = message.seq ?? kept.at(-1)?.order ?? this.newestSeq
    let low = kept.length
    if (low && kept[low - 1].order > message.order) {
      low = 0
      for (let high = kept.length; low < high; ) {
        const middle = (low + high) >> 1
        if (kept[middle].order <= message.order) low = middle + 1
        else high = middle
      }
    }
    kept.splice(low, 0, message)
  }

  #show() {
    this.rows = this.#outgoing.length ? this.#kept.concat(this.#outgoing) : this.#kept.slice()
  }
}

/** The message that an event is, or null: the seed shows any event whose data has a text.
 *  Author and id are those of the envelope, which the server vouches for; `data` is whatever its sender wrote. */
export function messageOf(event) {
  if (event.event === 'typing' || event.event.startsWith('presence:')) return null
  const text = event.data?.text
  if (typeof text !== 'string' || text === '') return null
  return {
    id: event.id, userId: event.userId, text, timestamp: event.timestamp, seq: event.seq,
    state: 'sent', error: null, height: 0,
  }
}

const GROUP_WITHIN_MS = 5 * 60_000

/** How `rows[i]` stands among its neighbours: `day` opens a calendar day, `unread` is the first unread one, `first` and
 *  `last` of a run by one author. */
export function standing(rows, i, dividerSeq) {
  const [before, row, after] = [rows[i - 1], rows[i], rows[i + 1]]
  const day = !before || !sameDay(before.timestamp, row.timestamp)
  const unread = isFirstUnread(before, row, dividerSeq)
  const nextOpens = !after || !together(row, after) || isFirstUnread(row, after, dividerSeq)
  return { day, unread, first: day || unread || !together(before, row), last: nextOpens }
}

const isFirstUnread = (before, row, dividerSeq) =>
  dividerSeq !== null && row.seq > dividerSeq && !(before?.seq > dividerSeq) && before !== undefined

const together = (a, b) =>
  a.userId === b.userId && Math.abs(b.timestamp - a.timestamp) < GROUP_WITHIN_MS && sameDay(a.timestamp, b.timestamp)

const sameDay = (a, b) => a === b || new Date(a).toDateString() === new Date(b).toDateString()
