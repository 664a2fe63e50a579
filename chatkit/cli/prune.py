"""``chatkit prune``: remove the oldest events, through the server when one has the database open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from .. import wire
from ..client import admin
from ..client.endpoint import Endpoint, find_token, parse_url
from ..errors import InvalidName, LogError, LogInUse, Unreachable
from ..log.maintenance.pruning import Plan
from ..log.maintenance.retention import age_s
from ..log.setup import default_path, prepare
from ..log.sqlite import SqliteLog
from .ending import UsageError
from .progress import bar, count


def run(older_than: str | None, keep: int | None, db: str | None, url: str | None, quiet: bool) -> int:
    """Prune; raises ChatkitError."""
    plan = _plan(older_than, keep)
    path = Path(db) if db else default_path()
    with bar("prune") as progress:
        told: Callable[[int], None] = (lambda removed: progress(removed, 0)) if progress is not None else _nobody
        if url is not None:
            removed = _through(parse_url(url), plan, told)
        else:
            removed = _directly_or_through_its_server(path, plan, told)
    if not quiet:
        print(f"{count(removed, 'event')} removed")
    return 0


def _plan(older_than: str | None, keep: int | None) -> Plan:
    if (older_than is None) == (keep is None):
        raise UsageError("give either --older-than AGE or --keep N")
    if keep is not None:
        if keep < 0:
            raise UsageError("--keep should be 0 or more")
        return Plan(keep=keep)
    assert older_than is not None  # noqa: S101 - one of the two is given
    try:
        return Plan(before_ms=int((time.time() - age_s(older_than)) * 1000))
    except InvalidName as error:
        raise UsageError(f"--older-than: {error}") from None


def _directly_or_through_its_server(path: Path, plan: Plan, told: Callable[[int], None]) -> int:
    if not path.exists():
        raise LogError(f"there is no database at {path}; name it with --db")
    try:
        return asyncio.run(_directly(path, plan, told))
    except LogInUse as error:
        endpoint = Endpoint("localhost", 80, path=f"{path}.control")  # where a server takes orders of its own user
        try:
            return _through(endpoint, plan, told)
        except Unreachable:
            raise LogError(f"process {error.holder} has {path} open; name its server with --url") from None


async def _directly(path: Path, plan: Plan, told: Callable[[int], None]) -> int:
    prepare(path, count=False)
    log = await SqliteLog.open(path)
    try:
        return (await log.prune(plan, told)).removed
    finally:
        await log.close()


def _through(endpoint: Endpoint, plan: Plan, told: Callable[[int], None]) -> int:
    removed = 0
    body = wire.PruneBody(plan.keep, plan.before_ms)
    token = None if endpoint.path is not None else find_token(endpoint)
    while True:
        answer = admin.prune(endpoint, body, token=token)
        removed += answer.removed
        told(removed)
        if answer.done:
            return removed


def _nobody(removed: int) -> None:
    """Nobody watches."""
