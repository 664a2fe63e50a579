"""What every log promises across being closed and opened again."""

from __future__ import annotations

from chatkit.log.base import Appended, Log

from .engines import Engine, event, everything, ids, message, messages, seqs


def test_everything_is_there_again(engine: Engine) -> None:
    before: list[object] = []

    async def first(log: Log) -> None:
        await log.append([*messages(5), event("move", b'{"x":1}', id="e")])
        before.extend([log.epoch, log.head, log.floor, await everything(log)])

    async def second(log: Log) -> None:
        assert [log.epoch, log.head, log.floor, await everything(log)] == before

    engine.run(first)
    engine.run(second)


def test_positions_go_on_and_ids_are_remembered(engine: Engine) -> None:
    async def first(log: Log) -> None:
        await log.append(messages(3))

    async def second(log: Log) -> None:
        assert log.head == 3
        outcomes = await log.append([message("1", id="m1"), message("new", id="new")])
        assert outcomes == [Appended(2, duplicate=True), Appended(4)]

    engine.run(first)
    engine.run(second)


def test_closing_twice_is_closing_once(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        assert seqs(await log.append(messages(1))) == [1]
        await log.close()

    engine.run(scenario)


def test_an_empty_log_opens_empty(engine: Engine) -> None:
    async def scenario(log: Log) -> None:
        assert (log.head, log.floor, ids(await everything(log))) == (0, 0, [])
        assert log.epoch

    engine.run(scenario)
    engine.run(scenario)
