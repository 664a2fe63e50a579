"""A stream of events that knows how far it was read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Self

from .events import Event

if TYPE_CHECKING:
    from .position import Cursor
    from .resume import Reader


class Stream(AsyncIterator[Event]):
    """The events of :meth:`chatkit.Chat.tail`, to be read with ``async for``."""

    def __init__(self, events: AsyncGenerator[Event, None], reader: Reader) -> None:
        self._events, self._reader = events, reader

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def aclose(self) -> None:
        """End it, and its connection."""
        await self._events.aclose()

    @property
    def cursor(self) -> Cursor:
        """Where it is, behind the event that it yielded last.

        Keep it when that event is dealt with, not before: whoever goes on from it gets what follows, and nothing twice.
        """
        return self._reader.cursor
