// Starts the page.

import { start as watch } from './model/attention.js'
import { current, open, start } from './model/feed.js'
import { isChannel } from './model/rooms.js'
import { App } from './view/app.js'
import { html, render } from './view/html.js'

const HOME = 'chat/general'

// The address says which room: `/#chat/general` can be kept, shared and gone back to.
function follow() {
  let channel = ''
  try {
    channel = decodeURIComponent(location.hash.slice(1))
  } catch {} // a broken escape is no room
  if (!isChannel(channel)) {
    channel = current.value || HOME
    history.replaceState(null, '', `#${channel}`)
  }
  open(channel)
}

addEventListener('hashchange', follow)
start()
follow()
watch()
const root = document.getElementById('root')
root.replaceChildren()
render(html`<${App} />`, root)
