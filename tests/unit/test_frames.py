"""WebSocket framing without a socket."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from chatkit.errors import CloseCode
from chatkit.server.frames import Received, Receiver, close_frame, text_frame, whole_frames

MAX = 1000


def client(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def receive(data: bytes, cuts: list[int]) -> Received:
    """The sum of what comes of ``data`` in pieces."""
    receiver = Receiver(MAX)
    messages: list[bytes] = []
    reply = b""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        got = receiver.receive(data[start:stop])
        messages += got.messages
        reply += got.reply
        if got.close_code is not None:
            return Received(messages, reply, got.close_code, got.is_over)
    return Received(messages, reply)


texts = st.binary(max_size=300)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A message, and its frames: in any number of fragments with pings between them."""
    message = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(message)), max_size=3)))
    edges = [0, *cuts, len(message)]
    parts = [message[start:stop] for start, stop in pairwise(edges)]
    data = b""
    for place, piece in enumerate(parts):
        data += client(Opcode.CONT if place else Opcode.TEXT, piece, fin=place == len(parts) - 1)
        if draw(st.booleans()):
            data += client(Opcode.PING, b"p")
    return message, data


@given(st.lists(messages(), max_size=5), st.lists(st.integers(0, 5000), max_size=8))
def test_messages_come_out_whole_however_they_are_cut(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    data = b"".join(frames for _, frames in sent)
    got = receive(data, cuts)
    assert got.messages == [message for message, _ in sent]
    assert got.close_code is None
    pong = Frame(Opcode.PONG, b"p").serialize(mask=False)
    assert got.reply == pong * (len(got.reply) // len(pong))


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_any_bytes_come_to_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole, pieces = receive(data, []), receive(data, cuts)
    assert (pieces.messages, pieces.close_code) == (whole.messages, whole.close_code)
    assert pieces.reply == whole.reply


def test_nothing_is_held_between_messages() -> None:
    receiver = Receiver(MAX)
    data = client(Opcode.TEXT, b"hello")
    steps = [data[:3], data[3:], client(Opcode.TEXT, b"a", fin=False), client(Opcode.CONT, b"b")]
    idle = []
    for step in steps:
        receiver.receive(step)
        idle.append(receiver.is_idle)
    assert idle == [False, True, False, True]


def test_a_frame_that_will_be_refused_is_refused_by_its_header() -> None:
    assert receive(b"\x81\xfe\x03\xe9", []).close_code == CloseCode.MESSAGE_TOO_BIG  # 1001 bytes announced
    assert receive(b"\x81\x05", []).close_code == CloseCode.PROTOCOL_ERROR  # not masked


def test_after_the_end_nothing_counts() -> None:
    receiver = Receiver(MAX)
    first = receiver.receive(client(Opcode.BINARY, b"x"))
    assert (first.close_code, first.is_over) == (CloseCode.UNSUPPORTED_DATA, False)
    assert receiver.receive(client(Opcode.TEXT, b"hello")) == Received([])
    receiver = Receiver(MAX)
    assert receiver.receive(client(Opcode.CLOSE, b"\x03\xe8")) == Received([], b"\x88\x02\x03\xe8", 1000, True)


def test_receivers_of_different_limits_do_not_share_parsers() -> None:
    Receiver(100_000).receive(client(Opcode.TEXT, b"x" * 5000))
    assert Receiver(MAX).receive(client(Opcode.TEXT, b"x" * 5000)).close_code == CloseCode.MESSAGE_TOO_BIG


@given(st.lists(texts, max_size=4), st.integers(0, 2000))
def test_whole_frames_end_where_a_frame_ends(sent: list[bytes], size: int) -> None:
    frames = [client(Opcode.TEXT, message) for message in sent]
    ends = [0]
    for data in frames:
        ends.append(ends[-1] + len(data))
    data = b"".join(frames)[:size]
    assert whole_frames(data, MAX) == max(end for end in ends if end <= len(data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_a_text_frame_is_what_the_standard_says(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_close_reason_is_cut_between_characters() -> None:
    data = close_frame(1012, "é" * 100)
    assert len(data) <= 2 + 125
    assert data[4:].decode() == "é" * 61
