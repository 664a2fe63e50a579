"""Run every target in a process of its own for a while, and say how many inputs were tried."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from . import seeds

FOLDER = Path(__file__).parent.parent.parent / ".fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: %(default)s)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(seeds.SEEDS))
    given = parser.parse_args()
    unknown = set(given.targets) - seeds.SEEDS.keys()
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    failed = total = 0
    print(f"{'target':<12} {'inputs':>12} {'a second':>10}  result")
    for name in given.targets or seeds.SEEDS:
        inputs, fault = run(name, given.seconds)
        total += inputs
        failed += bool(fault)
        print(f"{name:<12} {inputs:>12,} {inputs / given.seconds:>10,.0f}  {fault or 'ok'}", flush=True)
    print(f"{'all':<12} {total:>12,}")
    return 1 if failed else 0


def run(name: str, seconds: int) -> tuple[int, str]:
    """Fuzz one target; returns the number of inputs, and what went wrong."""
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    done = subprocess.run(
        [sys.executable, "-m", "fuzzing.target", name, str(corpus), f"-max_total_time={seconds}", "-timeout=5",
         "-rss_limit_mb=1024", "-max_len=2048", f"-artifact_prefix={FOLDER / name}-", "-print_final_stats=1"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 300,
    )  # fmt: skip
    log = done.stdout + done.stderr
    (FOLDER / f"{name}.log").write_text(log)
    counted = re.findall(r"number_of_executed_units: (\d+)", log) or re.findall(r"^#(\d+)", log, re.MULTILINE)
    if done.returncode == 0:
        return int(counted[-1]), ""
    wrong = [line for line in log.splitlines() if re.match(r"^(\w+(\.\w+)*(Error|Exception)|==\d+== ERROR)", line)]
    return int(counted[-1]) if counted else 0, (wrong[0] if wrong else "failed")[:100] + f"; see {FOLDER / name}.log"


sys.exit(main())
