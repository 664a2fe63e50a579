"""The chat page: everything a browser may ask for, read once from the package.

The server sends what :func:`assets` holds and decides nothing about it. The page works offline and from an installed
wheel: no build step, no library from elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

#: No inline script or style, nothing from elsewhere, no frame around it, no form that leaves, and no string that
#: becomes markup or code: `trusted-types 'none'` makes `innerHTML` and its kin throw. `connect-src 'self'` covers the
#: WebSocket of the same host and port.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

_HEADERS: Final = {
    "Cache-Control": "no-cache",  # ask each time, and mostly hear 304: an upgraded server must not serve half a page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_MODULES_HERE: Final = b"<!-- modules -->"


class Asset(NamedTuple):
    """One file of the page.

    Attributes:
        content_type: for the ``Content-Type`` header.
        body: as it is.
        gzip: compressed, or ``None`` where that saves nothing.
        etag: for ``ETag``, quotes included; weak, because it names both forms.
        headers: further headers to send, with every status.
    """

    content_type: str
    body: bytes
    gzip: bytes | None
    etag: str
    headers: dict[str, str]


@cache
def assets() -> dict[str, Asset]:
    """Every file of the page by its path in a URL: ``/``, ``/chatkit.js``, ``/vendor/preact.js``."""
    found = dict(_walk(files(__name__), ""))
    page = found.pop("/index.html")
    # The browser learns of every module at once, instead of one import after another.
    modules = b"\n".join(
        b'<link rel="modulepreload" href="%s">' % path.encode()
        for path in sorted(found)
        if path.endswith(".js") and path != "/page/theme.js"
    )
    return {path: _asset(path, body) for path, body in found.items()} | {
        "/": _asset("/index.html", page.replace(_MODULES_HERE, modules))
    }


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        path = f"{prefix}/{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, path)
        elif _suffix(path) in _TYPES:
            yield path, entry.read_bytes()


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]


def _asset(path: str, body: bytes) -> Asset:
    packed = gzip.compress(body, 9, mtime=0)
    return Asset(
        content_type=_TYPES[_suffix(path)],
        body=body,
        gzip=packed if len(packed) < len(body) * 0.9 else None,
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:20]}"',
        headers={**_HEADERS, "Content-Security-Policy": POLICY},
    )
