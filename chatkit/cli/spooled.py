"""What commands say of the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ending import complain

if TYPE_CHECKING:
    from ..client.spool import Spooled
    from ..errors import Refused


def refused_later(item: Spooled, error: Refused) -> None:
    """Say that a message of an earlier sender was refused for good, and how to go on from there."""
    complain(
        f"spooled message {item.id} to {item.channel} was refused and is set aside: {error}; "
        f"see `chatkit flush --list`, remove it with `chatkit flush --drop {item.id}`"
    )


def messages(count: int) -> str:
    """``1 message``, ``2 messages``."""
    return f"{count} message{'' if count == 1 else 's'}"
