"""The chat page's files, as the package has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..web import assets

if TYPE_CHECKING:
    from .exchange import Exchange


def page(exchange: Exchange) -> None:
    """One file: 304 for a copy that is still good (RFC 9110, 13.1.2), compressed where the client takes it."""
    head = exchange.request.head
    asset = assets()[head.path]
    headers = {**asset.headers, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    known = [tag.strip() for tag in head.headers.get("if-none-match", "").split(",")]
    if asset.etag in known or "*" in known:
        exchange.answer(304, b"", asset.content_type, headers)
        return
    body = asset.body
    if asset.gzip is not None and _takes_gzip(head.headers.get("accept-encoding", "")):
        body, headers["Content-Encoding"] = asset.gzip, "gzip"
    exchange.answer(200, body, asset.content_type, headers)


def _takes_gzip(accepted: str) -> bool:
    for item in accepted.lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
