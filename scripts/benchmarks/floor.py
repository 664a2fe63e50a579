"""`scripts/bench --floor`: the figures below which chatkit must not fall, as a gate with an exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import cache
from .peers import ChatkitFull, ChatkitNormal
from .peers.base import Peer
from .scenarios import Figures, Plan, command_line, fan_out, idle

DISTURBED_PERCENT = 20  # of a CPU, used by other programs


@dataclass(frozen=True, slots=True)
class Floor:
    """One promise: a figure of a scenario, and the bound that it must keep."""

    title: str
    peer: type[Peer]
    measure: Callable[[Peer, Plan], tuple[Figures, list[str]]]
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def holds(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


FLOORS = (
    Floor(
        "fan-out, 1,000 subscribers, 64 senders, normal", ChatkitNormal, fan_out(1000), "deliveries/s", at_least=2.5e6
    ),
    Floor("ingest, 1 subscriber, 64 senders, normal", ChatkitNormal, fan_out(1), "sends/s", at_least=35_000),
    Floor("ingest, 1 subscriber, 64 senders, full", ChatkitFull, fan_out(1), "sends/s", at_least=22_000),
    Floor("an idle subscribed connection, at 9,000", ChatkitNormal, idle(9000), "a connection", at_most=7.0, unit="kB"),
    Floor("`chatkit send general hi`, whole process", ChatkitFull, command_line, "send", at_most=150, unit="ms"),
)


def written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def run(rounds: int) -> int:
    """Measure each floor `rounds` times and print the best against the bound.

    The best and not the median: other work on the machine only ever makes a figure worse, and a gate should not fail for it.
    For the same reason a miss counts as one only if some round was left alone; what the server did for each second of CPU
    that it had is shown beside it.

    Returns:
        0 when all hold, 1 when one is missed, 75 when one is below but the machine was too busy to tell.
    """
    missed = unsure = 0
    for floor in FLOORS:
        found = []
        for _ in range(rounds):
            cache.say(f"{floor.title} ...")
            figures, problems = floor.measure(floor.peer(), Plan(quick=False))
            found.append(figures)
            for problem in problems:
                cache.say(f"  {problem}")
        values = [figures[floor.figure] for figures in found]
        best = max(values) if floor.at_least is not None else min(values)
        disturbed = all(figures.get("others", 0) > DISTURBED_PERCENT for figures in found)
        verdict = "ok  " if floor.holds(best) else "?   " if disturbed else "MISS"
        missed += verdict == "MISS"
        unsure += verdict == "?   "
        bound = f"at least {floor.at_least:,.0f}" if floor.at_least is not None else f"at most {floor.at_most:,.0f}"
        words = [
            f"{' '.join([written(best), floor.unit]).strip()}, {bound}",
            f"rounds {', '.join(map(written, values))}",
        ]
        if floor.at_least is not None:
            rates = (figures[floor.figure] / max(figures["server CPU"], 1) * 100 for figures in found)
            words.append(f"{written(max(rates))} a second of server CPU")
        print(f"{verdict}  {floor.title}: {'; '.join(words)}", flush=True)
    if unsure:
        print("?     below its floor, but other programs were at work in every round: measure again", flush=True)
    return 1 if missed else 75 if unsure else 0
