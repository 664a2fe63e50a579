// The open room: its subscription, its messages, its history; and what comes in for the other rooms.

import { batch, signal } from '../../vendor/signals.js'
import { client, me } from './connection.js'
import { Outbox } from './outbox.js'
import { forgetPeople, hush, notice } from './people.js'
import { COUNT_TO, list, load, markSeen, note, seenSeq } from './rooms.js'
import { messageOf, Timeline } from './timeline.js'

const FIRST_PAGE = 60
const OLDER_PAGE = 100
const KEEP_ROWS = 20_000
const HIDDEN_FLUSH_MS = 200

/** The open room's channel, `chat/general`, and what the page shows of it. `version` rises whenever rows change. */
export const current = signal('')
export const view = signal({ timeline: new Timeline(), version: 0, ready: false, loading: false, refused: null })
/** Whether the newest message is in sight; set by the list. */
export const atBottom = signal(true)
/** Messages by others that came in below what is in sight. */
export const below = signal(0)
/** The newest messages by others, for those who hear the page instead of seeing it, and for notifications. */
export const arrivals = signal([])

const timelines = new Map()
const watched = new Set()

function timelineOf(channel) {
  if (!timelines.has(channel)) timelines.set(channel, new Timeline())
  return timelines.get(channel)
}

export const outbox = new Outbox({ timeline: timelineOf, changed: show })

function show(channel, change = {}) {
  if (channel !== current.peek()) return
  view.value = { ...view.peek(), ...change, timeline: timelineOf(channel), version: view.peek().version + 1 }
}

/** Leave the open room and open `channel`. */
export function open(channel) {
  const left = current.peek()
  if (channel === left) return
  if (left) {
    const subscription = client.channel(left)
    timelineOf(left).position = subscription.position
    subscription.untrack().unsubscribe()
  }
  const room = list(channel)
  if (room.unread.size >= COUNT_TO) timelineOf(channel).clear() // far behind: load what is newest instead of reading on
  const timeline = timelineOf(channel)
  timeline.dividerSeq = room.unread.size ? seenSeq(channel) : null
  batch(() => {
    current.value = channel
    below.value = 0
    atBottom.value = timeline.place?.stick ?? true
    view.value = { timeline, version: view.peek().version + 1, ready: timeline.position !== null, loading: false, refused: null }
  })
  forgetPeople()
  const subscription = client.channel(channel)
  if (!watched.has(channel)) {
    watched.add(channel)
    subscription.on('*', event => receive(channel, event)).onStatus(status => follow(channel, status))
  }
  const { position } = timeline
  subscription.subscribe(position ? { after: position.seq, epoch: position.epoch } : { last: FIRST_PAGE }).track({})
}

function follow(channel, { status, error }) {
  if (channel !== current.peek()) return
  if (status === 'subscribed') forgetPeople()
  else if (status === 'reset') {
    flush()
    timelineOf(channel).clear()
    show(channel, { ready: false })
  } else if (status === 'live') {
    flush()
    const timeline = timelineOf(channel)
    if (!view.peek().ready) timeline.more = timeline.stored >= FIRST_PAGE // fewer than asked for: that was all there is
    show(channel, { ready: true })
  } else if (status === 'error') show(channel, { ready: true, refused: error })
}

/** Load a page of older messages into the open room. */
export async function loadOlder() {
  const channel = current.peek()
  const timeline = timelineOf(channel)
  if (!timeline.more || view.peek().loading || !view.peek().ready || timeline.oldestSeq === null) return
  show(channel, { loading: true })
  try {
    const { messages } = await client.channel(channel).history({ before: timeline.oldestSeq, limit: OLDER_PAGE })
    timeline.merge(messages)
    timeline.more = messages.length === OLDER_PAGE
  } catch {
    // Scrolling on asks again; a lost connection has its own banner.
  }
  show(channel, { loading: false })
}

// ------------------------------------------------------------------------------------------- what comes in, live

// Frames come one by one, pictures sixty times a second: everything since the last picture is taken in one step.
let incoming = []

function receive(channel, event) {
  if (channel === current.peek() && notice(event)) return
  incoming.push([channel, event])
  if (incoming.length > 1) return
  if (document.hidden) setTimeout(flush, HIDDEN_FLUSH_MS) // a hidden tab gets no pictures
  else requestAnimationFrame(flush)
}

function flush() {
  const events = incoming
  incoming = []
  if (!events.length) return
  const byChannel = new Map()
  for (const [channel, event] of events) {
    if (!byChannel.has(channel)) byChannel.set(channel, [])
    byChannel.get(channel).push(event)
    if (timelines.has(channel)) outbox.arrived(channel, event)
  }
  batch(() => {
    for (const [channel, list] of byChannel) take(channel, list)
  })
}

function take(channel, events) {
  const isOpen = channel === current.peek()
  const replaying = isOpen && !view.peek().ready
  // A room that was never opened has no timeline to keep up: opening it loads what is newest.
  const timeline = timelines.get(channel)
  const fresh = isOpen ? timeline.merge(events) : events.map(messageOf).filter(Boolean)
  if (isOpen && atBottom.peek()) timeline.trim(KEEP_ROWS)
  const others = fresh.filter(message => message.userId !== me.peek())
  for (const { userId } of fresh) hush(userId)
  note(fresh.map(message => [channel, message]), me.peek())
  if (isOpen) {
    if (!atBottom.peek() && !replaying) below.value += others.length
    read()
    show(channel)
  }
  if (others.length && !replaying) arrivals.value = others.map(message => ({ ...message, channel }))
}

/** Note the open room as read, if its newest message is in sight. */
export function read() {
  if (document.hidden || !atBottom.peek() || !current.peek()) return
  below.value = 0
  markSeen(current.peek(), timelineOf(current.peek()).newestSeq)
}

document.addEventListener('visibilitychange', () => document.hidden || (flush(), read()))

/** Listen to every room, for the counts. A room that is open is heard on its own subscription. */
export function start() {
  client
    .channel('chat/**')
    .on('*', event => receive(event.channel, event))
    .onStatus(({ status, epoch }) => status === 'subscribed' && load(epoch).then(read, () => {}))
    .subscribe()
}
