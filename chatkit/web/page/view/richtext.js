// A message's text as elements.

import { folded, isEmoji, tokens } from '../model/text.js'
import { html, useState } from './html.js'

function Token({ kind, text, href }) {
  if (kind === 'block') return html`<pre tabindex="0"><code>${text}</code></pre>`
  if (kind === 'code') return html`<code>${text}</code>`
  if (kind === 'link') return html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow" title=${href}>${text}</a>`
  return text
}

/** @param onFold called before the text is unfolded or folded, so that the list can keep its place */
export function RichText({ text, onFold }) {
  const [open, setOpen] = useState(false)
  const short = folded(text)
  const shown = short === null || open ? text : short
  const toggle = () => {
    onFold()
    setOpen(!open)
  }
  return html`
    <div class=${isEmoji(text) ? 'text emoji' : 'text'} dir="auto">
      ${tokens(shown).map(token => html`<${Token} ...${token} />`)}${short !== null && !open && '…'}
    </div>
    ${short !== null && html`<button type="button" class="fold" aria-expanded=${open} onClick=${toggle}>
      ${open ? 'Show less' : 'Show all'}
    </button>`}
  `
}
