// Who is in the open room, and who is typing there.

import { signal } from '../../vendor/signals.js'
import { client, learn, me } from './connection.js'

const SAY_EVERY_MS = 2_500 // while somebody keeps typing
const FORGET_AFTER_MS = 5_000 // without hearing again

/** `[{userId, connections}]`, by name. */
export const people = signal([])
/** Names of those who are typing, without us. */
export const typing = signal([])

/** What we track as our state: by it we find ourselves among the others, where it is the server that names us. */
export const OURS = { tab: Math.random().toString(36).slice(2) }

const here = new Map()
const timers = new Map()

/** Take an event of room `channel` if it is about people.  @returns whether it was */
export function notice(channel, { event, userId, data }) {
  const isPresence = event.startsWith('presence:')
  if (!isPresence && event !== 'typing') return false
  if (channel !== watching) return true
  if (isPresence) {
    since?.push({ event, data })
    apply({ event, data })
    tell()
  } else if (data?.typing === false) hush(userId)
  else if (userId !== me.value) hear(userId)
  return true
}

function apply({ event, data }) {
  if (event === 'presence:sync') return data?.users?.forEach(user => apply({ event: 'presence:join', data: user }))
  if (typeof data?.userId !== 'string') return undefined // an event that only looks like the server's
  if (data.state?.tab === OURS.tab) learn(data.userId)
  if (event !== 'presence:leave') return here.set(data.userId, data)
  hush(data.userId)
  return here.delete(data.userId)
}

const tell = () => (people.value = [...here.values()].sort((a, b) => a.userId.localeCompare(b.userId)))

let watching = ''
let since = null // what was heard while the server was being asked

/** Ask who is in `channel`, and keep that up from now on. */
export async function lookAround(channel) {
  if (channel !== watching) {
    here.clear()
    for (const userId of [...timers.keys()]) hush(userId)
    tell()
  }
  watching = channel
  const heard = (since = [])
  const { users } = await client.request(`/api/presence?channel=${encodeURIComponent(channel)}`).catch(() => ({ users: [] }))
  if (heard !== since) return // asked again since
  // The answer and the events come by different ways: what was heard meanwhile may be older or newer than the answer,
  // and applying it again is right in both cases.
  here.clear()
  for (const user of users) apply({ event: 'presence:join', data: user })
  heard.forEach(apply)
  since = null
  tell()
}

function hear(userId) {
  clearTimeout(timers.get(userId))
  timers.set(userId, setTimeout(() => hush(userId), FORGET_AFTER_MS))
  if (!typing.value.includes(userId)) typing.value = [...typing.value, userId]
}

/** `userId` is no longer typing: the message is there, or the time is up. */
export function hush(userId) {
  if (!timers.has(userId)) return
  clearTimeout(timers.get(userId))
  timers.delete(userId)
  typing.value = typing.value.filter(name => name !== userId)
}

let saidAt = 0
let saidIn = null

/** We are typing in `channel`, or have stopped. Said seldom, not kept, and not worth an error when it is lost. */
export function sayTyping(channel, is) {
  const nowMs = Date.now()
  const repeats = saidIn === channel && nowMs - saidAt < SAY_EVERY_MS
  if (is ? repeats : saidIn === null) return
  saidAt = nowMs
  saidIn = is ? channel : null
  client.channel(channel).publish('typing', { typing: is }).catch(() => {})
}
