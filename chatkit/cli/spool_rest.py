"""While the server is there, after a send that succeeded or during a tail: deliver what was spooled for it before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..client.deliver import deliver
from ..client.spool import Spool, Spooled
from ..errors import ChatkitError, Refused, SpoolBusy
from .spooled import refused_later

if TYPE_CHECKING:
    from ..client.endpoint import Endpoint

_TIMEOUT_S = 10.0


class Rest(NamedTuple):
    """What became of it.

    Attributes:
        delivered: how many messages.
        over: nothing waits any more, or another process has it in hand.
        error: what ended it.
    """

    delivered: int
    over: bool
    error: ChatkitError | None = None


def run(path: str, endpoint: Endpoint, token: str | None, keep_on: Callable[[], bool]) -> Rest:
    """Deliver for as long as ``keep_on()`` says. Ends nothing: what the command was asked for goes its way."""
    count = 0

    def delivered(*_: object) -> None:
        nonlocal count
        count += 1

    try:
        with Spool(path) as spool:
            if not spool.waiting(endpoint.url, 1):
                return Rest(0, True)
            deliver(
                spool,
                endpoint,
                token=token,
                timeout_s=_TIMEOUT_S,
                wait_s=0,
                keep_on=keep_on,
                on_delivered=delivered,
                on_refused=_set_aside,
            )
            return Rest(count, not spool.waiting(endpoint.url, 1))
    except SpoolBusy:
        return Rest(count, False)
    except ChatkitError as error:
        return Rest(count, False, error)


def _set_aside(item: Spooled, error: Refused) -> bool:
    refused_later(item, error)
    return False
