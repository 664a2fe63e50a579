"""What every log promises about its feed."""

from __future__ import annotations

import asyncio

from chatkit.log.base import Appended, Log, Query
from chatkit.model import Event

from .engines import Engine, event, everything, message, messages


def heard_by(log: Log) -> list[list[Event]]:
    batches: list[list[Event]] = []
    log.listen(batches.append)
    return batches


def test_the_feed_is_every_batch_in_commit_order(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        batches = heard_by(log)
        await log.append(messages(3, "a"))
        await log.append(messages(2, "b"))
        assert [[item.seq for item in batch] for batch in batches] == [[1, 2, 3], [4, 5]]

    engine.run(scenario)


def test_ephemeral_events_keep_their_places_and_get_no_position(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        batches = heard_by(log)
        outcomes = await log.append(
            [
                event("typing", id="e1", persist=False),
                message("a", id="1"),
                event("typing", id="e2", persist=False),
                message("b", id="2"),
            ]
        )
        assert outcomes == [Appended(None), Appended(1), Appended(None), Appended(2)]
        assert [(item.id, item.seq) for item in batches[0]] == [("e1", None), ("1", 1), ("e2", None), ("2", 2)]
        assert len(await everything(log)) == 2

    engine.run(scenario)


def test_a_batch_of_ephemeral_events_is_fed_too(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        batches = heard_by(log)
        await log.append([event("typing", id="same", persist=False), event("typing", id="same", persist=False)])
        assert [len(batch) for batch in batches] == [2]
        assert log.head == 0

    engine.run(scenario)


def test_neither_duplicates_nor_conflicts_are_fed(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("hi", id="1")])
        batches = heard_by(log)
        await log.append([message("hi", id="1")])
        await log.append([message("hi", id="1"), message("other", id="1"), message("new", id="2")])
        assert [[item.id for item in batch] for batch in batches] == [["2"]]

    engine.run(scenario)


def test_an_event_is_readable_when_it_is_fed(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        heads: list[int] = []
        log.listen(lambda events: heads.append(log.head))
        await log.append(messages(3))
        assert heads == [3]

    engine.run(scenario)


def test_a_read_never_shows_what_was_not_yet_fed(engine: Engine) -> None:
    """A cursor joins the live set at the position of the feed: what it had read beyond would come to it twice."""

    async def scenario(log: Log) -> None:
        fed = 0

        def listen(events: list[Event]) -> None:
            nonlocal fed
            fed += len(events)

        log.listen(listen)
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                for query in (Query(limit=10_000), Query(limit=3, newest=True)):
                    before = fed
                    page = await log.read(query)
                    assert page.position <= before
                    assert not page.events or (page.events[-1].seq or 0) <= before

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            for number in range(200):
                await log.append(messages(5, f"{number}-"))
            done.set()

    engine.run(scenario)
