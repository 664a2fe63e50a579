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


#: What an answer of ours begins with when all is well, and fields that make one more than a head, a length and a body.
_OK: Final = b"HTTP/1.1 200 "
_NOT_PLAIN: Final = (b"connection", b"retry-after", b"trailer", b"transfer-encoding", b"upgrade")
_MAX_PLAIN_BYTES: Final = 64 * 1024


class Responses:
    """Reads the responses of one connection in order, however they are cut into pieces.

    A burst of pipelined sends is answered with hundreds of responses that have the same head but for a length. Those
    that are whole are cut out by it; the parser, at ten times the cost, reads all others.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._parser = httptools.HttpResponseParser(self)
        self._done: list[Response] = []
        self._body: list[bytes] = []
        self._size = 0
        self._retry_after_s: float | None = None
        self._between = True  # the parser is between two responses
        self._rest = b""  # the begin of a plain response
        self._lengths: dict[bytes, int | None] = {}

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses that ``data`` completes, often none.

        Raises:
            Unreachable: whatever answers at the URL does not speak HTTP.
        """
        if self._between:
            data = self._plain(self._rest + data if self._rest else data)
        try:
            if data:
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self._done:
                raise Unreachable(f"{self._url} does not answer as a chatkit server does: {error}") from None
        done, self._done = self._done, []
        return done

    def _plain(self, data: bytes) -> bytes:
        """Take the plain responses off the front; returns what the parser has to read."""
        at, end = 0, len(data)
        self._rest = b""
        while at < end and data.startswith(_OK, at):
            head_end = data.find(b"\r\n\r\n", at) + 4
            if head_end == 3:
                return self._keep(data[at:])
            head = data[at:head_end]
            if head not in self._lengths:
                self._learn(head)
            length = self._lengths[head]
            if length is None:
                break
            if head_end + length > end:
                return self._keep(data[at:])
            at = head_end + length
            self._done.append(Response(200, data[head_end:at], None, True))
        return data[at:]

    def _keep(self, rest: bytes) -> bytes:
        if len(rest) > _MAX_PLAIN_BYTES:
            return rest
        self._rest = rest
        return b""

    def _learn(self, head: bytes) -> None:
        """The length of the body behind ``head``; ``None`` when that is for the parser to say."""
        if len(self._lengths) >= 256:  # the date changes every second
            self._lengths.clear()
        fields = [line.partition(b":") for line in head[:-4].split(b"\r\n")[1:]]
        lengths = [value.strip() for name, _, value in fields if name.lower() == b"content-length"]
        plain = len(lengths) == 1 and lengths[0].isdigit() and not any(n.lower() in _NOT_PLAIN for n, _, _ in fields)
        length = int(lengths[0]) if plain and len(lengths[0]) <= 6 else None
        self._lengths[head] = length if length is None or length <= _MAX_PLAIN_BYTES // 2 else None

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        self._body, self._size, self._retry_after_s, self._between = [], 0, None, False

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
        self._between = True
        status, keep_alive = self._parser.get_status_code(), self._parser.should_keep_alive()
        if status >= 200:  # 1xx is a word in between (RFC 9110 section 15.2)
            self._done.append(Response(status, b"".join(self._body), self._retry_after_s, keep_alive))
