"""Whatever a stranger sends to a server that wants tokens: nothing comes in, nothing breaks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkit.errors import InvalidName, Refused
from chatkit.log.tokens import right_pattern
from chatkit.server import guard
from chatkit.server.frames import Receiver
from chatkit.server.guard import Site
from chatkit.server.request import parse_head

from ..socket.peer import frame, handshake_bytes
from .doors import Door, bearer, give

SECRET = "the message that a stranger must not see"
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("locked")
    secret = give(folder / "chat.db", "ada")
    door = Door("loopback", folder / "chat.db", certificate, folder, require_token=True)
    with door.server:
        sent = door.ask("POST", "/examples/chat/send", {"roomId": "r", "text": SECRET}, **bearer(secret))
        assert sent.status == 200
        yield door


def mutated(text: bytes) -> st.SearchStrategy[bytes]:
    """``text``, some of it replaced, doubled or lost."""
    pieces = st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"\0", b"\r\n\r\n", b"ck_", b"eyJ", b"Bearer "]
        ),
    )
    change = st.tuples(st.integers(0, len(text)), st.integers(0, 12), pieces)

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = text
        for at, lost, piece in changes:
            data = data[:at] + piece + data[at + lost :]
        return data

    return st.lists(change, max_size=4).map(apply)


PATHS = st.sampled_from(
    [path for _, path in guard.ROUTES]
    + ["/api/messages?channel=*/**", "//api/me", "/api/../api/me", "/api/me%00", "/API/ME"]
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["Host", "Origin", "Authorization", "Sec-WebSocket-Protocol", "Content-Type", "X-Forwarded-For",
             "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-HTTP-Method-Override", "Connection", "Upgrade"]
        ),
        st.sampled_from(
            ["localhost", "127.0.0.1:8787", "null", "http://localhost", "Bearer ck_x", "Bearer eyJhbGciOiJub25lIn0.e30.",
             "Basic YTph", "aerostack-token.ck_x", "aerostack-key.k, aerostack-v1", "application/json", "/api/me", "GET"]
        ) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    ),
    max_size=6,
)  # fmt: skip


@st.composite
def stranger(draw: st.DrawFn) -> bytes:
    """Something like a request, without a token."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]))
    fields = "".join(f"{name}: {value}\r\n" for name, value in draw(FIELDS))
    head = f"{method} {draw(PATHS)} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode("latin-1", "replace")
    return draw(mutated(head)) + b"\r\n\r\n"


def answers(door: Door, data: bytes) -> bytes:
    with door.raw() as raw:
        with contextlib.suppress(ConnectionError):
            raw.send(data)
            raw.half_close()
        return raw.rest()


@quick
@given(stranger())
def test_a_stranger_gets_nothing_but_the_page(locked: Door, data: bytes) -> None:
    said = answers(locked, data)
    assert SECRET.encode() not in said
    for status in re.findall(rb"HTTP/1\.1 (\d{3})", said):
        assert status in (
            b"100",
            b"200",
            b"400",
            b"401",
            b"403",
            b"404",
            b"405",
            b"408",
            b"413",
            b"415",
            b"426",
            b"431",
            b"505",
        )
    if b"HTTP/1.1 200" in said and b"<!doctype" not in said.lower() and b"GET / " not in data:
        assert b'{"ok":true}' in said or b"HEAD" in data  # healthz
    assert locked.ask("GET", "/healthz").status == 200


@quick
@given(mutated(handshake_bytes("?userId=ada", {"sec_websocket_protocol": "aerostack-v1"})))
def test_a_stranger_opens_no_websocket(locked: Door, data: bytes) -> None:
    assert b"HTTP/1.1 101" not in answers(
        locked, data + b"\r\n\r\n" + frame(1, b'{"type":"subscribe","topic":"chat/r","after":0}')
    )


# ------------------------------------------------------------------------------------------------------- as values


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.from_regex(r"[a-z\[\]:.0-9@/ ]{0,40}"), st.booleans())
def test_a_host_is_ours_or_refused(text: str, local: bool) -> None:
    site = Site("http", is_local=local)
    try:
        authority = guard.check_host(site, text)
    except Refused as error:
        assert error.code in ("bad_request", "forbidden")  # noqa: PT017 - it need not be raised
        return
    assert authority is not None
    assert authority.host == "localhost" or authority.host.endswith(".localhost") or guard._address(authority.host)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z\[\]:.0-9@/ ]{0,40}"))
def test_an_origin_is_our_own_or_refused(text: str) -> None:
    site = Site("http", is_local=True)
    authority = guard.check_host(site, "localhost:8787")
    try:
        assert guard.check_origin(site, text, authority) is None
    except Refused as error:
        assert error.code == "forbidden"  # noqa: PT017
    else:
        assert text.lower() in ("http://localhost:8787", "http://localhost.:8787")


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(["authorization", "sec-websocket-protocol"]), st.text(max_size=40)))
def test_any_fields_hold_a_credential_or_none(fields: dict[str, str]) -> None:
    with contextlib.suppress(Refused):
        found = guard.credential(fields)
        assert found is None or (found and found in " ".join(fields.values()))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_a_right_or_refused(text: str) -> None:
    try:
        pattern = right_pattern(text)
    except InvalidName:
        return
    assert pattern.covers(pattern)


@settings(deadline=None, max_examples=200)
@given(mutated(b"POST /api/me?x=y HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"))
def test_a_head_that_is_accepted_has_one_reading(data: bytes) -> None:
    data = data[: data.find(b"\r\n\r\n", 1) + 4]  # as the reader cuts it
    try:
        head = parse_head(data, 100)
    except Refused:
        return
    lines = data.lstrip(b"\r\n").split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert len(lines[0].split(b" ")) == 3
    assert not any(line[:1] in (b" ", b"\t") for line in lines)
    names = [line.partition(b":")[0].lower() for line in lines[1:] if line]
    assert all(re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9a-z]+", name) for name in names)
    assert names.count(b"host") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert (head.length is None) == (b"transfer-encoding" in names)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=40), max_size=12))
def test_any_bytes_are_frames_or_end_the_connection_and_hold_no_more_than_a_message(pieces: list[bytes]) -> None:
    receiver = Receiver(64)
    for piece in pieces:
        received = receiver.receive(piece)
        assert len(receiver._pending) <= 64 + 14
        assert all(len(message) <= 64 for message in received.messages)
        if received.close_code is not None:
            assert received.close_code in (1000, 1001, 1002, 1003, 1005, 1007, 1009) or received.is_over
            return
