"""Peers that stop reading, vanish, trickle or come in crowds, and networks that cut."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkit.cli.top import Sample, parse
from tests.socket.peer import Peer
from tests.socket.raw import Closed, Raw

from .load import ROOM, SEND, Load
from .proxy import Proxy
from .rig import COMMAND, DEADLINE_S, Server

MIB = 1024 * 1024


def metrics(server: Server) -> Sample:
    with Raw(server.port) as raw:
        return parse(raw.request("GET", "/metrics").body.decode())


def send(raw: Raw, number: int, size: int) -> None:
    body = {"roomId": ROOM, "id": f"m{number}", "text": "x" * size}
    assert raw.request("POST", SEND, body).status == 200


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    options = ("--stall-timeout", "2", "--ping-interval", "1", "--ping-timeout", "1", "--request-timeout", "1")
    with Server(tmp_path / "chat.db", "--durability", "normal", *options) as server:
        yield server
        server.stop()
    assert "Traceback" not in server.log, server.log


@pytest.mark.parametrize(("cut_after", "trickle"), [(3000, 0), (8000, 500)])
def test_a_network_that_cuts_and_trickles_loses_and_doubles_nothing(
    tmp_path: Path, cut_after: int, trickle: int
) -> None:
    db, load = tmp_path / "chat.db", Load()
    with Server(db, "--durability", "normal") as server:
        proxy = Proxy(server.port, cut_after=cut_after, trickle=trickle)
        load.server_at(proxy.port)
        load.wait_for(lambda: proxy.cuts >= 10)
        load.wait_acknowledged(20)
        load.finish(db)
        load.end()
        proxy.close()
        assert server.stop() == 0
    assert "Traceback" not in server.log, server.log


def test_a_network_that_stalls_only_delays(tmp_path: Path) -> None:
    db, load = tmp_path / "chat.db", Load()
    with Server(db, "--durability", "normal") as server:
        proxy = Proxy(server.port)
        load.server_at(proxy.port)
        for _ in range(3):
            load.wait_acknowledged(20)
            proxy.stall()
            with Raw(server.port) as raw:
                for number in range(50):
                    send(raw, id(proxy) + number, 10)
            proxy.flow()
        load.finish(db)
        load.end()
        proxy.close()
    assert load.not_recovered == 0


def test_a_stopped_reader_costs_one_queue_and_the_others_nothing(tmp_path: Path) -> None:
    """SIGSTOP: its events stay in the log and not in memory; when it goes on it gets each of them, once and in order."""
    db, count, size = tmp_path / "chat.db", 700, 60_000
    with Server(db, "--durability", "normal", "--stall-timeout", "60") as server, Raw(server.port) as raw:
        url = f"http://127.0.0.1:{server.port}"
        for number in range(600):  # SQLite's cache of pages fills first
            body = {"roomId": "other", "id": f"o{number}", "text": "x" * size}
            assert raw.request("POST", SEND, body).status == 200
        tail = subprocess.Popen(
            [*COMMAND, "tail", ROOM, "--json", "--after", "0", "--count", str(count), "--url", url],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert tail.stdout is not None
        send(raw, 0, size)
        assert json.loads(tail.stdout.readline())["id"] == "m0"
        os.kill(tail.pid, signal.SIGSTOP)
        with Peer(server.port) as other:
            other.subscribe(f"chat/{ROOM}")
            for number in range(1, 100):
                send(raw, number, size)
                assert other.hear()["id"] == f"m{number}"
            before = server.memory_bytes
            for number in range(100, count):  # 36 MB
                send(raw, number, size)
                assert other.hear()["id"] == f"m{number}"
            grown = server.memory_bytes - before
            found = metrics(server)
        assert grown < 16 * MIB, f"{grown / MIB:.0f} MiB"
        assert found["chatkit_lagging_total"] >= 1
        assert found['chatkit_subscriptions{state="behind"}'] == 1
        os.kill(tail.pid, signal.SIGCONT)
        ids = [json.loads(line)["id"] for line in tail.stdout]
        assert tail.wait(DEADLINE_S) == 0
        tail.stdout.close()
        assert ids == [f"m{number}" for number in range(1, count)]
        assert server.stop() == 0
    assert "Traceback" not in server.log, server.log


def test_a_crowd_of_readers_that_do_not_read_shares_pages(tmp_path: Path) -> None:
    """Thirty slow readers of a large history are read for in the same pages, and no queue grows past its limit."""
    db, readers = tmp_path / "chat.db", 30
    with Server(db, "--durability", "normal") as server, Raw(server.port) as raw:
        for number in range(500):
            send(raw, number, 30_000)
        before = server.memory_bytes
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(server.port, receive_bytes=4096)) for _ in range(readers)]
            for peer in peers:
                peer.say("subscribe", topic=f"chat/{ROOM}", after=0)
            for peer in peers:
                assert peer.hear()["recovered"]
            found = metrics(server)
            while found["chatkit_unsent_bytes"] < readers * MIB:  # until every queue is at its limit
                found = metrics(server)
            assert found["chatkit_unsent_bytes"] < readers * 1.6 * MIB
            assert server.memory_bytes - before < readers * 1.6 * MIB + 48 * MIB
            for peer in peers[:3]:
                frames = [peer.hear() for _ in range(501)]
                assert [frame["id"] for frame in frames[:-1]] == [f"m{number}" for number in range(500)]
                assert frames[-1]["type"] == "live"
    assert "Traceback" not in server.log, server.log


def test_a_reader_that_takes_nothing_is_closed_and_its_queue_freed(server: Server) -> None:
    with Raw(server.port) as raw, Peer(server.port, receive_bytes=4096) as stalled:
        assert stalled.subscribe(f"chat/{ROOM}")["recovered"]
        for number in range(60):
            send(raw, number, 60_000)
        assert metrics(server)["chatkit_unsent_bytes"] > 0
        found = metrics(server)
        while found["chatkit_stalled_total"] < 1 or found["chatkit_unsent_bytes"]:
            found = metrics(server)
        assert found['chatkit_connections{kind="websocket"}'] == 0


def test_a_slow_reader_that_takes_something_is_not_stalled(server: Server) -> None:
    """Its queue is full whenever it is looked at; what counts is that bytes are taken."""
    with Raw(server.port) as raw, Peer(server.port, receive_bytes=4096) as slow:
        assert slow.subscribe(f"chat/{ROOM}")["recovered"]
        for number in range(100):
            send(raw, number, 60_000)
        looks = metrics(server)["chatkit_uptime_seconds"] + 5  # more than twice the limit
        while metrics(server)["chatkit_uptime_seconds"] < looks:
            slow.read(1000)
        assert metrics(server)["chatkit_stalled_total"] == 0


def test_a_peer_that_vanishes_is_noticed_by_a_ping(server: Server) -> None:
    proxy = Proxy(server.port)
    with Peer(proxy.port) as peer:
        assert peer.subscribe(f"chat/{ROOM}")["recovered"]
        proxy.stall()
        while metrics(server)['chatkit_connections{kind="websocket"}']:
            pass
    proxy.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{",
    ],
)
def test_a_slow_head_or_body_is_answered_408(server: Server, begun: bytes) -> None:
    with Raw(server.port) as raw:
        raw.send(begun)
        answer = raw.response()
        assert (answer.status, answer.code) == (408, "timeout")
        assert raw.is_closed()
    assert metrics(server)['chatkit_refused_total{code="timeout"}'] == 1


def test_an_answer_that_is_not_taken_does_not_keep_its_memory(server: Server) -> None:
    with Raw(server.port) as raw, Raw(server.port, receive_bytes=4096) as stalled:
        for number in range(100):
            send(raw, number, 60_000)
        stalled.send(b"GET /api/messages?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while metrics(server)['chatkit_connections{kind="http"}'] > 2:  # ours, and the one that asks
            pass


def test_connections_are_refused_before_files_run_out(tmp_path: Path) -> None:
    with Server(tmp_path / "chat.db", RLIMIT_NOFILE=100) as server, Raw(server.port) as first:
        assert "at most 36 connections" in server.log
        refused, held = 0, []
        for _ in range(200):
            raw = Raw(server.port)
            held.append(raw)
            with contextlib.suppress(Closed, OSError):
                answer = raw.request("GET", "/healthz")
                if answer.status == 503:
                    assert answer.headers["retry-after"]
                    refused += 1
        assert refused >= 150
        assert first.request("POST", SEND, {"roomId": "a", "text": "hi"}).status == 200
        for raw in held:
            raw.close()
        while True:  # the server notices that they are gone
            with Raw(server.port) as raw, contextlib.suppress(Closed, OSError):
                if raw.request("POST", SEND, {"roomId": "a", "text": "hi"}).status == 200:
                    break
        assert server.stop() == 0
    assert "Traceback" not in server.log, server.log


def test_too_many_open_files_at_once_do_not_stop_the_server(tmp_path: Path) -> None:
    """A burst of connections that are not even asked for anything, past every limit."""
    with Server(tmp_path / "chat.db", RLIMIT_NOFILE=100) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(contextlib.closing(Raw(server.port)))
        done = False
        while not done:
            with Raw(server.port) as raw, contextlib.suppress(Closed, OSError):
                done = raw.request("GET", "/healthz").status == 200
        assert server.stop() == 0
    assert "Traceback" not in server.log, server.log


def test_a_journal_over_its_limit_refuses_and_recovers(tmp_path: Path) -> None:
    """Eight pipelining senders against 64 KiB of journal: each answer is 200 or 503, and the 503s are not stored."""
    with Server(tmp_path / "chat.db", "--max-journal-bytes", "65536") as server, contextlib.ExitStack() as stack:
        raws = [stack.enter_context(Raw(server.port)) for _ in range(8)]
        answers: list[int] = []
        for turn in range(20):
            for place, raw in enumerate(raws):
                ids = [f"{turn}-{place}-{number}" for number in range(20)]
                raw.send(b"".join(_request({"roomId": ROOM, "id": name, "text": "x" * 3000}) for name in ids))
            for raw in raws:
                for _ in range(20):
                    answer = raw.response()
                    answers.append(answer.status)
                    if answer.status == 503:
                        assert answer.code == "unavailable"
                        assert answer.headers["retry-after"]
            if 503 in answers:
                break
        assert set(answers) == {200, 503}
        assert metrics(server)["chatkit_log_head"] == answers.count(200)
        assert raws[0].request("POST", SEND, {"roomId": ROOM, "text": "hi"}).status == 200


def _request(body: dict[str, str]) -> bytes:
    payload = json.dumps(body).encode()
    head = f"POST {SEND} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
def test_a_stream_resumes_by_its_last_event_id(server: Server, accept: str) -> None:
    with Raw(server.port) as raw, Raw(server.port) as stream:
        for number in range(5):
            send(raw, number, 10)
        head = f"GET /api/stream?channel=chat/{ROOM} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nLast-Event-ID: 3\r\n\r\n"
        stream.send(head.encode())
        assert b" 200 OK" in stream.read_until(b"\r\n\r\n")
        frames = [hear(stream) for _ in range(4)]
        assert [frame["type"] for frame in frames] == ["subscribed", "event", "event", "live"]
        assert [frame.get("id") for frame in frames[1:3]] == ["m3", "m4"]
        send(raw, 5, 10)
        assert hear(stream)["id"] == "m5"


def hear(stream: Raw) -> dict[str, object]:
    """The next frame of a stream of either kind."""
    while True:
        line = stream.read_until(b"\n").strip().removeprefix(b"data: ")
        if line.startswith(b"{"):
            found: dict[str, object] = json.loads(line)
            return found
