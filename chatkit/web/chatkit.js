/**
 * chatkit in the browser. Any page may import this module; it needs no build and no other library.
 *
 *     import { connect } from 'http://127.0.0.1:8787/chatkit.js'
 *
 *     const chat = connect('http://127.0.0.1:8787', { userId: 'ada' })
 *     chat.channel('chat/general')
 *       .on('chat:message', ({ data }) => console.log(data.userId, data.text))
 *       .subscribe({ last: 20 })                       // the newest 20, then live
 *     await chat.send('general', 'hello')              // resolves when the message is safe on disk
 *
 * A page from another origin needs `chatkit serve --allow-origin <its origin>`.
 *
 * Connections come back by themselves (full-jitter backoff, at once when the browser comes online or the tab is shown)
 * and every subscription goes on exactly where it stopped: nothing missed, nothing twice. When that is impossible,
 * because the server's log is another one or has forgotten that far back, `onStatus` says "reset".
 */
import { ChatkitError, request } from './client/http.js'
import { Link } from './client/link.js'
import { Channel } from './client/channel.js'
import { uuid7 } from './client/id.js'

export { ChatkitError, uuid7 }

/**
 * Connect to a chatkit server. Returns at once; the connection is made in the background.
 *
 * @param {string} [url] where `chatkit serve` is, `http://127.0.0.1:8787`; by default the server this module came from
 * @param {object} [options]
 * @param {string} [options.userId] who is speaking; ignored by a server that takes the user from the token
 * @param {string} [options.token] a chatkit token or a JWT, where the server asks for one
 * @param {string} [options.projectId] the project of an Aerostack application; dropped from the end of topics
 * @returns {Client}
 */
export function connect(url = new URL('.', import.meta.url).href, options = {}) {
  return new Client(url, options)
}

class Client {
  #handlers = { status: new Set(), error: new Set() }
  #channels = new Map()
  #waiting = new Map() // id of a publish -> what to call with its ack

  constructor(url, { userId, token, projectId, WebSocket, fetch, random } = {}) {
    const base = url.replace(/\/+$/, '')
    this.server = { base, token, fetch: fetch ?? ((...args) => globalThis.fetch(...args)) }
    this.userId = userId
    this.projectId = projectId
    this.link = new Link({
      address: () => this.#address(),
      probe: () => this.#probe(),
      on: {
        open: () => this.#channels.forEach(channel => channel.reopened()),
        frame: frame => this.#frame(frame),
        status: link => this.#emit('status', { status: link.status, reason: link.reason, retryAt: link.retryAt }),
        lost: () => this.#lost(),
      },
      WebSocket: WebSocket ?? globalThis.WebSocket,
      random,
    })
    queueMicrotask(() => this.link.open()) // after the caller has added its handlers
  }

  /** "connecting", "open", "waiting" (lost; the next try is set), "refused" (give a token with `identify`) or "closed". */
  get status() {
    return this.link.status
  }

  /** Call `fn` on `status` events, `{status, reason, retryAt}`, or on `error` events: a ChatkitError that belongs to no
   *  call. Returns the client. */
  on(event, fn) {
    this.#handlers[event].add(fn)
    return this
  }

  off(event, fn) {
    this.#handlers[event].delete(fn)
    return this
  }

  /** The channel, `chat/general`, or pattern, `chat/*` or `chat/**`. The same name gives the same object. */
  channel(name) {
    if (!this.#channels.has(name)) this.#channels.set(name, new Channel(this, name))
    return this.#channels.get(name)
  }

  /** Send a message to a room over HTTP, as the seed does.
   *  @param {object} [options] `id`, `timestamp` (Unix ms) and `metadata`. A retry with the same id, text and timestamp
   *         is the same message: it is stored and broadcast once.
   *  @returns {Promise<{id: string, seq: number, duplicate?: true}>} once the message is durable
   *  @throws {ChatkitError} */
  send(roomId, text, { id = uuid7(), timestamp = Date.now(), metadata } = {}) {
    const userId = this.server.token ? undefined : this.userId // a token says who it is
    return this.request('/examples/chat/send', { roomId, id, userId, text, timestamp, metadata })
  }

  /** GET `path`, or POST `body` to it, with this client's credentials. @throws {ChatkitError} */
  request(path, body) {
    return request(this.server, path, body)
  }

  /** Send one frame; the promise is its ack. `id` must be in the frame. @throws {ChatkitError} not done, or not known */
  command(frame) {
    return new Promise((resolve, reject) => {
      if (!this.link.send(frame)) return reject(new ChatkitError('not_connected', 'there is no connection right now'))
      this.#waiting.set(frame.id, { resolve, reject })
    })
  }

  /** Be somebody else from now on: connects anew, and every subscription goes on where it was. */
  identify({ userId = this.userId, token = this.server.token }) {
    this.userId = userId
    this.server.token = token
    this.link.open()
  }

  /** Do not wait for the rest of the backoff. */
  retry() {
    this.link.wake()
  }

  close() {
    this.link.close()
  }

  // Credentials go in a subprotocol, not in the URL: URLs end up in logs and histories.
  #address() {
    const url = new URL('api/realtime', this.server.base + '/')
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    if (this.projectId) url.searchParams.set('projectId', this.projectId)
    if (this.userId && !this.server.token) url.searchParams.set('userId', this.userId)
    const protocols = ['aerostack-v1']
    if (this.server.token) protocols.push(`aerostack-token.${this.server.token}`)
    return { url: url.href, protocols }
  }

  async #probe() {
    try {
      await this.request('/api/channels')
    } catch (error) {
      if (error.status === 401) return error.message
    }
    return null
  }

  #frame(frame) {
    switch (frame.type) {
      case 'event': case 'subscribed': case 'live': case 'unsubscribed':
        return this.#channels.get(frame.topic)?.frame(frame)
      case 'ack':
        return this.#settle(frame.id, waiting => waiting.resolve(frame))
      case 'error': {
        const error = new ChatkitError(frame.code, frame.message)
        if (this.#waiting.has(frame.id)) return this.#settle(frame.id, waiting => waiting.reject(error))
        if (this.#channels.has(frame.topic)) return this.#channels.get(frame.topic).frame({ ...frame, error })
        return this.#emit('error', error)
      }
    }
  }

  #settle(id, how) {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (waiting) how(waiting)
  }

  #lost() {
    const error = new ChatkitError('connection_lost', 'the connection was lost before the answer came')
    for (const id of [...this.#waiting.keys()]) this.#settle(id, waiting => waiting.reject(error))
  }

  #emit(event, value) {
    for (const fn of this.#handlers[event]) fn(value)
  }
}
