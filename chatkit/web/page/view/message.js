// One message: mine on the right, anybody else's on the left with their name, as in the seed.

import { dayOf, exactOf, isoOf, timeOf } from '../model/time.js'
import { Avatar, hueOf } from './avatar.js'
import { html } from './html.js'
import { Icon } from './icons.js'
import { RichText } from './richtext.js'

export function Message({ row, day, unread, first, last, mine, onRetry, onDiscard, onFold }) {
  const { id, userId, text, timestamp, state, error } = row
  const name = userId || 'You'
  const classes = ['row', mine && 'mine', first && 'first', last && 'last', state].filter(Boolean).join(' ')
  return html`
    <div class=${classes} role="listitem" data-id=${id}>
      ${day && html`<div class="day"><span>${dayOf(timestamp)}</span></div>`}
      ${unread && html`<div class="unread-line"><span>New</span></div>`}
      <div class="line">
        ${!mine && (first ? html`<${Avatar} name=${name} />` : html`<span class="avatar-gap" />`)}
        <div class="stack">
          ${first
            ? html`<div class="meta">
                <bdi class=${mine ? 'author vh' : `author ink-${hueOf(name)}`}>${mine ? 'You' : name}</bdi>
                <time datetime=${isoOf(timestamp)} title=${exactOf(timestamp)}>${timeOf(timestamp)}</time>
              </div>`
            : html`<span class="vh"><bdi>${mine ? 'You' : name}</bdi>, ${timeOf(timestamp)}: </span>`}
          <div class="bubble" title=${first ? undefined : timeOf(timestamp)}>
            <${RichText} text=${text} onFold=${() => onFold(row)} />
          </div>
          ${mine && html`<${State} ...${{ state, error, last }} onRetry=${() => onRetry(id)} onDiscard=${() => onDiscard(id)} />`}
        </div>
      </div>
    </div>
  `
}

function State({ state, error, last, onRetry, onDiscard }) {
  if (state === 'failed') {
    return html`<div class="state failed">
      <span>Not sent: ${error?.message ?? 'unknown reason'}</span>
      <button type="button" class="link" onClick=${onRetry}>Retry</button>
      <button type="button" class="link" onClick=${onDiscard}>Delete</button>
    </div>`
  }
  if (state === 'pending') return html`<div class="state"><${Icon} name="clock" /><span>Sending</span></div>`
  return last && html`<div class="state sent"><${Icon} name="check" /><span class="vh">Sent</span></div>`
}
