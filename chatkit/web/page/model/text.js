// What a message's text is made of. Pure: text in, tokens out; nothing here touches the document, and no token is
// ever turned into markup as a string, so whatever somebody writes stays text.

// A fence, a code span, or a link. Each alternative fails fast, so hostile text costs linear time.
const PARTS = /```(?:([\w+#-]{0,20})\n)?([\s\S]+?)```|`([^`\n]+)`|\bhttps?:\/\/[^\s<>"`]+/giu
const ONLY_EMOJI = /^(?:\p{RGI_Emoji}\s*){1,5}$/v

/** Tokens of `text`: `{kind: 'text' | 'code' | 'block' | 'link', text, href?}`. Only http and https become links. */
export function tokens(text) {
  const found = []
  let from = 0
  for (const match of text.matchAll(PARTS)) {
    const token = tokenOf(match)
    if (!token) continue
    if (match.index > from) found.push({ kind: 'text', text: text.slice(from, match.index) })
    found.push(token)
    from = match.index + (token.length ?? match[0].length)
  }
  if (from < text.length) found.push({ kind: 'text', text: text.slice(from) })
  return found
}

function tokenOf([whole, , block, code]) {
  if (block !== undefined) return { kind: 'block', text: block.replace(/^\n|\n$/g, '') }
  if (code !== undefined) return { kind: 'code', text: code }
  const text = withoutTail(whole)
  const url = URL.canParse(text) ? new URL(text) : null
  // A link that hides its host behind "user@" is a classic lure: https://bank.example@evil.example
  if (!url || url.username || url.password) return null
  return { kind: 'link', text, href: url.href, length: text.length }
}

// "(see https://example.org/a_(b))." ends its link before the last bracket, and keeps the one that belongs to it.
// The brackets are counted once: a link of sixty thousand of them is a text that somebody will send.
const CLOSES = { ')': '(', ']': '[', '}': '{' }

function withoutTail(url) {
  const counts = {}
  for (const char of url) if ('()[]{}'.includes(char)) counts[char] = (counts[char] ?? 0) + 1
  let end = url.length
  for (; end > 0; end--) {
    const last = url[end - 1]
    if (CLOSES[last] && counts[last] > (counts[CLOSES[last]] ?? 0)) counts[last]--
    else if (!/[.,;:!?'*_~]/.test(last)) break
  }
  return url.slice(0, end)
}

/** Whether `text` is nothing but one to five emoji, which are shown large. */
export const isEmoji = text => text.length <= 80 && ONLY_EMOJI.test(text.trim())

const FOLD_CHARS = 1400
const FOLD_LINES = 18

/** The part of a long `text` that is shown before "Show all", or null when it is not long. */
export function folded(text) {
  let end = Math.min(text.length, FOLD_CHARS)
  let at = -1
  for (let line = 0; line < FOLD_LINES; line++) {
    at = text.indexOf('\n', at + 1)
    if (at < 0) break
  }
  if (at >= 0) end = Math.min(end, at)
  if (end >= text.length - 200) return null // not worth a button
  const last = text.charCodeAt(end - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? end - 1 : end) // never half an emoji
}
