"""What every log promises about accepting."""

from __future__ import annotations

from copy import deepcopy

import pytest

from chatkit.log.base import Appended, Log, Submission
from chatkit.model import Event

from .engines import Engine, codes, event, everything, ids, message, messages, seqs


def test_positions_start_at_one_and_rise_in_the_order_of_the_batches(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        assert log.head == 0
        assert seqs(await log.append(messages(3, "a"))) == [1, 2, 3]
        assert seqs(await log.append(messages(2, "b"))) == [4, 5]
        assert log.head == 5

    engine.run(scenario)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 700])
def test_a_batch_of_any_size_is_kept_whole_and_in_order(engine: Engine, size: int) -> None:
    async def scenario(log: Log) -> None:
        assert seqs(await log.append(messages(size))) == list(range(1, size + 1))
        found = await everything(log)
        assert ids(found) == [f"m{number}" for number in range(size)]
        assert [item.seq for item in found] == list(range(1, size + 1))

    engine.run(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        message("hi", id="1", user="ada", at=5),
        message("\0 nul, \x1b escape, 日本 \U0001f600 \u202e", id="1", at=2**53 - 1),
        message("x" * 65_000, id="i" * 200, user="ü" * 128, at=0),
        event("typing", b'{"a":[1,2.5,null,true,"\\u00e9"]}', id="1", channel="game/" + "é" * 60),
        event("n", b"null", id="1"),
        event("chat:message", b'{"text":5}', id="1", channel="chat/a"),
    ],
    ids=["plain", "odd characters", "long", "json", "null", "message without a text"],
)
def test_an_event_comes_back_as_it_was_sent(engine: Engine, sent: Submission) -> None:
    async def scenario(log: Log) -> None:
        given = copy_of(sent)
        await log.append([given])
        (found,) = await everything(log)
        assert found == Event(
            given.event.channel,
            given.event.event,
            given.event.id,
            given.event.user_id,
            given.event.timestamp,
            given.event.data,
            1,
        )

    engine.run(scenario)


def copy_of(submission: Submission) -> Submission:
    """A test's parameters are shared by the engines, and a log sets the seq of what it accepts."""

    return deepcopy(submission)


def test_the_same_id_with_the_same_content_is_the_first_one_again(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("before", id="0"), message("hi", id="1", at=5)])
        assert await log.append([message("hi", id="1", at=5)]) == [Appended(2, duplicate=True)]
        assert log.head == 2
        assert len(await everything(log)) == 2

    engine.run(scenario)


def test_a_retry_among_new_events_takes_no_position(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("hi", id="1")])
        outcomes = await log.append([message("new", id="2"), message("hi", id="1"), message("newer", id="3")])
        assert outcomes == [Appended(2), Appended(1, duplicate=True), Appended(3)]
        assert ids(await everything(log)) == ["1", "2", "3"]

    engine.run(scenario)


def test_the_same_id_with_other_content_is_refused_and_the_rest_of_the_batch_is_not(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("hi", id="1")])
        outcomes = await log.append([message("a", id="2"), message("other", id="1"), message("b", id="3")])
        assert codes(outcomes) == ["ok", "id_conflict", "ok"]
        assert seqs([outcomes[0], outcomes[2]]) == [2, 3]
        assert (await everything(log))[0].data == message("hi", id="1").event.data

    engine.run(scenario)


OTHERS = {
    "text": message("other", id="1", at=5),
    "user": message("hi", id="1", user="bob", at=5),
    "room": message("hi", id="1", room="other", at=5),
    "timestamp": message("hi", id="1", at=6),
    "event": event("typing", b"{}", id="1", channel="chat/general"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_every_part_of_the_content_counts(engine: Engine, other: str) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("hi", id="1", at=5)])
        assert codes(await log.append([copy_of(OTHERS[other])])) == ["id_conflict"]

    engine.run(scenario)


def test_a_timestamp_that_the_server_set_does_not_count(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        first = message("hi", id="1", at=5)
        await log.append([first])
        retry = message("hi", id="1", at=6)
        retry.timestamp_given = False
        assert await log.append([retry]) == [Appended(1, duplicate=True)]

    engine.run(scenario)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}', True),
        (b"[1, 2]", b"[1,2]", True),
        (b"1", b"1.0", True),
        (b"1", b"true", False),
        (b'{"a":[0]}', b'{"a":[false]}', False),
        (b"[1,2]", b"[2,1]", False),
        (b"null", b"{}", False),
        (b"[[]]", b"[[[]]]", False),
    ],
)
def test_data_is_compared_as_json(engine: Engine, first: bytes, second: bytes, same: bool) -> None:
    async def scenario(log: Log) -> None:
        await log.append([event("e", first, id="1")])
        outcomes = await log.append([event("e", second, id="1")])
        assert codes(outcomes) == (["ok"] if same else ["id_conflict"])

    engine.run(scenario)


def test_an_id_twice_in_one_batch_is_accepted_once(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        batch = [message("hi", id="1"), message("hi", id="1"), message("other", id="1"), message("x", id="2")]
        outcomes = await log.append(batch)
        assert outcomes[:2] == [Appended(1), Appended(1, duplicate=True)]
        assert codes(outcomes) == ["ok", "ok", "id_conflict", "ok"]
        assert seqs(outcomes[3:]) == [2]
        assert ids(await everything(log)) == ["1", "2"]

    engine.run(scenario)


def test_many_retries_at_once_are_all_recognised(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(600))
        outcomes = await log.append([*messages(600), message("new", id="new")])
        assert outcomes == [*(Appended(seq, duplicate=True) for seq in range(1, 601)), Appended(601)]

    engine.run(scenario)
