"""What every log promises about reading."""

from __future__ import annotations

import pytest

from chatkit.log.base import ChannelStats, Log, Query
from chatkit.model import Pattern

from .engines import Engine, event, everything, ids, message, messages


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_pages_follow_each_other_without_gap_or_overlap(engine: Engine, page: int) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("x", id=f"m{n}", room="a" if n % 3 else "b") for n in range(14)])
        assert ids(await everything(log, page=page)) == [f"m{n}" for n in range(14)]
        assert ids(await everything(log, "chat/a", page=page)) == [f"m{n}" for n in range(14) if n % 3]

    engine.run(scenario)


def test_a_page_says_how_far_it_has_come_and_whether_more_may_follow(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([*messages(3, "a", room="a"), *messages(4, "b", room="b")])
        full = await log.read(Query(Pattern.parse("chat/a"), limit=2))
        assert (ids(full), full.position, full.more) == (["a0", "a1"], 2, True)
        last = await log.read(Query(Pattern.parse("chat/a"), after=2, limit=2))
        assert (ids(last), last.position, last.more) == (["a2"], 7, False)
        bounded = await log.read(Query(Pattern.parse("chat/a"), after=2, upto=5, limit=2))
        assert (ids(bounded), bounded.position, bounded.more) == (["a2"], 5, False)
        beyond = await log.read(Query(after=7))
        assert (ids(beyond), beyond.position, beyond.more) == ([], 7, False)
        nothing = await log.read(Query(after=3, limit=0))
        assert (ids(nothing), nothing.position, nothing.more) == ([], 3, False)

    engine.run(scenario)


def test_an_empty_log_has_an_empty_page(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        for newest in (False, True):
            page = await log.read(Query(newest=newest))
            assert (page.events, page.position, page.more) == ([], 0, False)

    engine.run(scenario)


def test_the_newest_come_oldest_first(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([*messages(5, "a", room="a"), *messages(5, "b", room="b")])
        assert ids(await log.read(Query(Pattern.parse("chat/a"), limit=2, newest=True))) == ["a3", "a4"]
        assert ids(await log.read(Query(upto=7, limit=3, newest=True))) == ["a4", "b0", "b1"]
        assert ids(await log.read(Query(after=8, limit=3, newest=True))) == ["b3", "b4"]
        assert ids(await log.read(Query(limit=100, newest=True))) == [f"{x}{n}" for x in "ab" for n in range(5)]

    engine.run(scenario)


CHANNELS = ["a/b", "a/c", "a/b/c", "a/b/c/d", "a/x/y/c/d", "b/b", "A/b", "a/bb", "ab/c", "chat/a"]
PATTERNS = [
    "a/b",
    "a/*",
    "a/**",
    "*/b",
    "*/*",
    "*/**",
    "a/*/c",
    "a/*/c/**",
    "a/*/*/**",
    "a/b/**",
    "a/B",
    "chat/*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_reads_the_channels_that_it_matches(engine: Engine, pattern: str) -> None:
    async def scenario(log: Log) -> None:
        await log.append([event(id=f"{channel} {n}", channel=channel) for n in range(2) for channel in CHANNELS])
        matching = [channel for channel in CHANNELS if Pattern.parse(pattern).matches(channel)]
        wanted = [f"{channel} {n}" for n in range(2) for channel in matching]
        for page in (1, 3, 100):
            assert ids(await everything(log, pattern, page=page)) == wanted
        for limit in range(1, len(wanted) + 2):
            newest = await log.read(Query(Pattern.parse(pattern), limit=limit, newest=True))
            assert ids(newest) == wanted[-limit:]

    engine.run(scenario)


def test_time_author_and_name_narrow_a_read(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(
            [
                message("a", id="1", user="ada", at=10),
                message("b", id="2", user="bob", at=30),
                message("c", id="3", user="ada", at=20),
                event("move", id="4", at=30),
            ]
        )
        assert ids(await log.read(Query(since=20))) == ["2", "3", "4"]
        assert ids(await log.read(Query(until=20))) == ["1"]
        assert ids(await log.read(Query(since=20, until=30))) == ["3"]
        assert ids(await log.read(Query(user="bob"))) == ["2"]
        assert ids(await log.read(Query(user="ada", event="chat:message"))) == ["1", "3"]
        assert ids(await log.read(Query(user="ada", limit=1, newest=True))) == ["4"]
        assert ids(await log.read(Query(user="nobody"))) == []

    engine.run(scenario)


def test_the_channels_are_listed_by_name_with_what_they_hold(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        assert await log.channels() == []
        await log.append([message("a", id="1", room="b", at=30), message("b", id="2", room="a", at=20)])
        await log.append([message("c", id="3", room="b", at=10), event("typing", id="4", persist=False)])
        assert await log.channels() == [ChannelStats("chat/a", 1, 2, 20), ChannelStats("chat/b", 2, 3, 10)]

    engine.run(scenario)
