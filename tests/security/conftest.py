"""Doors into a server, one of each kind, and a certificate for those with TLS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..socket.harness import Server
from . import certificates
from .doors import Door


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of localhost, and its key."""
    return certificates.make(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture
def open_door(tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Callable[..., Door]]:
    """Start servers; all of them are stopped after the test."""
    servers: list[Server] = []

    def make(kind: str = "loopback", db: Path | None = None, **options: object) -> Door:
        door = Door(kind, db or tmp_path / "chat.db", certificate, tmp_path, **options)
        servers.append(door.server)
        door.server.start()
        return door

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, of which warnings are expected."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture(autouse=True)
def _nothing_is_logged_as_our_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]


@pytest.fixture(autouse=True)
def _no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of whoever runs the tests gets in."""
    monkeypatch.setenv("CHATKIT_LOGINS", str(tmp_path / "logins.json"))
    for name in ("CHATKIT_TOKEN", "CHATKIT_TOKEN_FILE", "CHATKIT_URL", "CHATKIT_CA_FILE", "CHATKIT_USER", "CHATKIT_DB"):
        monkeypatch.delenv(name, raising=False)
