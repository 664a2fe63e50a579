// Who is here, and who is typing.

import { me } from '../model/connection.js'
import { people, typing } from '../model/people.js'
import { Avatar } from './avatar.js'
import { html } from './html.js'
import { Icon } from './icons.js'

const SHOW_AT_MOST = 200

export function People({ onClose }) {
  const others = people.value.length - SHOW_AT_MOST
  return html`
    <aside class="people" aria-label="People in this room">
      <div class="panel-head">
        <h2>Here now <span class="soft">${people.value.length}</span></h2>
        <button type="button" class="round only-narrow" aria-label="Close people" onClick=${onClose}><${Icon} name="close" /></button>
      </div>
      <ul>
        ${people.value.slice(0, SHOW_AT_MOST).map(({ userId }) => html`
          <li key=${userId}>
            <span class="present"><${Avatar} name=${userId} small /></span><bdi class="name">${userId}</bdi>
            ${userId === me.value && html`<span class="soft">you</span>`}
          </li>`)}
        ${others > 0 && html`<li class="soft">and ${others} more</li>`}
      </ul>
    </aside>
  `
}

/** A few faces and a number, in the header. */
export const Faces = () => html`
  <span class="faces" aria-hidden="true">${people.value.slice(0, 3).map(({ userId }) => html`<${Avatar} key=${userId} name=${userId} small />`)}</span>
  <span class="soft">${people.value.length}</span>
`

export function Typing() {
  const names = typing.value
  if (!names.length) return html`<div class="typing" aria-live="polite" />`
  const who = names.length > 3 ? 'Several people are' : `${listOf(names)} ${names.length > 1 ? 'are' : 'is'}`
  return html`
    <div class="typing" aria-live="polite">
      <span class="dots" aria-hidden="true"><i /><i /><i /></span><span class="who"><bdi>${who}</bdi> typing</span>
    </div>
  `
}

const listOf = names => new Intl.ListFormat('en').format(names)
