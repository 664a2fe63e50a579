// The HTTP half of the client: one request, one answer or one ChatkitError.

/** Something that did not work.
 *  `code` is one of the protocol's stable codes, or one of ours: "unreachable" (no answer, so the outcome is unknown:
 *  retry with the same id), "not_connected", "connection_lost". `status` is the HTTP status or 0. `retryable` tells
 *  whether the same request may succeed later; `retryAfterMs` when, where the server said so. */
export class ChatkitError extends Error {
  constructor(code, message, { status = 0, retryAfterMs = null } = {}) {
    super(message)
    this.name = 'ChatkitError'
    this.code = code
    this.status = status
    this.retryAfterMs = retryAfterMs
    this.retryable = status === 0 ? code === 'unreachable' : status === 408 || status === 429 || status >= 500
  }
}

const TIMEOUT_MS = 10_000

/** GET `path`, or POST `body` as JSON.
 *  @throws {ChatkitError} the server refused, or nothing usable came back within ten seconds. */
export async function request({ base, token, fetch }, path, body) {
  const headers = {}
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (token) headers.authorization = `Bearer ${token}`
  let response, answer
  try {
    response = await fetch(base + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: 'omit', // chatkit has no cookies; not sending any keeps other local servers' cookies out of it
      cache: 'no-store',
    })
    answer = await response.json()
  } catch (error) {
    // A cross-origin refusal looks the same as no server: the browser tells a page no more than this.
    throw new ChatkitError('unreachable', `no answer from ${base}`, { status: response?.ok === false ? response.status : 0 })
  }
  if (response.ok) return answer
  const seconds = Number(response.headers.get('retry-after'))
  throw new ChatkitError(answer?.code ?? 'internal', answer?.error ?? `the server answered ${response.status}`, {
    status: response.status,
    retryAfterMs: seconds > 0 ? seconds * 1000 : null,
  })
}
