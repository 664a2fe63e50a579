"""``chatkit tail``: follow channels."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import Coroutine, Iterator
from contextlib import aclosing
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from ..client.client import Chat, connect
from ..client.events import Event, Notice
from ..client.stream import Stream
from ..errors import InvalidName
from . import interrupt
from .cursor import CursorFile
from .ending import UsageError, complain
from .render import Renderer
from .tail_spool import Courier

DEFAULT_LAST = 10


def run(
    *,
    channels: list[str],
    last: int | None,
    after: int | None,
    cursor: str | None,
    json_output: bool,
    no_follow: bool,
    events: list[str] | None,
    count: int | None,
    url: str | None,
    token_file: str | None,
    ca_file: str | None,
) -> int:
    """Print events until there are no more to print; raises ChatkitError."""
    for flag, value, least in (("--last", last, 0), ("--after", after, 0), ("--count", count, 1)):
        if value is not None and value < least:
            raise UsageError(f"{flag} should be {least} or more")
    if last is not None and after is not None:
        raise UsageError("--last and --after exclude each other: both say where to start")
    if last is None and after is None:
        last = DEFAULT_LAST
    file = CursorFile(cursor) if cursor else None
    several = len(channels) > 1 or any("*" in channel for channel in channels)
    printer = _Printer(json_output, events or [], several)
    chat = connect(url, token_file=token_file, ca_file=ca_file)
    kept = file.read() if file else None
    courier = None if no_follow else Courier(chat.endpoint, chat.token)

    def on_level() -> None:
        if file:
            file.keep(stream.cursor)
        if courier:
            courier.connected()

    try:
        stream = chat.tail(
            *channels,
            last=last,
            after=after,
            cursor=kept,
            follow=not no_follow,
            ephemeral=printer.wants_ephemeral,
            on_notice=_on_notice,
            on_level=on_level,
        )
    except InvalidName as error:
        raise file.wrong(error) if file and error.what == "cursor" else error from None
    if file:
        file.keep(stream.cursor)  # where it cannot be written, hear so before the first event is printed
    interrupt.run(_run(courier, _print_all(chat, stream, printer, count, file)))
    return 0


async def _run(courier: Courier | None, printing: Coroutine[Any, Any, None]) -> None:
    async with courier.at_work() if courier else contextlib.nullcontext():
        await printing


async def _print_all(chat: Chat, stream: Stream, printer: _Printer, count: int | None, file: CursorFile | None) -> None:
    left = count
    with _watching_stdout():
        async with chat, aclosing(stream):
            async for event in stream:
                printed = printer.print(event)
                if file and printed:
                    file.keep(stream.cursor)
                elif file:
                    file.keep_lazily(lambda: stream.cursor)
                if printed and left is not None:
                    left -= 1
                    if left == 0:
                        return


def _on_notice(notice: Notice) -> None:
    complain(notice.text)


class _Printer:
    """Prints the events that are asked for, each at once."""

    def __init__(self, json_output: bool, names: list[str], several: bool) -> None:
        self._json, self._names = json_output, names
        self._is_terminal = sys.stdout.isatty()
        colour = self._is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        today = datetime.now().strftime("%Y-%m-%d")
        self._renderer = Renderer(colour=colour, name_channels=several, today=today)
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 ends nothing

    @property
    def wants_ephemeral(self) -> bool:
        """Whether events that are not in the log are asked for: only by their name."""
        return bool(self._names)

    def print(self, event: Event) -> bool:
        """Print ``event`` if it is asked for; returns whether it was."""
        if self._names and not any(fnmatchcase(event.event, name) for name in self._names):
            return False
        line = event.to_json() if self._json else self._shown(event)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        return True

    def _shown(self, event: Event) -> str:
        return self._renderer.show(event, _cells() if self._is_terminal else None)


def _cells() -> int:
    """The width of the terminal now."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


@contextlib.contextmanager
def _watching_stdout() -> Iterator[None]:
    """End when whoever reads our output is gone, even while there is nothing to print, as GNU tail does."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    gone = False

    def on_gone() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(1)
        if task:
            task.cancel()

    watched = False
    with contextlib.suppress(OSError, NotImplementedError):
        if stat.S_ISFIFO(os.fstat(1).st_mode):
            loop.add_reader(1, on_gone)  # the writing end of a pipe polls ready only for its error
            watched = True
    try:
        yield
    except asyncio.CancelledError:
        if gone:
            raise BrokenPipeError from None
        raise
    finally:
        if watched:
            loop.remove_reader(1)
