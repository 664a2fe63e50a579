"""Delivering what waits in the spool: in order, one message at a time, each until the server has answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import Refused
from .oneshot import Line, send
from .sending import RETRY_STATUSES, Receipt
from .spool import Spool, Spooled
from .turn import Turn

if TYPE_CHECKING:
    from .endpoint import Endpoint

#: Refusals of the message itself, which no other attempt changes. Any other is about the server or the sender, meets
#: every message the same, and leaves them waiting.
FOR_GOOD: Final = frozenset({400, 409, 413, 422})

_PAGE: Final = 100
#: Seconds in which delivered messages are taken out together: each time costs several syncs of the disk. What a crash
#: leaves in is delivered again, which the server stores once.
_TAKE_OUT_S: Final = 0.2


def passes(error: Refused) -> bool:
    """Whether a refusal is one that time heals."""
    return error.status in RETRY_STATUSES or error.status == 507


def deliver(
    spool: Spool,
    endpoint: Endpoint,
    *,
    token: str | None,
    timeout_s: float,
    wait_s: float,
    upto: int | None = None,
    keep_on: Callable[[], bool] | None = None,
    on_delivered: Callable[[Spooled, Receipt], object] | None = None,
    on_refused: Callable[[Spooled, Refused], bool] | None = None,
) -> int:
    """Deliver what waits for a server, oldest first, and return how many messages that were.

    Nobody else delivers to the server meanwhile. A message that it refuses for good does not hold up the others.

    Args:
        spool: where they wait.
        endpoint: the server.
        token: a credential.
        timeout_s: seconds to try each message.
        wait_s: seconds to wait for another process that is delivering.
        upto: the last place to deliver; ``None`` for all, and what is added meanwhile.
        keep_on: asked before each message; ``False`` ends it there.
        on_delivered: called with each message that the server has, and its receipt.
        on_refused: called with each message that the server refuses for good; returns whether somebody was told, who
            needs it no longer. Otherwise it is set aside.

    Raises:
        SpoolBusy: another process is delivering.
        Unreachable, DeadlineExceeded, Refused: what ended it; the rest waits.
        SpoolError: the spool cannot be used.
    """
    url, count = endpoint.url, 0
    done: list[int] = []
    with Turn(spool.path, url, wait_s), Line(endpoint) as line:
        try:
            taken_out = time.monotonic()
            while page := spool.waiting(url, _PAGE, upto):
                for item in page:
                    if keep_on and not keep_on():
                        return count
                    try:
                        receipt = send(endpoint, item.post, token=token, timeout_s=timeout_s, line=line)
                    except Refused as error:
                        if error.status not in FOR_GOOD:
                            raise
                        if on_refused and on_refused(item, error):
                            done.append(item.place)
                        else:
                            spool.set_aside(item.place, error)
                        continue
                    done.append(item.place)
                    count += 1
                    if on_delivered:
                        on_delivered(item, receipt)
                    if time.monotonic() - taken_out > _TAKE_OUT_S:
                        done = _take_out(spool, done)
                        taken_out = time.monotonic()
                done = _take_out(spool, done)
        finally:
            _take_out(spool, done)
    return count


def _take_out(spool: Spool, places: list[int]) -> list[int]:
    if places:
        spool.remove(places)
    return []
