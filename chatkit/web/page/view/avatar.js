// A person at a glance: an initial on a colour that stays theirs.

import { html } from './html.js'

const HUES = 10

/** The same name has the same colour on every screen. */
export function hueOf(name) {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash, 31) + name.charCodeAt(i)
  // MurmurHash3's last stir: names differ in few letters, hues should not depend on just those.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % HUES
}

// "user-k3x9f2" is told from other such names by what follows the dash.
function initials(name) {
  const own = name.replace(/^(user|anonymous)[-_]?(?=.)/i, '')
  return [...(own || name)].slice(0, own === name ? 1 : 2).join('').toUpperCase()
}

export const Avatar = ({ name, small }) => html`
  <span class=${`avatar hue-${hueOf(name)}${small ? ' small' : ''}`} data-initials=${initials(name)} aria-hidden="true" />
`
