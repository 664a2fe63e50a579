"""`scripts/bench`: the options and the rounds."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import cache, floor, machine, report
from .generator import LoadError
from .peers import ALL
from .peers.base import Peer
from .results import Report, Row, Table
from .scenarios import Plan, Scenario, scenarios

MATPLOTLIB = "matplotlib==3.11.2"
OPEN_FILES_NEEDED = 10_200


def parser() -> argparse.ArgumentParser:
    names = ", ".join(scenario.name for scenario in scenarios(quick=False))
    found = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Put chatkit and its peers under the same load on this machine, one after another, and compare.",
        epilog=f"Scenarios: {names}. Servers: {', '.join(peer.name for peer in ALL)}. "
        "What is built and installed for it goes to .bench/; the first run takes some minutes for that. "
        "All of it, with three rounds, takes about three quarters of an hour.",
    )
    found.add_argument("--quick", action="store_true", help="under two minutes: one round, short, no 9,000 connections")
    found.add_argument(
        "--only", metavar="NAME", action="append", help="only the scenarios whose name starts so; repeatable"
    )
    found.add_argument("--peer", metavar="NAME", action="append", help="only this server; repeatable")
    found.add_argument("--rounds", metavar="N", type=int, help="rounds to take medians of (default 3, 1 with --quick)")
    found.add_argument("--json", metavar="FILE", type=Path, help="write everything measured, every round")
    found.add_argument("--plot", metavar="FILE", type=Path, help="draw it, as .svg or .png")
    found.add_argument(
        "--floor",
        action="store_true",
        help="only check that chatkit holds its floors; exit 1 when not, 75 when too busy to tell",
    )
    return found


def installed(peers: list[Peer]) -> tuple[dict[str, str], dict[str, str]]:
    """Install each server; return versions by title, and reasons by title for those that cannot be had."""
    versions, missing = {}, {}
    for peer in peers:
        try:
            peer.install()
            versions[peer.title] = peer.version()
        except cache.MissingError as reason:
            missing[peer.title] = str(reason)
            cache.say(f"{peer.title} is missing: {reason}")
    return versions, missing


def why_not(scenario: Scenario, peer: Peer, missing: dict[str, str]) -> str:
    """Say why a server has no figures in a scenario, "" when it has."""
    if scenario.needs_replay and not peer.replays:
        return report.NO_REPLAY
    return missing.get(peer.title, "")


def measure(chosen: list[Scenario], peers: list[Peer], missing: dict[str, str], plan: Plan, rounds: int) -> list[Table]:
    """Go round by round over everything, so that a slow minute of the machine does not fall on one server alone."""
    tables = []
    for scenario in chosen:
        able = [peer for peer in peers if not scenario.only_chatkit or peer.name == "chatkit-full"]
        if able:
            rows = [Row(peer.name, peer.title, peer.keeps, missing=why_not(scenario, peer, missing)) for peer in able]
            tables.append(Table(scenario, rows))
    of = {peer.name: peer for peer in peers}
    for number in range(rounds):
        for table in tables:
            for row in table.rows:
                if row.missing:
                    continue
                one = f"round {number + 1}/{rounds}  {table.scenario.name}  {row.title}"
                try:
                    figures, problems = table.scenario.measure(of[row.peer], plan)
                except (cache.MissingError, LoadError, RuntimeError, OSError) as error:
                    row.problems.append(f"no figures in round {number + 1}: {error}")
                    cache.say(f"{one}  {error}")
                    continue
                row.rounds.append(figures)
                row.problems += problems
                key = table.key
                value = report.figure(figures.get(key.name), key.unit)
                cache.say(f"{one}  {value} {key.name}{'  (' + '; '.join(problems) + ')' if problems else ''}")
    return tables


def draw(written: Path, picture: Path) -> None:
    python = cache.python_with("plot", MATPLOTLIB)
    command = [str(python), str(Path(__file__).with_name("plot.py")), str(written), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        cache.say(f"cannot draw: {(done.stderr.strip().splitlines() or ['no word why'])[-1]}")


def main(arguments: list[str]) -> int:
    """Run the benchmark; return the exit code: 0 measured, 1 a floor missed, 2 bad options, 69 cannot
    measure here, 75 too busy."""
    options = parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        cache.say("the benchmark needs Linux: its load generator uses epoll")
        return 69
    if not cache.alone():
        cache.say("another benchmark is running here, and each would spoil the other's figures")
        return 75
    files = machine.raise_open_files()
    if files < OPEN_FILES_NEEDED:
        cache.say(
            f"at most {files} open files here: scenarios with 9,000 and more connections need {OPEN_FILES_NEEDED}"
        )
    try:
        cache.load_generator()
    except cache.MissingError as reason:
        cache.say(f"cannot compile the load generator: {reason}")
        return 69
    if options.floor:
        return floor.run(options.rounds or 2)
    plan = Plan(quick=options.quick)
    chosen = [one for one in scenarios(options.quick) if not options.only or one.name.startswith(tuple(options.only))]
    peers: list[Peer] = [one() for one in ALL if not options.peer or one.name in options.peer]
    if not chosen or not peers:
        cache.say("no such scenario or server; see --help for their names")
        return 2
    begun = time.monotonic()
    versions, missing = installed(peers)
    ready = time.monotonic()
    rounds = options.rounds or (1 if options.quick else 3)
    header = machine.describe()
    tables = measure(chosen, peers, missing, plan, rounds)
    command = shlex.join(["scripts/bench", *arguments])
    found = Report(header, versions, missing, tables, command, rounds)
    print(report.text(found))
    cache.say(f"measured in {time.monotonic() - ready:.0f} s, after {ready - begun:.0f} s of getting ready")
    with tempfile.TemporaryDirectory() as folder:
        written = options.json or Path(folder) / "report.json"
        written.write_text(json.dumps(found.as_json(), indent=1) + "\n")
        if options.plot:
            draw(written, options.plot)
    return 0
