"""Fixtures for every suite."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .support import Server

# A busy machine is no failure: the deadline of a test is pytest's.
settings.register_profile("chatkit", deadline=None)
settings.load_profile("chatkit")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A test that runs a command in this process leaves its log, whose stream ends with the test, to nobody."""
    log = logging.getLogger("chatkit")
    kept = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = kept[:2]
    log.setLevel(kept[2])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real server with a database of its own."""
    one = Server(tmp_path)
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server for the tests of one module, each in rooms of its own; nobody may stop it."""
    one = Server(tmp_path_factory.mktemp("server"), "--durability", "normal")
    one.start()
    yield one
    one.stop()


@pytest.fixture
def unused_url() -> str:
    """A URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
