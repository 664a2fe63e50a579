"""The result of ``chatkit bench`` for a person. Pure."""

from __future__ import annotations

from ..client.bench.plan import Plan
from ..client.bench.result import Result
from ..client.bench.summary import Quantiles, shown_ms
from .progress import count


def rows(url: str, durability: str | None, plan: Plan, result: Result) -> list[tuple[str, str]]:
    """What to print, as name and value.

    Args:
        url: the server.
        durability: of a server that was started for this; ``None`` for one that was there before.
        plan: the load.
        result: what came of it.
    """
    if durability:
        server = f"{url}, started for this, durability {durability}"
    else:
        server = f"{url}; the messages stay there, in {plan.room(0)}"
        server += f" and {plan.channels - 1:,} more" * (plan.channels > 1)
    pace = "as fast as answered" if plan.rate is None else f"{plan.rate:,.10g}/s"
    load = f"{count(plan.senders, 'sender')}, {pace}, {count(plan.subscribers, 'subscriber')}, "
    load += f"{count(plan.channels, 'channel')}, {plan.size_bytes:,}-byte texts, {result.seconds:.1f} s"
    sent = f"{result.stored:>12,}{result.sends_per_s:>14,.0f}/s"
    for number, what in (
        (result.refused, "refused"),
        (result.unknown, "without an answer"),
        (result.unsent, "due and not sent: too fast for it"),
    ):
        sent += f"   {number:,} {what}" * (number > 0)
    shown = [("server", server), ("load", load), ("sent", sent)]
    if plan.subscribers:
        shown.append(("delivered", f"{result.delivered:>12,}{result.deliveries_per_s:>14,.0f}/s"))
    shown.append(("", "".join(f"{name:>12}" for name in ("p50", "p90", "p99", "p99.9", "max"))))
    shown.append(("ack", _times(result.ack)))
    if plan.subscribers:
        shown += [("delivery", _times(result.delivery)), ("faults", _faults(plan, result))]
    return [*shown, ("bench", _own(result))]


def _times(quantiles: Quantiles | None) -> str:
    return "-" if quantiles is None else "".join(f"{shown_ms(value):>12}" for value in quantiles[1:])


def _faults(plan: Plan, result: Result) -> str:
    lost, duplicated, disordered = result.faults
    text = f"{lost:,} lost, {duplicated:,} duplicated, {disordered:,} out of order "
    text += f"(all by count, {result.sampled:,} of {plan.subscribers:,} message by message)"
    if result.interrupted:
        text += "; interrupted, so what was on its way is not counted"
    return text + f"; {result.disconnected:,} disconnected" * (result.disconnected > 0)


def _own(result: Result) -> str:
    used = f"took {result.cpu:.0%} of a core"
    if result.bottleneck:
        return f"{used}: it was the bottleneck itself, the server may do better than this"
    if result.disturbed:
        return f"{used}, and was up to {result.late_ms:.0f} ms late: this machine is too busy to measure well"
    return f"{used}: not the bottleneck"
