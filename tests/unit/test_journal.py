"""The journal on a log that accepts without a turn of the loop."""

from __future__ import annotations

import asyncio

from chatkit import wire
from chatkit.log.base import Outcome, Submission
from chatkit.model import CHAT_MESSAGE, Event
from chatkit.server.journal import Journal

from ..contract.memory import MemoryLog


def message(number: int) -> Submission:
    event_id = str(number)
    data = wire.message_data(event_id, "ada", "hi", 1)
    return Submission(Event("chat/general", CHAT_MESSAGE, event_id, "ada", 1, data), "hi", derived=True)


def test_answers_that_bring_requests_leave_the_loop_to_others() -> None:
    async def scenario() -> None:
        journal = Journal(MemoryLog(), 1_000_000)
        running = asyncio.create_task(journal.run())
        numbers, turns = iter(range(1, 500)), 0

        def again(submission: Submission, outcome: Outcome) -> None:
            if (number := next(numbers, None)) is None:
                journal.drain()
            else:
                journal.submit(message(number), again)

        def turn() -> None:
            nonlocal turns
            turns += 1
            if not running.done():
                asyncio.get_running_loop().call_soon(turn)

        journal.submit(message(0), again)
        turn()
        await running
        assert turns >= 500

    asyncio.run(scenario())
