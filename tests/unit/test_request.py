"""Cutting bytes into HTTP requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.errors import STATUS, Refused
from chatkit.server.request import HeadCache, Request, RequestReader, parse_head

MAX_HEAD, MAX_BODY, MAX_FIELDS = 500, 300, 10


def read(data: bytes, cuts: list[int]) -> list[Request | str]:
    """What comes of ``data`` in pieces: requests, and at last the code of a refusal."""
    reader = RequestReader(HeadCache(MAX_FIELDS), MAX_HEAD, MAX_BODY)
    found: list[Request | str] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        reader.feed(data[start:stop])
        try:
            while (request := reader.next_request()) is not None:
                found.append(request)
        except Refused as error:
            return [*found, error.code]
    return found


bodies = st.binary(max_size=40)


@st.composite
def whole(draw: st.DrawFn) -> bytes:
    """One right request, with its body by length or in chunks."""
    body = draw(bodies)
    empty_lines = b"\r\n" * draw(st.integers(0, 2))
    if draw(st.booleans()):
        return empty_lines + b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
    chunks = [body[start:stop] for start, stop in pairwise([0, *cuts, len(body)]) if start < stop]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return empty_lines + b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + coded


@given(st.lists(whole(), max_size=4), st.lists(st.integers(0, 2000), max_size=10))
def test_requests_come_out_whole_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    data = b"".join(sent)
    got = read(data, cuts)
    assert got == read(data, [])
    assert len(got) == len(sent)
    assert all(isinstance(request, Request) for request in got)


pieces = st.lists(
    st.sampled_from(
        [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: a", b"Content-Length: 3", b"Content-Length:",
         b"Transfer-Encoding: chunked", b"Connection: close", b"Upgrade: websocket", b":", b"0", b"5", b"abc", b"\0", b"\xff",
         b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST / HTTP/1.1\r\nHost: localhost\r\n", b"x" * 200]
    )
    | st.binary(max_size=8),
    max_size=14,
).map(b"".join)  # fmt: skip


@given(pieces)
def test_any_bytes_are_requests_or_refused(data: bytes) -> None:
    for got in read(data, []):
        if isinstance(got, str):
            assert 400 <= STATUS[got] < 506
            assert STATUS[got] != 500
        else:
            assert len(got.body) <= MAX_BODY


@given(whole(), pieces, st.lists(st.integers(0, 2000), max_size=10))
def test_a_right_request_is_read_whatever_follows(first: bytes, rest: bytes, cuts: list[int]) -> None:
    got = read(first + rest, cuts)
    assert isinstance(got[0], Request)
    assert got[0] == read(first, [])[0]


def head(*lines: str, method: str = "GET", target: str = "/", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", *lines, "", ""]).encode("latin-1")


def test_a_head_is_parsed_to_values() -> None:
    found = parse_head(head("Host: x", "X-A: 1", "x-a: 2", method="POST", target="/a%20b?c=%C3%A9&d=1+2"), MAX_FIELDS)
    assert (found.method, found.path) == ("POST", "/a b")
    assert found.headers == {"host": "x", "x-a": "1, 2"}
    assert found.parameters() == {"c": "é", "d": "1 2"}
    assert (found.length, found.keep_alive, found.upgrade, found.is_json) == (0, True, False, False)


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Close", False),
        ("1.1", "keep-alive, close", False),
        ("1.1", "keep-alive", True),
        ("1.1", "closed", True),
        ("1.0", None, False),
        ("1.0", "keep-alive", False),
    ],
)
def test_a_connection_is_kept_unless_it_says_otherwise(version: str, connection: str | None, kept: bool) -> None:
    fields = ["Host: x", *([f"Connection: {connection}"] if connection else [])]
    for method in ("GET", "POST"):
        assert parse_head(head(*fields, method=method, version=version), MAX_FIELDS).keep_alive is kept


def test_equal_heads_are_parsed_once() -> None:
    cache = HeadCache(MAX_FIELDS)
    data = head("Host: x")
    assert cache[data] is cache[bytes(bytearray(data))]
    for number in range(3000):  # and the cache has an end
        assert cache[head(f"Host: {number}")].headers == {"host": str(number)}
    assert len(cache) <= 1024
