// The rooms there are, and how many messages of each have not been read in this browser.

import { computed, signal } from '../../vendor/signals.js'
import { client } from './connection.js'
import { browser } from './prefs.js'

const HOME = 'chat/general'
/** Unread messages are counted up to here: "99+" is all that anybody reads. */
export const COUNT_TO = 100
const CATCH_UP_ROOMS = 30 // rooms whose unread messages are counted when the page opens

const entries = new Map() // channel -> {unread: Set of seqs, lastSeq}
const changed = signal(0)

/** `[{channel, name, unread}]`, the home room first, the rest by name. */
export const rooms = computed(() => {
  changed.value
  return [...entries]
    .map(([channel, { unread }]) => ({ channel, name: nameOf(channel), unread: unread.size }))
    .sort((a, b) => (b.channel === HOME) - (a.channel === HOME) || a.name.localeCompare(b.name))
})

/** How many unread messages there are in all. */
export const unreadInAll = computed(() => rooms.value.reduce((sum, room) => sum + room.unread, 0))

export const nameOf = channel => channel.slice('chat/'.length)

// Segments as the protocol has them; the server has the last word.
const SEGMENT = /^[\p{L}\p{N}\p{M}._~:@-]{1,64}$/u

/** The channel of a room that a person typed, or null: "Team Lunch" is chat/Team-Lunch. */
export function channelOf(typed) {
  const name = typed.trim().replace(/^#/, '').replace(/\s+/g, '-')
  return isChannel(`chat/${name}`) ? `chat/${name}` : null
}

/** Whether `text` names a room's channel. */
export function isChannel(text) {
  const [chat, ...rest] = text.split('/')
  return chat === 'chat' && rest.length > 0 && rest.every(part => SEGMENT.test(part)) &&
    new TextEncoder().encode(text).length <= 200
}

/** Make sure that `channel` is listed. */
export function list(channel) {
  return entry(channel, true)
}

function entry(channel, tell = false) {
  let found = entries.get(channel)
  if (!found) {
    entries.set(channel, (found = { unread: new Set(), lastSeq: 0 }))
    if (tell) changed.value++
  }
  return found
}

// ------------------------------------------------------------------------------------------------------ unread

// {epoch, seqs: {channel: seq}}: up to where each room has been read, shared by the tabs of this browser.
let seen = browser.get('seen', { epoch: null, seqs: {} })

/** Up to which seq `channel` has been read. */
export const seenSeq = channel => seen.seqs[channel] ?? null

/** Take note of messages in rooms; `mine` are not unread. */
export function note(messages, mine) {
  for (const [channel, message] of messages) {
    const room = entry(channel)
    if (message.seq === undefined || message.userId === mine) continue
    if (message.seq > (seen.seqs[channel] ?? 0) && room.unread.size < COUNT_TO) room.unread.add(message.seq)
  }
  changed.value++
}

/** Everything in `channel` up to `seq` has been read. */
export function markSeen(channel, seq) {
  if (!seq || (seen.seqs[channel] ?? -1) >= seq) return
  const latest = browser.get('seen', seen) // another tab may have read another room
  if (latest.epoch === seen.epoch) seen = latest
  seen.seqs[channel] = Math.max(seq, seen.seqs[channel] ?? 0)
  browser.set('seen', seen)
  forget(channel)
}

function forget(channel) {
  const room = entry(channel)
  for (const seq of room.unread) if (seq <= seen.seqs[channel]) room.unread.delete(seq)
  changed.value++
}

addEventListener('storage', event => {
  if (event.key !== 'chatkit.seen') return
  seen = browser.get('seen', seen)
  for (const channel of entries.keys()) if (seen.seqs[channel] !== undefined) forget(channel)
})

/** Ask the server which rooms there are, and count what came in while the page was closed.
 *  @param epoch of the log, or null when it is not known yet */
export async function load(epoch) {
  if (epoch !== null && seen.epoch !== epoch) seen = { epoch, seqs: {} } // positions of another log mean nothing in this one
  const { channels } = await client.request('/api/channels')
  const behind = []
  for (const { name, lastSeq } of channels) {
    if (!isChannel(name)) continue
    entry(name).lastSeq = lastSeq
    // A room that this browser never saw starts as read: nobody wants a thousand unread messages on the first visit.
    if (seen.seqs[name] === undefined) seen.seqs[name] = lastSeq ?? 0
    else if (lastSeq > seen.seqs[name]) behind.push(name)
  }
  browser.set('seen', seen)
  changed.value++
  for (const name of behind.slice(0, CATCH_UP_ROOMS)) {
    const { messages } = await client.channel(name).history({ after: seen.seqs[name], limit: COUNT_TO })
    note(messages.filter(message => message.event === 'chat:message').map(message => [name, message]), client.userId)
  }
}

list(HOME)
