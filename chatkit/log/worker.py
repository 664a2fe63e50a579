"""A thread that does blocking work for the event loop, one piece after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

R = TypeVar("R")

_Task = tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]]


class Worker:
    """One thread with a queue.

    An executor would do, but makes three futures of each call and copies the result from one to the next, which is a
    good part of what a small batch costs.
    """

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._unsettled = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., R], *args: object) -> asyncio.Future[R]:
        """Call ``function(*args)`` on the thread, after what was asked for before; await the result on the loop."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._unsettled += 1
        self._queue.put((future, function, args))
        return future

    @property
    def is_idle(self) -> bool:
        """Whether everything that was asked for is done; asked on the loop."""
        return not self._unsettled

    def close(self) -> None:
        """End the thread when its queue is done, and wait for that. Idempotent."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            future, function, args = task
            try:
                result, error = function(*args), None
            except BaseException as raised:
                result, error = None, raised
            try:
                future.get_loop().call_soon_threadsafe(self._settle, future, result, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del task, future, function, args, result, error  # nothing of it is kept alive while the queue is empty

    def _settle(self, future: asyncio.Future[R], result: R, error: BaseException | None) -> None:
        self._unsettled -= 1
        if future.done():
            return  # whoever waited was cancelled
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
