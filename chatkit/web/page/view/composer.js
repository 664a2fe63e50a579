// Where messages are written. Enter sends, Shift+Enter breaks the line.

import { sayTyping } from '../model/people.js'
import { tab } from '../model/prefs.js'
import { nameOf } from '../model/rooms.js'
import { EmojiPicker } from './emoji.js'
import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js'
import { Icon } from './icons.js'

export function Composer({ channel, onSend }) {
  const [text, setText] = useState(() => tab.get(`draft.${channel}`, ''))
  const [picking, setPicking] = useState(false)
  const field = useRef()
  const write = value => {
    setText(value)
    tab.set(`draft.${channel}`, value || null)
    sayTyping(channel, value.trim() !== '')
  }
  const send = () => {
    const written = field.current.value.trim() // not the state, which a fast typist may be ahead of
    if (!written) return
    onSend(written)
    write('')
    field.current.focus()
  }
  const onKeyDown = event => {
    // isComposing: the Enter that accepts a word of Japanese or Chinese is not the Enter that sends.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  const insert = emoji => {
    const { selectionStart, selectionEnd } = field.current
    write(text.slice(0, selectionStart) + emoji + text.slice(selectionEnd))
    setPicking(false)
    field.current.focus()
  }
  useLayoutEffect(() => {
    const { style } = field.current
    style.height = 'auto'
    style.height = `${field.current.scrollHeight}px`
  }, [text])
  useEffect(() => {
    if (matchMedia('(hover: hover)').matches) field.current.focus() // on a phone that would open the keyboard
    return () => sayTyping(channel, false)
  }, [channel])
  return html`
    <form class="composer" onSubmit=${event => (event.preventDefault(), send())}>
      ${picking && html`<${EmojiPicker} onPick=${insert} onClose=${() => (setPicking(false), field.current.focus())} />`}
      <div class="field">
        <button type="button" class="round" aria-label="Emoji" title="Emoji" aria-expanded=${picking} onClick=${() => setPicking(!picking)}>
          <${Icon} name="smile" />
        </button>
        <textarea id="composer" ref=${field} rows="1" value=${text} dir="auto" enterkeyhint="send" autocomplete="off"
          placeholder=${`Message #${nameOf(channel)}`} aria-label=${`Message to ${nameOf(channel)}`}
          onInput=${event => write(event.currentTarget.value)} onKeyDown=${onKeyDown}></textarea>
        <button type="submit" class="round send" aria-label="Send" title="Send (Enter)" disabled=${!text.trim()}>
          <${Icon} name="send" />
        </button>
      </div>
    </form>
  `
}
