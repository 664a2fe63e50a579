// Who is in the open room, and who is typing there.

import { signal } from '../../vendor/signals.js'
import { client, me } from './connection.js'

const SAY_EVERY_MS = 2_500 // while somebody keeps typing
const FORGET_AFTER_MS = 5_000 // without hearing again

/** `[{userId, connections}]`, by name. */
export const people = signal([])
/** Names of those who are typing, without us. */
export const typing = signal([])

const here = new Map()
const timers = new Map()

/** Take an event of the open room if it is about people.  @returns whether it was */
export function notice({ event, userId, data }) {
  if (event === 'presence:sync') {
    for (const user of data?.users ?? []) here.set(user.userId, user)
  } else if (event === 'presence:join' || event === 'presence:update') {
    here.set(data.userId, data)
  } else if (event === 'presence:leave') {
    here.delete(data.userId)
    hush(data.userId)
  } else if (event === 'typing') {
    if (data?.typing === false) hush(userId)
    else if (userId !== me.value) hear(userId)
    return true
  } else return false
  people.value = [...here.values()].sort((a, b) => a.userId.localeCompare(b.userId))
  return true
}

/** The subscription begins anew: the server tells who is here now. */
export function forgetPeople() {
  here.clear()
  people.value = []
  for (const userId of [...timers.keys()]) hush(userId)
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
