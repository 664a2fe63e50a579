"""A real server on a thread of this process: its own loop, a real port, a real SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import urlsplit

from chatkit.log.sqlite import SqliteLog
from chatkit.server import app
from chatkit.server.config import Config
from chatkit.server.context import Context

from .peer import Peer
from .raw import Raw

R = TypeVar("R")

DEADLINE_S = 10.0


class Server:
    """``serve()`` with everything of its own; stopped as a signal would stop it.

    Attributes:
        context: the running server's parts, to be looked at on its loop only: see :meth:`on_loop`.
        error: what ``serve()`` raised.
    """

    context: Context

    def __init__(self, db: Path, **options: Any) -> None:
        self.config = Config(**{"db": db, "port": 0, "durability": "normal", **options})
        self.url = ""
        self.error: BaseException | None = None
        self._started = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="server under test", daemon=True)

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def start(self) -> Server:
        self._thread.start()
        assert self._started.wait(DEADLINE_S), "the server did not start in time"
        if not self.url:
            self._thread.join(DEADLINE_S)
            assert self.error is not None
            raise self.error
        return self

    def stop(self) -> None:
        """Drain, as SIGTERM does. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it ended meanwhile
                self._loop.call_soon_threadsafe(self._stop.set)
        self.wait()

    def wait(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the server did not stop in time"

    def on_loop(self, function: Callable[[], R]) -> R:
        """Call ``function`` on the server's loop and wait for what it returns."""

        async def call() -> R:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(DEADLINE_S)

    def raw(self) -> Raw:
        """A new connection."""
        return Raw(self.port)

    def peer(self, query: str = "", **headers: str) -> Peer:
        """A new WebSocket."""
        return Peer(self.port, query, headers)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=app._loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self.error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Signals reach the main thread only; and the parts of the server are made inside serve().
        with mock.patch.object(app, "_signals", self._signals), mock.patch.object(app, "Context", self._context):
            await app.serve(self.config, self._listening)

    def _listening(self, running: app.Running) -> None:
        self.url = running.url
        self._started.set()

    @contextlib.contextmanager
    def _signals(self, stop: asyncio.Event) -> Iterator[None]:
        self._stop = stop
        yield

    def _context(self, config: Config, log: SqliteLog, max_connections: int) -> Context:
        self.context = Context(config, log, max_connections)
        return self.context
