"""A server for the whole suite, and the rule that nothing a client does is logged as our error."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatkit.server import wheel

from .harness import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that need no settings of their own; each test has rooms of its own."""
    with Server(tmp_path_factory.mktemp("shared") / "chat.db") as server:
        yield server


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with settings; all of them are stopped after the test."""
    servers: list[Server] = []

    def make(db: Path | None = None, **options: object) -> Server:
        server = Server(db or tmp_path / "chat.db", **options)
        servers.append(server)
        return server.start()

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers started in this test look at their connections fifty times a second instead of once."""
    monkeypatch.setattr(wheel, "TICK_S", 0.02)


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"room-{next(_numbers)}"


@pytest.fixture(autouse=True)
def _nothing_is_logged_as_our_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]
