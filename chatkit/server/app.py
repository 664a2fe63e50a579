"""The composition root: build, start, serve, drain, stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..errors import ChatkitError, CloseCode, LogFailed
from ..log.checkpoint import known_faults
from ..log.maintenance.retention import Retention
from ..log.setup import prepare
from ..log.sqlite import SqliteLog
from . import logs
from .config import Config
from .context import Context, logger
from .listener import Listener, listen
from .upkeep import retain

#: Descriptors kept back for the database, its WAL, the listening socket and whatever libraries open.
_SPARE_FILES = 64

#: How long a thread that wants the interpreter waits for one that computes. The default, 5 ms, is what each of the few
#: steps of a commit then waits for while a replay keeps the loop busy.
_SWITCH_INTERVAL_S = 0.0001

#: Net allocations before the collector looks at the youngest objects, and how often it looks at older ones.
_GC_THRESHOLDS = (20_000, 20, 50)


class Running(msgspec.Struct, frozen=True):
    """A server that is listening.

    Attributes:
        url: where, ``http://127.0.0.1:8787``.
        db: its database file.
        created: whether the file was made just now.
        config: its settings.
    """

    url: str
    db: Path
    created: bool
    config: Config


Started = Callable[[Running], None]


def run(config: Config, started: Started) -> None:
    """Serve until SIGINT or SIGTERM, on uvloop where it exists, and log to stderr; see :func:`serve`."""
    logs.configure(config.log_level, config.log_format)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(config, started))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - it does not exist on Windows

    return uvloop.new_event_loop


async def serve(config: Config, started: Started) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        config: the settings.
        started: called once, when the server listens.

    Raises:
        LogFailed: the log has failed while serving, and this was logged.
        ChatkitError: it cannot start; the message says why.
    """
    path = config.database
    prepared = prepare(path, count=False)
    log = await SqliteLog.open(path, config.durability)
    try:
        context = Context(config, log, _max_connections(config))
        log.listen(context.hub.deliver, context.journal.fail)
        await context.access.load(log)
        await _serve(context, path, prepared.created, started)
    finally:
        await log.close()


async def _serve(context: Context, path: Path, created: bool, started: Started) -> None:
    config = context.config
    journal = asyncio.ensure_future(context.journal.run())
    listener = await listen(context)
    context.wheel.start()
    stop = asyncio.Event()

    def ended(journal: asyncio.Future[None]) -> None:
        if (
            not journal.cancelled() and (error := journal.exception()) is not None
        ):  # said now: the drain may take a while
            logger.critical("%s; taking no more writes, stopping", error)
        stop.set()

    journal.add_done_callback(ended)
    if config.retention is not None:
        context.spawn(retain(context, Retention.parse(config.retention)))
    # What is loaded now stays; what comes is mostly freed by its last reference. A collection costs tens of milliseconds
    # with thousands of connections, and has little to find.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    with _signals(stop), listener.reloading():
        try:
            started(Running(listener.url, path, created, config))
            if (fault := known_faults()) is not None:
                logger.info("%s", fault)
            await stop.wait()
        finally:
            await _drain(context, listener, journal)
    if journal.cancelled():
        raise ChatkitError("the last batch could not be written in time; what was not acknowledged is unknown")
    if (error := journal.exception()) is not None:
        if isinstance(error, LogFailed):
            raise error
        raise ChatkitError(f"the server failed: {error!r}") from error


def _max_connections(config: Config) -> int:
    """The connection limit: reached before the file limit is, since accept() spins on EMFILE."""
    if sys.platform == "win32":
        return config.max_connections
    import resource  # noqa: PLC0415 - it does not exist on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.max_connections + _SPARE_FILES
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    available = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES
    if available < config.max_connections:
        logger.warning("at most %d connections: the limit on open files allows no more", available)
    return max(1, min(config.max_connections, available))


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` on SIGINT and SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    numbers: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)

    asked = False

    def received(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            loop.remove_signal_handler(number)
            signal.raise_signal(number)
        asked = True  # the server may be stopping already, of itself
        stop.set()

    try:
        for number in numbers:
            loop.add_signal_handler(number, received, number)
    except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
        numbers = ()
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _drain(context: Context, listener: Listener, journal: asyncio.Future[None]) -> None:
    """Stop accepting, finish the batch, close every connection with 1012."""
    context.draining = True
    listener.close()
    context.journal.drain()
    try:
        async with asyncio.timeout(context.config.drain_timeout_s):
            await asyncio.wait([journal])
            for connection in list(context.http):
                connection.close_idle()
            for link in list(context.links):
                link.close(CloseCode.SERVICE_RESTART, "the server is stopping")
            await context.emptied()
    except TimeoutError:
        logger.warning("%d connections did not close in time", len(context.http) + len(context.links))
        for connection in list(context.http):
            connection.abort()
        for link in list(context.links):
            link.abort()
        await context.emptied()
    context.wheel.stop()
    if not journal.done():
        journal.cancel()
        await asyncio.wait([journal])
    await context.cancel_tasks()
