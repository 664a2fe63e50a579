"""What is measured: each scenario is a table with a row a server, and is asked once a round for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import commands, generator, history
from .generator import Load, Measured
from .peers.base import Peer
from .peers.chatkit import Chatkit

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in the table. `better` is "more", "less" or "" where neither is; `key` marks the one that ratios compare."""

    name: str
    unit: str
    better: str = ""
    key: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table. `measure` returns the figures of one round; a figure that a server cannot have is left out."""

    name: str
    title: str
    columns: tuple[Column, ...]
    measure: Callable[[Peer, Plan], tuple[Figures, list[str]]]
    only_chatkit: bool = False
    needs_replay: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how large: `--quick` or not."""

    quick: bool

    @property
    def seconds(self) -> float:
        return 0.8 if self.quick else 3.0

    @property
    def warm_s(self) -> float:
        return 0.3 if self.quick else 0.7


DELIVERIES = Column("deliveries/s", "/s", "more", key=True)
SENDS = Column("sends/s", "/s", "more")
SPEED = (
    DELIVERIES,
    SENDS,
    Column("ack p50", "ms", "less"),
    Column("ack p99", "ms", "less"),
    Column("frame", "B"),
    Column("frames a read", ""),
    Column("server CPU a delivery", "µs", "less"),
    Column("server CPU", "%"),
    Column("generator CPU", "%"),
)
LATENCY = tuple(
    Column(f"{what} {name}", "ms", "less", key=f"{what} {name}" == "delivery p99")
    for what in ("ack", "delivery")
    for name in ("p50", "p90", "p99", "p99.9")
)


def put_load(peer: Peer, load: Load) -> Measured:
    """Start a fresh server and put `load` on it."""
    with peer.serve() as server:
        return generator.run(
            load, server.port, server.pid, subscriber=peer.subscriber, sender=peer.sender, late=peer.late
        )


def latencies(raw: dict[str, Any]) -> Figures:
    return {
        f"{what} {shown}": raw[f"{what}_ms"][name]
        for what in ("ack", "delivery")
        for name, shown in (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p999", "p99.9"))
        if raw[f"{what}_ms"]["samples"]
    }


def speed(measured: Measured) -> Figures:
    raw = measured.raw
    figures = {
        "deliveries/s": measured.deliveries_per_s,
        "sends/s": measured.sends_per_s,
        "server CPU": measured.server_use * 100,
        "generator CPU": measured.generator_use * 100,
        "others": measured.others_cpu_s / measured.seconds * 100,
        **latencies(raw),
    }
    if raw["deliveries"]:
        figures["frame"] = raw["bytes"] / raw["deliveries"]
        figures["frames a read"] = raw["deliveries"] / raw["reads"]
        figures["server CPU a delivery"] = measured.server_cpu_s * 1e6 / raw["deliveries"]
    return figures


def fan_out(subscribers: int) -> Callable[[Peer, Plan], tuple[Figures, list[str]]]:
    def measure(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
        load = Load(subscribers, seconds=plan.seconds, warm_s=plan.warm_s)
        measured = put_load(peer, load)
        return speed(measured), measured.problems

    return measure


def channels(count: int) -> Callable[[Peer, Plan], tuple[Figures, list[str]]]:
    def measure(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
        measured = put_load(peer, Load(count, channels=count, seconds=plan.seconds, warm_s=plan.warm_s))
        return speed(measured), measured.problems

    return measure


def paced(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
    measured = put_load(peer, Load(100, rate=1000, seconds=plan.seconds, warm_s=plan.warm_s))
    return speed(measured), measured.problems


def lone(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
    measured = put_load(peer, Load(1, senders=1, rate=50, seconds=plan.seconds, warm_s=plan.warm_s))
    return speed(measured), measured.problems


def idle(subscribers: int) -> Callable[[Peer, Plan], tuple[Figures, list[str]]]:
    def measure(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
        measured = put_load(peer, Load(subscribers, senders=0, seconds=0, hold_s=0.3 if plan.quick else 1.0))
        connected = measured.raw["subscribers"] or 1
        grown = measured.rss_after_bytes - measured.rss_before_bytes
        figures = {"a connection": grown / connected / 1e3, "connects/s": connected / measured.raw["connect_s"]}
        return figures, measured.problems

    return measure


def replay(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
    events, late = (3_000, 50) if plan.quick else (10_000, 100)
    load = Load(
        10, rate=1000, prefill=events, late=late, seconds=6.0 if plan.quick else 20.0, warm_s=plan.warm_s, sampled=10
    )
    measured = put_load(peer, load)
    raw = measured.raw
    figures = latencies(raw)
    if raw["replay_s"]:
        figures["events/s"] = raw["replay_events"] / raw["replay_s"]
        figures["took"] = raw["replay_s"]
    else:
        measured.problems.append(f"not done after {load.seconds:.0f} s")
    return figures, measured.problems


def big_log(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
    assert isinstance(peer, Chatkit)
    return history.measure(peer, 200_000 if plan.quick else 10_000_000)


def command_line(peer: Peer, plan: Plan) -> tuple[Figures, list[str]]:
    assert isinstance(peer, Chatkit)
    with peer.serve() as server:
        return commands.measure(server.port, runs=3 if plan.quick else 10, lines=10_000 if plan.quick else 50_000)


def scenarios(quick: bool) -> list[Scenario]:
    """Return what is measured, in the order of the report."""
    sizes = (1000,) if quick else (100, 1000, 9000)
    many = (500,) if quick else (100, 1000, 10_000)
    return [
        Scenario("ingest", "Ingest: 64 senders in a closed loop, 1 subscriber", (SENDS_KEY, *SPEED[2:]), fan_out(1)),
        *(
            Scenario(f"fanout-{n}", f"Fan-out: 64 senders in a closed loop, {n:,} subscribers", SPEED, fan_out(n))
            for n in sizes
        ),
        Scenario("latency", "Latency: 1,000 sends/s to 100 subscribers", (*LATENCY, SPEED[-2], SPEED[-1]), paced),
        Scenario("lone", "Latency: a lone sender, 50 sends/s to 1 subscriber", LATENCY, lone),
        Scenario(
            "idle",
            f"Idle: {500 if quick else 9000:,} subscribed connections",
            (Column("a connection", "kB", "less", key=True), Column("connects/s", "/s", "more")),
            idle(500 if quick else 9000),
        ),
        *(
            Scenario(
                f"channels-{n}",
                f"Many channels: {n:,} with a subscriber each, 64 senders in turn over all",
                (SENDS_KEY, *SPEED[2:]),
                channels(n),
            )
            for n in many
        ),
        Scenario(
            "replay",
            f"Replay: {'3,000 events to 50' if quick else '10,000 events to 100'} late subscribers while 1,000 sends/s go on",
            (Column("events/s", "/s", "more", key=True), Column("took", "s", "less"), *LATENCY),
            replay,
            needs_replay=True,
        ),
        Scenario(
            "history",
            f"A log of {200_000 if quick else 10_000_000:,} events: pages of 50 of one channel, and starting on it",
            (
                Column("page p50", "ms", "less", key=True),
                Column("page p99", "ms", "less"),
                Column("newest page p50", "ms", "less"),
                Column("start-up", "ms", "less"),
                Column("file", "MB"),
            ),
            big_log,
            only_chatkit=True,
        ),
        Scenario(
            "command",
            "The command line",
            (
                Column("send", "ms", "less", key=True),
                Column("python itself", "ms", "less"),
                Column("send --lines", "/s", "more"),
            ),
            command_line,
            only_chatkit=True,
        ),
    ]


SENDS_KEY = Column("sends/s", "/s", "more", key=True)
