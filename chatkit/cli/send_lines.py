"""``chatkit send --lines``: standard input line by line as it arrives, pipelined, in order."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator

from ..client.client import Chat
from ..client.endpoint import Endpoint
from ..client.sending import Receipt
from ..errors import ChatkitError, DeadlineExceeded, InvalidName, Refused
from .ending import UsageError, failed
from .interrupt import interrupts
from .send import MAX_TEXT_BYTES, decoded, hint, receipt_json

#: Lines whose answer is awaited at any time; the client bounds their bytes.
_UNANSWERED = 1000


def run(
    endpoint: Endpoint,
    channel: str,
    *,
    user: str | None,
    token: str | None,
    timeout_s: float,
    json_output: bool,
    quiet: bool,
) -> int:
    """Send all lines and return the exit code: the first refused or wrong line's, when the others were sent."""
    hint("each line is sent; end with Ctrl-D")
    with interrupts():
        return asyncio.run(_Lines(channel, json_output, quiet).run(Chat(endpoint, user, token, timeout_s)))


class _Lines:
    """One run.

    Attributes:
        code: the exit code so far.
        sent: how many lines were acknowledged.
    """

    def __init__(self, channel: str, json_output: bool, quiet: bool) -> None:
        self._channel, self._json, self._quiet = channel, json_output, quiet
        self._waiting: asyncio.Queue[tuple[int, asyncio.Future[Receipt]] | None] = asyncio.Queue(_UNANSWERED)
        self._at = 0
        self.code = self.sent = 0

    async def run(self, chat: Chat) -> int:
        async with chat:
            answers = asyncio.create_task(self._answers())
            lines = asyncio.create_task(self._lines(chat))
            try:
                await asyncio.wait((answers, lines), return_when=asyncio.FIRST_EXCEPTION)
                for task in (answers, lines):
                    if task.done():
                        task.result()
            except ChatkitError as error:
                return failed(error, f"line {self._at}: " if self.sent or isinstance(error, DeadlineExceeded) else "")
            finally:
                for task in (answers, lines):
                    task.cancel()
                await asyncio.gather(answers, lines, return_exceptions=True)
                while not self._waiting.empty():
                    if item := self._waiting.get_nowait():
                        item[1].cancel()  # nobody asks for it any more
        if not self._json and not self._quiet and sys.stdout.isatty():
            print(f"sent: {self._channel}, {self.sent} message{'' if self.sent == 1 else 's'}")
        return self.code

    async def _lines(self, chat: Chat) -> None:
        number = 0
        async for raw in _stdin_lines():
            number += 1
            if not raw.strip():
                continue
            try:
                text = decoded(raw)
                if not text.strip():
                    continue
                receipt = await chat.enqueue(self._channel, text)
            except (UsageError, InvalidName) as error:
                self._refused(number, error)
            else:
                await self._waiting.put((number, receipt))
        await self._waiting.put(None)

    async def _answers(self) -> None:
        while item := await self._waiting.get():
            self._at, receipt = item
            try:
                answer = await receipt
            except Refused as error:
                if error.status in (401, 403):  # every other line would hear the same
                    raise
                self._refused(self._at, error)
            else:
                self.sent += 1
                if self._json:
                    print(receipt_json(answer), flush=True)

    def _refused(self, number: int, error: ChatkitError) -> None:
        code = failed(error, f"line {number}: ")
        self.code = self.code or code


async def _stdin_lines() -> AsyncIterator[bytes]:
    """The lines of standard input as they arrive.

    A thread reads: a loop cannot wait for a regular file, and setting a terminal non-blocking would do so to the
    shell behind it. It is a daemon, as nothing can wake it from a read; it waits whenever the queue is full.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue(4)

    def read() -> None:
        data = b"x"
        while data:
            try:
                data = os.read(0, 65536)
            except OSError:
                data = b""
            try:
                asyncio.run_coroutine_threadsafe(chunks.put(data), loop).result()
            except (RuntimeError, asyncio.CancelledError):
                return  # the loop is gone

    threading.Thread(target=read, name="stdin", daemon=True).start()
    rest = b""
    while data := await chunks.get():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(rest) > MAX_TEXT_BYTES:
            raise Refused("too_large", f"a line is larger than {MAX_TEXT_BYTES >> 20} MiB")
    if rest:
        yield rest
