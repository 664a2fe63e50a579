"""Removing the oldest events, in steps short enough that nobody waits for one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

import msgspec

from ...model import MAX_SEQ

#: How long a step should take: a batch that arrives meanwhile waits so long at most.
STEP_S: Final = 0.005
_FIRST_ROWS: Final = 256
_LEAST_ROWS: Final = 16
_MOST_ROWS: Final = 8192

Run = Callable[..., sqlite3.Cursor]


class Plan(msgspec.Struct, frozen=True):
    """What is to be removed: a beginning of the log, never something out of its middle.

    Attributes:
        keep: how many of the newest events stay; ``None`` for no such bound.
        before_ms: only events stored before this, in Unix milliseconds; ``None`` for no such bound. One that follows
            a younger one (the clock was set back) stays until that one goes.
    """

    keep: int | None = None
    before_ms: int | None = None


def last_to_go(run: Run, plan: Plan) -> int:
    """The greatest position that the plan's ``keep`` lets go; reads only."""
    if plan.keep is None:
        return MAX_SEQ if plan.before_ms is not None else 0
    row = run("SELECT seq FROM messages ORDER BY seq DESC LIMIT 1 OFFSET ?", (plan.keep,)).fetchone()
    return int(row[0]) if row else 0


class Pruner:
    """Decides how much goes in each step; reads only.

    Args:
        upto: :func:`last_to_go`.
        before_ms: the plan's.
    """

    def __init__(self, upto: int, before_ms: int | None) -> None:
        self._upto = upto
        self._before_ms = MAX_SEQ if before_ms is None else before_ms
        self._rows = _FIRST_ROWS

    def next(self, run: Run, floor: int) -> int:
        """The position up to which the next step removes; ``floor`` when nothing more is to go."""
        found = run(
            "SELECT seq, stored_at FROM messages WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (floor, self._upto, self._rows),
        ).fetchall()
        last = floor
        for seq, stored_at in found:
            if stored_at >= self._before_ms:
                break
            last = seq
        return int(last)

    def took(self, seconds: float) -> None:
        """Adapt the size of the next step to how long the last one took."""
        self._rows = max(_LEAST_ROWS, min(_MOST_ROWS, int(self._rows * min(2.0, STEP_S / max(seconds, 1e-6)))))


def remove(run: Run, upto: int) -> tuple[int, float]:
    """One step: remove everything up to a position, in one transaction; how many that were, and the seconds it took.

    Raises:
        sqlite3.Error: nothing was removed; roll back.
    """
    started_s = time.perf_counter()
    run("BEGIN IMMEDIATE")
    removed = run("DELETE FROM messages WHERE seq <= ?", (upto,)).rowcount
    run("UPDATE meta SET value = ? WHERE key = 'floor'", (upto,))
    run("COMMIT")
    return removed, time.perf_counter() - started_s
