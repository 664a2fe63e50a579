"""HTTP responses as bytes."""

from __future__ import annotations

import http
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final

from .. import wire
from ..errors import Refused

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}


class _Clock:
    """The Date field (RFC 9110, 6.6.1), formatted once a second, and the head of the commonest answer with it."""

    def __init__(self) -> None:
        self._until_s = 0.0
        self._date = b""
        self._ok = b""
        self._heads: dict[int, bytes] = {}  # size of the body -> head, for this second

    def _format(self, now_s: float) -> None:
        second = int(now_s)
        self._until_s = second + 1.0
        self._date = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        self._heads = {}
        self._ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self._date + b"Content-Length: "

    def date(self) -> bytes:
        """The Date field."""
        now_s = time.time()
        if not self._until_s - 1.0 <= now_s < self._until_s:
            self._format(now_s)
        return self._date

    def ok(self, body: bytes) -> bytes:
        """A 200 with JSON."""
        now_s = time.time()
        if not self._until_s - 1.0 <= now_s < self._until_s:
            self._format(now_s)
        size = len(body)
        head = self._heads.get(size)
        if head is None:
            head = self._heads[size] = b"%b%d\r\n\r\n" % (self._ok, size)
        return head + body


_clock = _Clock()

#: The Date field, with its line end.
date_field = _clock.date

#: 200 with a JSON body: what a send is answered with, so it takes the short way.
ok = _clock.ok


def response(
    status: int,
    body: bytes,
    content_type: str = JSON,
    *,
    headers: Mapping[str, str] | None = None,
    close: bool = False,
    head_only: bool = False,
) -> bytes:
    """A whole response.

    Args:
        status: HTTP status.
        body: its body; with ``head_only`` (the answer to HEAD) only its length is said.
        content_type: of the body.
        headers: more fields.
        close: say that the connection closes.
    """
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) if headers else ""
    if close:
        extra += "Connection: close\r\n"
    if status != http.HTTPStatus.NOT_MODIFIED:  # RFC 9110, 15.4.5: it says nothing about a body that it has not
        extra += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return b"HTTP/1.1 %d %b\r\n%b%b\r\n%b" % (
        status,
        _REASONS.get(status, "").encode(),
        _clock.date(),
        extra.encode(),
        b"" if head_only else body,
    )


def stream_head(content_type: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The head of a response that goes on until the connection closes."""
    return (
        b"HTTP/1.1 200 OK\r\n%bContent-Type: %b\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
        b"Connection: close\r\n%b\r\n"
        % (_clock.date(), content_type.encode(), "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items()).encode())
    )


def refusal(
    error: Refused, *, close: bool = False, headers: Mapping[str, str] | None = None, head_only: bool = False
) -> bytes:
    """The answer to a request that is refused."""
    fields = dict(headers or {})
    if error.retry_after_s is not None:
        fields["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = "Bearer"  # RFC 9110, 15.5.2
    body = wire.encode(wire.Failure(code=error.code, error=error.message))
    return response(error.status, body, headers=fields, close=close, head_only=head_only)
