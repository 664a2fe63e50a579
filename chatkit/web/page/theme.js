// Before the first paint: the theme that was chosen, if any. A classic script, so that nothing is painted before it ran.
try {
  const theme = JSON.parse(localStorage.getItem('chatkit.theme'))
  if (theme) document.documentElement.dataset.theme = theme
} catch {}
