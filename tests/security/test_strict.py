"""What two parsers could read differently is refused, and no peer makes memory grow."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable

import pytest

from chatkit.server.websocket import Link

from ..socket.peer import CONTINUATION, PING, TEXT, frame
from .doors import Door, close_code

OpenDoor = Callable[..., Door]
HOST = b"Host: localhost\r\n"
POST = b"POST /examples/chat/send HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[object, object]) -> object:
    folder = tmp_path_factory.mktemp("strict")
    made = Door("loopback", folder / "chat.db", certificate, folder)  # type: ignore[arg-type]
    with made.server:
        yield made


HEADS = {
    "transfer coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "length and transfer coding": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length that overflows": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an empty host": b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "one bare line feed": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "a bare carriage return": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "folding": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "folding with a tab": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n\tb\r\n\r\n",
    "a folded first field": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a field without a colon": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X\r\n\r\n",
    "a field without a name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": y\r\n\r\n",
    "NUL in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab for a space": b"GET\t/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "another host in the target": b"GET http://evil.example/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a user in the target": b"GET http://a@localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "another scheme in the target": b"GET ftp://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host for the target": b"GET http://localhost/healthz HTTP/1.0\r\n\r\n",
    "a tunnel": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a chunk with an extension": POST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a line feed": POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n" + b" " * 18,
    "trailers": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_it_is_refused_and_the_connection_closed(door: Door, name: str) -> None:
    smuggled = b"GET /api/me HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with door.raw() as raw:
        raw.send(HEADS[name] + smuggled)
        answer = raw.response()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        raw.half_close()
        assert raw.is_closed()  # and what came behind it was not answered


def sized(opcode: int, length: int, *, mask: bool = True) -> bytes:
    """The head of a frame that claims ``length`` bytes in the long form."""
    return bytes([0x80 | opcode, 127 | (0x80 if mask else 0)]) + struct.pack("!Q", length) + b"\0" * 4


def reserved(bits: int) -> bytes:
    whole = frame(TEXT, b'{"type":"ping"}')
    return bytes([whole[0] | bits]) + whole[1:]


FRAMES = {
    "unmasked": (frame(TEXT, b"{}", mask=False), 1002),
    "reserved bit 1": (reserved(0x40), 1002),
    "reserved bit 2": (reserved(0x20), 1002),
    "reserved bit 3": (reserved(0x10), 1002),
    "a compressed bomb": (
        bytes([0xC1]) + frame(TEXT, zlib.compress(b"0" * 10_000_000))[1:],
        1002,  # compression was never agreed on
    ),
    "a length with the top bit": (sized(TEXT, 1 << 63), 1002),
    "a length with the top bit, behind a frame": (frame(TEXT, b'{"type":"ping"}') + sized(TEXT, (1 << 64) - 1), 1002),
    "a length with the top bit, unmasked": (sized(TEXT, 1 << 63, mask=False), 1002),
    "an exabyte": (sized(TEXT, 1 << 60), 1009),
    "an exabyte of ping": (sized(PING, 1 << 60), 1009),
    "a ping too long": (frame(PING, b"x" * 126), 1002),
    "a ping in parts": (frame(PING, b"x", fin=False), 1002),
    "an opcode nobody knows": (frame(0x3, b""), 1002),
    "a control opcode nobody knows": (frame(0xB, b""), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a message in a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "binary": (frame(0x2, b"x"), 1003),
    "not UTF-8": (frame(TEXT, b'{"type":"\xff"}'), 1007),
    "a close of one byte": (frame(0x8, b"x"), 1002),
    "a close with a code that must not be sent": (frame(0x8, struct.pack("!H", 1006)), 1002),
    "a close that is not UTF-8": (frame(0x8, struct.pack("!H", 1000) + b"\xff"), 1007),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_right_close_code(door: Door, name: str) -> None:
    data, code = FRAMES[name]
    with door.peer() as peer:
        peer.send(data)
        assert close_code(peer) == code


def test_no_extension_is_agreed_on(door: Door) -> None:
    with door.peer(sec_websocket_extensions="permessage-deflate; client_max_window_bits") as peer:
        peer.say("ping")
        assert peer.hear() == {"type": "pong"}
    peer, answer = door.knock(sec_websocket_extensions="permessage-deflate")
    with peer:
        assert "sec-websocket-extensions" not in answer.headers


def test_endless_fragments_end_at_the_size_of_a_message(door: Door) -> None:
    with door.peer() as peer:
        peer.send(frame(TEXT, b'"', fin=False))
        peer.send(frame(CONTINUATION, b"x", fin=False) * 65_536)
        assert close_code(peer) == 1009


def test_empty_fragments_and_half_requests_cost_no_memory(door: Door) -> None:
    empty = frame(CONTINUATION, fin=False) * 10_000
    with door.peer() as peer:
        peer.send(frame(TEXT, fin=False))

        def flood() -> None:
            for _ in range(10):
                peer.send(empty)
                peer.send(frame(PING, b"x"))
                assert peer.hear_frame()[1] == b"x"  # everything before it was read

        flood()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        flood()
        flood()
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < 8 * 1024
        (link,) = (link for link in door.server.context.links if isinstance(link, Link))
        assert not link._receiver._pending
        peer.send(frame(CONTINUATION, b'{"type":"ping"}'))
        assert peer.hear() == {"type": "pong"}
