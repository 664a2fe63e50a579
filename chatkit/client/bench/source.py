"""Hands out the messages to whichever sender is free: as fast as the answers come, or at a fixed rate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from ...errors import ChatkitError, Unreachable

if TYPE_CHECKING:
    from .plan import Plan
    from .sender import Sender

#: Seconds between two looks at the clock at a fixed rate; a loop's timers are no finer.
_TICK_S: Final = 0.001


class Source:
    """The messages of one run.

    At a fixed rate a message is due at its time, whether or not a sender is free then: one that has to wait for a
    sender counts from when it was due, or a server that stalls would be measured only by the few it stalled.

    Attributes:
        done: done when every message has its answer, or a sender failed.
        begun_ns: when the first one was due.
        unsent: how many were due, and no sender was free for them before the end.
        late_ns: the longest time by which this process itself was late with the clock.
    """

    def __init__(self, plan: Plan) -> None:
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self.begun_ns = self.late_ns = self.unsent = 0
        self._rate, self._messages = plan.rate, plan.messages
        self._issued = 0
        self._busy: set[Sender] = set()
        self._idle: list[Sender] = []
        self._due: deque[int] = deque()
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, senders: list[Sender]) -> None:
        """Begin with all of them."""
        self.begun_ns = time.perf_counter_ns()
        if self._rate is not None:
            self._idle = list(senders)
            self._tick()
            return
        self._busy.update(senders)
        for sender in senders:
            self.free(sender)

    def stop(self) -> None:
        """Hand out no more; what is on its way is still awaited."""
        self._stopped = True
        self.unsent = len(self._due)
        self._due.clear()
        if self._timer:
            self._timer.cancel()
        self._check()

    def free(self, sender: Sender) -> None:
        if self._rate is None and self._more():
            self._issued += 1
            sender.send(time.perf_counter_ns())
        elif self._due:
            sender.send(self._due.popleft())
        else:
            self._busy.discard(sender)
            self._idle.append(sender)
            self._check()

    def failed(self, sender: Sender, error: ChatkitError | None) -> None:
        self._busy.discard(sender)
        if sender in self._idle:
            self._idle.remove(sender)
        if self.done.done():
            return
        if error:
            self.done.set_exception(error)
        elif not self._busy and not self._idle:
            self.done.set_exception(Unreachable("the server has ended every connection of a sender"))
        else:
            self._check()

    def _more(self) -> bool:
        return not self._stopped and (self._messages is None or self._issued < self._messages)

    def _check(self) -> None:
        if not self._more() and not self._due and not self._busy and not self.done.done():
            self.done.set_result(None)

    def _tick(self) -> None:
        assert self._rate is not None  # noqa: S101 - the caller's business
        now = time.perf_counter_ns()
        wanted = int((now - self.begun_ns) * self._rate / 1e9) + 1
        if self._issued:
            next_ns = self.begun_ns + int(self._issued / self._rate * 1e9)
            self.late_ns = max(self.late_ns, now - next_ns)
        while self._issued < wanted and self._more():
            self._issued += 1
            if self._idle:
                sender = self._idle.pop()
                self._busy.add(sender)
                sender.send(now)
            else:
                self._due.append(now)
        if self._more():
            pause_s = max(_TICK_S, (self.begun_ns + self._issued / self._rate * 1e9 - now) / 1e9)
            self._timer = self._loop.call_later(pause_s, self._tick)
        else:
            self._check()
