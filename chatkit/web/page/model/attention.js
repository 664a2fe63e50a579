// What reaches somebody who is looking elsewhere: the tab's title, its icon, notifications.

import { effect, signal } from '../../vendor/signals.js'
import { arrivals, current } from './feed.js'
import { browser } from './prefs.js'
import { nameOf, unreadInAll } from './rooms.js'

const possible = 'Notification' in globalThis && isSecureContext
const granted = () => possible && Notification.permission === 'granted'

/** "on", "off", "blocked" (by the browser's settings) or "impossible" (not over plain HTTP from another machine). */
export const notifications = signal(stateOf(browser.get('notify', false)))

function stateOf(wanted) {
  if (!possible) return 'impossible'
  if (Notification.permission === 'denied') return 'blocked'
  return wanted && granted() ? 'on' : 'off'
}

/** Switch notifications on or off; asks for permission on the first time. */
export async function toggleNotifications() {
  const wanted = notifications.value !== 'on'
  if (wanted && possible && !granted()) await Notification.requestPermission()
  browser.set('notify', wanted && granted())
  notifications.value = stateOf(wanted)
}

export function start() {
  const icon = document.querySelector('link[rel=icon]')
  effect(() => {
    const count = unreadInAll.value
    const room = current.value ? `#${nameOf(current.value)}` : ''
    document.title = `${count ? `(${count}) ` : ''}${room ? `${room} · ` : ''}chatkit`
    icon.href = count ? '/icon-unread.svg' : '/icon.svg'
  })
  effect(() => {
    const newest = arrivals.value.at(-1)
    if (newest && document.hidden && notifications.peek() === 'on') notify(newest)
  })
}

function notify({ channel, userId, text }) {
  const body = text.length > 180 ? `${text.slice(0, 180)}…` : text
  // One a room: ten messages while somebody is away are one notification, the newest.
  const shown = new Notification(`${userId} in #${nameOf(channel)}`, { body, tag: channel, icon: '/icon.svg' })
  shown.onclick = () => {
    window.focus()
    location.hash = channel
    shown.close()
  }
}
