// The rooms on the left, and who we are at the foot.

import { notifications, toggleNotifications } from '../model/attention.js'
import { me } from '../model/connection.js'
import { current } from '../model/feed.js'
import { channelOf, COUNT_TO, nameOf, rooms } from '../model/rooms.js'
import { Avatar } from './avatar.js'
import { html, useState } from './html.js'
import { Icon } from './icons.js'
import { nextTheme, theme } from './theme.js'

const SHOW_AT_MOST = 200

const NOTIFY = {
  on: ['bell', 'Notifications are on'],
  off: ['belloff', 'Notifications are off'],
  blocked: ['belloff', 'Notifications are blocked by this browser'],
  impossible: ['belloff', 'Notifications need HTTPS or localhost'],
}

export function Sidebar({ onClose, onProfile }) {
  return html`
    <nav class="sidebar" aria-label="Rooms">
      <div class="brand">
        <span class="mark"><${Icon} name="chat" /></span><span class="wordmark">chatkit</span>
        <button type="button" class="round only-narrow" aria-label="Close rooms" onClick=${onClose}><${Icon} name="close" /></button>
      </div>
      <${Rooms} onGo=${onClose} />
      <div class="foot">
        <button type="button" class="me" onClick=${onProfile} title="Change your name">
          <${Avatar} name=${me.value || '?'} small />
          <span class="vh">You are</span><bdi class="name">${me.value || 'signed in'}</bdi><span class="vh">. Change your name</span>
        </button>
        <button type="button" class="round" aria-label=${NOTIFY[notifications.value][1]} title=${NOTIFY[notifications.value][1]}
          aria-pressed=${notifications.value === 'on'} disabled=${notifications.value === 'impossible'} onClick=${toggleNotifications}>
          <${Icon} name=${NOTIFY[notifications.value][0]} />
        </button>
        <button type="button" class="round" aria-label=${`Theme: ${theme.value}`} title=${`Theme: ${theme.value}`} onClick=${nextTheme}>
          <${Icon} name=${theme.value} />
        </button>
      </div>
    </nav>
  `
}

function Rooms({ onGo }) {
  const [typed, setTyped] = useState('')
  const wanted = typed.trim().replace(/^#/, '').toLowerCase()
  const found = rooms.value.filter(room => room.name.toLowerCase().includes(wanted))
  const channel = channelOf(typed)
  const isNew = channel !== null && !rooms.value.some(room => room.channel === channel)
  const wrong = wanted !== '' && channel === null
  const go = event => {
    event.preventDefault()
    if (channel === null) return
    location.hash = channel
    setTyped('')
    onGo()
  }
  return html`
    <form class="find" onSubmit=${go}>
      <input id="find-room" type="text" value=${typed} placeholder="Find or create a room" aria-label="Find or create a room"
        autocomplete="off" spellcheck=${false} aria-invalid=${wrong} aria-describedby=${wrong ? 'find-help' : undefined}
        onInput=${event => setTyped(event.currentTarget.value)} onKeyDown=${event => event.key === 'Escape' && setTyped('')} />
      ${wrong && html`<p id="find-help" class="help" role="alert">Letters, digits and . _ - ~ : @ make a name.</p>`}
      ${isNew && html`<button type="submit" class="create"><${Icon} name="plus" />Create <b>#${nameOf(channel)}</b></button>`}
    </form>
    <ul class="rooms">
      ${found.slice(0, SHOW_AT_MOST).map(room => html`<${Room} key=${room.channel} ...${room} onGo=${() => (setTyped(''), onGo())} />`)}
      ${found.length > SHOW_AT_MOST && html`<li class="help">${found.length - SHOW_AT_MOST} more: type to find them.</li>`}
    </ul>
  `
}

function Room({ channel, name, unread, onGo }) {
  const isOpen = channel === current.value
  const count = unread >= COUNT_TO ? `${COUNT_TO - 1}+` : unread
  return html`
    <li>
      <a href=${`#${channel}`} class=${unread && !isOpen ? 'room unread' : 'room'} aria-current=${isOpen ? 'page' : undefined} onClick=${onGo}>
        <span class="hash" aria-hidden="true">#</span><bdi class="name">${name}</bdi>
        ${unread > 0 && !isOpen && html`<span class="count">${count}<span class="vh"> unread</span></span>`}
      </a>
    </li>
  `
}
