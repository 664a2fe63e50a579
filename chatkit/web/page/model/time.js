// Moments as people say them. Timestamps come from senders: one that is no date gives an empty string, not an error.

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const thisYear = new Intl.DateTimeFormat('en', { weekday: 'long', month: 'long', day: 'numeric' })
const anyYear = new Intl.DateTimeFormat('en', { weekday: 'short', month: 'long', day: 'numeric', year: 'numeric' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })

const isDate = ms => Number.isFinite(ms) && Math.abs(ms) <= 8.64e15

export const timeOf = ms => (isDate(ms) ? clock.format(ms) : '')
export const exactOf = ms => (isDate(ms) ? exact.format(ms) : '')
export const isoOf = ms => (isDate(ms) ? new Date(ms).toISOString() : '')

export function dayOf(ms, now = new Date()) {
  if (!isDate(ms)) return ''
  const day = new Date(ms)
  const yesterday = new Date(now)
  yesterday.setDate(now.getDate() - 1)
  if (day.toDateString() === now.toDateString()) return 'Today'
  if (day.toDateString() === yesterday.toDateString()) return 'Yesterday'
  return (day.getFullYear() === now.getFullYear() ? thisYear : anyYear).format(day)
}
