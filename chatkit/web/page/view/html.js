// Preact with templates instead of JSX: no build step, and nothing that a strict Content-Security-Policy refuses.

import { h } from '../../vendor/preact.js'
import htm from '../../vendor/htm.js'

export { Component, render } from '../../vendor/preact.js'
export { useEffect, useLayoutEffect, useRef, useState } from '../../vendor/hooks.js'

export const html = htm.bind(h)
