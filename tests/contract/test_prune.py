"""Pruning, and where the newest events begin, on every engine."""

from __future__ import annotations

import asyncio
import time

from chatkit.errors import LogFailed
from chatkit.log.base import Log, Pruned, Query
from chatkit.log.maintenance.pruning import Plan
from chatkit.log.sqlite import SqliteLog
from chatkit.model import Pattern

from .engines import Engine, SqliteEngine, everything, ids, message, messages


def test_the_oldest_go_and_positions_go_on(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(10))
        seen: list[int] = []
        assert await log.prune(Plan(keep=3), seen.append) == Pruned(7, done=True)
        assert (log.floor, log.head, seen[-1]) == (7, 10, 7)
        assert ids(await everything(log)) == ["m7", "m8", "m9"]
        assert await log.prune(Plan(keep=3)) == Pruned(0, done=True)
        assert await log.prune(Plan(keep=0)) == Pruned(3, done=True)
        await log.append(messages(2, "n"))
        assert [event.seq for event in await everything(log)] == [11, 12]

    async def again(log: Log) -> None:
        assert (log.floor, log.head) == (10, 12)

    engine.run(scenario)
    engine.run(again)


def test_appends_go_on_between_the_steps(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(600))
        pruning = asyncio.create_task(log.prune(Plan(keep=100)))
        number = 0
        while not pruning.done():
            await log.append([message("x", id=f"late{number}")])
            number += 1
            await asyncio.sleep(0)  # an append may be done without a turn of the loop
        assert (await pruning).done
        found = await everything(log)
        assert ids(found)[-number:] == [f"late{n}" for n in range(number)]
        assert [event.seq for event in found] == list(range(log.floor + 1, log.head + 1))

    engine.run(scenario)


def test_a_limit_ends_it_early(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(600))
        pruned = await log.prune(Plan(keep=10), limit=1)
        assert (pruned.removed >= 1, pruned.done) == (True, False)
        assert len(await everything(log)) == 600 - pruned.removed

    engine.run(scenario)


def test_where_the_newest_begin(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        assert await log.start_of_last(Pattern.parse("chat/a"), 5) == 0
        await log.append([message("x", id=str(n), room="ab"[n % 2]) for n in range(10)])
        for topic, count, start in (
            ("chat/a", 1, 8),
            ("chat/a", 2, 6),
            ("chat/b", 2, 7),
            ("chat/*", 3, 7),
            ("chat/a", 99, 0),
            ("game/**", 5, 10),
        ):
            assert await log.start_of_last(Pattern.parse(topic), count) == start, topic

    engine.run(scenario)


def test_a_page_ends_with_the_event_that_is_too_much(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(1) + [message("x" * 1000, id=f"x{n}") for n in range(9)])
        first = await log.read(Query(max_bytes=1500))
        assert (ids(first), first.position, first.more) == (["m0", "x0", "x1"], 3, True)
        one = await log.read(Query(after=3, max_bytes=1))
        assert (ids(one), one.position, one.more) == (["x2"], 4, True)
        rest = await log.read(Query(after=4, max_bytes=10**6))
        assert (len(rest.events), rest.position, rest.more) == (6, 10, False)

    sqlite.run(scenario)


def test_age_takes_a_beginning_only(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        assert log._writer is not None
        await log.append(messages(5))
        now_ms = int(time.time() * 1000)
        log._writer._run("UPDATE messages SET stored_at = ? WHERE seq IN (1, 2, 4)", (now_ms - 10_000,))
        assert await log.prune(Plan(before_ms=now_ms - 5_000)) == Pruned(2, done=True)
        assert ids(await everything(log)) == ["m2", "m3", "m4"]
        assert log.floor == 2

    sqlite.run(scenario)


def test_a_checkpoint_that_fails_ends_the_log(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        writer, told = log._writer, asyncio.Event()
        assert writer is not None
        log.listen(lambda events: None, lambda error: told.set())

        def fail() -> None:
            raise LogFailed("checkpointing failed")

        writer.checkpoint = fail  # type: ignore[method-assign]
        log._start_checkpoint(writer)
        await told.wait()
        try:
            await log.append(messages(1))
        except LogFailed:
            return
        raise AssertionError

    sqlite.run(scenario)
