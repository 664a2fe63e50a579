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


class Step(msgspec.Struct, frozen=True):
    """What a step did: how many it removed, everything after which position is kept now, and whether it was the last."""

    removed: int
    floor: int
    done: bool


def last_to_go(run: Run, plan: Plan) -> int:
    """The greatest position that the plan's ``keep`` lets go; reads only."""
    if plan.keep is None:
        return MAX_SEQ if plan.before_ms is not None else 0
    row = run("SELECT seq FROM messages ORDER BY seq DESC LIMIT 1 OFFSET ?", (plan.keep,)).fetchone()
    return int(row[0]) if row else 0


class Pruner:
    """Removes step by step; each step is one transaction on the connection that owns the file.

    Args:
        upto: :func:`last_to_go`.
        before_ms: the plan's.
    """

    def __init__(self, upto: int, before_ms: int | None) -> None:
        self._upto = upto
        self._before_ms = MAX_SEQ if before_ms is None else before_ms
        self._rows = _FIRST_ROWS

    def step(self, run: Run, floor: int) -> Step:
        """Remove some of the events after ``floor``.

        Raises:
            sqlite3.Error: nothing was removed; roll back.
        """
        started = time.perf_counter()
        run("BEGIN IMMEDIATE")
        found = run(
            "SELECT seq, stored_at FROM messages WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (floor, self._upto, self._rows),
        ).fetchall()
        going = 0
        for _, stored_at in found:
            if stored_at >= self._before_ms:
                break
            going += 1
        if not going:
            run("ROLLBACK")
            return Step(0, floor, done=True)
        last = int(found[going - 1][0])
        run("DELETE FROM messages WHERE seq > ? AND seq <= ?", (floor, last))
        run("UPDATE meta SET value = ? WHERE key = 'floor'", (last,))
        run("COMMIT")
        done = going < self._rows
        taken_s = max(time.perf_counter() - started, 1e-6)
        self._rows = max(16, min(_MOST_ROWS, int(self._rows * min(2.0, STEP_S / taken_s))))
        return Step(going, last, done)
