"""Credentials to grants, and the end of a grant: revoked or expired, it is over on every open connection at once."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakValueDictionary

from ..errors import ChatkitError, CloseCode, Refused
from ..log import tokens
from ..log.tokens import Connection, Token
from ..model import Pattern
from .allowance import Allowance
from .config import Config
from .guard import is_loopback
from .jwts import Verifier, load_verifier, looks_like_jwt
from .rights import ANYBODY, EVERYTHING, Grant, Identity

R = TypeVar("R")

_GRANTS_KEPT: Final = 4096
_START_BYTES: Final = 16
_LONGEST_TIMER_S: Final = 3600.0  # wall clocks are set; an hour later there is another look

_RATE_PER_S: Final = 50
_MAX_LINKS: Final = 100


class Store(Protocol):
    """Where tokens are kept: an engine whose file takes them."""

    def with_writer(self, function: Callable[[Connection], R]) -> Awaitable[R]:
        """Call ``function`` with the connection that writes."""


class Access:
    """Everybody whom a server knows.

    Attributes:
        is_local: whether it can be reached from this machine only.
        wants_token: whether nobody comes in without one.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.is_local = config.unix is not None or is_loopback(config.host)
        self.wants_token = config.unix is None and (config.require_token or not (self.is_local or config.open))
        self._verifier: Verifier | None = load_verifier(
            config.jwt_secret_file, config.jwt_public_key_file, config.jwt_audience
        )
        self._store: Store | None = None
        self._tokens: dict[bytes, Token] = {}
        self._starts: dict[bytes, bytes] = {}
        self._grants: dict[bytes, Grant] = {}
        self._signed: OrderedDict[bytes, Grant] = OrderedDict()
        self._addresses: OrderedDict[str, Grant] = OrderedDict()
        self._allowances: WeakValueDictionary[str, Allowance] = WeakValueDictionary()
        self._nobody = ANYBODY if self.is_local else Identity(None, EVERYTHING, EVERYTHING)

    async def load(self, store: Store) -> None:
        """Read the tokens.

        Raises:
            ChatkitError: a server that others can reach would let nobody in, or everybody.
        """
        self._store = store
        self._tokens = await store.with_writer(tokens.load)
        for digest in self._tokens:
            self._granted(digest)
        good = any(token.is_good(_now_ms()) for token in self._tokens.values())
        if self.wants_token and not good and self._verifier is None:
            where = self._config.host or "every address"
            raise ChatkitError(
                f"{where} wants tokens and there is none: make one with `chatkit token create NAME`"
                + ("" if self.is_local else ", or let everybody in who can reach it with --open")
            )

    # ------------------------------------------------------------------------------------------------ grants

    def of_credential(self, secret: str) -> Grant | None:
        """The grant of what a client shows; ``None`` for a key of somebody else's system, which is ignored.

        Raises:
            Refused: ``unauthorized``.
        """
        if secret.startswith(tokens.PREFIX):
            return self._of_token(secret)
        if self._verifier is not None and looks_like_jwt(secret):
            return self._of_jwt(self._verifier, secret)
        if self.wants_token:
            raise _unknown()
        return None

    def of_address(self, address: str) -> Grant:
        """The grant of somebody who has shown nothing, on a server that wants nothing."""
        grant = self._addresses.get(address)
        if grant is None:
            grant = self._addresses[address] = Grant(self._nobody, self._allowance(f"@{address}"))
            if len(self._addresses) > _GRANTS_KEPT:
                self._addresses.popitem(last=False)
        return grant

    def of_user(self, name: str, *, admin: bool) -> Grant:
        """The grant of a user whom the operating system vouches for."""
        identity = Identity(name, EVERYTHING, EVERYTHING, admin=admin, verified=True)
        return Grant(identity, self._allowance(name))

    def _of_token(self, secret: str) -> Grant:
        digest = tokens.digest(secret)
        # Found by a part of its hash, then compared whole in a time that says nothing about where they differ.
        stored = self._starts.get(digest[:_START_BYTES])
        if stored is None or not hmac.compare_digest(stored, digest) or not self._tokens[stored].is_good(_now_ms()):
            raise _unknown()
        return self._grants[stored]

    def _of_jwt(self, verifier: Verifier, text: str) -> Grant:
        digest = tokens.digest(text)
        grant = self._signed.get(digest)
        if grant is None or not grant.mask:
            identity = verifier.identity(text)
            grant = Grant(identity, self._allowance(identity.name or ""), has_end=True)
            self._signed[digest] = grant
            self._end_in_time(grant)
            if len(self._signed) > _GRANTS_KEPT:
                self._signed.popitem(last=False)
        self._signed.move_to_end(digest)
        return grant

    def _granted(self, digest: bytes) -> Grant:
        token = self._tokens[digest]
        identity = Identity(
            token.name,
            tuple(map(Pattern.parse, token.send)),
            tuple(map(Pattern.parse, token.read)),
            admin=token.admin,
            verified=True,
            expires_at=token.expires_at,
        )
        self._starts[digest[:_START_BYTES]] = digest
        grant = self._grants[digest] = Grant(identity, self._allowance(token.name), has_end=True)
        self._end_in_time(grant)
        return grant

    def _allowance(self, key: str) -> Allowance | None:
        config = self._config
        rate = config.send_rate if config.send_rate is not None else 0 if self.is_local else _RATE_PER_S
        links = config.max_user_connections
        if links is None:
            links = 0 if self.is_local else _MAX_LINKS
        if not rate and not links:
            return None
        found = self._allowances.get(key)
        if found is None:
            found = self._allowances[key] = Allowance(rate, config.send_burst, links)
        return found

    # ---------------------------------------------------------------------------------------------- the end

    def _end_in_time(self, grant: Grant) -> None:
        """End ``grant`` when it expires, by the wall clock."""
        expires_at = grant.identity.expires_at
        if expires_at is None or not grant.mask:
            return
        left_s = (expires_at - _now_ms()) / 1000
        if left_s <= 0:
            self._end(grant, "the token has expired")
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(min(left_s + 0.001, _LONGEST_TIMER_S), self._end_in_time, grant)

    def _end(self, grant: Grant, why: str) -> None:
        grant.mask = 0
        for link in list(grant.links or ()):
            link.close(CloseCode.NOT_AUTHORIZED, why)

    # ----------------------------------------------------------------------------------------------- tokens

    def tokens(self) -> list[Token]:
        """Every token that is not revoked, by name."""
        return sorted(self._tokens.values(), key=lambda token: token.name)

    async def create(self, token: Token) -> str:
        """Store a token and return its secret, which is nowhere else.

        Raises:
            Refused: ``id_conflict``.
            LogError: it cannot be stored.
        """
        secret = tokens.new_secret()
        await self._write(lambda connection: tokens.add(connection, token, secret, token.created_at))
        for digest in [digest for digest, old in self._tokens.items() if old.name == token.name]:
            self._forget(digest)  # it had expired
        digest = tokens.digest(secret)
        self._tokens[digest] = token
        self._granted(digest)
        return secret

    async def revoke(self, name: str) -> None:
        """End the token of ``name`` on every connection.

        Raises:
            Refused: ``not_found``.
            LogError: it cannot be stored; the token has ended until the server is started again.
        """
        digests = [digest for digest, token in self._tokens.items() if token.name == name]
        for digest in digests:
            self._forget(digest)  # first: whatever the disk does, it ends now
        found = await self._write(lambda connection: tokens.revoke(connection, name, _now_ms()))
        for digest in [digest for digest, token in self._tokens.items() if token.name == name]:
            self._forget(digest)  # one that was being made when this began, and that the file has revoked with it
        if not found and not digests:
            raise Refused("not_found", f"there is no token of {name!r}; `chatkit token list` shows all")

    def _forget(self, digest: bytes) -> None:
        del self._tokens[digest], self._starts[digest[:_START_BYTES]]
        self._end(self._grants.pop(digest), "the token was revoked")

    async def _write(self, function: Callable[[Connection], Any]) -> Any:
        assert self._store is not None  # noqa: S101 - load() sets it
        return await self._store.with_writer(function)


def _unknown() -> Refused:
    """One sentence for wrong, expired and revoked: whoever tries learns nothing."""
    return Refused("unauthorized", "the token is not known here: wrong, expired or revoked")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
