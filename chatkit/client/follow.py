"""Following channels: the loop that connects, reads, and comes back where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from ..errors import Unreachable
from .backoff import Backoff
from .events import Event, Notice
from .link import Link, Lost
from .resume import Reader


async def follow(
    reader: Reader,
    open_link: Callable[[], Awaitable[Link]],
    *,
    until_level: bool,
    on_notice: Callable[[Notice], object],
    on_level: Callable[[], object],
) -> AsyncGenerator[Event, None]:
    """Yield the events of ``reader`` over as many connections as it takes.

    Nothing is read ahead of the caller: one that stops asking stops the stream at the server, which then serves it
    from the log, so a slow caller loses no persisted event and costs no memory.

    Args:
        reader: what to read, and where it is.
        open_link: makes a connection; raises Lost or ChatkitError.
        until_level: end where the log ends now.
        on_notice: called with each notice.
        on_level: called on each connection when everything up to the end of the log was yielded and dealt with.

    Raises:
        Unreachable: the first connection cannot be made. Later ones are tried for ever.
        Refused: the server says no.
    """
    backoff = Backoff()
    was_connected = is_lost = False
    while True:
        try:
            link = await open_link()
        except (Lost, Unreachable) as error:
            if not was_connected:
                raise Unreachable(str(error)) from None
            await asyncio.sleep(backoff.next_s(random.random()))  # noqa: S311 - jitter, not a secret
            continue
        was_connected = True
        try:
            async with aclosing(_read(link, reader, until_level, on_level)) as incoming:
                async for items in incoming:
                    if reader.is_level:  # not before: a server that goes down over every replay is to be spared
                        backoff.reset()
                    if is_lost:
                        is_lost = False
                        on_notice(Notice("back", "connected again"))
                    for item in items:
                        if isinstance(item, Notice):
                            on_notice(item)
                        else:
                            reader.handed(item)
                            yield item
            return
        except Lost as error:
            if not is_lost:
                is_lost = True
                on_notice(Notice("lost", f"{error}; connecting again"))
        finally:
            await link.close()
        await asyncio.sleep(backoff.next_s(random.random()))  # noqa: S311 - jitter, not a secret


async def _read(
    link: Link, reader: Reader, until_level: bool, on_level: Callable[[], object]
) -> AsyncGenerator[list[Event | Notice], None]:
    """What one connection brings, until it is lost, or until the reader is level."""
    was_level = False
    for command in reader.commands():
        await link.send(command)
    while not (until_level and reader.is_level):
        frame = await link.receive()
        if frame is None:
            continue
        items, commands = reader.receive(frame)
        for command in commands:
            await link.send(command)
        yield items
        if reader.is_level and not was_level:
            was_level = True
            on_level()
