// Messages on their way out: each is sent with the id it was written with until the server has said yes or no.

import { effect } from '../../vendor/signals.js'
import { uuid7 } from '../../chatkit.js'
import { client, learn, link, me } from './connection.js'
import { tab } from './prefs.js'
import { nameOf } from './rooms.js'

/** @param on {timeline(channel): Timeline, changed(channel)} */
export class Outbox {
  #running = new Map() // channel -> whether its messages are being sent right now

  constructor(on) {
    this.on = on
    // What had not been stored when the tab was reloaded is still the user's: shown again, and sent again.
    for (const { channel, id, text, timestamp } of tab.get('outbox', [])) this.#add(channel, { id, text, timestamp })
    effect(() => {
      if (link.value.status === 'open') queueMicrotask(() => this.retryAll())
    })
    // A network that was away for a moment does not always take the connection with it.
    addEventListener('online', () => this.retryAll())
  }

  send(channel, text) {
    this.#add(channel, { id: uuid7(), text, timestamp: Date.now() })
    this.#run(channel)
  }

  retry(channel, id) {
    this.on.timeline(channel).mark(id, 'pending')
    this.on.changed(channel)
    this.#run(channel)
  }

  discard(channel, id) {
    this.on.timeline(channel).discard(id)
    this.#save(channel)
  }

  /** Send again whatever failed only because there was no answer. */
  retryAll() {
    for (const channel of this.channels) {
      const timeline = this.on.timeline(channel)
      for (const message of timeline.outgoing) if (message.error?.retryable ?? true) timeline.mark(message.id, 'pending')
      this.on.changed(channel)
      this.#run(channel)
    }
  }

  channels = new Set()

  #add(channel, { id, text, timestamp }) {
    const message = { id, userId: me.value, text, timestamp, state: 'pending', error: null, height: 0 }
    this.channels.add(channel)
    this.on.timeline(channel).addPending(message)
    this.#save(channel)
  }

  // One at a time and in order: side by side, two quick messages could change places on the way.
  async #run(channel) {
    if (this.#running.get(channel)) return
    this.#running.set(channel, true)
    const timeline = this.on.timeline(channel)
    let message
    while ((message = timeline.outgoing.find(one => one.state === 'pending'))) {
      const { id, text, timestamp } = message
      try {
        const { seq } = await client.send(nameOf(channel), text, { id, timestamp })
        timeline.confirm(id, seq)
      } catch (error) {
        if (error.retryAfterMs !== null && error.retryAfterMs !== undefined) {
          await new Promise(resolve => setTimeout(resolve, error.retryAfterMs)) // the server said when
          continue
        }
        timeline.mark(id, 'failed', error)
      }
      this.#save(channel)
    }
    this.#running.set(channel, false)
  }

  #save(changedChannel) {
    const left = []
    for (const channel of this.channels) {
      for (const { id, text, timestamp } of this.on.timeline(channel).outgoing) left.push({ channel, id, text, timestamp })
    }
    tab.set('outbox', left.length ? left : null)
    this.on.changed(changedChannel)
  }

  /** A broadcast has shown message `event` to be ours and stored. */
  arrived(channel, event) {
    if (this.on.timeline(channel).outgoing.some(message => message.id === event.id)) learn(event.userId)
  }
}
