"""HTTP/1.1 from the client's side, without I/O: requests as bytes, bytes as responses."""

from __future__ import annotations

from typing import Final, NamedTuple

import httptools

from ..errors import Unreachable

#: A page of 1,000 messages of 64 KiB fits; more than that is no answer of ours.
MAX_BODY_BYTES: Final = 256 * 2**20


class Response(NamedTuple):
    """One answer, whole.

    Attributes:
        status: the HTTP status.
        body: the whole body.
        retry_after_s: the ``Retry-After`` field in seconds, ``None`` when there is none.
        keep_alive: whether the connection takes more requests.
    """

    status: int
    body: bytes
    retry_after_s: float | None
    keep_alive: bool


def encode_request(method: str, path: str, authority: str, token: str | None, body: bytes | None = None) -> bytes:
    """The bytes of one request, to be written in one go.

    Args:
        method: ``GET`` or ``POST``.
        path: already percent-encoded, with its query.
        authority: the ``Host`` field.
        token: sent as ``Authorization: Bearer`` when there is one.
        body: JSON in UTF-8, ``None`` for none.
    """
    head = f"{method} {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body is None:
        return f"{head}\r\n".encode("ascii")
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii") + body


class Responses:
    """Reads the responses of one connection in order, however they are cut into pieces."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._parser = httptools.HttpResponseParser(self)
        self._done: list[Response] = []
        self._body: list[bytes] = []
        self._size = 0
        self._retry_after_s: float | None = None

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses that ``data`` completes, often none.

        Raises:
            Unreachable: whatever answers at the URL does not speak HTTP.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._done:
                raise Unreachable(f"{self._url} does not answer as a chatkit server does: {error}") from None
        done, self._done = self._done, []
        return done

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        self._body, self._size, self._retry_after_s = [], 0, None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            try:
                self._retry_after_s = max(0.0, float(value))
            except ValueError:
                self._retry_after_s = None  # the date form, which this server never sends

    def on_body(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_BODY_BYTES:
            raise Unreachable(f"{self._url} answered with more than {MAX_BODY_BYTES} bytes")
        self._body.append(piece)

    def on_message_complete(self) -> None:
        status, keep_alive = self._parser.get_status_code(), self._parser.should_keep_alive()
        if status >= 200:  # 1xx is a word in between (RFC 9110 section 15.2)
            self._done.append(Response(status, b"".join(self._body), self._retry_after_s, keep_alive))
