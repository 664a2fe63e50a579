"""HTTP/1.1 requests: heads by llhttp, bodies by length or in chunks, all of it as bytes in and values out.

RFC 9112. A request that another parser could read differently is refused and the connection closed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import httptools
import msgspec

from ..errors import Refused
from ..model import MAX_SEQ

if TYPE_CHECKING:
    from .gate import Admission
else:
    Admission = Any  # msgspec looks the names up

_HEADS_KEPT: Final = 1024
_HEAD_BYTES_KEPT: Final = 1024
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)+")
_HEXADECIMAL: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_ABSOLUTE: Final = re.compile(r"https?://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE)
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Head(msgspec.Struct):
    """A request head.

    Attributes:
        method: as sent.
        path: percent-decoded, without the query.
        query: the query as sent.
        headers: lower-case name -> value; values of a field sent more than once are joined by ``", "``.
        length: bytes of the body; ``None`` when it comes in chunks.
        keep_alive: whether the connection may carry another request.
        upgrade: whether the client asks for another protocol.
        is_json: whether the body is said to be JSON.
        size: how many bytes it has.
        admission: what the gate made of it, kept with it while the head is.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    length: int | None
    keep_alive: bool
    upgrade: bool
    is_json: bool
    size: int
    admission: Admission | None = None

    def parameters(self) -> dict[str, str]:
        """The query's parameters, decoded.

        Raises:
            Refused: one is given twice, or is not UTF-8.
        """
        try:
            found = parse_qs(self.query, keep_blank_values=True, max_num_fields=32, errors="strict")
        except ValueError as error:
            raise Refused("bad_request", f"the query cannot be read: {error}") from None
        for name, values in found.items():
            if len(values) > 1:
                raise Refused("invalid_field", f"`{name}` is given {len(values)} times")
        return {name: values[0] for name, values in found.items()}


def whole_number(text: str | None, field: str) -> int | None:
    """A number in a query or a header field; ``None`` where there is none.

    Raises:
        Refused: ``invalid_field``.
    """
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > MAX_SEQ:
        raise Refused("invalid_field", f"`{field}` should be a whole number, not {text[:40]!r}")
    return int(text)


class Request(msgspec.Struct):
    """A whole request.

    Attributes:
        head: its head.
        body: its body; a handler reads it before it returns, and then it is let go.
    """

    head: Head
    body: bytes


class _Collector:
    """Where llhttp puts what it finds."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_head(data: bytes, max_fields: int) -> Head:
    """Parse one request head, from the method to the empty line.

    Raises:
        Refused: it is not one, or is ambiguous; close the connection after answering.
    """
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Refused("bad_request", f"not an HTTP/1.1 request: {error}") from None
    if not collector.complete:
        raise Refused("bad_request", "not an HTTP/1.1 request: the head is incomplete")
    if len(collector.fields) > max_fields:
        raise Refused("head_too_large", f"more than {max_fields} header fields")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise Refused("version_not_supported", f"HTTP/{version} is not spoken here; use HTTP/1.1")
    headers: dict[str, str] = {}
    for raw_name, raw_value in collector.fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in headers:
            if name in ("content-length", "host", "transfer-encoding", "content-type", "authorization", "origin"):
                raise Refused("bad_request", f"two {name} fields")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if version == "1.1" and "host" not in headers:
        raise Refused("bad_request", "no Host field")
    connection = {option.strip() for option in headers.get("connection", "").lower().split(",")}
    if version == "1.0" and "transfer-encoding" in headers:
        raise Refused("bad_request", "Transfer-Encoding in HTTP/1.0")  # RFC 9112, 6.1: the framing is faulty
    empty = _EMPTY_LINES.match(data)
    begin = empty.end() if empty else 0
    line = data[begin:].partition(b"\r\n")[0]
    if not _TOKEN.match(line):
        raise Refused("bad_request", "not an HTTP/1.1 request")
    if line.count(b" ") != 2:
        raise Refused("bad_request", "the request line should have two spaces")  # llhttp lets more of them pass
    path, _, query = _target(collector.url, headers.get("host")).partition("?")
    return Head(
        method=parser.get_method().decode("latin-1"),
        path=unquote(path, errors="replace"),
        query=query,
        headers=headers,
        length=_body_length(headers),
        keep_alive=version == "1.1" and "close" not in connection,
        upgrade="upgrade" in headers and "upgrade" in connection,
        is_json=headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json",
        size=len(data) - begin,
    )


def _target(url: bytes, host: str | None) -> str:
    """The origin form of a request target.

    An absolute one (RFC 9112, 3.2.2) has to name the host that ``Host`` names: two that differ are two opinions about
    whom the request is for.
    """
    target = url.decode("latin-1")
    if "#" in target:
        raise Refused("bad_request", "the request target should have no fragment")
    if target.startswith("/"):
        return target
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise Refused("bad_request", "the request target should be a path such as /healthz")
    if host is None or found["authority"].lower() != host.lower():
        raise Refused("bad_request", "the request target and Host name two hosts")
    rest = found["rest"]
    return rest if rest.startswith("/") else f"/{rest}"


def _body_length(headers: dict[str, str]) -> int | None:
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if length is not None:
            raise Refused("bad_request", "both Transfer-Encoding and Content-Length")
        if coding.lower() != "chunked":
            raise Refused("bad_request", f"transfer coding {coding!r} is not supported; use chunked or a length")
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()) or len(length) > 15:
        raise Refused("bad_request", "Content-Length is not a number of bytes")
    return int(length)


class HeadCache(dict[bytes, Head]):
    """Heads by their bytes: asking for one that is not known parses it, as :func:`parse_head`.

    A client on a kept connection sends the same head again and again; equal bytes parse to an equal head, and a
    look-up costs a twentieth of parsing.
    """

    def __init__(self, max_fields: int) -> None:
        super().__init__()
        self._max_fields = max_fields

    def __missing__(self, data: bytes) -> Head:
        head = parse_head(data, self._max_fields)
        if len(data) <= _HEAD_BYTES_KEPT and not head.upgrade:
            if len(self) >= _HEADS_KEPT:
                self.clear()
            self[data] = head
        return head


class RequestReader:
    """Cuts the bytes of one connection into requests.

    Attributes:
        wants_continue: the client waits for leave to send the body of the request that is incomplete.
    """

    __slots__ = ("_at", "_chunks", "_data", "_head", "_heads", "_max_body", "_max_head", "wants_continue")

    def __init__(self, heads: HeadCache, max_head: int, max_body: int) -> None:
        self._heads = heads
        self._max_head = max_head
        self._max_body = max_body
        self._chunks: bytearray | None = None
        self._head: Head | None = None
        # Requests are cut out of what has come by moving `_at`: a rest that is copied for each of hundreds that came
        # at once costs more than reading them.
        self._data, self._at = b"", 0
        self.wants_continue = False

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request has arrived."""
        return self._at == len(self._data) and self._head is None

    @property
    def has_more(self) -> bool:
        """Whether anything has come after the last whole request."""
        return self._at < len(self._data)

    @property
    def rest(self) -> bytes:
        """What has come after the last whole request."""
        return self._data[self._at :]

    def feed(self, data: bytes) -> None:
        """Take bytes off the wire."""
        self._data, self._at = self.rest + data if self._data else data, 0

    def next_request(self) -> Request | None:
        """The next whole request, ``None`` when more bytes are needed.

        Raises:
            Refused: what is there is no acceptable request; answer, then close the connection.
        """
        data, head, start = self._data, self._head, self._at
        if head is None:
            end = data.find(b"\r\n\r\n", start, start + self._max_head)
            if end <= start:
                return self.next_request() if self._skip_empty_lines() else None
            head = self._heads[data[start : end + 4]]
            start = end + 4
        length = head.length
        if length is None:
            self._drop(start)
            return self._read_chunks(head)
        if length > self._max_body:
            raise Refused("too_large", f"the body has {length} bytes; at most {self._max_body} are taken")
        stop = start + length
        if len(data) < stop:
            self._drop(start)
            self._keep(head)
            return None
        self._head = None
        if stop == len(data):
            self._data, self._at = b"", 0
        else:
            self._at = stop
        return Request(head, data[start:stop])

    def _drop(self, upto: int) -> None:
        """Let go of what is read."""
        self._data, self._at = self._data[upto:], 0

    def _keep(self, head: Head) -> None:
        """Remember the head of a request whose body is incomplete."""
        if self._head is None:
            self._head = head
            self.wants_continue = head.headers.get("expect", "").lower() == "100-continue"

    def _skip_empty_lines(self) -> bool:
        """Look at what does not begin with a whole head: are there empty lines before it that are gone now?

        Raises:
            Refused: it will never be a head.
        """
        self._drop(self._at)
        buffer = self._data
        if empty := _EMPTY_LINES.match(buffer):  # RFC 9112, 2.2: before a request line they are to be ignored
            self._drop(empty.end())
            return True
        if len(buffer) >= self._max_head:
            raise Refused("head_too_large", f"the request head is longer than {self._max_head} bytes")
        if buffer and buffer != b"\r" and not _TOKEN.match(buffer):
            raise Refused("bad_request", "not an HTTP/1.1 request")
        if b"\n\n" in buffer or b"\n\r\n" in buffer.replace(b"\r\n", b"  "):
            raise Refused("bad_request", "lines should end in CR LF")
        return False

    def _read_chunks(self, head: Head) -> Request | None:
        """RFC 9112, 7.1, without extensions and trailers, which nobody has a use for here."""
        self._keep(head)
        body = self._chunks
        if body is None:
            body = self._chunks = bytearray()
        buffered, start = self._data, 0
        while True:  # a slice of the buffer for each chunk, or a sum over them, would take seconds for tiny ones
            end = buffered.find(b"\r\n", start, start + 18)
            if end < 0 and len(buffered) - start >= 18:
                raise Refused("bad_request", "a chunk should start with its size in hexadecimal")
            if end < 0:
                break
            digits = buffered[start:end]
            if not _HEXADECIMAL.fullmatch(digits):
                raise Refused("bad_request", "a chunk should start with its size in hexadecimal")
            size = int(digits, 16)
            if len(body) + size > self._max_body:
                raise Refused("too_large", f"the body has more than {self._max_body} bytes")
            stop = end + 2 + size
            if len(buffered) < stop + 2:
                break
            if buffered[stop : stop + 2] != b"\r\n":
                raise Refused("bad_request", "a chunk is longer or shorter than its size")
            body += buffered[end + 2 : stop]
            start = stop + 2
            if size == 0:
                self._drop(start)
                self._head = self._chunks = None
                return Request(head, bytes(body))
        self._drop(start)
        return None
