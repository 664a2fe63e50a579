"""One timer for every connection."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from typing import Final

TICK_S: Final = 1.0

logger = logging.getLogger("chatkit.server")


class Timed(ABC):
    """Something that wants to be asked about the time now and then."""

    __slots__ = ()

    @abstractmethod
    def tick(self, now_s: float) -> float | None:
        """Do what is due.

        Args:
            now_s: monotonic seconds.

        Returns:
            Seconds until the next call, ``None`` for never.
        """


class TimerWheel:
    """Calls :meth:`Timed.tick` of thousands of connections from one timer, within a second of when they asked.

    A hashed wheel (Varghese and Lauck, 1987): scheduling is one set insertion, and a tick touches only what is due.
    """

    def __init__(self, slots: int = 128) -> None:
        self._slots: list[set[Timed]] = [set() for _ in range(slots)]
        self._hand = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, timed: Timed, delay_s: float) -> set[Timed]:
        """Call ``timed`` in ``delay_s`` seconds, rounded up to a tick; longer than the wheel means once around.

        Returns:
            The slot that holds it until then; discarding it there takes the call back.
        """
        ticks = min(max(1, int(delay_s / TICK_S + 0.999)), len(self._slots) - 1)
        slot = self._slots[(self._hand + ticks) % len(self._slots)]
        slot.add(timed)
        return slot

    def start(self) -> None:
        """Start ticking on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._turn)

    def stop(self) -> None:
        """Stop ticking. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self.start()
        self._hand = (self._hand + 1) % len(self._slots)
        due, self._slots[self._hand] = self._slots[self._hand], set()
        now = time.monotonic()
        for timed in due:
            try:
                delay_s = timed.tick(now)
            except Exception:  # one connection's fault is no reason to forget the others'
                logger.exception("a connection's timer failed")
                continue
            if delay_s is not None:
                self.add(timed, delay_s)
