"""WebSocket framing: what the server sends, and the incoming side without a parser for each idle connection.

RFC 6455. Outgoing frames are unmasked and uncompressed (sections 5.1 and 7.2 leave extensions to negotiation, and
none is), so the same bytes serve every subscriber. Incoming ones go through the sans-I/O ``Protocol`` of
``websockets``, which keeps about four kilobytes; between whole messages it has no state worth keeping, so
connections borrow one for the moment.
"""

from __future__ import annotations

import logging
import struct
from collections import defaultdict
from typing import Final, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from ..errors import CloseCode

PING: Final = b"\x89\x00"

_quiet = logging.getLogger("chatkit.websockets")
_quiet.setLevel(logging.CRITICAL)  # what a peer does wrong is answered with a close code, not logged as our error


def text_frame(payload: bytes, seq: int | None = None) -> bytes:
    """``payload`` as one unfragmented text frame, whatever ``seq`` says."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; ``reason`` is cut to the 123 bytes that fit."""
    payload = struct.pack("!H", code) + reason.encode()[:123].decode(errors="ignore").encode()
    return b"\x88%c%b" % (len(payload), payload)


def whole_frames(data: bytes, max_bytes: int) -> int:
    """How many bytes at the start of ``data`` are whole frames.

    All of it when a frame is one that the parser will refuse (unmasked, or longer than ``max_bytes``), so that the
    parser refuses it now instead of this side waiting for the rest.
    """
    end, size = 0, len(data)
    while size - end >= 2:
        length = data[end + 1] & 0x7F
        header = 6
        if length == 126:
            if size - end < 4:
                break
            header, length = 8, int.from_bytes(data[end + 2 : end + 4], "big")
        elif length == 127:
            if size - end < 10:
                break
            header, length = 14, int.from_bytes(data[end + 2 : end + 10], "big")
        if not data[end + 1] & 0x80 or length > max_bytes:
            return end if is_impossible(data[end : end + 10]) else size
        if end + header + length > size:
            break
        end += header + length
    return end


def is_impossible(data: bytes) -> bool:
    """Whether a masked frame begins whose length has the top bit set: RFC 6455, 5.2, a protocol error, not a size."""
    return len(data) >= 10 and data[1] == 0xFF and bool(data[2] & 0x80)


class Received(NamedTuple):
    """What some bytes off the wire came to.

    Attributes:
        messages: whole text messages, in order.
        reply: what to write in answer: pongs, and the close frame.
        close_code: set when the peer closed or broke the protocol: nothing it says after that counts.
        is_over: whether the peer has closed, so that the connection can go. One that broke the protocol may be
            writing still: closing on it would reset the connection, and the code would be lost.
    """

    messages: list[bytes]
    reply: bytes = b""
    close_code: int | None = None
    is_over: bool = False


class Receiver:
    """The incoming side of one connection: bytes to whole text messages.

    It holds something only while a frame or a message is incomplete.
    """

    __slots__ = ("_ended", "_fragments", "_max_bytes", "_pending", "_protocol")

    #: Parsers between messages, by the largest message they take.
    _idle: Final[defaultdict[int, list[Protocol]]] = defaultdict(list)

    def __init__(self, max_bytes: int) -> None:
        self._ended = False
        self._max_bytes = max_bytes
        self._pending = b""
        self._protocol: Protocol | None = None
        self._fragments: bytearray | None = None  # not a list: a byte in each fragment would cost sixty

    @property
    def is_idle(self) -> bool:
        """Whether nothing is incomplete."""
        return not self._pending and self._protocol is None

    def receive(self, data: bytes) -> Received:
        """Take bytes off the wire."""
        if self._ended:
            return Received([])
        if self._pending:
            data = self._pending + data
        end = whole_frames(data, self._max_bytes)
        self._pending = data[end:]
        impossible = is_impossible(self._pending)
        if not end and not impossible:
            return Received([])
        protocol = self._protocol or self._borrow()
        protocol.receive_data(data if end == len(data) else data[:end])
        messages: list[bytes] = []
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)  # noqa: S101 - the other kinds of event belong to the handshake
            if frame.opcode is Opcode.TEXT and frame.fin:
                messages.append(bytes(frame.data))
            elif frame.opcode is Opcode.BINARY:
                protocol.fail(CloseCode.UNSUPPORTED_DATA, "text frames only, one JSON object each")
                break
            elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
                message = self._assemble(bytes(frame.data), fin=frame.fin)
                if message is not None:
                    messages.append(message)
        if impossible and protocol.state is OPEN:
            protocol.fail(CloseCode.PROTOCOL_ERROR, "a length with the top bit set")
        reply = b"".join(protocol.data_to_send())
        if protocol.state is not OPEN:
            self._protocol, self._ended = None, True
            code = protocol.close_sent.code if protocol.close_sent else CloseCode.PROTOCOL_ERROR
            return Received(messages, reply, code, protocol.close_rcvd is not None)
        if protocol.current_size is None:
            self._protocol = None
            self._idle[self._max_bytes].append(protocol)
        else:
            self._protocol = protocol
        return Received(messages, reply)

    def _borrow(self) -> Protocol:
        idle = self._idle[self._max_bytes]
        if idle:
            return idle.pop()
        return Protocol(SERVER, state=OPEN, max_size=self._max_bytes, logger=_quiet)

    def _assemble(self, data: bytes, *, fin: bool) -> bytes | None:
        whole = self._fragments
        if whole is None:
            whole = self._fragments = bytearray()
        whole += data
        if not fin:
            return None
        self._fragments = None
        return bytes(whole)
