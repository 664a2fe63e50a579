"""Faults in system calls, put there by strace: an error, a delay, or a signal at the n-th call on one file."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


def injecting(*rules: str, path: Path, log: Path | None = None) -> list[str]:
    """The command that runs another with system calls on ``path`` bent by ``rules``: ``fdatasync:error=EIO:when=3``."""
    calls = ",".join(sorted({rule.partition(":")[0] for rule in rules}))
    injections = [part for rule in rules for part in ("-e", f"inject={rule}")]
    return ["strace", "-f", "-qq", "-o", str(log or os.devnull), "-P", str(path), "-e", f"trace={calls}", *injections]


@cache
def why_not() -> str:
    """Why strace cannot be used here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", "inject=getuid:retval=7", "id", "-ru"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return "" if tried.stdout.strip() == "7" else f"strace cannot trace here: {tried.stderr.strip()[:200]}"


def need_strace() -> None:
    """Skip, and say so, where strace cannot be used; where CI runs, it has to be there."""
    reason = why_not()
    if reason:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI needs it")
        pytest.skip(reason)


def wal_of(db: Path) -> Path:
    return db.with_name(db.name + "-wal")
