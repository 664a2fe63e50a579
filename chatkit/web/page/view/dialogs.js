// The two questions the page may ask: what is your name, and what is your token.

import { link, me, rename, shared, signIn, vouched } from '../model/connection.js'
import { html, useLayoutEffect, useRef, useState } from './html.js'

/** A modal dialog: the browser keeps the focus in it, and Escape closes it. */
function Dialog({ title, onClose, onSubmit, children }) {
  const box = useRef()
  useLayoutEffect(() => {
    const dialog = box.current
    dialog.showModal()
    return () => dialog.close() // which gives the focus back to where it was; merely vanishing would not
  }, [])
  const submit = event => {
    event.preventDefault()
    onSubmit(new FormData(event.currentTarget))
  }
  return html`
    <dialog ref=${box} onClose=${onClose} aria-labelledby="dialog-title">
      <form onSubmit=${submit}>
        <h2 id="dialog-title">${title}</h2>
        ${children}
      </form>
    </dialog>
  `
}

const MAX_NAME = 128
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

export function ProfileDialog({ onClose }) {
  const [wrong, setWrong] = useState('')
  if (vouched.value) {
    return html`
      <${Dialog} title="Your name" onClose=${onClose} onSubmit=${() => (signIn('', false), onClose())}>
        <p>${me.value ? html`You are <b><bdi>${me.value}</bdi></b>: the` : 'The'} server takes your name from your token.</p>
        <div class="actions">
          <button type="button" class="button" onClick=${onClose}>Close</button>
          <button type="submit" class="button primary">Sign out</button>
        </div>
      <//>
    `
  }
  const submit = data => {
    const name = data.get('name').trim()
    if (!name || name.length > MAX_NAME || CONTROL.test(name)) return setWrong(`A name has 1 to ${MAX_NAME} characters.`)
    rename(name, data.get('keep') === 'browser')
    return onClose()
  }
  return html`
    <${Dialog} title="Your name" onClose=${onClose} onSubmit=${submit}>
      <label class="label" for="name">Others see it beside your messages.</label>
      <input id="name" name="name" type="text" value=${me.value} maxlength=${MAX_NAME} autocomplete="nickname" required
        aria-invalid=${wrong !== ''} aria-describedby="name-wrong" dir="auto" />
      <p id="name-wrong" class="help" role="alert">${wrong}</p>
      <fieldset>
        <legend class="label">Use it in</legend>
        <label class="choice"><input type="radio" name="keep" value="tab" checked=${!shared.value} /> this tab</label>
        <label class="choice"><input type="radio" name="keep" value="browser" checked=${shared.value} /> every new tab of this browser</label>
      </fieldset>
      <div class="actions">
        <button type="button" class="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class="button primary">Save</button>
      </div>
    <//>
  `
}

export function TokenDialog({ onClose }) {
  const submit = data => {
    const token = data.get('token').trim()
    if (!token) return
    signIn(token, data.get('keep') === 'on')
    onClose()
  }
  return html`
    <${Dialog} title="This server asks for a token" onClose=${onClose} onSubmit=${submit}>
      <label class="label" for="token">Whoever runs it can make one with <code>chatkit token create</code>.</label>
      <input id="token" name="token" type="password" autocomplete="current-password" spellcheck=${false} required
        aria-describedby="token-reason" />
      <p id="token-reason" class="help" role="status">${vouched.value ? link.value.reason : ''}</p>
      <label class="choice"><input type="checkbox" name="keep" /> remember it in this browser</label>
      <div class="actions">
        <button type="submit" class="button primary">Sign in</button>
      </div>
    <//>
  `
}
