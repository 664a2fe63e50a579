"""``chatkit send --spool``: one message, which is in the spool before it is sent and until the server has it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from ..client.deliver import deliver, passes
from ..client.oneshot import send
from ..client.places import spool_path
from ..client.sending import Receipt, message
from ..client.spool import Spool, Spooled
from ..errors import ChatkitError, DeadlineExceeded, ExitCode, Refused, SpoolBusy, Unreachable
from .ending import complain
from .send import show_receipt
from .spooled import refused_later

if TYPE_CHECKING:
    from ..client.endpoint import Endpoint


def run(
    endpoint: Endpoint,
    channel: str,
    text: str,
    event_id: str | None,
    *,
    user: str | None,
    token: str | None,
    timeout_s: float,
    show: tuple[bool, bool],
) -> int:
    """Send behind what waits already, and return the exit code; raises ChatkitError."""
    # The time that it was written goes with it: it may be delivered much later.
    post = message(channel, text, user=user, event_id=event_id, timestamp=time.time_ns() // 1_000_000)
    json_output, quiet = show
    receipts: list[Receipt] = []
    refusals: list[Refused] = []
    with Spool(spool_path()) as spool:
        (place,) = spool.add(endpoint.url, [(post, user)])

        def delivered(item: Spooled, receipt: Receipt) -> None:
            if item.place == place:
                receipts.append(receipt)

        def refused(item: Spooled, error: Refused) -> bool:
            if item.place != place:
                refused_later(item, error)
                return False
            refusals.append(error)
            return True

        why: ChatkitError | None = None
        try:
            deliver(
                spool,
                endpoint,
                token=token,
                timeout_s=timeout_s,
                wait_s=timeout_s,
                upto=place,
                on_delivered=delivered,
                on_refused=refused,
            )
        except (DeadlineExceeded, Refused, SpoolBusy, Unreachable) as error:
            why = error
        if refusals:
            raise refusals[0]
        if not receipts and (left := spool.find(place)):
            # A token that has ended says nothing of the message: that waits for one that is good.
            if isinstance(why, Refused) and not passes(why) and why.status != 401:
                spool.remove([place])
                raise why
            if left.code:  # another process was told, between our two steps
                spool.remove([place])
                raise Refused(left.code, left.why or left.code)
            return _waits(spool, endpoint, left, why, json_output)
    # Where another process has delivered it, asking again with the same id gives its receipt.
    receipt = receipts[0] if receipts else send(endpoint, post, token=token, timeout_s=timeout_s)
    show_receipt(receipt, json_output, quiet)
    return ExitCode.DONE


def _waits(spool: Spool, endpoint: Endpoint, item: Spooled, why: ChatkitError | None, json_output: bool) -> int:
    count = spool.count(endpoint.url).waiting
    complain(f"spooled ({count} waiting, `chatkit flush` delivers): {why}")
    if json_output:
        line = {"ok": False, "spooled": True, "channel": item.channel, "id": item.id}
        print(json.dumps(line, separators=(",", ":")), flush=True)
    return ExitCode.SPOOLED
