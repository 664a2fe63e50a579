// What comes in: the messages of the open room, and of the rooms that were open before.

import { batch, signal } from '../../vendor/signals.js'
import { client, me } from './connection.js'
import { Outbox } from './outbox.js'
import { hush, lookAround, notice, OURS } from './people.js'
import { list, load, markSeen, note, seenSeq } from './rooms.js'
import { messageOf, Timeline } from './timeline.js'

const EVERYTHING = 'chat/**'
const PAGE = 100
const KEEP_ROWS = 20_000
const HIDDEN_FLUSH_MS = 200

/** The open room's channel, `chat/general`, and what the page shows of it. `version` rises whenever rows change. */
export const current = signal('')
export const view = signal({ timeline: new Timeline(), version: 0, loading: false, refused: null })
/** Whether the newest message is in sight; set by the list. */
export const atBottom = signal(true)
/** Messages by others that came in below what is in sight. */
export const below = signal(0)
/** The newest messages by others, for those who hear the page instead of seeing it, and for notifications. */
export const arrivals = signal([])

const timelines = new Map()

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
  if (left) client.channel(left).untrack()
  const room = list(channel)
  const timeline = timelineOf(channel)
  timeline.dividerSeq = room.unread.size ? seenSeq(channel) : null
  batch(() => {
    current.value = channel
    below.value = 0
    atBottom.value = timeline.place?.stick ?? true
    view.value = { timeline, version: view.peek().version + 1, loading: false, refused: null }
  })
  client.channel(channel).track(OURS)
  if (!live) return // everything that is missing is read as soon as the connection is there
  listen(channel)
  readNewest(channel)
  read()
}

// ---------------------------------------------------------------------------------- one subscription for every room

// One subscription to all rooms gives the open room and the counts of the others, has one position to resume from, and
// costs the server no comparing of overlapping subscriptions. Somebody whose token may not read everything gets the
// rooms that they open, one by one.
let live = false
let oneByOne = false

/** Listen, from now on and over every lost connection. */
export function start() {
  client.on('status', ({ status }) => status !== 'open' && (live = false))
  client.channel(EVERYTHING).on('*', event => receive(event.channel, event)).onStatus(follow).subscribe()
}

function follow({ status, epoch, error }) {
  if (status === 'subscribed') load(epoch).then(read, () => {})
  else if (status === 'live') catchUp()
  else if (status === 'reset') forget()
  else if (status === 'error' && error.code === 'forbidden') {
    oneByOne = true
    client.channel(EVERYTHING).unsubscribe()
    load(null).catch(() => {})
    catchUp()
  }
}

function catchUp() {
  live = true
  flush()
  listen(current.peek())
  readNewest(current.peek())
}

const listening = new Set()

function listen(channel) {
  if (!oneByOne || listening.has(channel)) return
  listening.add(channel)
  client
    .channel(channel)
    .on('*', event => receive(channel, event))
    .onStatus(({ status, error }) => {
      if (status === 'reset') forget()
      else if (status === 'live') readNewest(channel)
      else if (status === 'error') show(channel, { refused: error })
    })
    .subscribe()
}

// What is on the screen is of another log, or there is a hole after it: read again.
function forget() {
  incoming = []
  for (const timeline of timelines.values()) timeline.clear()
  show(current.peek())
}

// Called when live events are on their way already, so that nothing falls between them and the page.
async function readNewest(channel) {
  const timeline = timelineOf(channel)
  lookAround(channel)
  if (timeline.loaded) return
  try {
    const { messages } = await client.channel(channel).history({ last: PAGE })
    timeline.merge(messages)
    timeline.more = messages.length === PAGE
    timeline.loaded = true
    read()
  } catch (error) {
    if (error.status === 403) show(channel, { refused: error }) // anything else is tried again with the connection
  }
  show(channel)
}

/** Read a page of older messages into the open room. */
export async function loadOlder() {
  const channel = current.peek()
  const timeline = timelineOf(channel)
  if (!timeline.loaded || !timeline.more || view.peek().loading || timeline.oldestSeq === null) return
  show(channel, { loading: true })
  try {
    const { messages } = await client.channel(channel).history({ before: timeline.oldestSeq, limit: PAGE })
    timeline.merge(messages)
    timeline.more = messages.length === PAGE
  } catch {
    // Scrolling on asks again; a lost connection has its own banner.
  }
  show(channel, { loading: false })
}

// ------------------------------------------------------------------------------------------- what comes in, live

// Frames come one by one, pictures sixty times a second: everything since the last picture is taken in one step.
let incoming = []

function receive(channel, event) {
  if (notice(channel, event)) return
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
  batch(() => byChannel.forEach((list, channel) => take(channel, list)))
}

function take(channel, events) {
  const isOpen = channel === current.peek()
  // A room that was never opened has no timeline to keep up: opening it reads what is newest.
  const timeline = timelines.get(channel)
  const fresh = timeline ? timeline.merge(events) : events.map(messageOf).filter(Boolean)
  if (timeline && !(isOpen && !atBottom.peek())) timeline.trim(KEEP_ROWS)
  for (const { userId } of fresh) hush(userId)
  note(fresh.map(message => [channel, message]), me.peek())
  const others = fresh.filter(message => message.userId !== me.peek())
  if (isOpen) {
    if (!atBottom.peek()) below.value += others.length
    read()
    show(channel)
  }
  if (others.length) arrivals.value = others.map(message => ({ ...message, channel }))
}

/** Note the open room as read, if its newest message is in sight. */
export function read() {
  if (document.hidden || !atBottom.peek() || !current.peek()) return
  below.value = 0
  markSeen(current.peek(), timelineOf(current.peek()).newestSeq)
}

document.addEventListener('visibilitychange', () => document.hidden || (flush(), read()))
