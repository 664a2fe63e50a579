"""Socket.IO + express + better-sqlite3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cache
from ..generator import Role
from .base import CHAT_BODY, HERE, Peer, node_versions

if TYPE_CHECKING:
    from pathlib import Path

# better-sqlite3 13 needs Node 22. Where its prebuilt binary cannot be had, npm builds it from the package's own source.
PACKAGES = ("socket.io@4.8.4", "express@5.3.0", "better-sqlite3@12.11.1")


class SocketIo(Peer):
    name = "socketio"
    title = "Socket.IO + express + better-sqlite3"
    keeps = "SQLite, a commit a message before the ack"
    subscriber = Role(
        "/socket.io/?EIO=4&transport=websocket",
        (
            ("wait for", "0{"),
            ("say", "40"),
            ("wait for", "40{"),
            ("say", '42["join","chat/{c}"]'),
            ("wait for", '"joined"'),
        ),
    )
    sender = Role("/send", body=CHAT_BODY)

    def __init__(self) -> None:
        self._modules: Path | None = None

    def install(self) -> None:
        modules = cache.node_modules("socketio", *PACKAGES)
        cache.run(["node", "-e", "new (require(process.argv[1]))(':memory:')", str(modules / "better-sqlite3")])
        self._modules = modules
        # `require` looks beside the file that asks, so the server's file goes to its packages.
        (modules.parent / "server.js").write_text((HERE / "socketio_server.js").read_text())

    def version(self) -> str:
        assert self._modules is not None
        return node_versions(self._modules, "socket.io", "express", "better-sqlite3")

    def command(self, folder: Path) -> list[str]:
        assert self._modules is not None
        return ["node", str(self._modules.parent / "server.js"), str(folder / "chat.db")]
