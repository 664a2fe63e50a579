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
    """The Date field (RFC 9110, 6.6.1), formatted once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._field = b""

    def field(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._field = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._field


_clock = _Clock()


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
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        status,
        _REASONS.get(status, "").encode(),
        content_type.encode(),
        len(body),
        _clock.field(),
        extra.encode(),
        b"" if head_only else body,
    )


def ok(body: bytes) -> bytes:
    """200 with a JSON body: what a send is answered with, so it takes the short way."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        len(body),
        _clock.field(),
        body,
    )


def refusal(error: Refused, *, close: bool = False, headers: Mapping[str, str] | None = None) -> bytes:
    """The answer to a request that is refused."""
    fields = dict(headers or {})
    if error.retry_after_s is not None:
        fields["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response(
        error.status, wire.encode(wire.Failure(code=error.code, error=error.message)), headers=fields, close=close
    )
