"""``chatkit send --lines``: standard input line by line as it arrives, pipelined, in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from typing import Final

import msgspec

from .. import wire
from ..client.client import Chat
from ..client.endpoint import Endpoint
from ..client.http1 import Response
from ..client.letters import Letters
from ..client.sending import Post, Receipt, receipt_of
from ..errors import ChatkitError, DeadlineExceeded, Refused
from . import interrupt
from .ending import UsageError, failed
from .send import MAX_TEXT_BYTES, decoded, hint, receipt_json

#: Lines that are put into the queue in one go.
_TOGETHER: Final = 256


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
    return interrupt.run(_run(Chat(endpoint, user, token, timeout_s), channel, json_output, quiet))


async def _run(chat: Chat, channel: str, json_output: bool, quiet: bool) -> int:
    return await _Lines(chat, channel, json_output, quiet).run()


class _Lines:
    """One run.

    Attributes:
        code: the exit code so far.
        sent: how many lines were acknowledged.
    """

    def __init__(self, chat: Chat, channel: str, json_output: bool, quiet: bool) -> None:
        self._chat, self._json, self._quiet = chat, json_output, quiet
        self._letters = Letters(chat.endpoint, chat.token, channel, chat.user)
        self._asked = self._answered = 0
        self._read_all = self._unflushed = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._where = ""
        self.code = self.sent = 0

    async def run(self) -> int:
        async with self._chat:
            lines = asyncio.create_task(self._lines())
            try:
                await asyncio.wait((self._over, lines), return_when=asyncio.FIRST_COMPLETED)
                if not self._over.done():
                    lines.result()
                await self._over
            except ChatkitError as error:
                return failed(error, self._where)
            finally:
                self._over.cancel()  # what is left has no answer to wait for
                lines.cancel()
                await asyncio.gather(lines, return_exceptions=True)
        if not self._json and not self._quiet and sys.stdout.isatty():
            print(f"sent: {self._letters.channel}, {self.sent} message{'' if self.sent == 1 else 's'}")
        return self.code

    async def _lines(self) -> None:
        number = 0
        async for lines in _stdin_lines():
            for at in range(0, len(lines), _TOGETHER):
                some = lines[at : at + _TOGETHER]
                self._put(number, some)
                number += len(some)
                await self._chat.pipe.room()
        self._read_all = True
        self._check()

    def _put(self, number: int, lines: list[bytes]) -> None:
        requests, waiters = [], []
        for raw in lines:
            number += 1
            try:
                text = decoded(raw)
            except UsageError as error:
                self.refused(number, error)
                continue
            if text and not text.isspace():
                requests.append(request := self._letters.letter(text))
                waiters.append(_Line(self, number, request[1]))
        if waiters:
            self._asked += len(waiters)
            self._chat.pipe.put(requests, self._chat.timeout_s, waiters)

    # From the lines.

    def answered(self, line: _Line, response: Response) -> None:
        """A line has its answer; they come in order."""
        if self._over.done():
            return
        try:
            receipt = self._receipt(line, response)
        except Refused as error:
            if error.status in (401, 403):  # every other line would hear the same
                self.failed(line, error)
                return
            self.refused(line.number, error)
        except ChatkitError as error:
            self.failed(line, error)
            return
        else:
            self.sent += 1
            if self._json:
                self._show(receipt)
        self._answered += 1
        self._check()

    def failed(self, line: _Line, error: ChatkitError) -> None:
        """A line gets no answer, and no other will."""
        if not self._over.done():
            self._where = f"line {line.number}: " if self.sent or isinstance(error, DeadlineExceeded) else ""
            self._over.set_exception(error)

    def refused(self, number: int, error: ChatkitError) -> None:
        """A line is not taken; the others are."""
        code = failed(error, f"line {number}: ")
        self.code = self.code or code

    # Inside.

    def _receipt(self, line: _Line, response: Response) -> Receipt:
        if response.status == 200:
            with contextlib.suppress(Refused):  # an answer that is no such object is looked at below
                answer = wire.decode_with(wire.accepted, response.body, "body")
                seq = None if answer.seq is msgspec.UNSET else answer.seq
                return Receipt(self._letters.channel, answer.id, seq, answer.duplicate is True)
        return receipt_of(Post(self._letters.channel, line.id, "", b""), response, self._chat.url)

    def _check(self) -> None:
        if self._read_all and self._answered == self._asked and not self._over.done():
            self._over.set_result(None)

    def _show(self, receipt: Receipt) -> None:
        try:
            print(receipt_json(receipt))
            if not self._unflushed:  # those that came together are written together
                self._unflushed = True
                asyncio.get_running_loop().call_soon(self._flush)
        except OSError as error:
            self._over.set_exception(error)

    def _flush(self) -> None:
        self._unflushed = False
        if not self._over.done():
            try:
                sys.stdout.flush()
            except OSError as error:
                self._over.set_exception(error)


class _Line:
    """Waits for the answer to one line.

    Attributes:
        number: of the line, from 1.
        id: of its message.
    """

    __slots__ = ("_lines", "id", "number")

    def __init__(self, lines: _Lines, number: int, event_id: str) -> None:
        self._lines, self.number, self.id = lines, number, event_id

    def answer(self, response: Response) -> None:
        self._lines.answered(self, response)

    def fail(self, error: ChatkitError) -> None:
        self._lines.failed(self, error)


async def _stdin_lines() -> AsyncIterator[list[bytes]]:
    """The lines of standard input as they arrive, those that came together in one list.

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
            except (RuntimeError, CancelledError):
                return  # the loop is gone

    threading.Thread(target=read, name="stdin", daemon=True).start()
    rest = b""
    while data := await chunks.get():
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield [line.rstrip(b"\r") for line in lines]
        if len(rest) > MAX_TEXT_BYTES:
            raise Refused("too_large", f"a line is larger than {MAX_TEXT_BYTES >> 20} MiB")
    if rest:
        yield [rest]
