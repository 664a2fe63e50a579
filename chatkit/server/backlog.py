"""Whether a peer takes any of what is written to it."""

from __future__ import annotations

import asyncio
import struct
import sys


class Backlog:
    """Bytes that a peer has not taken yet.

    Attributes:
        since_s: when it was last seen to take one, in monotonic seconds.
        written: bytes that were added since the last look.
    """

    __slots__ = ("_left", "since_s", "written")

    def __init__(self, left: int, now_s: float) -> None:
        self._left, self.written, self.since_s = left, 0, now_s

    def look(self, left: int, now_s: float) -> None:
        """Note that ``left`` bytes are queued now, and whether any was taken since the last look."""
        if left < self._left + self.written:
            self.since_s = now_s
        self._left, self.written = left, 0


def left(transport: asyncio.Transport) -> int:
    """Bytes queued for a peer, ours and, where it can be told, the system's.

    The system takes bytes off our queue only when a good part of its own is free again, which a slow peer may need
    more time for than a peer has that takes nothing.
    """
    ours = transport.get_write_buffer_size()
    held = transport.get_extra_info("socket")
    if held is None or transport.is_closing():
        return ours
    try:
        return ours + _system_queue(held.fileno())
    except (OSError, ValueError):
        return ours


if sys.platform == "linux":
    import fcntl
    import termios

    def _system_queue(file: int) -> int:
        size: int = struct.unpack("i", fcntl.ioctl(file, termios.TIOCOUTQ, b"\0" * 4))[0]  # tcp(7), SIOCOUTQ
        return size

else:

    def _system_queue(file: int) -> int:
        return 0
