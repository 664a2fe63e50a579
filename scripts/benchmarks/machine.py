"""What the machine is, and what a process on it uses."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cache

SERVER_CPU, LOAD_CPU = 0, 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def raise_open_files() -> int:
    """Raise the limit of open files as far as it goes, for this process and all that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def pinned(cpu: int) -> bool:
    """Tell whether a process may be pinned to `cpu` here."""
    return cpu in os.sched_getaffinity(0)


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "-"
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else "-"


def yardstick() -> str:
    """Say what a bare loop of write(2) to 1,000 connections reaches here, the best of three."""
    cpus = (SERVER_CPU, LOAD_CPU) if pinned(SERVER_CPU) and pinned(LOAD_CPU) else (-1, -1)
    command = [str(cache.yardstick()), *map(str, cpus)]
    best = [0.0, 0.0, 0.0]
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        figures = [float(field) for field in done.stdout.split()]
        if len(figures) != len(best):
            return "does not run here"
        best = list(map(max, best, figures))
    one, eight, many = (figure / 1e6 for figure in best)
    return (
        f"a C loop of write(2) to 1,000 connections passes {one:.2f} M frames/s with 1 frame a write, "
        f"{eight:.2f} M with 8, {many:.2f} M with 64"
    )


def describe() -> dict[str, str]:
    """Return the lines of the header."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_gb = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES / 1e9
    cpus = len(os.sched_getaffinity(0))
    return {
        "machine": f"{model}, {cpus} CPUs, {memory_gb:.0f} GB",
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', 'Linux')}, kernel {platform.release()}, "
        f"{' '.join(platform.libc_ver())}",
        "python": platform.python_version(),
        "node": _first_line(["node", "--version"]),
        "pinning": f"server on CPU {SERVER_CPU}, load generator on CPU {LOAD_CPU}"
        if pinned(SERVER_CPU) and pinned(LOAD_CPU)
        else "none: this process may not use two CPUs, so server and load generator share",
        "yardstick": yardstick(),
        "load before": f"{os.getloadavg()[0]:.2f} (another program at work makes every figure worse)",
    }


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children have used: CPU seconds so far, resident bytes now."""

    cpu_s: float
    rss_bytes: int


def busy_s(cpu: int) -> float:
    """Return the seconds that a CPU has worked so far, for whatever process."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _, _, irq, softirq, *_ = (int(field) for field in line.split()[1:])
            return (user + nice + system + irq + softirq) / TICKS_PER_S
    return 0.0


def usage(pid: int) -> Usage:
    """Add up a process and all its descendants. Kernel memory, such as socket buffers, is not in it."""
    children: dict[int, list[int]] = {}
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            stats[int(entry.name)] = fields
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    ticks = rss = 0
    todo = [pid]
    while todo:
        one = todo.pop()
        todo += children.get(one, [])
        if one in stats:
            ticks += int(stats[one][11]) + int(stats[one][12])
            rss += int(stats[one][21]) * PAGE_BYTES
    return Usage(ticks / TICKS_PER_S, rss)
