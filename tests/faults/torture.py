"""Round after round of every fault, and a table of what came of it: ``scripts/torture [--minutes N] [--only FAULT]``."""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .load import Load, Verdict
from .proxy import Proxy
from .rig import COMMAND, Server
from .strace import injecting, wal_of, why_not
from .test_files import WRONG_CLOCK

Round = Callable[[Path, random.Random], Verdict]

#: The faults that strace puts in.
_TRACED = {"killed in a write", "killed in a sync", "EIO in a sync", "EIO in a write", "slow sync", "ENOSPC"}


def _end(db: Path, load: Load) -> Verdict:
    """A last server without a fault, and the check."""
    with Server(db) as server:
        load.server_at(server.port)
        load.wait_acknowledged(5)
        verdict = load.finish(db)
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log, server.log
    load.end()
    assert load.not_recovered == 0, "an epoch ended"
    return verdict


def _signalled(number: signal.Signals, durability: str) -> Round:
    def play(folder: Path, rng: random.Random) -> Verdict:
        db, load = folder / "chat.db", Load(senders=rng.randrange(1, 12), readers=3)
        for _ in range(4):
            with Server(db, "--durability", durability) as server:
                load.server_at(server.port)
                load.wait_acknowledged(rng.randrange(1, 400))
                server.kill(number)
            assert "Traceback" not in server.log, server.log
        return _end(db, load)

    return play


def _injected(call: str, what: str, *, ends: bool) -> Round:
    def play(folder: Path, rng: random.Random) -> Verdict:
        db, load = folder / "chat.db", Load(senders=rng.randrange(1, 8), retry_refused=not ends)
        when = rng.randrange(12, 120)
        span = "" if ends else f"..{when + rng.randrange(1, 30)}"
        with Server(db, prefix=injecting(f"{call}:{what}:when={when}{span}", path=wal_of(db))) as server:
            load.server_at(server.port)
            if ends:
                server.wait()
            else:
                load.wait_acknowledged(60)
                assert server.stop() == 0, server.log
            assert "Traceback" not in server.log, server.log
        return _end(db, load)

    return play


def _file_limit(folder: Path, rng: random.Random) -> Verdict:
    db, load = folder / "chat.db", Load(retry_refused=True, size=500)
    with Server(db) as server:
        load.server_at(server.port)
        for _ in range(4):
            load.wait_acknowledged(rng.randrange(5, 80))
            room = wal_of(db).stat().st_size + rng.randrange(0, 20_000)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            load.wait_refused(3)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert server.stop() == 0, server.log
    return _end(db, load)


def _network(folder: Path, rng: random.Random) -> Verdict:
    db, load = folder / "chat.db", Load(senders=8, readers=4)
    with Server(db, "--durability", "normal") as server:
        proxy = Proxy(server.port, cut_after=rng.randrange(500, 20_000), seed=rng.randrange(1000))
        load.server_at(proxy.port)
        for _ in range(3):
            load.wait_acknowledged(60)
            proxy.stall()
            proxy.flow()
        server.kill()
        proxy.close()
    return _end(db, load)


def _clock(folder: Path, rng: random.Random) -> Verdict:
    db, load = folder / "chat.db", Load()
    for _ in range(3):
        seconds = rng.choice([-86_400, 86_400, -3600, 0])
        with Server(db, command=(*COMMAND[:1], "-c", WRONG_CLOCK.format(seconds))) as server:
            load.server_at(server.port)
            load.wait_acknowledged(30)
            server.kill(rng.choice([signal.SIGKILL, signal.SIGTERM]))
    return _end(db, load)


FAULTS: dict[str, Round] = {
    "SIGKILL": _signalled(signal.SIGKILL, "full"),
    "SIGKILL, normal": _signalled(signal.SIGKILL, "normal"),
    "SIGTERM": _signalled(signal.SIGTERM, "full"),
    "killed in a write": _injected("pwrite64", "signal=KILL", ends=True),
    "killed in a sync": _injected("fdatasync", "signal=KILL", ends=True),
    "EIO in a sync": _injected("fdatasync", "error=EIO", ends=True),
    "EIO in a write": _injected("pwrite64", "error=EIO", ends=True),
    "slow sync": _injected("fdatasync", "delay_exit=20000", ends=False),
    "ENOSPC": _injected("pwrite64", "error=ENOSPC", ends=False),
    "file size limit": _file_limit,
    "cutting network": _network,
    "clock set": _clock,
}


class Tally:
    """The rounds of one fault."""

    def __init__(self) -> None:
        self.rounds = self.acknowledged = self.stored = self.delivered = self.lost = self.duplicated = 0

    def add(self, verdict: Verdict) -> None:
        self.rounds += 1
        self.acknowledged += verdict.acknowledged
        self.stored += verdict.stored
        self.delivered += verdict.delivered
        self.lost += verdict.lost
        self.duplicated += verdict.duplicated


def torture(minutes: float, only: str | None, seed: int) -> dict[str, Tally]:
    """Play every fault in turn until the time is over, each at least once."""
    chosen = {name: play for name, play in FAULTS.items() if only is None or only.lower() in name.lower()}
    if reason := why_not():
        print(f"without the faults that strace puts in: {reason}", file=sys.stderr)
        chosen = {name: play for name, play in chosen.items() if name not in _TRACED}
    tallies = {name: Tally() for name in chosen}
    until, number = time.monotonic() + minutes * 60, 0
    while not number or time.monotonic() < until:
        for name, play in chosen.items():
            if number and time.monotonic() >= until:
                break
            with tempfile.TemporaryDirectory(prefix="chatkit-torture-") as folder:
                try:
                    tallies[name].add(play(Path(folder), random.Random(f"{seed} {name} {number}")))
                except BaseException:
                    print(f"in round {number} of {name!r}, --seed {seed}", file=sys.stderr)
                    raise
        number += 1
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """Markdown."""
    lines = [
        "| fault | rounds | acknowledged | stored | delivered | lost | duplicated |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {found.rounds} | {found.acknowledged:,} | {found.stored:,} | {found.delivered:,} | {found.lost} "
        f"| {found.duplicated} |"
        for name, found in tallies.items()
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long; each fault is played at least once")
    parser.add_argument("--only", help="only faults with this in their name")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(table(torture(given.minutes, given.only, given.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
