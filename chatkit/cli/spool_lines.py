"""``chatkit send --lines --spool``: every line goes to the spool as it arrives, and from there to the server.

Two sides that share nothing but the spool and a lock: a thread reads and spools, the main thread delivers. So a line
is safe before it is sent, whatever ends the process, and lines keep their order while the server comes and goes.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..client.backoff import Backoff
from ..client.deliver import deliver, passes
from ..client.oneshot import send
from ..client.places import spool_path
from ..client.sending import Post, Receipt, message
from ..client.spool import Spool, Spooled
from ..errors import ChatkitError, DeadlineExceeded, ExitCode, InvalidName, Refused, SpoolBusy, Unreachable
from .ending import UsageError, complain, failed
from .send import MAX_TEXT_BYTES, decoded, hint, receipt_json
from .spooled import messages, refused_later

if TYPE_CHECKING:
    from ..client.endpoint import Endpoint


def run(
    endpoint: Endpoint, channel: str, *, user: str, token: str | None, timeout_s: float, json_output: bool, quiet: bool
) -> int:
    """Send all lines and return the exit code; raises ChatkitError."""
    hint("each line is sent; end with Ctrl-D")
    path = spool_path()
    intake = _Intake(path, endpoint.url, channel, user)
    outlet = _Outlet(intake, endpoint, token=token, timeout_s=timeout_s, json_output=json_output)
    try:
        with Spool(path) as spool:
            code = outlet.run(spool)
        if not json_output and not quiet and sys.stdout.isatty():
            print(f"sent: {channel}, {messages(outlet.sent)}")
        return code
    except KeyboardInterrupt:
        if intake.own:
            complain(f"{messages(len(intake.own))} spooled, `chatkit flush` delivers")
        raise


class _Intake:
    """The reading side, in a thread of its own: nothing can wake a read, so it is a daemon.

    Attributes:
        news: set when there is something to deliver, or nothing more to come.
        over: the input has ended.
        error: what ended it before its time.
        code: the exit code of the first line that cannot be sent.
        own: place -> number and request of each line that is not delivered yet; hold :attr:`guard`.
    """

    def __init__(self, path: str, url: str, channel: str, user: str) -> None:
        self._path, self._url, self._channel, self._user = path, url, channel, user
        self.guard = threading.Lock()
        self.news = threading.Event()
        self.over = False
        self.error: ChatkitError | None = None
        self.code = 0
        self.own: dict[int, tuple[int, Post]] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def _run(self) -> None:
        try:
            with Spool(self._path) as spool:
                number = 0
                for lines in _stdin_lines():
                    posts = [(at, post) for at, raw in enumerate(lines, number + 1) if (post := self._post(at, raw))]
                    number += len(lines)
                    if not posts:
                        continue
                    with self.guard:  # before the other side can ask whose a place is
                        places = spool.add(self._url, [(post, self._user) for _, post in posts])
                        self.own.update(zip(places, posts, strict=True))
                    self.news.set()
        except ChatkitError as error:
            self.error = error
        finally:
            self.over = True
            self.news.set()

    def _post(self, number: int, raw: bytes) -> Post | None:
        try:
            text = decoded(raw)
            if not text.strip():
                return None
            return message(self._channel, text, user=self._user, timestamp=time.time_ns() // 1_000_000)
        except (UsageError, InvalidName) as error:
            self.refuse(number, error)
            return None

    def refuse(self, number: int, error: ChatkitError) -> None:
        """A line that is not sent, and why."""
        code = failed(error, f"line {number}: ")
        self.code = self.code or code

    def taken(self, place: int) -> tuple[int, Post] | None:
        """Take out a line that is done with; ``None`` when it is not one of ours."""
        with self.guard:
            return self.own.pop(place, None)


class _Outlet:
    """The delivering side."""

    def __init__(
        self, intake: _Intake, endpoint: Endpoint, *, token: str | None, timeout_s: float, json_output: bool
    ) -> None:
        self._intake, self._endpoint, self._token, self._timeout_s = intake, endpoint, token, timeout_s
        self._json = json_output
        self.sent = 0

    def run(self, spool: Spool) -> int:
        intake, backoff = self._intake, Backoff()
        intake.start()
        wait_s: float | None = None
        while True:
            intake.news.wait(wait_s)
            intake.news.clear()
            over = intake.over  # asked for first: all that was read before it is in the spool now
            why = self._deliver(spool, wait_s=self._timeout_s if over else 0.0)
            self._others(spool)
            if over or (isinstance(why, Refused) and not passes(why)):
                break
            if why is None:
                backoff.reset()
            wait_s = None if why is None else backoff.next_s(random.random())  # noqa: S311 - jitter, not a secret
        return self._end(spool, why)

    def _end(self, spool: Spool, why: ChatkitError | None) -> int:
        if self._intake.own:
            complain(f"{messages(len(self._intake.own))} spooled, `chatkit flush` delivers: {why}")
        if self._intake.error:
            raise self._intake.error
        if isinstance(why, Refused) and not passes(why):
            return ExitCode.NOT_AUTHORIZED if why.status in (401, 403) else ExitCode.REFUSED
        return self._intake.code or (ExitCode.SPOOLED if self._intake.own else ExitCode.DONE)

    def _deliver(self, spool: Spool, wait_s: float) -> ChatkitError | None:
        try:
            deliver(
                spool,
                self._endpoint,
                token=self._token,
                timeout_s=self._timeout_s,
                wait_s=wait_s,
                on_delivered=self._on_delivered,
                on_refused=self._on_refused,
            )
        except (DeadlineExceeded, Refused, SpoolBusy, Unreachable) as error:
            return error
        return None

    def _on_delivered(self, item: Spooled, receipt: Receipt) -> None:
        if self._intake.taken(item.place):
            self.sent += 1
            if self._json:
                print(receipt_json(receipt), flush=True)

    def _on_refused(self, item: Spooled, error: Refused) -> bool:
        line = self._intake.taken(item.place)
        if line:
            self._intake.refuse(line[0], error)
        else:
            refused_later(item, error)
        return line is not None

    def _others(self, spool: Spool) -> None:
        """Account for the lines that another process has delivered, or was refused, in our stead."""
        with self._intake.guard:
            places = sorted(self._intake.own)
        for place in places:
            item = spool.find(place)
            if item and not item.code:
                return  # those behind it wait, too
            line = self._intake.taken(place)
            if item and line:
                spool.remove([place])
                self._intake.refuse(line[0], Refused(item.code or "", item.why or ""))
            elif line:
                self.sent += 1
                if self._json:  # asking again with the same id gives the receipt
                    receipt = send(self._endpoint, line[1], token=self._token, timeout_s=self._timeout_s)
                    print(receipt_json(receipt), flush=True)


def _stdin_lines() -> Iterator[list[bytes]]:
    """The lines of standard input as they arrive, those that came together in one list."""
    rest = b""
    while data := _read():
        *lines, rest = (rest + data).split(b"\n")
        yield [line.rstrip(b"\r") for line in lines]
        if len(rest) > MAX_TEXT_BYTES:
            raise Refused("too_large", f"a line is larger than {MAX_TEXT_BYTES >> 20} MiB")
    if rest:
        yield [rest]


def _read() -> bytes:
    try:
        return os.read(0, 65536)
    except OSError:
        return b""
