"""Run the load generator once and read what it measured."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from . import cache, machine

TEXT_BYTES = 40


@dataclass(frozen=True, slots=True)
class Role:
    """How one kind of connection speaks to a peer: where it connects and what it says after the handshake.

    `steps` are ("say" | "wait for", text); `body` is what a sender sends; with `ack` it sends over WebSocket and waits for
    that text, without it it POSTs. `{c}` is the channel's number, `{m}` the message text.
    """

    path: str
    steps: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    ack: str | None = None

    def arguments(self) -> list[str]:
        found = ["--path", self.path]
        for what, text in self.steps:
            found += ["--hello" if what == "say" else "--expect", text]
        if self.body is not None:
            found += ["--body", self.body]
        if self.ack is not None:
            found += ["--ws", "--ack", self.ack]
        return found


@dataclass(slots=True)
class Load:
    """What one run does. Times in seconds; `rate` in sends a second, 0 for a closed loop."""

    subscribers: int
    senders: int = 64
    channels: int = 1
    seconds: float = 3.0
    warm_s: float = 0.7
    rate: float = 0.0
    prefill: int = 0
    late: int = 0
    hold_s: float = 0.0
    sampled: int = 4
    limit_s: int = 150


@dataclass(slots=True)
class Measured:
    """The generator's own result, and what the server used while it ran."""

    raw: dict[str, Any]
    server_cpu_s: float = 0.0
    others_cpu_s: float = 0.0  # used on the server's and the generator's CPUs by anything else
    rss_before_bytes: int = 0
    rss_after_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return float(self.raw["seconds"]) or 1.0

    @property
    def deliveries_per_s(self) -> float:
        return float(self.raw["deliveries"]) / self.seconds

    @property
    def sends_per_s(self) -> float:
        return float(self.raw["acks"]) / self.seconds

    @property
    def generator_use(self) -> float:
        return float(self.raw["cpu_s"]) / self.seconds

    @property
    def server_use(self) -> float:
        return self.server_cpu_s / self.seconds


class LoadError(Exception):
    """The generator could not do its run. The text is its last word."""


def run(load: Load, port: int, pid: int, *, subscriber: Role, sender: Role, late: Role | None) -> Measured:
    """Put `load` on the server at `port` whose process is `pid`."""
    command = [str(cache.load_generator()), "--port", str(port), "--channels", str(load.channels)]
    command += [
        "--text",
        str(TEXT_BYTES),
        "--seconds",
        str(load.seconds),
        "--warm",
        str(load.warm_s),
        "--rate",
        str(load.rate),
    ]
    command += ["--prefill", str(load.prefill), "--sampled", str(load.sampled), "--limit", str(load.limit_s)]
    if machine.pinned(machine.LOAD_CPU):
        command += ["--cpu", str(machine.LOAD_CPU)]
    if load.hold_s:
        command += ["--hold"]
    command += ["--subs", str(load.subscribers), *subscriber.arguments()]
    if load.senders:
        command += ["--senders", str(load.senders), *sender.arguments()]
    if load.late and late:
        command += ["--late", str(load.late), *late.arguments()]
    before = machine.usage(pid)
    measured = Measured({}, rss_before_bytes=before.rss_bytes)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "connected":
                    if load.hold_s:
                        time.sleep(load.hold_s)
                    measured.rss_after_bytes = machine.usage(pid).rss_bytes
                    process.stdin.close()
                elif event["event"] == "start":
                    measured.server_cpu_s = -machine.usage(pid).cpu_s
                    measured.others_cpu_s = -busy_s()
                elif event["event"] == "stop":
                    measured.server_cpu_s += machine.usage(pid).cpu_s
                    measured.others_cpu_s += busy_s()
                else:
                    measured.raw = event
            complaint = process.stderr.read().strip()
        finally:
            process.kill()
    if not measured.raw:
        raise LoadError(complaint or "the load generator ended without a result")
    measured.others_cpu_s -= measured.server_cpu_s + float(measured.raw["cpu_s"])
    measured.problems = problems(load, measured)
    return measured


def busy_s() -> float:
    """Return what the two CPUs that count have worked so far."""
    return sum(machine.busy_s(cpu) for cpu in {machine.SERVER_CPU, machine.LOAD_CPU})


def problems(load: Load, measured: Measured) -> list[str]:
    """Say in words what makes a run worth less than its figures."""
    raw = measured.raw
    found = []
    if raw["subscribers"] < load.subscribers:
        found.append(f"{raw['subscribers']} of {load.subscribers} subscribers connected")
    found += [f"{raw[name]} {name}" for name in ("lost", "extra", "duplicates", "disordered") if raw[name]]
    if load.senders and load.channels == 1 and not raw["same_order"]:
        found.append("subscribers saw different orders")
    if raw["acked_total"] < raw["sent_total"]:
        found.append(f"{raw['sent_total'] - raw['acked_total']} not acknowledged")
    if raw["errors"]:
        found.append(f"{raw['errors']} errors, first: {raw['error']}")
    if measured.others_cpu_s > 0.1 * measured.seconds and measured.raw["seconds"]:
        found.append(f"other programs used {measured.others_cpu_s / measured.seconds:.0%} of a CPU meanwhile")
    if load.senders and measured.generator_use > 0.95 and measured.server_use < 0.9:
        found.append("the load generator was the bottleneck")
    return found
