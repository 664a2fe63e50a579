// Light, dark, or as the system says. theme.js in the folder above applies what was chosen before the first paint.

import { signal } from '../../vendor/signals.js'
import { browser } from '../model/prefs.js'

const ORDER = ['system', 'light', 'dark']

export const theme = signal(browser.get('theme') ?? 'system')

export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length]
  theme.value = next
  browser.set('theme', next === 'system' ? null : next)
  if (next === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = next
}
