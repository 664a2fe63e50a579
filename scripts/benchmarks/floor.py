"""`scripts/bench --floor`: the figures below which chatkit must not fall, as a gate with an exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import cache
from .peers import ChatkitFull, ChatkitNormal
from .peers.base import Peer
from .scenarios import Figures, Plan, command_line, fan_out, idle


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
    """Measure each floor `rounds` times, print the best against the bound, and return the exit code.

    The best and not the median: other work on the machine only ever makes a figure worse, and a gate should not fail for it.
    """
    missed = 0
    for floor in FLOORS:
        values, problems = [], []
        for _ in range(rounds):
            cache.say(f"{floor.title} ...")
            figures, told = floor.measure(floor.peer(), Plan(quick=False))
            values.append(figures[floor.figure])
            problems += told
        best = max(values) if floor.at_least is not None else min(values)
        good = floor.holds(best)
        missed += not good
        bound = f"at least {floor.at_least:,.0f}" if floor.at_least is not None else f"at most {floor.at_most:,.0f}"
        found = f"{' '.join([written(best), floor.unit]).strip()}, {bound}"
        print(
            f"{'ok  ' if good else 'MISS'}  {floor.title}: {found} (rounds: {', '.join(map(written, values))})",
            flush=True,
        )
        for problem in dict.fromkeys(problems):
            print(f"      {problem}", flush=True)
    return 1 if missed else 0
