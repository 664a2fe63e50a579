"""A WebSocket client that can say anything, right or wrong, one frame at a time."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from .raw import Raw, Response, request_bytes

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455, section 1.3
_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Frame = dict[str, Any]


class Peer(Raw):
    """One WebSocket; ``answer`` is the response to its handshake, which succeeded."""

    def __init__(
        self, port: int, query: str = "", headers: Mapping[str, str] | None = None, *, receive_bytes: int | None = None
    ) -> None:
        super().__init__(port, receive_bytes=receive_bytes)
        self.answer = self.handshake(query, headers or {})
        assert self.answer.status == 101, self.answer
        assert self.answer.headers["sec-websocket-accept"] == _ACCEPT

    def handshake(self, query: str, headers: Mapping[str, str]) -> Response:
        self.send(handshake_bytes(query, headers))
        return self.response()

    # ------------------------------------------------------------------------------------------------- to say

    def say(self, type_: str, **fields: object) -> None:
        """One command."""
        self.text(json.dumps({"type": type_, **{name: value for name, value in fields.items() if value is not None}}))

    def text(self, text: str | bytes) -> None:
        self.send(frame(TEXT, text.encode() if isinstance(text, str) else text))

    def subscribe(self, topic: str, **fields: object) -> Frame:
        """Subscribe and return the ``subscribed`` frame."""
        self.say("subscribe", topic=topic, **fields)
        found = self.hear()
        assert (found["type"], found["topic"]) == ("subscribed", topic), found
        return found

    def sync(self) -> list[Frame]:
        """Everything the server has said up to now: what came before the answer to a ping."""
        self.say("ping")
        frames = []
        while (found := self.hear()) != {"type": "pong"}:
            frames.append(found)
        return frames

    # ------------------------------------------------------------------------------------------------ to hear

    def hear(self) -> Frame:
        """The next frame, which is a command's answer or an event."""
        opcode, payload = self.hear_frame()
        while opcode == PING:
            opcode, payload = self.hear_frame()
        assert opcode == TEXT, (opcode, payload)
        found: Frame = json.loads(payload)
        return found

    def hear_many(self, count: int) -> list[Frame]:
        return [self.hear() for _ in range(count)]

    def events(self, count: int) -> list[Frame]:
        """The next ``count`` frames, which are events."""
        frames = self.hear_many(count)
        assert all(found["type"] == "event" for found in frames), frames
        return frames

    def error(self) -> Frame:
        """The next frame, which is an error."""
        found = self.hear()
        assert found["type"] == "error", found
        assert found["message"]
        return found

    def hear_frame(self) -> tuple[int, bytes]:
        """The next frame as opcode and payload; the server's are whole, unmasked and without extensions."""
        first, second = self.read(2)
        assert first & 0xF0 == 0x80
        assert second & 0x80 == 0
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", self.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read(8))
        return first & 0x0F, self.read(size)

    def close_code(self) -> int:
        """The code that the server closes with, whatever it says before; it then closes the connection."""
        while True:
            opcode, payload = self.hear_frame()
            if opcode == CLOSE:
                with contextlib.suppress(OSError):
                    self.send(frame(CLOSE, payload[:2]))  # as RFC 6455 has it, 5.5.1
                self.rest()
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005


def handshake_bytes(query: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """A right handshake, ``headers`` changed; underscores become hyphens, an empty value leaves a field out."""
    fields = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_key": _KEY,
        "sec_websocket_version": "13",
        **(headers or {}),
    }
    return request_bytes("GET", f"/api/realtime{query}", **fields)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True) -> bytes:
    """One frame as a client sends it."""
    size = len(payload)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + struct.pack("!H", size)
        if size < 65536
        else b"\x7f" + struct.pack("!Q", size)
    )
    if not mask:
        return bytes([opcode | fin << 7]) + length + payload
    key = os.urandom(4)
    masked = bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
    return bytes([opcode | fin << 7, length[0] | 0x80]) + length[1:] + key + masked


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def seqs(frames: Iterable[Frame]) -> list[int]:
    return [found["seq"] for found in frames]


def texts(frames: Iterable[Frame]) -> list[str]:
    return [found["data"]["text"] for found in frames]
