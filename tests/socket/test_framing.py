"""WebSocket frames, right and wrong: RFC 6455."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from .harness import Server
from .peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame

HELLO = b'{"type":"ping"}'


def test_frames_may_arrive_byte_by_byte_or_many_at_once(shared: Server) -> None:
    with shared.peer() as peer:
        for byte in frame(TEXT, HELLO):
            peer.send(bytes([byte]))
        assert peer.hear() == {"type": "pong"}
        peer.send(frame(TEXT, HELLO) * 500)
        assert peer.hear_many(500) == [{"type": "pong"}] * 500


def test_a_message_may_come_in_fragments_with_pings_between_them(shared: Server, room: str) -> None:
    text = f'{{"type":"chat","roomId":"{room}","text":"grüße"}}'.encode()
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}")
        peer.send(frame(TEXT, text[:5], fin=False))
        peer.send(frame(PING, b"are you there"))
        for place in range(5, len(text)):  # through the middle of a character
            peer.send(frame(CONTINUATION, text[place : place + 1], fin=False))
        peer.send(frame(CONTINUATION, b""))
        assert peer.hear_frame() == (PONG, b"are you there")
        assert peer.hear()["data"]["text"] == "grüße"


def test_a_ping_is_answered_with_its_own_payload(shared: Server) -> None:
    with shared.peer() as peer:
        for payload in (b"", b"x", b"x" * 125):
            peer.send(frame(PING, payload))
            assert peer.hear_frame() == (PONG, payload)


def test_a_pong_that_nobody_asked_for_is_ignored(shared: Server) -> None:
    with shared.peer() as peer:
        peer.send(frame(PONG, b"hello"))
        assert peer.sync() == []


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_code(shared: Server, code: int) -> None:
    with shared.peer() as peer:
        peer.send(close_frame(code, b"bye"))
        assert peer.close_code() == code


def test_a_close_without_a_code_is_answered_without_one(shared: Server) -> None:
    with shared.peer() as peer:
        peer.send(frame(CLOSE))
        assert peer.close_code() == 1005


def test_what_follows_a_close_is_ignored(shared: Server, room: str) -> None:
    with shared.peer() as other, shared.peer() as peer:
        other.subscribe(f"chat/{room}")
        chat = f'{{"type":"chat","roomId":"{room}","text":"hi"}}'.encode()
        peer.send(close_frame(1000) + frame(TEXT, chat))
        assert peer.close_code() == 1000
        assert other.sync() == []


def test_what_came_before_a_close_is_carried_out(shared: Server, room: str) -> None:
    with shared.peer() as other, shared.peer() as peer:
        other.subscribe(f"chat/{room}")
        peer.send(frame(TEXT, f'{{"type":"chat","roomId":"{room}","text":"hi"}}'.encode()) + close_frame(1000))
        assert other.hear()["data"]["text"] == "hi"


BROKEN: list[tuple[str, bytes, int]] = [
    ("unmasked", frame(TEXT, HELLO, mask=False), 1002),
    ("binary", frame(BINARY, HELLO), 1003),
    ("reserved bit", b"\xc1" + frame(TEXT, HELLO)[1:], 1002),
    ("reserved opcode", frame(0x3, b""), 1002),
    ("reserved control opcode", frame(0xB, b""), 1002),
    ("continuation of nothing", frame(CONTINUATION, HELLO), 1002),
    ("text inside a fragmented message", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    ("fragmented ping", frame(PING, b"", fin=False), 1002),
    ("long ping", frame(PING, b"x" * 126), 1002),
    ("bad close code", close_frame(999), 1002),
    ("close code that may not be sent", close_frame(1005), 1002),
    ("close of one byte", frame(CLOSE, b"\x03"), 1002),
    ("close reason that is not UTF-8", close_frame(1000, b"\xff"), 1007),
    ("text that is not UTF-8", frame(TEXT, b'{"type":"\xff"}'), 1007),
    ("text that ends in half a character", frame(TEXT, b"\xc3"), 1007),
    ("a surrogate in UTF-8", frame(TEXT, b'"\xed\xa0\x80"'), 1007),
    ("not UTF-8 in fragments", frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"x"), 1007),
    ("too big", frame(TEXT, b"x" * 65537), 1009),
    ("too big in fragments", frame(TEXT, b"x" * 40000, fin=False) + frame(CONTINUATION, b"x" * 40000), 1009),
    ("too big, announced only", b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"mask", 1009),
    ("a length of 64 bits with the first set", b"\x81\xff" + b"\xff" * 8 + b"mask", 1002),
]


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_frame_closes_with_its_code(shared: Server, data: bytes, code: int) -> None:
    with shared.peer() as peer:
        peer.send(data)
        found = peer.close_code()
        assert found == code or (found, code) == (1009, 1002)
    with shared.peer() as peer:
        assert peer.sync() == []


def test_a_client_that_is_still_sending_too_much_hears_why(shared: Server) -> None:
    with shared.peer() as peer:
        peer.send(b"\x81\xff" + struct.pack("!Q", 30 << 20) + b"mask" + b"x" * (30 << 20))
        assert peer.close_code() == 1009


def test_a_message_of_the_limit_is_taken_and_one_byte_more_is_not(make_server: Callable[..., Server]) -> None:
    server = make_server(max_message_bytes=2000)
    fits = HELLO + b" " * (2000 - len(HELLO))
    with server.peer() as peer:
        peer.send(frame(TEXT, fits))
        peer.send(frame(TEXT, fits[:1000], fin=False) + frame(CONTINUATION, fits[1000:]))
        assert peer.hear_many(2) == [{"type": "pong"}] * 2
        peer.send(frame(TEXT, fits + b" "))
        assert peer.close_code() == 1009


@pytest.mark.parametrize("size", [0, 1, 2, 5, 9])
def test_a_client_that_vanishes_inside_a_frame_is_forgotten(shared: Server, room: str, size: int) -> None:
    with shared.peer() as other:
        other.subscribe(f"chat/{room}")
        peer = shared.peer("?userId=ada")
        peer.say("track", topic=f"chat/{room}")
        assert other.hear()["event"] == "presence:join"
        peer.send(frame(TEXT, HELLO)[:size])
        peer.reset()
        assert other.hear()["event"] == "presence:leave"


def test_a_client_that_stops_sending_is_closed(shared: Server) -> None:
    with shared.peer() as peer:
        peer.half_close()
        peer.rest()
    with shared.peer() as peer:
        assert peer.sync() == []
