"""Another log under the same URL: replaced, cut, pruned. A tail says so in a line, shows what there is, and goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import Server, chatkit, running

from .conftest import send


def texts(lines: list[str]) -> list[str]:
    return [json.loads(line)["data"]["text"] for line in lines]


def replace(server: Server) -> None:
    server.forget()


def cut(server: Server) -> None:
    """The log ends earlier than it did, as after a power cut that took the newest."""
    with closing(sqlite3.connect(server.db, isolation_level=None)) as connection:
        connection.execute("DELETE FROM messages WHERE seq > 2")
        connection.execute("UPDATE sqlite_sequence SET seq = 2")


def prune(server: Server) -> None:
    assert chatkit("prune", "--keep", "0", "--db", str(server.db)).returncode == 0


@pytest.fixture
def cursor(server: Server, tmp_path: Path) -> Path:
    """A cursor behind four messages; the server is down."""
    send(server, "1", "2", "3", "4")
    path = tmp_path / "cursor"
    chatkit("tail", "general", "--no-follow", "--cursor", str(path), url=server.url)
    return path


def test_a_log_that_was_replaced(server: Server, cursor: Path) -> None:
    server.kill9()
    replace(server)
    server.restart()
    send(server, "a", "b")
    with running("tail", "general", "--json", "--cursor", str(cursor), url=server.url) as tail:
        assert texts(tail.lines(2)) == ["a", "b"]
        assert tail.error_line() == (
            "chatkit: chat/general: the server has another log than before; going on with the newest 2 events there are"
        )
        send(server, "c")
        assert texts([tail.line()]) == ["c"]
    done = chatkit("tail", "general", "--json", "--no-follow", "--cursor", str(cursor), url=server.url)
    assert texts(done.stdout.splitlines()) in ([], ["c"])  # killed before it was kept, or behind
    assert done.stderr == ""


def test_a_log_that_was_cut(server: Server, cursor: Path) -> None:
    server.terminate()
    cut(server)
    server.restart()
    with running("tail", "general", "--json", "--cursor", str(cursor), url=server.url) as tail:
        assert texts(tail.lines(2)) == ["1", "2"]
        assert "position 4 is beyond the end of the log (2)" in tail.error_line()
        send(server, "new")
        assert texts([tail.line()]) == ["new"]


def test_a_log_that_was_pruned(server: Server, cursor: Path) -> None:
    send(server, "5", "6")
    server.terminate()
    prune(server)
    server.restart()
    send(server, "7")
    with running("tail", "general", "--json", "--cursor", str(cursor), url=server.url) as tail:
        assert texts([tail.line()]) == ["7"]
        assert tail.error_line() == (
            "chatkit: chat/general: events after 4 are no longer kept; going on with the one event there is"
        )
        send(server, "8")
        assert texts([tail.line()]) == ["8"]


def test_a_tail_that_runs_while_the_log_is_replaced(server: Server) -> None:
    send(server, "1")
    send(server, "1", room="other")
    with running("tail", "general", "other", "--json", url=server.url) as tail:
        assert texts(tail.lines(2)) == ["1", "1"]
        server.kill9()
        replace(server)
        server.restart()
        send(server, "a")
        send(server, "b", room="other")
        assert sorted(texts(tail.lines(2))) == ["a", "b"]
        said = [tail.error_line() for _ in range(4)]
        assert [line.split(": ")[1].split(";")[0] for line in said[1:2]] == ["connected again"]
        assert {line.split(": ")[1] for line in said[2:]} == {"chat/general", "chat/other"}
        assert all("another log than before" in line for line in said[2:])


def test_more_than_is_shown_is_told(server: Server, cursor: Path) -> None:
    server.kill9()
    replace(server)
    server.restart()
    lines = "".join(f"{number}\n" for number in range(1003))
    assert chatkit("send", "general", "--lines", url=server.url, text=lines).returncode == 0
    done = chatkit("tail", "general", "--json", "--no-follow", "--cursor", str(cursor), url=server.url)
    assert texts(done.stdout.splitlines()) == [*map(str, range(3, 1003))]
    assert done.stderr.endswith("going on with the newest 1000 events there are; older ones are left out\n")
