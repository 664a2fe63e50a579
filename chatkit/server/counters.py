"""What the server has done since it started: integers, added to in passing and read when somebody asks."""

from __future__ import annotations

from typing import Final

import msgspec

from ..errors import Refused

#: Upper bounds of the histograms' buckets but the last, which has none.
BATCH_SIZES: Final = tuple(1 << n for n in range(13))
COMMIT_S: Final = tuple(0.0001 * (1 << n) for n in range(16))


class Counters(msgspec.Struct):
    """What connections have seen.

    Attributes:
        connections: how many were accepted.
        duplicates: sends that were stored already.
        refused: code -> how often.
        stalled: subscribers closed because they took nothing.
        errors: failures of our own, each of them in the log.
    """

    connections: int = 0
    duplicates: int = 0
    refused: dict[str, int] = {}
    stalled: int = 0
    errors: int = 0

    def refuse(self, error: Refused) -> None:
        """Count a refusal."""
        self.refused[error.code] = self.refused.get(error.code, 0) + 1


class Commits(msgspec.Struct):
    """What the journal has done.

    Attributes:
        events: how many were in all batches.
        total_s: seconds that all batches took.
        by_size: how many batches there were, by the power of two that their size does not exceed.
        by_time: the same by time, in doublings of 0.1 ms.
    """

    events: int = 0
    total_s: float = 0.0
    by_size: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BATCH_SIZES) + 1))
    by_time: list[int] = msgspec.field(default_factory=lambda: [0] * (len(COMMIT_S) + 1))

    def add(self, size: int, taken_s: float) -> None:
        """Count a batch of ``size`` events that took ``taken_s`` seconds."""
        self.events += size
        self.total_s += taken_s
        self.by_size[min((size - 1).bit_length(), len(BATCH_SIZES))] += 1
        self.by_time[min(int(taken_s * 10_000).bit_length(), len(COMMIT_S))] += 1
