"""What every connection of one server shares."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import uuid_utils

from ..log.base import Log
from .access import Access
from .config import Config
from .counters import Counters
from .cursor import Pages
from .hub import Hub
from .journal import Journal
from .presence import Presence
from .submissions import Maker
from .wheel import TimerWheel

if TYPE_CHECKING:
    from .http import HttpConnection
    from .outlet import Outlet

logger = logging.getLogger("chatkit.server")


class Context:
    """The parts of a running server, put together once.

    Attributes:
        http: open connections that speak HTTP.
        links: open connections that events leave by, WebSockets most of them.
        counters: what the connections have seen.
        pruning: held while events are removed.
        started_s: when the server started, in Unix seconds.
        numbers: one for each new connection.
        draining: whether the server is stopping.
    """

    def __init__(self, config: Config, log: Log, max_connections: int) -> None:
        self.config = config
        self.log = log
        self.max_connections = max_connections
        self.projects = frozenset(config.projects)
        self.access = Access(config)
        self.logger = logger
        self.hub = Hub(log.head)
        self.journal = Journal(log, config.max_journal_bytes)
        self.pages = Pages(log, self.hub, config.replay_page)
        self.presence = Presence()
        self.maker = Maker(lambda: time.time_ns() // 1_000_000, lambda: str(uuid_utils.uuid7()))
        self.wheel = TimerWheel()
        self.http: set[HttpConnection] = set()
        self.links: set[Outlet] = set()
        self.counters = Counters()
        self.pruning = asyncio.Lock()
        self.started_s = time.time()
        self.numbers = itertools.count(1)
        self.draining = False
        self._empty = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether one more connection would be over the limit."""
        return len(self.http) + len(self.links) >= self.max_connections

    def forget(self, connection: HttpConnection | Outlet) -> None:
        """A connection is closed, or has become another kind. Idempotent."""
        self.http.discard(connection)
        self.links.discard(connection)
        if self.draining and not self.http and not self.links:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until no connection is left, after ``draining`` was set."""
        if self.http or self.links:
            await self._empty.wait()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` on its own. The loop holds tasks weakly, so this keeps it, and logs how it failed."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counters.errors += 1
            logger.error("a task failed", exc_info=error)

    async def cancel_tasks(self) -> None:
        """End everything that :meth:`spawn` started."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
