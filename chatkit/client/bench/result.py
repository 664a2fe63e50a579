"""What a run came to, and whether it is good enough. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .summary import Quantiles, shown_ms
from .tally import Verdict

#: A share of one core above which this process is what was measured.
_BUSY: Final = 0.85
#: A process that is later than this with a message that is due waits for a processor.
_LATE_MS: Final = 20.0


class Result(NamedTuple):
    """A run.

    Attributes:
        stored: messages acknowledged.
        refused: messages the server said "later" to.
        unknown: messages without an answer.
        unsent: messages that were due at the rate asked for, and not sent before the end: the rate was not held.
        delivered: deliveries, to all subscribers.
        seconds: from the first message to the last acknowledgement.
        sends_per_s: acknowledged messages.
        deliveries_per_s: to all subscribers together.
        ack: from the moment a message was due to its acknowledgement; ``None`` without one.
        delivery: from the same moment to a sampled subscriber.
        faults: lost, duplicated, out of order.
        sampled: how many subscribers were read message by message.
        disconnected: subscribers that lost their connection.
        cpu: share of one core that this process took.
        late_ms: how late this process was with a message that was due, at worst.
        interrupted: by Ctrl-C; what was on its way then is not counted as lost.
        trouble: why it ended before its time.
    """

    stored: int
    refused: int
    unknown: int
    unsent: int
    delivered: int
    seconds: float
    sends_per_s: float
    deliveries_per_s: float
    ack: Quantiles | None
    delivery: Quantiles | None
    faults: Verdict
    sampled: int
    disconnected: int
    cpu: float
    late_ms: float
    interrupted: bool
    trouble: str | None

    @property
    def bottleneck(self) -> bool:
        """Whether this process, and not the server, set the limit."""
        return self.cpu >= _BUSY

    @property
    def disturbed(self) -> bool:
        """Whether other programs on this machine took the processor that this process needed."""
        return self.late_ms >= _LATE_MS and not self.bottleneck

    def as_json(self) -> dict[str, Any]:
        """As one JSON object; numbers are rounded to what they are worth."""
        return {
            "sent": self.stored,
            "refused": self.refused,
            "unknown": self.unknown,
            "unsent": self.unsent,
            "delivered": self.delivered,
            "seconds": round(self.seconds, 3),
            "sends_per_s": round(self.sends_per_s, 1),
            "deliveries_per_s": round(self.deliveries_per_s, 1),
            "ack": _json(self.ack),
            "delivery": _json(self.delivery),
            **self.faults._asdict(),
            "sampled": self.sampled,
            "disconnected": self.disconnected,
            "bench_cpu": round(self.cpu, 3),
            "bench_late_ms": round(self.late_ms, 3),
            "bench_was_bottleneck": self.bottleneck,
            "bench_was_disturbed": self.disturbed,
            "interrupted": self.interrupted,
        }


def _json(quantiles: Quantiles | None) -> dict[str, float] | None:
    return quantiles and {name: round(value, 3) for name, value in quantiles._asdict().items()}


class Bounds(NamedTuple):
    """What a result is held to; ``None`` for no bound.

    Attributes:
        max_lost: deliveries lost, duplicated or out of order.
        max_p99_ms: the 99th percentile of acknowledgement and of delivery.
        min_rate: acknowledged messages a second.
    """

    max_lost: int | None = None
    max_p99_ms: float | None = None
    min_rate: float | None = None

    def broken(self, result: Result) -> list[str]:
        """One sentence for each bound that ``result`` breaks."""
        broken = []
        if self.max_lost is not None:
            broken += [
                f"deliveries {what}: {count:,}; --max-lost is {self.max_lost:,}"
                for what, count in zip(("lost", "duplicated", "out of order"), result.faults, strict=True)
                if count > self.max_lost
            ]
        if self.max_p99_ms is not None:
            measured = [("ack", result.ack)] + [("delivery", result.delivery)] * (result.sampled > 0)
            for what, quantiles in measured:
                if quantiles is None:
                    broken.append(f"no {what} was measured; --max-p99 is {self.max_p99_ms:g} ms")
                elif quantiles.p99_ms > self.max_p99_ms:
                    broken.append(f"p99 of {what} is {shown_ms(quantiles.p99_ms)}; --max-p99 is {self.max_p99_ms:g} ms")
        if self.min_rate is not None and result.sends_per_s < self.min_rate:
            broken.append(f"{result.sends_per_s:,.0f} sends/s; --min-rate is {self.min_rate:,.10g}")
        return broken
