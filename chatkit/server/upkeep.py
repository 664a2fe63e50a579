"""Pruning while the server runs: only one process writes, so whoever wants events gone asks it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from .. import wire
from ..errors import LogError, Refused
from ..log.base import Pruned
from ..log.maintenance.pruning import Plan
from ..log.maintenance.retention import Retention
from .context import Context, logger

if TYPE_CHECKING:
    from .exchange import Exchange

#: Events that one request removes at most; its client asks again, and can say how far it is.
_AT_ONCE: Final = 20_000
#: How often retention looks, at least and at most.
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 3600.0


async def prune(context: Context, plan: Plan, limit: int | None = None) -> Pruned:
    """Remove what ``plan`` says, at most ``limit`` events; one at a time.

    Raises:
        LogError: it could not go on.
    """
    async with context.pruning:
        pruned = await context.log.prune(plan, lambda _: context.pages.clear(), limit)
    context.pages.clear()
    return pruned


async def retain(context: Context, retention: Retention) -> None:
    """Keep to ``retention`` for as long as the server runs."""
    pause_s = min(_LONGEST_S, max(_SHORTEST_S, (retention.age_s or 600.0) / 10))
    while True:
        try:
            pruned = await prune(context, retention.plan(time.time()))
        except LogError as error:
            logger.error("pruning failed: %s", error)
            context.counters.errors += 1
        else:
            if pruned.removed:
                logger.info("pruned %d events; what follows %d is kept", pruned.removed, context.log.floor)
        await asyncio.sleep(pause_s)


def prune_request(exchange: Exchange, body: wire.PruneBody) -> None:
    """``POST /api/admin/prune``: what it removes is gone, so it takes an administrator whose identity is proven."""
    if body.keep is None and body.before is None:
        raise Refused("invalid_field", "`keep` or `before` is missing")
    for field, value in (("keep", body.keep), ("before", body.before)):
        if value is not None and value < 0:
            raise Refused("invalid_field", f"`{field}` should be 0 or more")
    exchange.run(_prune(exchange, Plan(body.keep, body.before)))


async def _prune(exchange: Exchange, plan: Plan) -> None:
    context = exchange.context
    try:
        pruned = await prune(context, plan, _AT_ONCE)
    except LogError as error:
        raise Refused("unavailable", f"pruning failed: {error}", retry_after_s=1) from error
    exchange.ok(wire.encode(wire.PruneAnswer(removed=pruned.removed, floor=context.log.floor, done=pruned.done)))
