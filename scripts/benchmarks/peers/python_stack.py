"""The two servers that a Python programmer would write: FastAPI, and plain `websockets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .. import cache
from ..generator import Role
from .base import CHAT_BODY, HERE, Peer

if TYPE_CHECKING:
    from pathlib import Path


class PythonPeer(Peer):
    keeps = "SQLite, a commit a message before the ack"
    packages: ClassVar[tuple[str, ...]]
    server: ClassVar[str]
    subscriber = Role("/sub/{c}", (("wait for", "subscribed"),))

    def __init__(self) -> None:
        self._python: Path | None = None

    def install(self) -> None:
        self._python = cache.python_with(self.name, *self.packages)

    def version(self) -> str:
        return ", ".join(package.replace("==", " ") for package in self.packages)

    def command(self, folder: Path) -> list[str]:
        return [str(self._python), str(HERE / self.server), str(folder / "chat.db")]


class Websockets(PythonPeer):
    name = "websockets"
    title = "websockets.broadcast + aiosqlite"
    packages = ("websockets==17.4", "aiosqlite==0.22.1", "uvloop==0.22.1")
    server = "websockets_server.py"
    sender = Role("/send", body=CHAT_BODY, ack='{"ack":true}')


class FastApi(PythonPeer):
    name = "fastapi"
    title = "FastAPI + uvicorn + aiosqlite"
    packages = ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", "aiosqlite==0.22.1")
    server = "fastapi_server.py"
    sender = Role("/send", body=CHAT_BODY)
