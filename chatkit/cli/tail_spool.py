"""While ``chatkit tail`` runs, its server is there: deliver what was spooled for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ..client.places import spool_path
from .ending import complain
from .spooled import messages

if TYPE_CHECKING:
    from ..client.endpoint import Endpoint

#: Seconds between two looks at the file's time, which tell whether another process has spooled something meanwhile.
_LOOK_S = 5.0
#: Seconds that an end of the tail waits for the message in flight.
_LAST_S = 1.0


class Courier:
    """Delivers in a thread of its own, which is a daemon: what it is in the middle of may end at any moment."""

    def __init__(self, endpoint: Endpoint, token: str | None) -> None:
        self._endpoint, self._token = endpoint, token
        self._path = spool_path()
        self._wake = asyncio.Event()
        self._seen: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._ending = False
        self._said = ""

    def connected(self) -> None:
        """The server is there: look now."""
        self._seen = None
        self._wake.set()

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Look for something to deliver, now and then, for as long as the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._ending = True
            if self._thread:
                self._thread.join(_LAST_S)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._thread and self._thread.is_alive():
                continue
            look = self._look()
            if look and look != self._seen:
                self._seen = look
                self._thread = threading.Thread(target=self._deliver, name="courier", daemon=True)
                self._thread.start()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _deliver(self) -> None:
        from .spool_rest import run  # noqa: PLC0415 - sqlite3

        rest = run(self._path, self._endpoint, self._token, lambda: not self._ending)
        if rest.delivered:
            complain(f"delivered {messages(rest.delivered)} from the spool")
        if not rest.over:
            self._seen = None  # look again, whether it has changed or not
        said = str(rest.error or "")
        if said and said != self._said:
            complain(f"what was spooled for {self._endpoint.url} still waits: {said}")
        self._said = said
