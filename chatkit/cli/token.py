"""``chatkit token``: make, list and revoke tokens.

Only one process may write the database. While a server has it, the server is asked, by its control socket beside the
file; else the file is opened here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from .. import wire
from ..client.endpoint import Endpoint
from ..client.oneshot import ask
from ..client.sending import answer_of
from ..errors import LogError, Refused, Unreachable
from ..log import setup, tokens
from ..log.lock import FileLock
from .ending import UsageError

R = TypeVar("R")

_TIMEOUT_S = 10.0
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def create_token(
    *,
    name: str,
    send: list[str] | None,
    read: list[str] | None,
    admin: bool,
    expires: str | None,
    json_output: bool,
    db: str | None,
) -> int:
    """Make a token and print it; raises ChatkitError."""
    now_ms = _now_ms()
    expires_at = None if expires is None else now_ms + _milliseconds(expires)
    token = tokens.make(name, send or [], read or [], admin=admin, now_ms=now_ms, expires_at=expires_at)
    secret = _keeper(db).add(token)
    if json_output:
        print(json.dumps({"name": token.name, "token": secret, "expiresAt": token.expires_at}))
    else:
        print(secret)
    return 0


def list_token(json_output: bool, db: str | None) -> int:
    """Print every token that is not revoked; raises ChatkitError."""
    found = _keeper(db).all()
    for token in found:
        if json_output:
            print(wire.encode(token).decode())
        else:
            print(f"{token.name}  {_described(token)}")
    return 0


def revoke_token(name: str, db: str | None) -> int:
    """End a token; raises ChatkitError."""
    _keeper(db).end(name)
    print(f"revoked: the token of {name}")
    return 0


class _Keeper(Protocol):
    """Whoever may write the tokens now."""

    def add(self, token: tokens.Token) -> str:
        """Store a token and return its secret."""

    def all(self) -> Sequence[wire.TokenInfo]:
        """Every token, by name."""

    def end(self, name: str) -> None:
        """Revoke a token."""


def _keeper(db: str | None) -> _Keeper:
    path = Path(db) if db else setup.default_path()
    if not path.exists():
        setup.prepare(path, count=False)
    lock = FileLock(path)
    try:
        lock.acquire()
    except LogError as busy:
        return _Server(path, busy)
    setup.prepare(path, count=False)
    return _File(path, lock)


class _File:
    """The file itself; nobody else has it for the rest of this process."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self._path, self._lock = path, lock

    def add(self, token: tokens.Token) -> str:
        secret = tokens.new_secret()
        self._do(lambda connection: tokens.add(connection, token, secret, token.created_at))
        return secret

    def all(self) -> Sequence[wire.TokenInfo]:
        found = self._do(tokens.load).values()
        return [
            wire.TokenInfo(token.name, token.send, token.read, token.admin, token.created_at, token.expires_at)
            for token in found
        ]

    def end(self, name: str) -> None:
        if not self._do(lambda connection: tokens.revoke(connection, name, _now_ms())):
            raise Refused("not_found", f"there is no token of {name!r}; `chatkit token list` shows all")

    def _do(self, function: Callable[[tokens.Connection], R]) -> R:
        try:
            return tokens.in_file(self._path, function)
        finally:
            self._lock.release()


class _Server:
    """The server that has the file."""

    def __init__(self, path: Path, busy: LogError) -> None:
        self._endpoint = Endpoint("localhost", 80, path=f"{path}.control")
        self._busy = busy

    def add(self, token: tokens.Token) -> str:
        body = wire.TokenBody(token.name, list(token.send), list(token.read), token.admin, token.expires_at)
        return wire.decode_with(wire.new_token, self._ask("POST", "/api/tokens", wire.encode(body)), "body").token

    def all(self) -> Sequence[wire.TokenInfo]:
        return wire.decode_with(wire.token_list, self._ask("GET", "/api/tokens"), "body").tokens

    def end(self, name: str) -> None:
        self._ask("POST", "/api/tokens/revoke", wire.encode(wire.RevokeBody(name)))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            response = ask(self._endpoint, method, path, body, token=None, timeout_s=_TIMEOUT_S)
        except Unreachable:
            raise self._busy from None  # whoever has the file takes no orders
        answer_of(response, self._endpoint.url)
        return response.body


def _milliseconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise UsageError("--expires should be a number and a unit: 90s, 45m, 12h, 30d, 8w")
    return int(found[1]) * _UNITS_S[found[2]] * 1000


def _described(token: wire.TokenInfo) -> str:
    may = []
    for verb, patterns in (("send", token.send), ("read", token.read)):
        if patterns:
            may.append(f"{verb} {' '.join('**' if text == tokens.EVERYTHING else text for text in patterns)}")
    if token.admin:
        may.append("admin")
    if token.expiresAt is not None:
        over = token.expiresAt <= _now_ms()
        when = datetime.fromtimestamp(token.expiresAt / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        may.append(f"{'expired' if over else 'until'} {when}")
    return ", ".join(may)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
