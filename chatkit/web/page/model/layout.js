// Where rows are, measured or guessed. Pure: the arithmetic of a list of which only a window is in the document.

const GUESS_PX = 44

/** The top of every row, and at the end the height of all. A row that was never shown has a guessed height. */
export function tops(rows) {
  const found = new Float64Array(rows.length + 1)
  for (let i = 0; i < rows.length; i++) found[i + 1] = found[i] + (rows[i].height || GUESS_PX)
  return found
}

/** The row at height `y`; the first or last one when `y` is outside. */
export function rowAt(found, y) {
  let low = 0
  for (let high = found.length - 1; high - low > 1; ) {
    const middle = (low + high) >> 1
    if (found[middle] <= y) low = middle
    else high = middle
  }
  return low
}

/** The rows [from, to) that show between `top` and `top + height`, and `over` pixels more on either side. */
export function between(found, top, height, over) {
  if (found.length < 2) return [0, 0]
  return [rowAt(found, top - over), rowAt(found, top + height + over) + 1]
}
