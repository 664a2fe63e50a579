// The page's one connection, and who is speaking on it.

import { signal } from '../../vendor/signals.js'
import { connect } from '../../chatkit.js'
import { browser, tab } from './prefs.js'

// As in the seed: a new tab is a new user, so that two tabs are already a conversation.
const chosen = tab.get('name') ?? browser.get('name') ?? `user-${Math.random().toString(36).slice(2, 8).padEnd(6, '0')}`
tab.set('name', chosen)
const token = tab.get('token') ?? browser.get('token')

/** Our user. With a token it is the server that knows; until it has said so the name is empty. */
export const me = signal(token ? '' : chosen)
/** Whether the name comes from a token, and is not ours to choose. */
export const vouched = signal(Boolean(token))
/** Whether other tabs of this browser share the name. */
export const shared = signal(browser.get('name') === chosen)
/** The connection: `{status, reason, retryAt}`. */
export const link = signal({ status: 'connecting', reason: '', retryAt: null })

export const client = connect(undefined, { userId: chosen, token })
client.on('status', status => (link.value = status))

/** Speak as `name` from now on, in this tab or in every tab of this browser that is opened later. */
export function rename(name, everyTab) {
  tab.set('name', name)
  browser.set('name', everyTab ? name : null)
  shared.value = everyTab
  if (name === me.value) return
  me.value = name
  client.identify({ userId: name })
}

/** Use `newToken`, or none when it is empty; `keep` remembers it after this tab is closed. */
export function signIn(newToken, keep) {
  tab.set('token', newToken || null)
  browser.set('token', newToken && keep ? newToken : null)
  vouched.value = Boolean(newToken)
  me.value = newToken ? '' : tab.get('name')
  client.identify({ token: newToken || undefined })
}

/** The server has told us whom it takes us for: by a message of ours that came back, or by our presence. */
export function learn(userId) {
  if (userId && vouched.value) me.value = userId
}
