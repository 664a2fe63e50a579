"""Latencies as a histogram, and its percentiles. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

#: Bits of a latency that are kept: its bucket is at most 1/128 of it wide.
_BITS: Final = 8


class Quantiles(NamedTuple):
    """Percentiles in milliseconds; ``samples`` is of how many."""

    samples: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Histogram:
    """Counts by latency. It takes the same memory for a minute and for a day; a percentile is right to within 1 %."""

    __slots__ = ("_counts", "count", "max_ns")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = self.max_ns = 0

    def add(self, ns: int) -> None:
        """Count one latency, in nanoseconds; one below zero counts as zero."""
        if ns > self.max_ns:  # noqa: PLR1730 - a call costs more
            self.max_ns = ns
        shift = max(ns.bit_length() - _BITS, 0)
        bucket = shift << _BITS | max(ns, 0) >> shift
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1

    def at(self, q: float) -> int:
        """The latency in nanoseconds that a share ``q`` of all do not exceed: the top of its bucket. 0 when empty."""
        wanted, seen = max(1, math.ceil(q * self.count)), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                shift, top = bucket >> _BITS, bucket & (1 << _BITS) - 1
                return min(self.max_ns, (top + 1 << shift) - 1)
        return 0

    def quantiles(self) -> Quantiles | None:
        """What is said of it; ``None`` when it is empty."""
        if not self.count:
            return None
        p50, p90, p99, p999 = (self.at(q) / 1e6 for q in (0.5, 0.9, 0.99, 0.999))
        return Quantiles(self.count, p50, p90, p99, p999, self.max_ns / 1e6)


def shown_ms(value: float) -> str:
    """A time in milliseconds with as many digits as are worth reading."""
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"
