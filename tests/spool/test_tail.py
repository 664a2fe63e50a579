"""A tail that runs delivers what is spooled for its server."""

from __future__ import annotations

import json
import signal

from chatkit.errors import ExitCode
from tests.client.scripted import reply, scripted
from tests.support import Server, running, subscribed

from .conftest import Station
from .test_send import move


def test_a_tail_delivers_what_waits_when_it_starts_and_when_it_is_back(station: Station, away: Server) -> None:
    for text in ("one", "two"):
        station.run("send", "general", text, "--spool", url=away.url)
    away.restart()
    with running("tail", "general", "--json", url=away.url, **station.env) as tail:
        assert [json.loads(line)["data"]["text"] for line in tail.lines(2)] == ["one", "two"]
        assert tail.error_line() == "chatkit: delivered 2 messages from the spool"
        away.kill9()
        assert "connecting again" in tail.error_line()
        assert station.run("send", "general", "three", "--spool", url=away.url).returncode == ExitCode.SPOOLED
        away.restart()
        assert json.loads(tail.line())["data"]["text"] == "three"
        tail.signal(signal.SIGINT)
        assert tail.wait() == ExitCode.INTERRUPTED
    assert station.waiting(away.url) == []


def test_a_tail_delivers_what_is_spooled_while_it_runs(station: Station, server: Server, unused_url: str) -> None:
    with running("tail", "general", "--json", url=server.url, **station.env) as tail:
        subscribed(server, 1)
        station.run("send", "general", "late", "--spool", url=unused_url)
        move(station, unused_url, server.url)
        assert json.loads(tail.line())["data"]["text"] == "late"


def test_a_tail_says_what_is_refused_once(station: Station, server: Server, unused_url: str) -> None:
    url = server.url
    assert station.run("send", "general", "first", "--id", "x", url=url).returncode == 0
    for text, event_id in (("other", "x"), ("next", "y")):
        station.run("send", "general", text, "--id", event_id, "--spool", url=unused_url)
    move(station, unused_url, url)
    with running("tail", "general", "--json", url=url, **station.env) as tail:
        assert [json.loads(line)["data"]["text"] for line in tail.lines(2)] == ["first", "next"]
        assert "spooled message x to chat/general was refused and is set aside" in tail.error_line()
        assert tail.error_line() == "chatkit: delivered 1 message from the spool"
    assert [item["refused"] for item in station.waiting(url)] == ["id_conflict"]


def test_a_tail_that_cannot_start_delivers_nothing(station: Station, unused_url: str) -> None:
    station.run("send", "general", "hi", "--spool", url=unused_url)
    with scripted(lambda number, body: reply(404, ok=False, code="not_found", error="no")) as server:
        move(station, unused_url, server.url)
        assert station.run("tail", "general", "--no-follow", url=unused_url).returncode == ExitCode.UNREACHABLE
        assert server.bodies == []
