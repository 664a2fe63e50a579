"""chatkit itself, once for each durability."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from .. import cache
from ..generator import Role
from .base import Peer

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = cache.ROOT / ".venv/bin/chatkit"


class Chatkit(Peer):
    durability: ClassVar[str]
    replays = True
    subscriber = Role(
        "/api/realtime?userId=u0", (("say", '{"type":"subscribe","topic":"chat/{c}"}'), ("wait for", '"subscribed"'))
    )
    late = Role(
        "/api/realtime?userId=u0",
        (("say", '{"type":"subscribe","topic":"chat/{c}","after":0}'), ("wait for", '"subscribed"')),
    )
    sender = Role("/examples/chat/send", body='{"roomId":"{c}","userId":"u1","text":"{m}"}')

    def install(self) -> None:
        if not PROGRAM.exists():
            raise cache.MissingError("needs `scripts/install` first")

    def version(self) -> str:
        done = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=False, timeout=20)
        return done.stdout.strip() or "chatkit"

    def command(self, folder: Path) -> list[str]:
        return self.serve_command(folder, folder / "log.db")

    def serve_command(self, folder: Path, database: Path) -> list[str]:
        return [
            *(str(PROGRAM), "serve", "--port", "0", "--ready-file", str(folder / "ready")),
            *("--db", str(database), "--durability", self.durability),
            *("--max-connections", "12000"),  # 10,000 subscribers and the senders
        ]

    def ready(self, folder: Path, said: str) -> int | None:
        del said
        file = folder / "ready"
        if not file.exists() or not (text := file.read_text().strip()):
            return None
        return urlsplit(text).port


class ChatkitNormal(Chatkit):
    name = "chatkit"
    title = "chatkit, normal"
    keeps = "SQLite, committed before the ack"
    durability = "normal"


class ChatkitFull(Chatkit):
    name = "chatkit-full"
    title = "chatkit, full"
    keeps = "SQLite, fsynced before the ack"
    durability = "full"
