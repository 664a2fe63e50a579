"""Tokens as the database keeps them: made, listed and revoked by whoever may write the file.

A token is 256 random bits, shown once. The file has only its SHA-256: there is nothing to guess in so much
randomness, so a slow hash would protect nothing more. Every function takes the one connection that writes.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ..errors import InvalidName, Refused
from ..model import CHAT, MAX_USER_CHARS, Pattern, check_text
from . import setup

R = TypeVar("R")

#: What the functions here take.
Connection = sqlite3.Connection

PREFIX: Final = "ck_"
EVERYTHING: Final = "*/**"
_BYTES: Final = 32

_COLUMNS: Final = "digest, name, send_patterns, read_patterns, admin, created_at, expires_at, revoked_at"


class Token(msgspec.Struct, frozen=True):
    """What a token is good for. Times are Unix milliseconds.

    Attributes:
        name: the user that its bearer is.
        send: patterns of channels to which it may send.
        read: patterns of channels that it may read.
        admin: whether it may also set up, look at the metrics, and hand out tokens.
        created_at: when it was made.
        expires_at: when it ends; ``None`` for never.
    """

    name: str
    send: list[str]
    read: list[str]
    admin: bool
    created_at: int
    expires_at: int | None = None

    def is_good(self, now_ms: int) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now_ms < self.expires_at


def new_secret() -> str:
    """A fresh token, to be shown once."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest(secret: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode()).digest()


def right_pattern(text: str) -> Pattern:
    """The channels that a person grants: ``**`` is all, a name without ``/`` a room.

    Raises:
        InvalidName: it is no pattern.
    """
    if text == "**":
        text = EVERYTHING
    return Pattern.parse(text if "/" in text else f"{CHAT}/{text}")


def make(
    name: str, send: list[str], read: list[str], *, admin: bool, now_ms: int, expires_at: int | None = None
) -> Token:
    """A token's record, checked. Without any pattern it may send and read everything, which is what most want.

    Raises:
        InvalidName: the name or a pattern breaks the grammar.
    """
    check_text("token name", name, MAX_USER_CHARS)
    if expires_at is not None and expires_at <= now_ms:
        raise InvalidName("expiry", str(expires_at), "it is in the past")
    if not send and not read:
        send = read = [EVERYTHING]
    return Token(
        name,
        [right_pattern(text).text for text in send],
        [right_pattern(text).text for text in read],
        admin,
        now_ms,
        expires_at,
    )


def load(connection: Connection) -> dict[bytes, Token]:
    """Every token that is not revoked, by its digest."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM tokens WHERE revoked_at IS NULL ORDER BY name")
    patterns = msgspec.json.Decoder(list[str]).decode
    return {
        digest: Token(name, patterns(send), patterns(read), bool(admin), created_at, expires_at)
        for digest, name, send, read, admin, created_at, expires_at, _ in rows
    }


def add(connection: Connection, token: Token, secret: str, now_ms: int) -> None:
    """Store a new token; durable when this returns.

    An expired token of the same name makes way.

    Raises:
        Refused: ``id_conflict``, the name has a token that is still good.
    """
    held = [old for old in load(connection).values() if old.name == token.name]
    if any(old.is_good(now_ms) for old in held):
        raise Refused("id_conflict", f"{token.name!r} has a token; revoke it first, or choose another name")
    encode = msgspec.json.encode
    with _Durably(connection):
        connection.execute(
            "UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", (now_ms, token.name)
        )
        connection.execute(
            f"INSERT INTO tokens ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                digest(secret),
                token.name,
                encode(token.send).decode(),
                encode(token.read).decode(),
                token.admin,
                token.created_at,
                token.expires_at,
            ),
        )


def revoke(connection: Connection, name: str, now_ms: int) -> bool:
    """End the token of ``name``; durable when this returns. Returns whether there was one."""
    with _Durably(connection):
        changed = connection.execute(
            "UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", (now_ms, name)
        )
        return changed.rowcount > 0


def in_file(path: Path, function: Callable[[Connection], R]) -> R:
    """Call ``function`` with a connection to a file whose lock the caller has.

    Raises:
        LogError: the file cannot be used.
    """
    try:
        with closing(setup.connect(path)) as connection:
            return function(connection)
    except sqlite3.Error as error:
        raise setup.unusable(path, error) from error


class _Durably:
    """One transaction that is synced whatever ``--durability`` says: no power cut brings a revoked token back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._before = 2

    def __enter__(self) -> None:
        run = self._connection.execute
        self._before = run("PRAGMA synchronous").fetchone()[0]
        run("PRAGMA synchronous = FULL")
        run("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        run = self._connection.execute
        try:
            run("COMMIT" if kind is None else "ROLLBACK")
        finally:
            run(f"PRAGMA synchronous = {self._before}")
