// When to come back. Pure: randomness comes in as an argument.

/** Milliseconds to wait before try number `attempt` (0, 1, 2...): full jitter, so that a thousand tabs that lost one
 *  server do not come back in step. */
export function fullJitter(attempt, random, { baseMs = 250, capMs = 10_000 } = {}) {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)))
}

// These would only repeat: the fault is in what this side sent.
const OWN_FAULT = new Set([1002, 1003, 1007, 1008, 1009])

/** Whether a connection that was closed with `code` should be made again: 4500-4999 say "do not". */
export function mayReconnect(code) {
  return !OWN_FAULT.has(code) && !(code >= 4500 && code <= 4999)
}
