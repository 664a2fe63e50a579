"""Who somebody is and what they may do, as values; and a grant, which is that for as long as it holds. Pure."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Final

import msgspec

from ..errors import Refused
from ..model import Pattern

if TYPE_CHECKING:
    from .allowance import Allowance
    from .outlet import Outlet
    from .submissions import Author

_CHANNELS_KEPT: Final = 4096


class Right(IntFlag):
    """What a route or command asks for."""

    NONE = 1  # nothing: anybody at all may
    MEMBER = 2  # to be let in, whoever it is
    SEND = 4  # to send somewhere; where, is asked when the channel is known
    READ = 8  # to read something; what, likewise
    ADMIN = 16  # to set up, and to see the server's own numbers
    OWNER = 32  # to hand out rights: an administrator whose identity is proven


class Identity(msgspec.Struct, frozen=True):
    """Somebody.

    Attributes:
        name: the user they are; ``None`` for whoever they say.
        send: channels to which they may send.
        read: channels that they may read.
        admin: whether :attr:`Right.ADMIN` is theirs.
        verified: whether ``name`` was proven, by a token or by the operating system.
        expires_at: Unix milliseconds after which all this is over; ``None`` for never.
    """

    name: str | None
    send: tuple[Pattern, ...] = ()
    read: tuple[Pattern, ...] = ()
    admin: bool = False
    verified: bool = False
    expires_at: int | None = None

    @property
    def rights(self) -> Right:
        """Every right they have somewhere."""
        rights = Right.NONE | Right.MEMBER
        if self.send:
            rights |= Right.SEND
        if self.read:
            rights |= Right.READ
        if self.admin:
            rights |= Right.ADMIN
            if self.verified:
                rights |= Right.OWNER
        return rights


EVERYTHING: Final = (Pattern.parse("*/**"),)
ANYBODY: Final = Identity(None, EVERYTHING, EVERYTHING, admin=True)


class Grant:
    """An identity while its credential holds; every connection of one credential shares it.

    What it may do in a channel is worked out once and remembered.

    Attributes:
        identity: who, and what.
        mask: the rights, as a bit mask; 0 once it is over.
        name: the user, ``None`` for whoever they say.
        is_free: whether nothing need be asked: anything may be sent and read, as anybody, at any rate, for ever.
        allowance: what the user has left, ``None`` where nothing is limited.
        bucket: the sends of that.
        links: open WebSockets and streams that end with it; ``None`` where it has no end.
        author: how it sends over HTTP, once it has.
    """

    __slots__ = (
        "_may_read",
        "_may_send",
        "allowance",
        "author",
        "bucket",
        "identity",
        "is_free",
        "links",
        "mask",
        "name",
    )

    def __init__(self, identity: Identity, allowance: Allowance | None = None, *, has_end: bool = False) -> None:
        self.identity = identity
        self.name = identity.name
        self.mask = int(identity.rights)
        self.allowance = allowance
        self.bucket = None if allowance is None else allowance.bucket
        self.links: set[Outlet] | None = set() if has_end else None
        everywhere = identity.send == identity.read == EVERYTHING
        self.is_free = everywhere and identity.name is None and self.bucket is None and not has_end
        self.author: Author | None = None
        self._may_send: dict[str, bool] = {}
        self._may_read: dict[str, bool] = {}

    def join(self, link: Outlet) -> None:
        """A WebSocket or stream opens with this grant; see :meth:`Allowance.check_links`."""
        if self.links is not None:
            self.links.add(link)
        if self.allowance is not None:
            self.allowance.links += 1

    def leave(self, link: Outlet) -> None:
        """It has closed, or goes on with another grant. To be called once for each :meth:`join`."""
        if self.links is not None:
            self.links.discard(link)
        if self.allowance is not None:
            self.allowance.links -= 1

    def may_send(self, channel: str) -> bool:
        """Whether they may send to ``channel``."""
        may = self._may_send.get(channel)
        return self._look_up(self._may_send, self.identity.send, channel) if may is None else may

    def may_read(self, channel: str) -> bool:
        """Whether they may read ``channel``."""
        may = self._may_read.get(channel)
        return self._look_up(self._may_read, self.identity.read, channel) if may is None else may

    def may_read_all(self, pattern: Pattern) -> bool:
        """Whether they may read every channel of ``pattern``: one of their own patterns covers it."""
        return self.is_free or any(own.covers(pattern) for own in self.identity.read)

    @staticmethod
    def _look_up(known: dict[str, bool], patterns: tuple[Pattern, ...], channel: str) -> bool:
        if len(known) >= _CHANNELS_KEPT:
            known.clear()
        may = known[channel] = any(pattern.matches(channel) for pattern in patterns)
        return may

    def check_send(self, channel: str) -> None:
        """Raise Refused (``forbidden``) where :meth:`may_send` says no."""
        if not self.may_send(channel):
            raise Refused("forbidden", f"{self.who} may not send to {channel}")

    def check_read(self, pattern: Pattern | None) -> None:
        """Raise Refused (``forbidden``) unless all of ``pattern`` may be read; ``None`` is every channel."""
        pattern = EVERYTHING[0] if pattern is None else pattern
        if not self.may_read_all(pattern):
            raise Refused("forbidden", f"{self.who} may not read {pattern.text}")

    def check_user(self, user_id: str) -> None:
        """Raise Refused (``forbidden``) where ``user_id`` is not who they are."""
        if self.name is not None and user_id != self.name:
            raise Refused("forbidden", f"you are {self.name!r} here and cannot send as {user_id!r}")

    @property
    def who(self) -> str:
        """For a sentence."""
        return "you" if self.name is None else repr(self.name)


#: Whoever is there, where no token is wanted; and those who have shown none, where one is.
OPEN: Final = Grant(ANYBODY)
NOBODY: Final = Grant(Identity(None))
NOBODY.mask = int(Right.NONE)
