"""A spool for each test, and a server that can be away."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Server, chatkit


class Station:
    """One user's commands, with a spool of their own.

    Attributes:
        spool: the spool's path; the file is not there yet.
    """

    def __init__(self, directory: Path) -> None:
        self.spool = directory / "state" / "spool.db"

    @property
    def env(self) -> dict[str, str]:
        """What makes a command this user's."""
        return {"CHATKIT_SPOOL": str(self.spool)}

    def run(self, *arguments: str, url: str, text: str | bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return chatkit(*arguments, url=url, text=text, env=self.env | env)

    def waiting(self, url: str) -> list[dict[str, Any]]:
        """What is in the spool for a server."""
        return [json.loads(line) for line in self.run("flush", "--list", "--json", url=url).stdout.splitlines()]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Server]:
    """A server that has an address and is not running."""
    directory = tmp_path / "server"
    directory.mkdir()
    server = Server(directory)
    server.start()
    server.kill9()
    yield server
    server.stop()


def texts(server: Server, room: str = "general") -> list[str]:
    """Every message of a room, in the order of the log."""
    lines = chatkit("tail", room, "--after", "0", "--no-follow", "--json", url=server.url).stdout.splitlines()
    return [json.loads(line)["data"]["text"] for line in lines]
