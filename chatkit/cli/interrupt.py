"""Ctrl-C in a command that runs a loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

#: How long an interrupted program may take to end.
_CLEANING_UP_S: Final = 2.0


def run(main: Coroutine[Any, Any, T]) -> T:
    """As :func:`asyncio.run`, but SIGINT raises KeyboardInterrupt at once, wherever the program is.

    asyncio's own handler cancels the main task, which does nothing while a write to a full pipe blocks the loop: a
    ``chatkit tail ... | less`` could then not be stopped.
    """
    before = signal.signal(signal.SIGINT, _raise)
    try:
        with asyncio.Runner() as runner, _woken_by_signals(runner.get_loop()):
            return runner.run(main)
    finally:
        _limit(0)
        signal.signal(signal.SIGINT, before)


def _limit(seconds: float) -> None:
    """Interrupt again after so long: a library may have swallowed it, or waits for what it was interrupted in."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, seconds)


@contextlib.contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """See to it that a handler runs even when its signal comes just before the loop begins to wait, or in a thread.

    Python calls handlers in the main thread, between two instructions; a wait that has begun meanwhile would go on until
    something else ends it.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers
            loop.add_reader(ours, ours.recv, 4096)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError):
                loop.remove_reader(ours)
            signal.set_wakeup_fd(before)


def _raise(number: int, frame: FrameType | None) -> None:
    _limit(_CLEANING_UP_S)
    raise KeyboardInterrupt
