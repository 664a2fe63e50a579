"""Faults of our own: a handler, an answer, a subscriber or the hand-out raises."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from chatkit.errors import LogFailed
from chatkit.log import rows
from chatkit.server import routes
from chatkit.server.submissions import Author
from tests.socket.harness import Server
from tests.socket.raw import Closed

SEND = "/examples/chat/send"
BODY = {"roomId": "a", "text": "hi"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "chat.db") as server:
        yield server


def broken(*arguments: object, **named: object) -> None:
    raise RuntimeError("a bug")


def test_a_handler_that_raises_is_a_500_and_the_server_lives(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with mock.patch.dict(routes.ROUTES, {"/api/presence": {"GET": broken}}), server.raw() as raw:
        answer = raw.request("GET", "/api/presence?channel=chat/a")
        assert (answer.status, answer.code) == (500, "internal")
        assert "bug" not in answer.json["error"]
        assert raw.request("POST", SEND, BODY).status == 200
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == [logging.ERROR]


def test_an_event_that_cannot_be_stored_is_refused_and_the_next_one_is_not(server: Server) -> None:
    parameters: Callable[..., tuple[object, ...]] = rows.parameters
    with server.raw() as raw, server.peer() as peer:
        peer.subscribe("chat/a")
        with mock.patch.object(rows, "parameters", lambda *given: (*parameters(*given)[:-1], 2**70)):
            answer = raw.request("POST", SEND, BODY)
        assert (answer.status, answer.code) == (500, "internal")
        with mock.patch.object(rows, "parameters", broken):
            assert raw.request("POST", SEND, BODY).status == 500
        assert raw.request("POST", SEND, BODY).json["seq"] == 1
        assert peer.hear()["seq"] == 1


def test_a_lock_held_by_another_program_is_a_503_and_passes(server: Server) -> None:
    with server.raw() as raw:
        raw.request("POST", SEND, BODY)
        server.on_loop(lambda: server.context.log._writer._run("PRAGMA busy_timeout = 10"))  # type: ignore[attr-defined]
        other = sqlite3.connect(server.config.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answer = raw.request("POST", SEND, BODY)
        assert (answer.status, answer.code, "retry-after" in answer.headers) == (503, "unavailable", True)
        assert raw.request("GET", "/healthz").status == 503
        other.execute("ROLLBACK")
        other.close()
        assert raw.request("GET", "/healthz").status == 200
        assert raw.request("POST", SEND, BODY).json["seq"] == 2


def test_a_sender_that_cannot_be_told_does_not_keep_the_others_waiting(server: Server) -> None:
    def submit_broken() -> None:
        context = server.context
        submission = context.maker.message(Author(None, context.projects), "a", "first")
        context.journal.submit(submission, broken)

    with server.raw() as raw:
        server.on_loop(submit_broken)
        assert raw.request("POST", SEND, BODY).json["seq"] == 2


def test_a_hub_that_fails_after_the_commit_ends_the_server_with_nothing_lost(tmp_path: Path) -> None:
    """Some subscribers may have the batch and others not: only a restart makes them level again."""
    server = Server(tmp_path / "chat.db").start()
    with server.raw() as raw:
        assert raw.request("POST", SEND, BODY).status == 200
        server.on_loop(lambda: mock.patch.object(server.context.hub.recent, "extend", broken).start())
        try:
            answer = raw.request("POST", SEND, {**BODY, "id": "unknown"})
            assert answer.status == 503
        except Closed:
            pass
    server.wait()
    assert server.error is not None
    assert not isinstance(server.error, LogFailed)
    with Server(tmp_path / "chat.db") as again, again.raw() as raw:
        assert raw.request("POST", SEND, {**BODY, "id": "unknown"}).json["duplicate"]
