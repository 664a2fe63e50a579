// One logical connection: a WebSocket that is made again whenever it is lost.

import { fullJitter, mayReconnect } from './backoff.js'

const PING_AFTER_MS = 25_000 // of silence
const PONG_WITHIN_MS = 10_000
const PONG_WITHIN_ON_WAKE_MS = 3_000 // somebody is looking at the page: find out sooner
const OPEN_WITHIN_MS = 10_000

/** Keeps one socket open and reports what happens on it. Knows nothing of channels.
 *
 *  `status` is "connecting", "open", "waiting" (will try again at `retryAt`, Unix milliseconds), "refused" (the server
 *  wants a token, or said not to come back; `reason` says why) or "closed" (by `close()`).
 *
 *  @param address () => ({url, protocols}), asked at every try, so that a new token or user takes effect
 *  @param probe async () => sentence | null: why the server refuses us; asked when a handshake fails, because a browser
 *         shows a page no status for it, and "wrong token" must not look like "server down"
 *  @param on {open(), frame(object), status(link), lost()} */
export class Link {
  status = 'connecting'
  reason = ''
  retryAt = null
  #socket = null
  #attempt = 0
  #timer = 0
  #pong = 0
  #heardAt = 0
  #wake = () => this.wake()

  constructor({ address, probe, on, WebSocket, random = Math.random }) {
    Object.assign(this, { address, probe, on, WebSocket, random })
    for (const event of ['online', 'offline', 'pageshow']) globalThis.addEventListener?.(event, this.#wake)
    globalThis.document?.addEventListener('visibilitychange', this.#wake)
  }

  /** Connect, or connect anew with what `address()` says now. */
  open() {
    this.#drop()
    this.#set('connecting')
    const { url, protocols } = this.address()
    const socket = (this.#socket = new this.WebSocket(url, protocols))
    let opened = false
    this.#timer = setTimeout(() => socket === this.#socket && this.#lost(1006, false), OPEN_WITHIN_MS)
    socket.onopen = () => {
      if (socket !== this.#socket) return
      opened = true
      this.#attempt = 0
      clearTimeout(this.#timer)
      this.#heard()
      this.#watch(PING_AFTER_MS)
      this.#set('open')
      this.on.open()
    }
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return
      this.#heard()
      this.on.frame(JSON.parse(data))
    }
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, opened, reason)
  }

  /** Send one frame; false when there is no open connection. */
  send(frame) {
    if (this.status !== 'open') return false
    this.#socket.send(JSON.stringify(frame))
    return true
  }

  /** Somebody wants it now: skip what is left of the backoff, or check that an open connection is alive. */
  wake() {
    if (this.status === 'waiting') this.open()
    else if (this.status === 'open' && !globalThis.document?.hidden) this.#ping(PONG_WITHIN_ON_WAKE_MS)
  }

  close() {
    this.#drop()
    for (const event of ['online', 'offline', 'pageshow']) globalThis.removeEventListener?.(event, this.#wake)
    globalThis.document?.removeEventListener('visibilitychange', this.#wake)
    this.#set('closed')
  }

  #set(status, reason = '', retryAt = null) {
    Object.assign(this, { status, reason, retryAt })
    this.on.status(this)
  }

  // Any frame proves the peer alive, so a busy connection is never pinged. A frame costs a clock reading, no timer.
  #heard() {
    this.#heardAt = Date.now()
    clearTimeout(this.#pong)
    this.#pong = 0
  }

  #watch(afterMs) {
    this.#timer = setTimeout(() => {
      const leftMs = this.#heardAt + PING_AFTER_MS - Date.now()
      if (leftMs <= 0) this.#ping(PONG_WITHIN_MS)
      this.#watch(leftMs > 0 ? leftMs : PING_AFTER_MS)
    }, afterMs)
  }

  #ping(withinMs) {
    if (this.#pong || !this.send({ type: 'ping' })) return
    const socket = this.#socket
    this.#pong = setTimeout(() => socket === this.#socket && this.#lost(4409, true), withinMs)
  }

  #drop() {
    clearTimeout(this.#timer)
    clearTimeout(this.#pong)
    this.#pong = 0
    const socket = this.#socket
    this.#socket = null
    if (socket) {
      socket.close()
      this.on.lost()
    }
  }

  async #lost(code, opened, reason = '') {
    this.#drop()
    if (!mayReconnect(code)) return this.#set('refused', reason || `the server closed the connection (${code})`)
    const delayMs = fullJitter(this.#attempt++, this.random)
    this.#set('waiting', reason, Date.now() + delayMs)
    this.#timer = setTimeout(() => this.open(), delayMs)
    if (opened) return
    const timer = this.#timer
    const refusal = await this.probe()
    if (refusal === null || this.status !== 'waiting' || timer !== this.#timer) return
    clearTimeout(timer)
    this.#set('refused', refusal)
  }
}
