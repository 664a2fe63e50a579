"""One keep-alive connection that carries requests in order, pipelined, and comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from ..errors import ChatkitError, Unreachable
from .backoff import Backoff
from .dial import connect
from .http1 import Response, Responses
from .oneshot import outcome_unknown
from .outbox import Outbox, Parcel
from .sending import RETRY_STATUSES

if TYPE_CHECKING:
    from .endpoint import Endpoint

T = TypeVar("T")

#: Bytes that wait in the outbox. At the limit :meth:`Pipe.submit` waits for room.
QUEUE_BYTES: Final = 1024 * 1024


class Waiter(Protocol):
    """Who waits for an answer."""

    def answer(self, response: Response) -> None:
        """It is there."""

    def fail(self, error: ChatkitError) -> None:
        """There is none, and why."""


class _Promise(Generic[T]):
    """A future for what is read in the answer."""

    __slots__ = ("_future", "_read")

    def __init__(self, future: asyncio.Future[T], read: Callable[[Response], T]) -> None:
        self._future, self._read = future, read

    def answer(self, response: Response) -> None:
        if self._future.done():
            return  # its caller was cancelled
        try:
            self._future.set_result(self._read(response))
        except ChatkitError as error:
            self._future.set_exception(error)

    def fail(self, error: ChatkitError) -> None:
        if not self._future.done():
            self._future.set_exception(error)


class Pipe:
    """Requests in the order of the calls, each answered, refused or given up at its own deadline.

    A connection that is lost is opened again after a backoff, and all that was not answered is written again in the
    same order; whoever submits must make that harmless (the same event id). A server that never answered is not
    waited for: then everything fails at once with :class:`~chatkit.errors.Unreachable`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._outbox: Outbox[Waiter] = Outbox()
        self._backoff = Backoff()
        self._room = asyncio.Event()
        self._connection: _Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._ever_connected = False
        self._away: Unreachable | None = None  # why the last attempt to connect failed
        self.closed = False

    async def submit(
        self, data: bytes, timeout_s: float, read: Callable[[Response], T], event_id: str = ""
    ) -> asyncio.Future[T]:
        """Queue the bytes of one request and wait until the queue is below its limit again.

        The request has its place in the order from the moment of the call. The result is what ``read`` makes of the
        answer, or what it raises; without an answer, ``Unreachable`` or, after ``timeout_s``, ``DeadlineExceeded``.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.put([(data, event_id)], timeout_s, [_Promise(future, read)])
        await self.room()
        return future

    def put(self, requests: Iterable[tuple[bytes, str]], timeout_s: float, waiters: Iterable[Waiter]) -> None:
        """Queue requests that came together: the bytes and the event id of each, and who waits for its answer.

        They are written together, as far as there is room. The caller then waits for :meth:`room`.
        """
        if self.closed:
            raise ChatkitError("the client is closed")
        deadline = asyncio.get_running_loop().time() + timeout_s
        for (data, event_id), waiter in zip(requests, waiters, strict=True):
            self._outbox.add(Parcel(data, event_id, deadline, timeout_s, waiter))
        self._set_alarm(deadline)
        self._pump()

    async def room(self) -> None:
        """Wait until the queue is below its limit again."""
        while self._outbox.queued_bytes > QUEUE_BYTES and not self.closed:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Drop the connection; whoever still waits gets ``DeadlineExceeded``."""
        self.closed = True
        if self._alarm:
            self._alarm.cancel()
        if self._opening:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        for parcel in self._outbox.give_up_all():
            self._fail(parcel)
        self._room.set()
        if self._connection:
            connection, self._connection = self._connection, None
            connection.transport.close()
            await asyncio.sleep(0)  # lets the transport close its socket

    # From the connection.

    def received(self, connection: _Connection, responses: list[Response]) -> None:
        """Answers have come, in order."""
        for response in responses:
            if connection is not self._connection or not (parcel := self._outbox.oldest()):
                return  # an answer that nobody asked for
            if (
                response.status in RETRY_STATUSES
                and not parcel.given_up
                and (now := asyncio.get_running_loop().time()) < parcel.deadline
            ):
                # What is behind it must not overtake it: start over from here, on a new connection.
                wait_s = self._backoff.next_s(random.random(), response.retry_after_s)  # noqa: S311
                if now + wait_s < parcel.deadline:
                    self._drop()
                    self._open(wait_s)
                    return
            self._outbox.answered()
            parcel.waiter.answer(response)
            self._backoff.reset()
        self._pump()
        self._room.set()

    def lost(self, connection: _Connection, error: ChatkitError | None) -> None:
        """The connection is gone; ``error`` says that what answers is not a chatkit server."""
        if connection is not self._connection:
            return
        self._connection = None
        if error:
            self._fail_all(error)
            return
        self._outbox.lost()
        if self._outbox:
            self._open(self._backoff.next_s(random.random()))  # noqa: S311 - jitter, not a secret

    # Inside.

    def _pump(self) -> None:
        if self._connection:
            # One that is closing is about to be lost, and then all is written again.
            if not self._connection.transport.is_closing() and (chunks := self._outbox.take()):
                self._connection.transport.write(b"".join(chunks))
        elif not self._opening and self._outbox:
            self._open(0.0)

    def _open(self, wait_s: float) -> None:
        if not self._opening and not self.closed:
            self._opening = asyncio.create_task(self._connect(wait_s))

    async def _connect(self, wait_s: float) -> None:
        try:
            while self._outbox:
                await asyncio.sleep(wait_s)
                deadline = self._outbox.next_deadline()
                if deadline is None:
                    self._outbox.lost()
                    continue
                loop = asyncio.get_running_loop()
                try:
                    left_s = max(deadline - loop.time(), 0.001)
                    await connect(self._endpoint, left_s, lambda: _Connection(self, self._endpoint.url))
                except Unreachable as error:
                    self._away = error
                    if not self._ever_connected:
                        self._fail_all(error)
                        return
                    wait_s = self._backoff.next_s(random.random())  # noqa: S311 - jitter, not a secret
                else:
                    if self._connection:
                        return
                    wait_s = self._backoff.next_s(random.random())  # noqa: S311 - it is lost again already
        finally:
            self._opening = None

    def connected(self, connection: _Connection) -> None:
        """A connection is there: write all that waits."""
        self._connection, self._ever_connected, self._away = connection, True, None
        self._pump()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._outbox.lost()
        if connection:
            connection.transport.abort()

    def _set_alarm(self, deadline: float | None) -> None:
        if deadline is None or (self._alarm and self._alarm.when() <= deadline):
            return
        if self._alarm:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(deadline, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        for parcel in self._outbox.expire(asyncio.get_running_loop().time()):
            self._fail(parcel)
        self._set_alarm(self._outbox.next_deadline())

    def _fail(self, parcel: Parcel[Waiter]) -> None:
        if self._away and not parcel.sent:
            parcel.waiter.fail(self._away)
        else:
            parcel.waiter.fail(outcome_unknown(parcel.id, parcel.timeout_s))

    def _fail_all(self, error: ChatkitError) -> None:
        for parcel in self._outbox.give_up_all():
            parcel.waiter.fail(error)
        self._room.set()


class _Connection(asyncio.Protocol):
    """The socket's side: bytes in, answers out."""

    transport: asyncio.Transport

    def __init__(self, pipe: Pipe, url: str) -> None:
        self._pipe = pipe
        self._responses = Responses(url)
        self._error: ChatkitError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP gives
        self.transport = transport
        self._pipe.connected(self)

    def data_received(self, data: bytes) -> None:
        try:
            responses = self._responses.feed(data)
        except ChatkitError as error:
            self._error = error
            self.transport.abort()
            return
        self._pipe.received(self, responses)
        if responses and not responses[-1].keep_alive:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.lost(self, self._error)
