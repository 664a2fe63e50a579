"""`chatkit send` as a whole process, and `send --lines` from a pipe."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from . import generator, machine
from .peers.chatkit import PROGRAM

LIMIT_S = 60


def _pinned(command: list[str]) -> list[str]:
    if machine.pinned(machine.LOAD_CPU):
        return ["taskset", "--cpu-list", str(machine.LOAD_CPU), *command]
    return command


def _timed_ms(command: list[str], text: bytes | None = None, env: dict[str, str] | None = None) -> float:
    begun = time.perf_counter()
    done = subprocess.run(_pinned(command), input=text, env=env, capture_output=True, check=False, timeout=LIMIT_S)
    taken = time.perf_counter() - begun
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"]
        raise RuntimeError(f"`{' '.join(command[1:3])}` ended with {done.returncode}: {complaint[-1][:120]}")
    return taken * 1e3


def _elsewhere_s() -> float:
    """Return what the CPUs have worked for anything but this program and its children that have ended."""
    children, own = os.times(), time.process_time()
    return generator.busy_s() - children.children_user - children.children_system - own


def measure(port: int, runs: int, lines: int) -> tuple[dict[str, float], list[str]]:
    """Return the median time of a whole `chatkit send general hi`, and the rate of `send --lines`."""
    env = {**os.environ, "CHATKIT_URL": f"http://127.0.0.1:{port}"}
    program = str(PROGRAM)
    send = [program, "send", "general", "hi"]
    _timed_ms(send, env=env)  # the first one writes byte code
    before = _elsewhere_s(), time.perf_counter()
    figures = {"send": statistics.median(_timed_ms(send, env=env) for _ in range(runs))}
    figures["python itself"] = statistics.median(_timed_ms([sys.executable, "-c", ""]) for _ in range(runs))
    figures["others"] = (_elsewhere_s() - before[0]) / (time.perf_counter() - before[1]) * 100
    problems = []
    try:
        text = b"".join(b"line %d of a pipe\n" % n for n in range(lines))
        figures["send --lines"] = lines / _timed_ms([program, "send", "general", "--lines"], text, env) * 1e3
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        problems.append(str(error))
    return figures, problems
