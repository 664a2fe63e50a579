// The page: rooms, the open room, people.

import { client, link, me } from '../model/connection.js'
import { arrivals, atBottom, below, current, loadOlder, outbox, read, view } from '../model/feed.js'
import { people } from '../model/people.js'
import { nameOf, rooms, unreadInAll } from '../model/rooms.js'
import { Composer } from './composer.js'
import { ProfileDialog, TokenDialog } from './dialogs.js'
import { html, useEffect, useRef, useState } from './html.js'
import { Icon } from './icons.js'
import { MessageList } from './list.js'
import { Faces, People, Typing } from './people.js'
import { Sidebar } from './sidebar.js'

export function App() {
  const [drawer, setDrawer] = useState('') // on a narrow window: 'rooms' or 'people'
  const [profile, setProfile] = useState(false)
  const [asked, setAsked] = useState(true)
  useEffect(() => setAsked(true), [link.value.status])
  useEffect(() => {
    const onKey = event => shortcut(event, () => setDrawer(''))
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  const close = () => setDrawer('')
  return html`
    <div class=${drawer ? `app ${drawer}-open` : 'app'}>
      <a class="skip" href="#composer" onClick=${event => (event.preventDefault(), document.getElementById('composer')?.focus())}>Write a message</a>
      <${Sidebar} onClose=${close} onProfile=${() => setProfile(true)} />
      ${drawer && html`<div class="shade" onClick=${close} />`}
      <${Room} key=${current.value} onDrawer=${setDrawer} />
      <${People} onClose=${close} />
      ${profile && html`<${ProfileDialog} onClose=${() => setProfile(false)} />`}
      ${link.value.status === 'refused' && asked && html`<${TokenDialog} onClose=${() => setAsked(false)} />`}
    </div>
  `
}

// Ctrl+K finds a room, Alt+arrows walk through the rooms, Escape goes back to writing.
function shortcut(event, close) {
  if (document.querySelector('dialog')) return
  if (event.key === 'k' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    document.getElementById('find-room').focus()
  } else if (event.altKey && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
    event.preventDefault()
    const channels = rooms.value.map(room => room.channel)
    const next = channels[channels.indexOf(current.value) + (event.key === 'ArrowUp' ? -1 : 1)]
    if (next) location.hash = next
  } else if (event.key === 'Escape') {
    close()
    document.getElementById('composer')?.focus()
  }
}

function Room({ onDrawer }) {
  const list = useRef()
  const channel = current.value
  const { timeline, version, loading, refused } = view.value
  const onBottom = is => {
    atBottom.value = is
    if (is) read()
  }
  const send = text => {
    list.current.toBottom()
    outbox.send(channel, text)
  }
  return html`
    <main class="main" aria-label=${`Room ${nameOf(channel)}`}>
      <header class="head">
        <button type="button" class="round only-narrow" aria-label=${`Rooms${unreadInAll.value ? `, ${unreadInAll.value} unread` : ''}`} onClick=${() => onDrawer('rooms')}>
          <${Icon} name="menu" />${unreadInAll.value > 0 && html`<i class="dot" />`}
        </button>
        <h1><span class="hash" aria-hidden="true">#</span><bdi>${nameOf(channel)}</bdi></h1>
        <button type="button" class="here" aria-label=${`${people.value.length} here`} onClick=${() => onDrawer('people')}><${Faces} /></button>
      </header>
      <${Banner} />
      <${MessageList} handle=${list} timeline=${timeline} version=${version} me=${me.value} ready=${timeline.loaded} onOlder=${loadOlder}
        onBottom=${onBottom} onRetry=${retry} onDiscard=${discard}>
        <${Lead} channel=${channel} timeline=${timeline} version=${version} loading=${loading} refused=${refused} />
      <//>
      <div class="under">
        ${!atBottom.value && html`
          <button type="button" class="newest" onClick=${() => list.current.toBottom()} aria-label=${below.value ? `${below.value} new, go to newest` : 'Go to newest'}>
            <${Icon} name="down" />${below.value > 0 && `${below.value} new`}
          </button>`}
        <${Typing} />
      </div>
      <${Composer} channel=${channel} onSend=${send} />
      <${Announcer} />
    </main>
  `
}

const retry = id => outbox.retry(current.value, id)
const discard = id => outbox.discard(current.value, id)

// What stands above the first message.
function Lead({ channel, timeline, version, loading, refused }) {
  if (refused) return html`<div class="welcome"><h2>This room is closed to you</h2><p>${refused.message}</p></div>`
  if (loading) return html`<div class="loading" role="status"><i class="spinner" /><span class="vh">Loading older messages</span></div>`
  if (!timeline.loaded || timeline.more) return html`<div class="loading" />`
  return html`
    <div class="welcome">
      <span class="mark"><${Icon} name="chat" /></span>
      <h2>Welcome to #${nameOf(channel)}</h2>
      <p>${timeline.rows.length ? 'This is where the room begins.' : 'Nobody has written here yet. Say hello.'}</p>
    </div>
  `
}

// How the connection is, when it is not simply there. A blink of a second is nobody's business.
function Banner() {
  const { status, retryAt } = link.value
  const [late, setLate] = useState(false)
  const bad = status !== 'open'
  useEffect(() => {
    if (!bad) return setLate(false)
    const timer = setTimeout(() => setLate(true), 700)
    return () => clearTimeout(timer)
  }, [bad])
  if (!bad || !late) return html`<div class="banner" role="status" />`
  return html`
    <div class="banner shown" role="status">
      ${status === 'refused'
        ? html`<span>Not signed in.</span> <button type="button" class="link" onClick=${() => client.identify({})}>Try again</button>`
        : html`<i class="spinner" /><span>Reconnecting…</span>
            ${retryAt !== null && html`<button type="button" class="link" onClick=${() => client.retry()}>Retry now</button>`}`}
    </div>
  `
}

// Says new messages to those who hear the page. The list itself is silent: scrolling it is no news.
function Announcer() {
  const said = arrivals.value.filter(message => message.channel === current.value)
  const text = said.length > 3 ? `${said.length} new messages` : said.map(({ userId, text }) => `${userId}: ${text.slice(0, 200)}`).join('. ')
  return html`<div class="vh" role="log" aria-live="polite" aria-label="New messages">${text}</div>`
}
