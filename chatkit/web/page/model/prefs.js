// What is remembered, per tab and per browser. Storage may be forbidden or full: then nothing is remembered.

const store = where => ({
  get(key, fallback = null) {
    try {
      return JSON.parse(where().getItem(`chatkit.${key}`)) ?? fallback
    } catch {
      return fallback
    }
  },
  set(key, value) {
    try {
      if (value === null) where().removeItem(`chatkit.${key}`)
      else where().setItem(`chatkit.${key}`, JSON.stringify(value))
    } catch {} // nothing to do about it, and nothing lost but a convenience
  },
})

export const tab = store(() => sessionStorage)
export const browser = store(() => localStorage)
