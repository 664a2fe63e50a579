"""What is refused because there is too much of it, because it takes too long, or because the log cannot take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unittest import mock

import pytest

from chatkit.errors import LogFailed
from chatkit.log.base import Outcome, Submission
from chatkit.log.sqlite import SqliteLog

from .harness import Server
from .peer import TEXT, frame
from .raw import request_bytes

SEND = "/examples/chat/send"


def test_one_connection_more_than_the_limit_is_told_to_come_back(make_server: Callable[..., Server]) -> None:
    server = make_server(max_connections=3)
    with server.peer() as peer, server.raw() as one, server.raw() as two:
        assert one.request("GET", "/healthz").status == 200
        assert two.request("GET", "/healthz").status == 200
        with server.raw() as more:
            answer = more.response()
            assert (answer.status, answer.code) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert more.is_closed()
        assert peer.sync() == []
        one.request("GET", "/healthz", connection="close")
        assert one.is_closed()
        with server.raw() as instead:
            assert instead.request("GET", "/healthz").status == 200


@pytest.mark.usefixtures("quick_ticks")
@pytest.mark.parametrize(
    "begun",
    [
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        request_bytes("POST", SEND, {"roomId": "a", "text": "hi"})[:-3],
        request_bytes("POST", SEND, b"", content_length="", transfer_encoding="chunked") + b"5\r\n{}",
        request_bytes("GET", "/healthz") + b"GET /heal",
    ],
    ids=["one byte", "head", "body", "chunks", "the second request"],
)
def test_a_request_that_takes_too_long_is_answered_408(make_server: Callable[..., Server], begun: bytes) -> None:
    server = make_server(request_timeout_s=0.2, idle_timeout_s=60)
    with server.raw() as raw:
        raw.send(begun)
        if begun.startswith(request_bytes("GET", "/healthz")):
            assert raw.response().status == 200
        answer = raw.response()
        assert (answer.status, answer.code) == (408, "timeout")
        assert raw.is_closed()


@pytest.mark.usefixtures("quick_ticks")
def test_bytes_that_trickle_in_do_not_put_the_deadline_off(make_server: Callable[..., Server]) -> None:
    server = make_server(request_timeout_s=0.3, idle_timeout_s=60)
    with server.raw() as raw:
        raw.socket.settimeout(0.02)
        raw.send(b"GET /healthz HTTP/1.1\r\n")
        answer = None
        while answer is None:
            raw.send(b"X: y\r\n")
            try:
                answer = raw.response()
            except TimeoutError:
                continue
        assert answer.status == 408


@pytest.mark.usefixtures("quick_ticks")
def test_a_connection_that_says_nothing_is_closed_without_a_word(make_server: Callable[..., Server]) -> None:
    server = make_server(request_timeout_s=0.2, idle_timeout_s=0.3)
    with server.raw() as silent, server.raw() as idle:
        assert idle.request("GET", "/healthz").status == 200
        assert silent.is_closed()
        assert idle.is_closed()


def test_more_than_may_wait_for_the_log_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(max_journal_bytes=500)
    body = {"roomId": "a", "text": "x" * 400}
    with server.raw() as raw, server.peer() as peer:
        raw.send(b"".join([request_bytes("POST", SEND, body)] * 3))
        first, _, last = (raw.response() for _ in range(3))
        assert first.status == 200
        assert (last.status, last.code) == (503, "unavailable")
        assert int(last.headers["retry-after"]) >= 1
        assert raw.request("POST", SEND, body).status == 200
        peer.send(frame(TEXT, b'{"type":"chat","roomId":"a","text":"%b","id":"%d"}' % (b"x" * 600, 1)) * 2)
        kinds = {found["type"]: found for found in peer.hear_many(2)}
        assert (kinds["error"]["code"], kinds["error"]["id"]) == ("unavailable", "1")


def test_a_full_disk_is_507_and_passes(make_server: Callable[..., Server]) -> None:
    server = make_server()
    log = server.context.log
    assert isinstance(log, SqliteLog)
    assert log._writer is not None
    run = log._writer._run
    with server.raw() as raw, server.peer() as peer:
        peer.subscribe("chat/a")
        server.on_loop(lambda: run("PRAGMA max_page_count = 20"))
        statuses = [raw.request("POST", SEND, {"roomId": "a", "text": "x" * 60_000}) for _ in range(3)]
        assert (statuses[-1].status, statuses[-1].code) == (507, "disk_full")
        assert "retry-after" in statuses[-1].headers
        peer.say("chat", roomId="a", text="x" * 60_000, id="1")
        while (found := peer.hear())["type"] == "event":
            pass
        assert (found["code"], found["id"]) == ("disk_full", "1")
        assert raw.request("POST", "/api/publish", {"topic": "chat/a", "event": "typing"}).status == 200
        server.on_loop(lambda: run("PRAGMA max_page_count = 1000000"))
        assert raw.request("POST", SEND, {"roomId": "a", "text": "x" * 60_000}).status == 200


class FailingLog(SqliteLog):
    """A log whose disk fails."""

    failing = False

    async def append(self, batch: Sequence[Submission]) -> list[Outcome]:
        if FailingLog.failing:
            raise LogFailed("writing failed: disk I/O error")
        return await super().append(batch)


def test_a_failed_log_refuses_what_waits_and_ends_the_server(
    make_server: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    FailingLog.failing = False
    with mock.patch("chatkit.server.app.SqliteLog", FailingLog):
        server = make_server()
    with server.raw() as raw, server.peer() as peer:
        assert raw.request("POST", SEND, {"roomId": "a", "text": "hi"}).status == 200
        FailingLog.failing = True
        answer = raw.request("POST", SEND, {"roomId": "a", "text": "hi"})
        assert (answer.status, answer.code) == (503, "unavailable")
        assert peer.close_code() == 1012
    server.wait()
    assert isinstance(server.error, LogFailed)
    said = [record.levelname for record in caplog.records if record.levelname != "INFO"]
    assert said == ["CRITICAL"]  # one line that says why
    caplog.clear()
