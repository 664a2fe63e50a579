"""Just enough of WebSocket (RFC 6455) to read a server cheaply: no checks that a measurement does not need. Pure.

The rest of the client has ``websockets``, which takes several times as long for a frame as the server does to send it,
and would be what is measured.
"""

from __future__ import annotations

import base64
from typing import Final

TEXT: Final = 1
CLOSE: Final = 8

#: An unasked pong (section 5.5.3) says that we are here; the server need not ping. The mask is zero.
PONG: Final = b"\x8a\x80\x00\x00\x00\x00"


def handshake(authority: str, path: str, token: str | None, key: bytes) -> bytes:
    """The request that opens a WebSocket; ``key`` is 16 random bytes."""
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(key).decode('ascii')}\r\n{credential}\r\n"
    ).encode("ascii")


def text_frame(payload: bytes) -> bytes:
    """A frame from a client; masked with zeros, which is a mask like any other to the server."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\x00\x00\x00\x00" + payload


class Frames:
    """Cuts a stream into frames, however it arrives."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcode and payload of each frame that ``data`` completes."""
        data = self._rest + data if self._rest else data
        frames, at, end = [], 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                start += width
                if start > end:
                    break
                size = int.from_bytes(data[start - width : start], "big")
            if start + size > end:
                break
            frames.append((data[at] & 0x0F, data[start : start + size]))
            at = start + size
        self._rest = data[at:]
        return frames
