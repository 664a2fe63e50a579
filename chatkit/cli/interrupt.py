"""Ctrl-C in a command that runs a loop."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt at once, wherever the program is.

    asyncio's own handler cancels the main task, which does nothing while a write to a full pipe blocks the loop: a
    ``chatkit tail ... | less`` could then not be stopped.
    """
    before = signal.signal(signal.SIGINT, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
