"""Runs a plan against a server and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...errors import Unreachable
from ..dial import open_socket
from . import frames
from .listener import Listener, Sampled
from .plan import Plan, Script
from .result import Result
from .sender import Sender
from .source import Source
from .summary import Histogram
from .tally import Tally, Verdict

if TYPE_CHECKING:
    from ..endpoint import Endpoint

T = TypeVar("T")
P = TypeVar("P", bound=asyncio.Protocol)

#: Called now and then with what is done and of how much.
Progress = Callable[[int, int], None]

#: Subscribers that read every message; each costs as much as fifty that count.
SAMPLED: Final = 2

_CONNECT_TIMEOUT_S: Final = 10.0
_AT_ONCE: Final = 100
#: How long no delivery may come before the rest counts as lost.
_PATIENCE_S: Final = 5.0
_PONG_EVERY_S: Final = 8.0
_PROGRESS_EVERY_S: Final = 0.1


def measure(endpoint: Endpoint, plan: Plan, *, token: str | None, progress: Progress | None) -> Result:
    """Run ``plan``; on Ctrl-C, the result is what was measured so far.

    Raises:
        Unreachable: no server answers.
        Refused: the server will not have such messages.
        KeyboardInterrupt: before anything was measured.
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        from uvloop import new_event_loop as factory  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_Run(endpoint, plan, token, progress).run())


class _Run:
    """One run."""

    def __init__(self, endpoint: Endpoint, plan: Plan, token: str | None, progress: Progress | None) -> None:
        self._endpoint, self._plan, self._token, self._progress = endpoint, plan, token, progress
        self._script = Script(plan, endpoint, token)
        self._tally = Tally(plan.channels)
        self._acks, self._deliveries = Histogram(), Histogram()
        self._listeners: list[Listener] = []
        self._senders: list[Sender] = []
        self._transports: list[asyncio.Transport] = []
        self._wall_ns = self._cpu_ns = self._disconnected = 0

    async def run(self) -> Result:
        interrupted, trouble = False, None
        source = Source(self._plan)
        try:
            await self._connect(source)
            async with _background(self._look(source), self._pong()):
                self._begin(source)
                try:
                    await source.done
                    await self._settle()
                except Unreachable as error:  # it went away: what was measured still counts
                    trouble = str(error)
        except asyncio.CancelledError:
            if not source.begun_ns:
                raise
            interrupted = True
        finally:
            wall_ns, cpu_ns = time.perf_counter_ns() - self._wall_ns, time.process_time_ns() - self._cpu_ns
            self._disconnected = sum(one.gone for one in self._listeners)
            source.done.cancel()  # that connections end is no news from here on
            for transport in self._transports:
                transport.abort()
            await asyncio.sleep(0)  # lets them close their sockets
        return self._result(source, cpu_ns / max(wall_ns, 1), interrupted, trouble)

    async def _connect(self, source: Source) -> None:
        plan, mark = self._plan, self._script.mark

        def listener(at: int) -> Listener:
            channel = at % plan.channels
            given = (self._endpoint, self._token, plan.room(channel), channel, mark)
            return Listener(*given) if at >= SAMPLED else Sampled(*given).sample(self._tally, self._deliveries)

        def sender() -> Sender:
            return Sender(self._endpoint, self._script, self._tally, self._acks, source)

        self._senders = await _gather([self._open(sender) for _ in range(plan.senders)])
        self._listeners = await _gather(
            [self._open(lambda at=at: listener(at), ready=True) for at in range(plan.subscribers)]  # type: ignore[misc]
        )

    async def _open(self, make: Callable[[], P], *, ready: bool = False) -> P:
        sock = await open_socket(self._endpoint, _CONNECT_TIMEOUT_S)
        transport, protocol = await asyncio.get_running_loop().create_connection(make, sock=sock)
        self._transports.append(transport)
        if ready and isinstance(protocol, Listener):
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    await protocol.ready
            except TimeoutError:
                raise Unreachable(f"{self._endpoint.url} does not answer in {_CONNECT_TIMEOUT_S:g} s") from None
        return protocol

    def _begin(self, source: Source) -> None:
        self._wall_ns, self._cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        source.start(self._senders)
        if self._plan.seconds is not None:
            asyncio.get_running_loop().call_later(self._plan.seconds, source.stop)

    async def _settle(self) -> None:
        """Wait until every subscriber has all that was stored, or nothing more comes."""
        stored = self._tally.stored
        while waiting := [
            future for one in self._listeners if (future := one.wait_for(stored[one.channel])) is not None
        ]:
            before = self._delivered()
            await asyncio.wait(waiting, timeout=_PATIENCE_S)
            if self._delivered() == before:
                return

    def _delivered(self) -> int:
        return sum(one.count for one in self._listeners)

    async def _look(self, source: Source) -> None:
        while self._progress:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            if self._plan.messages is not None:
                self._progress(sum(self._tally.stored), self._plan.messages)
            elif self._plan.seconds is not None:
                ms = (time.perf_counter_ns() - source.begun_ns) // 1_000_000
                self._progress(min(ms, int(self._plan.seconds * 1000)), int(self._plan.seconds * 1000))

    async def _pong(self) -> None:
        while True:
            await asyncio.sleep(_PONG_EVERY_S)
            for one in self._listeners:
                if not one.gone:
                    one.transport.write(frames.PONG)

    def _result(self, source: Source, cpu: float, interrupted: bool, trouble: str | None) -> Result:
        faults = sum((one.verdict(self._tally) for one in self._listeners), Verdict())
        stored, delivered = sum(self._tally.stored), self._delivered()
        sends_ns = max((one.last_ns for one in self._senders), default=0) - source.begun_ns
        deliveries_ns = max((one.last_ns for one in self._listeners), default=0) - source.begun_ns
        return Result(
            stored=stored,
            refused=self._tally.refused,
            unknown=self._tally.unknown,
            unsent=source.unsent,
            delivered=delivered,
            seconds=max(sends_ns, 0) / 1e9,
            sends_per_s=stored / sends_ns * 1e9 if sends_ns > 0 else 0.0,
            deliveries_per_s=delivered / deliveries_ns * 1e9 if deliveries_ns > 0 else 0.0,
            ack=self._acks.quantiles(),
            delivery=self._deliveries.quantiles(),
            # On the way when it was interrupted is not lost.
            faults=faults._replace(lost=0) if interrupted else faults,
            sampled=min(SAMPLED, self._plan.subscribers),
            disconnected=self._disconnected,
            cpu=cpu,
            late_ms=source.late_ns / 1e6,
            interrupted=interrupted,
            trouble=trouble,
        )


async def _gather(jobs: list[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them, a few at a time; the first error ends it."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with limit:
            return await job

    tasks = [asyncio.create_task(one(job)) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in jobs:
            job.close()


@contextlib.asynccontextmanager
async def _background(*jobs: Coroutine[Any, Any, None]) -> Any:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
