// A small picker: every system has a complete one of its own; this one is for what a chat needs all day.

import { html, useLayoutEffect, useRef } from './html.js'

const EMOJI = [
  ['👍', 'thumbs up'], ['❤️', 'heart'], ['😂', 'tears of joy'], ['🎉', 'party'], ['🙏', 'thank you'], ['👀', 'eyes'],
  ['😊', 'smile'], ['😉', 'wink'], ['😍', 'in love'], ['🤔', 'thinking'], ['😅', 'sweat'], ['😭', 'crying'],
  ['😮', 'surprised'], ['😴', 'sleeping'], ['🤷', 'shrug'], ['👋', 'wave'], ['👏', 'clap'], ['🙌', 'hooray'],
  ['💪', 'strong'], ['🤝', 'deal'], ['✅', 'done'], ['❌', 'no'], ['⚠️', 'warning'], ['🔥', 'fire'],
  ['🚀', 'rocket'], ['✨', 'sparkles'], ['💯', 'hundred'], ['💡', 'idea'], ['🐛', 'bug'], ['☕', 'coffee'],
]
const COLUMNS = 6
const STEP = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }

export function EmojiPicker({ onPick, onClose }) {
  const grid = useRef()
  useLayoutEffect(() => grid.current.firstElementChild.focus(), [])
  const onKeyDown = event => {
    if (event.key === 'Escape') return event.stopPropagation(), onClose()
    const buttons = [...grid.current.children]
    const next = buttons[buttons.indexOf(document.activeElement) + STEP[event.key]]
    if (!next) return
    event.preventDefault()
    next.focus()
  }
  return html`
    <div class="picker" role="group" aria-label="Emoji" ref=${grid} onKeyDown=${onKeyDown}>
      ${EMOJI.map(([emoji, name]) => html`
        <button type="button" key=${emoji} aria-label=${name} title=${name} onClick=${() => onPick(emoji)}>${emoji}</button>`)}
    </div>
  `
}
