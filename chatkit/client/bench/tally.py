"""What was sent and what arrived, and the difference. Pure."""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

_UNKNOWN: Final = 0
_STORED: Final = 1
_REFUSED: Final = 2


class Verdict(NamedTuple):
    """Deliveries that went wrong."""

    lost: int = 0
    duplicated: int = 0
    disordered: int = 0

    def __add__(self, other: object) -> Verdict:
        if not isinstance(other, Verdict):
            return NotImplemented
        return Verdict(self.lost + other.lost, self.duplicated + other.duplicated, self.disordered + other.disordered)


class Tally:
    """Every message by its number.

    A message without an answer is unknown: it may arrive or not, and neither is a fault.

    Attributes:
        begun_ns: when each was due.
        stored: acknowledged, by channel.
        refused: how many the server did not take.
    """

    def __init__(self, channels: int) -> None:
        self.begun_ns = array("q")
        self._state = bytearray()
        self._channels = channels
        self.stored = [0] * channels
        self._sent = [0] * channels
        self.refused = 0

    @property
    def unknown(self) -> int:
        """Sent, and neither acknowledged nor refused."""
        return len(self._state) - self.refused - sum(self.stored)

    def send(self, now_ns: int) -> int:
        """A new message, due at ``now_ns``; returns its number."""
        number = len(self._state)
        self.begun_ns.append(now_ns)
        self._state.append(_UNKNOWN)
        self._sent[number % self._channels] += 1
        return number

    def store(self, number: int) -> None:
        """It was acknowledged."""
        self._state[number] = _STORED
        self.stored[number % self._channels] += 1

    def refuse(self, number: int) -> None:
        """The server did not take it."""
        self._state[number] = _REFUSED
        self._sent[number % self._channels] -= 1
        self.refused += 1

    def by_count(self, channel: int, count: int) -> Verdict:
        """What is wrong with ``count`` deliveries to a subscriber of ``channel``."""
        return Verdict(max(0, self.stored[channel] - count), max(0, count - self._sent[channel]))

    def by_sequence(self, channel: int, seen: Sequence) -> Verdict:
        """What is wrong with the deliveries to a sampled subscriber of ``channel``."""
        numbers = range(channel, len(self._state), self._channels)
        lost = sum(1 for number in numbers if self._state[number] == _STORED and number not in seen)
        return Verdict(lost, seen.duplicated, seen.disordered)


class Sequence:
    """What one sampled subscriber got, in order.

    Attributes:
        duplicated: deliveries of a message it had before.
        disordered: deliveries with a ``seq`` below an earlier one's.
    """

    def __init__(self) -> None:
        self._seen = bytearray()
        self._seq = 0
        self.duplicated = self.disordered = 0

    def __contains__(self, number: int) -> bool:
        return number < len(self._seen) and self._seen[number] == 1

    def take(self, number: int, seq: int) -> None:
        """Message ``number`` came with ``seq``."""
        if number >= len(self._seen):
            self._seen.extend(bytes(number + 1024 - len(self._seen)))
        if self._seen[number]:
            self.duplicated += 1
        elif seq <= self._seq:
            self.disordered += 1
        self._seen[number] = 1
        self._seq = max(self._seq, seq)
