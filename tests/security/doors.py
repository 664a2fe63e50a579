"""A server behind a door of some kind, and the ways through it."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from chatkit.log import setup, tokens

from ..socket.harness import Server
from ..socket.peer import CLOSE, Peer, close_frame
from ..socket.raw import DEADLINE_S, Raw, Response

T = TypeVar("T", bound=Raw)

#: Where each kind listens. 0.0.0.0 is what a LAN is reached by; the tests connect to it from this machine only.
KINDS: dict[str, dict[str, Any]] = {
    "loopback": {"host": "127.0.0.1"},
    "LAN": {"host": "0.0.0.0"},
    "Unix": {},
    "TLS": {"host": "0.0.0.0"},
}


class Door:
    """One server."""

    def __init__(self, kind: str, db: Path, certificate: tuple[Path, Path], folder: Path, **options: object) -> None:
        self.kind, self.db, self._certificate = kind, db, certificate
        settings: dict[str, object] = {**KINDS[kind], **options}
        if kind == "Unix":
            settings["unix"] = folder / "door"
        if kind == "TLS":
            settings["tls_cert"], settings["tls_key"] = certificate
        self.server = Server(db, **settings)

    def connect(self) -> socket.socket:
        """A new connection, TLS included."""
        if self.kind == "Unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(DEADLINE_S)
            sock.connect(self.server.url.removeprefix("unix:"))
            return sock
        sock = socket.create_connection(("127.0.0.1", self.server.port), DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.kind == "TLS":
            context = ssl.create_default_context(cafile=str(self._certificate[0]))
            return context.wrap_socket(sock, server_hostname="localhost")
        return sock

    def raw(self) -> Raw:
        """A new connection."""
        return self._over(Raw)

    def ask(self, method: str, target: str, body: object = None, **headers: str) -> Response:
        """One request on a connection of its own."""
        with self.raw() as raw:
            return raw.request(method, target, body, **headers)

    def knock(self, query: str = "", **headers: str) -> tuple[Peer, Response]:
        """Try to open a WebSocket; the peer is of use when the status is 101."""
        peer = self._over(Peer)
        return peer, peer.handshake(query, headers)

    def turned_away(self, query: str = "", **headers: str) -> Response:
        """The answer to a handshake that is refused."""
        peer, answer = self.knock(query, **headers)
        with peer:
            assert answer.status != 101
            return answer

    @contextlib.contextmanager
    def peer(self, query: str = "", **headers: str) -> Iterator[Peer]:
        """An open WebSocket."""
        peer, answer = self.knock(query, **headers)
        with peer:
            assert answer.status == 101, answer
            yield peer

    def _over(self, kind: type[T]) -> T:
        made = kind.__new__(kind)
        made.socket, made.buffer = self.connect(), b""
        return made


def close_code(peer: Peer) -> int:
    """The code that the server closes with, whatever it says before; the close is answered, and the server goes."""
    while True:
        opcode, payload = peer.hear_frame()
        if opcode == CLOSE:
            peer.send(close_frame(1000))
            peer.rest()
            return int.from_bytes(payload[:2], "big")


def bearer(secret: str | None) -> dict[str, str]:
    """The field that shows a token; none for ``None``."""
    return {} if secret is None else {"authorization": f"Bearer {secret}"}


def give(db: Path, name: str, *, created_at: int = 1, **rights: Any) -> str:
    """Store a token in a database that no server has, and return it."""
    setup.prepare(db)
    expires_at = rights.pop("expires_at", None)
    token = tokens.make(
        name,
        rights.pop("send", []),
        rights.pop("read", []),
        admin=rights.pop("admin", False),
        now_ms=created_at,
        expires_at=expires_at,
    )
    assert not rights
    secret = tokens.new_secret()
    with contextlib.closing(setup.connect(db)) as connection:
        tokens.add(connection, token, secret, created_at)
    return secret


def end(db: Path, name: str) -> None:
    """Revoke a token in a database that no server has."""
    with contextlib.closing(setup.connect(db)) as connection:
        assert tokens.revoke(connection, name, 2)


def rows(db: Path, sql: str) -> list[Any]:
    """What a database holds."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql).fetchall()
