"""Being present on channels: a connection that keeps saying so."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from .. import wire
from ..errors import ChatkitError, DeadlineExceeded, Refused, Unreachable
from .backoff import Backoff
from .link import Link, Lost


class Here:
    """Tracks presence for as long as it is open; after a lost connection it says all of it again.

    The connection is opened by the first :meth:`track`, and stays.
    """

    def __init__(self, open_link: Callable[[], Awaitable[Link]]) -> None:
        self._open_link = open_link
        self._states: dict[str, msgspec.Raw] = {}
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._pongs: list[asyncio.Future[None]] = []  # oldest first
        self._error: ChatkitError | None = None

    async def track(self, channel: str, state: Any, timeout_s: float) -> None:
        """Be present on ``channel`` with ``state``, or change the state; returns when the server knows.

        Raises:
            Unreachable: the first connection cannot be made.
            Refused: the server says no.
            DeadlineExceeded: no answer in ``timeout_s``; it is said again with the next connection.
        """
        self._states[channel] = msgspec.Raw(wire.encode(state))
        if self._link is None and (self._task is None or self._task.done()):
            try:
                self._link = await self._open_link()
            except Lost as error:
                raise Unreachable(str(error)) from None
            self._task = asyncio.create_task(self._run(self._link))
            for earlier in self._states.keys() - {channel}:
                await self._link.send(wire.Track(earlier, self._states[earlier]))
        await self._say(wire.Track(channel, self._states[channel]), timeout_s)

    async def untrack(self, channel: str, timeout_s: float) -> None:
        """Stop being present on ``channel``; raises as :meth:`track` does."""
        if self._states.pop(channel, None) is not None and self._link:
            await self._say(wire.Untrack(channel), timeout_s)

    async def close(self) -> None:
        """Leave every channel."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _say(self, command: wire.AnyCommand, timeout_s: float) -> None:
        # Presence has no acknowledgement, but frames are handled in order: a pong means that what was said before it
        # is done, and an error before it means that it is not.
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        try:
            async with asyncio.timeout(timeout_s):
                if self._link:
                    await self._link.send(command)
                    await self._link.send(wire.Ping())
                await pong
        except Lost:
            return  # the next connection says it again
        except TimeoutError:
            raise DeadlineExceeded(f"no answer in {timeout_s:.3g} s") from None
        finally:
            if pong in self._pongs:
                self._pongs.remove(pong)

    async def _run(self, link: Link) -> None:
        backoff = Backoff()
        while True:
            try:
                while True:
                    self._take(await link.receive())
                    backoff.reset()
            except Lost:
                self._link = None
            except ChatkitError as error:
                self._settle(error)
                return
            finally:
                self._link = None
                await link.close()
            while self._link is None:
                await asyncio.sleep(backoff.next_s(random.random()))  # noqa: S311 - jitter, not a secret
                try:
                    link = await self._open_link()
                    for channel, state in self._states.items():
                        await link.send(wire.Track(channel, state))
                    await link.send(wire.Ping())
                except (Lost, Unreachable):
                    continue
                except ChatkitError as error:
                    self._settle(error)
                    return
                self._link = link
                self._settle(None)

    def _take(self, frame: wire.AnyFrame | None) -> None:
        if isinstance(frame, wire.ErrorFrame) and self._pongs:
            self._pongs.pop(0).set_exception(Refused(frame.code, frame.message))
        elif isinstance(frame, wire.Pong) and self._pongs:
            self._pongs.pop(0).set_result(None)

    def _settle(self, error: ChatkitError | None) -> None:
        """Answer everybody who waits."""
        waiting, self._pongs = self._pongs, []
        for pong in waiting:
            if pong.done():
                continue
            if error:
                pong.set_exception(error)
            else:
                pong.set_result(None)
