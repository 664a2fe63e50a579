"""The engines that the suite runs against, and what it says to them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from chatkit import wire
from chatkit.errors import Refused
from chatkit.log.base import Appended, Log, Outcome, Page, Query, Submission
from chatkit.log.setup import Durability, prepare
from chatkit.log.sqlite import SqliteLog
from chatkit.model import CHAT_MESSAGE, Event, Pattern

from .memory import MemoryLog

DEADLINE_S = 20.0


class Engine(ABC):
    """One kind of log: opens the same log again and again."""

    name: str

    @abstractmethod
    async def open(self) -> Log: ...

    def run(self, scenario: Callable[[Log], Awaitable[None]]) -> None:
        """Open, do ``scenario``, close."""

        async def whole() -> None:
            log = await self.open()
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await scenario(log)
            finally:
                await log.close()

        asyncio.run(whole())


class SqliteEngine(Engine):
    """Every batch is committed on the writer's thread."""

    name = "sqlite"
    durability: ClassVar[Durability] = "full"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chat.db"

    async def open(self) -> SqliteLog:
        prepare(self.path)
        return await SqliteLog.open(self.path, self.durability)


class InlineEngine(SqliteEngine):
    """Batches are committed on the event loop where they may be."""

    name = "sqlite-inline"
    durability = "normal"


class MemoryEngine(Engine):
    name = "memory"

    def __init__(self, folder: Path) -> None:
        self._log: MemoryLog | None = None

    async def open(self) -> MemoryLog:
        self._log = MemoryLog(self._log)
        return self._log


ENGINES: tuple[type[Engine], ...] = (SqliteEngine, InlineEngine, MemoryEngine)


def message(
    text: str = "hi",
    *,
    room: str = "general",
    id: str,  # noqa: A002 - the name of the field
    user: str = "ada",
    at: int | None = None,
) -> Submission:
    when = 1 if at is None else at
    data = wire.message_data(id, user, text, when)
    event = Event(f"chat/{room}", CHAT_MESSAGE, id, user, when, data)
    return Submission(event, text, derived=True, timestamp_given=at is not None)


def event(
    name: str = "move",
    data: bytes = b"{}",
    *,
    channel: str = "game/one",
    id: str,  # noqa: A002
    persist: bool = True,
    at: int = 1,
) -> Submission:
    return Submission(Event(channel, name, id, "ada", at, data, None, persist))


def messages(count: int, prefix: str = "m", **options: Any) -> list[Submission]:
    return [message(str(number), id=f"{prefix}{number}", **options) for number in range(count)]


def seqs(outcomes: list[Outcome]) -> list[int | None]:
    assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes
    return [outcome.seq for outcome in outcomes if isinstance(outcome, Appended)]


def codes(outcomes: list[Outcome]) -> list[str]:
    return [outcome.code if isinstance(outcome, Refused) else "ok" for outcome in outcomes]


async def everything(log: Log, pattern: str | None = None, page: int = 1000, **bounds: Any) -> list[Event]:
    """All that matches, page by page."""
    found: list[Event] = []
    after = 0
    while True:
        answer = await log.read(Query((pattern and Pattern.parse(pattern)) or None, after=after, limit=page, **bounds))
        found += answer.events
        assert answer.position >= after
        after = answer.position
        if not answer.more:
            return found


def ids(found: Page | list[Event]) -> list[str]:
    return [event.id for event in (found.events if isinstance(found, Page) else found)]
