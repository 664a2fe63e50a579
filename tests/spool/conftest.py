"""A spool for each test, and a server that can be away."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkit.client import oneshot
from chatkit.client.endpoint import parse_url
from chatkit.client.oneshot import Line
from chatkit.client.sending import message
from chatkit.client.spool import Spool, Spooled
from tests.support import DEADLINE_S, Server, chatkit


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

    def waiting(self, url: str | None) -> list[Spooled]:
        """What is in the spool, for a server or for all."""
        if not self.spool.exists():
            return []
        with Spool(str(self.spool)) as spool:
            return spool.all(url)


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
    with urllib.request.urlopen(f"{server.url}/api/messages?channel=chat/{room}&limit=1000") as answer:  # noqa: S310 - our own
        return [message["data"]["text"] for message in json.load(answer)["messages"]]


def send(server: Server, *texts: str, room: str = "general") -> None:
    """Send messages, from this process."""
    endpoint = parse_url(server.url)
    with Line(endpoint) as line:
        for text in texts:
            oneshot.send(endpoint, message(room, text, user="tester"), token=None, timeout_s=DEADLINE_S, line=line)
