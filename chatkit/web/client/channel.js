// One channel or pattern: its handlers, its subscription and where that has got to.

import { ChatkitError } from './http.js'
import { uuid7 } from './id.js'

export class Channel {
  #handlers = new Map() // event name or '*' -> Set of functions
  #watchers = new Set()
  #wanted = null // options of subscribe(), null when not subscribed
  #position = null // {epoch, seq} up to which everything has been delivered
  #state = undefined // what track() said

  constructor(client, name) {
    this.client = client
    this.name = name
  }

  /** Call `fn({event, data, id, seq, userId, timestamp, channel, topic})` on every event of that name; `'*'`: on all.
   *  `seq` is missing on events that are not kept. Returns the channel, so calls can be chained. */
  on(event, fn) {
    if (!this.#handlers.has(event)) this.#handlers.set(event, new Set())
    this.#handlers.get(event).add(fn)
    return this
  }

  off(event, fn) {
    this.#handlers.get(event)?.delete(fn)
    return this
  }

  /** Call `fn({status, ...})` when the subscription changes: "subscribed", "live" (all old events have been delivered),
   *  "reset" (what was delivered so far is from another log or leaves a gap: forget it; `last` follows anew),
   *  "unsubscribed", "error" (with `error`, a ChatkitError). */
  onStatus(fn) {
    this.#watchers.add(fn)
    return this
  }

  /** Start receiving.
   *  @param {object} [options] `after`: first everything kept with a greater seq (`epoch` guards against another log);
   *         `last`: first the newest n; neither: only what is new. `filter`: only events whose data has these values. */
  subscribe(options = {}) {
    this.#wanted = options
    this.#position = null
    if (options.after !== undefined) this.#position = { epoch: options.epoch, seq: options.after }
    this.resume()
    return this
  }

  unsubscribe() {
    if (this.#wanted) this.client.link.send({ type: 'unsubscribe', topic: this.name })
    this.#wanted = null
    return this
  }

  /** Where the subscription has got to, `{epoch, seq}`: what to give as `after` next time. `null` before it is known. */
  get position() {
    return this.#position
  }

  /** Send an event to the channel.
   *  @param {object} [options] `persist`: keep it in the log (default: only pass it on); `id`
   *  @returns {Promise<{id, seq?}>} when it is done  @throws {ChatkitError} */
  publish(event, data = null, { persist = false, id = uuid7() } = {}) {
    return this.client.command({ type: 'publish', topic: this.name, event, data, persist, id })
  }

  /** Send a message to this room; see `Client.send`. */
  async send(text, options) {
    if (!this.name.startsWith('chat/')) throw new ChatkitError('invalid_topic', `${this.name} is not a room; publish to it`)
    return this.client.send(this.name.slice('chat/'.length), text, options)
  }

  /** What is kept of this channel, oldest first: the newest `last` events, the newest `limit` with a seq below `before`,
   *  or the first `limit` above `after`.
   *  @returns {Promise<{epoch, messages, next}>} `next` is the `after` of the next page, or null
   *  @throws {ChatkitError} */
  history({ last, before, after, limit } = {}) {
    const query = new URLSearchParams({ channel: this.name })
    for (const [name, value] of Object.entries({ last, before, after, limit })) {
      if (value !== undefined) query.set(name, value)
    }
    return this.client.request(`/api/messages?${query}`)
  }

  /** Be present on this channel, with a state that others see; kept up over reconnects until `untrack()`. */
  track(state = {}) {
    this.#state = state
    this.client.link.send({ type: 'track', topic: this.name, state })
    return this
  }

  untrack() {
    this.#state = undefined
    this.client.link.send({ type: 'untrack', topic: this.name })
    return this
  }

  /** The connection is new: say everything again. Called by the client. */
  reopened() {
    this.#unanswered = 0
    this.resume()
  }

  /** Ask for the subscription, from where it has got to, and the presence. */
  resume() {
    if (this.#wanted) {
      const { last, filter } = this.#wanted
      const start = this.#position ? { after: this.#position.seq, epoch: this.#position.epoch } : { last }
      this.#replays = this.#position !== null || last > 0
      this.#unanswered++
      this.client.link.send({ type: 'subscribe', topic: this.name, ...start, filter })
    }
    if (this.#state !== undefined) this.client.link.send({ type: 'track', topic: this.name, state: this.#state })
  }

  /** Take one frame of the server's. Called by the client. */
  frame(frame) {
    if (frame.type === 'event') {
      this.#event(frame)
      return
    }
    if (!this.#wanted && frame.type !== 'unsubscribed') return
    if (frame.type === 'subscribed') this.#subscribed(frame)
    else if (frame.type === 'live') {
      if (this.#unanswered === 0) this.#live(frame) // else it is about a subscription that has been replaced
    } else {
      if (frame.type === 'error') this.#unanswered = 0
      this.#tell({ ...frame, status: frame.type })
    }
  }

  #epoch = undefined
  #replays = false // whether something old was asked for
  #unanswered = 0 // subscribe frames on their way

  #subscribed(frame) {
    this.#epoch = frame.epoch
    this.#unanswered--
    if (!frame.recovered && this.#position) {
      // The server replays nothing. Where `last` was wanted, ask again, as a new subscriber would.
      this.#position = null
      this.#tell({ ...frame, status: 'reset' })
      if (this.#wanted.last) {
        this.resume()
        return
      }
    }
    this.#tell({ ...frame, status: 'subscribed' })
    if (!this.#replays) this.#live(frame) // no `live` frame will follow: it is live already
  }

  #live(frame) {
    this.#advance(frame.seq)
    this.#tell({ ...frame, status: 'live' })
  }

  #event(frame) {
    if (!this.#wanted) return // on its way when we left
    const event = frame.channel ? frame : { ...frame, channel: this.name }
    for (const fn of this.#handlers.get(event.event) ?? []) fn(event)
    for (const fn of this.#handlers.get('*') ?? []) fn(event)
    if (event.seq !== undefined) this.#advance(event.seq)
  }

  #advance(seq) {
    if (!this.#position || this.#epoch !== this.#position.epoch || seq > this.#position.seq) {
      this.#position = { epoch: this.#epoch, seq }
    }
  }

  #tell(status) {
    for (const fn of this.#watchers) fn(status)
  }
}
