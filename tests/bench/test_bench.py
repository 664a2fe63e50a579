"""``chatkit bench`` as it is run: a server of its own, a server that is there, a gate, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from chatkit.errors import ExitCode
from tests.bench.faulty import faulty
from tests.client.scripted import accepted, reply, scripted
from tests.support import Server, chatkit, running

SMALL = ["--subscribers", "5", "--senders", "4"]


def bench(*arguments: str, tmp: Path, url: str = "") -> dict[str, Any]:
    done = chatkit("bench", *SMALL, *arguments, *(["--url", url] if url else []), "--json", env={"TMPDIR": str(tmp)})
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_server_of_its_own_that_leaves_nothing_behind(tmp_path: Path) -> None:
    found = bench("--messages", "200", "--durability", "normal", "--channels", "2", tmp=tmp_path)
    assert (found["sent"], found["refused"], found["unknown"]) == (200, 0, 0)
    assert found["delivered"] == 100 * 5
    assert (found["lost"], found["duplicated"], found["disordered"]) == (0, 0, 0)
    assert (found["sampled"], found["disconnected"]) == (2, 0)
    assert (found["ack"]["samples"], found["delivery"]["samples"]) == (200, 200)
    assert found["sends_per_s"] > 0
    assert found["load"]["durability"] == "normal"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_there_keeps_the_messages(shared_server: Server, tmp_path: Path) -> None:
    found = bench("--messages", "50", "--rate", "1000", "--size", "40", tmp=tmp_path, url=shared_server.url)
    assert (found["sent"], found["delivered"]) == (50, 250)
    kept = chatkit("tail", found["load"]["room"], "-n", "100", "--json", "--no-follow", url=shared_server.url)
    texts = [json.loads(line)["data"]["text"] for line in kept.stdout.splitlines()]
    assert len(texts) == 50
    assert {len(text) for text in texts} == {40}


def test_a_server_that_wants_a_token(tmp_path: Path) -> None:
    server = Server(tmp_path, "--require-token", "--send-rate", "0")
    assert chatkit("setup", "--db", str(server.db)).returncode == 0
    secret = chatkit("token", "create", "ci", "--db", str(server.db)).stdout.strip()
    server.start()
    try:
        load = ["bench", *SMALL, "--messages", "50", "--max-lost", "0", "--url", server.url]
        assert chatkit(*load).returncode == ExitCode.NOT_AUTHORIZED
        done = chatkit(*load, "--json", env={"CHATKIT_TOKEN": secret})
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["sent"] == 50
    finally:
        server.stop()


def test_it_ends_after_a_time(shared_server: Server, tmp_path: Path) -> None:
    found = bench("--seconds", "0.2", "--rate", "50", tmp=tmp_path, url=shared_server.url)
    assert 0 < found["sent"] <= 11
    assert found["delivered"] == found["sent"] * 5


def test_a_table_for_people(shared_server: Server) -> None:
    done = chatkit("bench", *SMALL, "--messages", "20", "--url", shared_server.url)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "the messages stay there, in bench-" in lines[0]
    assert [line.split(" ")[0] for line in lines if line[0] != " "] == [
        "server", "load", "sent", "delivered", "ack", "delivery", "faults", "bench",
    ]  # fmt: skip
    assert "0 lost, 0 duplicated, 0 out of order" in done.stdout


def test_a_gate(shared_server: Server) -> None:
    load = ["bench", *SMALL, "--messages", "20", "--url", shared_server.url]
    assert chatkit(*load, "--max-lost", "0", "--max-p99", "60s", "--min-rate", "0.01").returncode == ExitCode.DONE
    done = chatkit(*load, "--max-lost", "0", "--max-p99", ".0001ms", "--min-rate", "1e9")
    assert done.returncode == ExitCode.REFUSED
    assert [line.rpartition("; ")[2] for line in done.stderr.splitlines()] == [
        "--max-p99 is 0.0001 ms", "--max-p99 is 0.0001 ms", "--min-rate is 1,000,000,000",
    ]  # fmt: skip
    assert "delivered" in done.stdout


def test_what_is_lost_doubled_and_out_of_order_is_seen_and_breaks_the_gate() -> None:
    with faulty() as url:
        load = ["--subscribers", "1", "--senders", "1", "--messages", "5", "--url", url]
        done = chatkit("bench", *load, "--max-lost", "0", "--json")
    found = json.loads(done.stdout)
    assert (found["lost"], found["duplicated"], found["disordered"]) == (1, 1, 1)
    assert done.returncode == ExitCode.REFUSED
    assert done.stderr.splitlines() == [
        f"chatkit: deliveries {what}: 1; --max-lost is 0" for what in ("lost", "duplicated", "out of order")
    ]


def test_messages_are_numbered_and_need_no_subscriber() -> None:
    def script(number: int, body: dict[str, Any]) -> bytes:
        return accepted(number + 1, body)

    with scripted(script) as server:
        done = chatkit("bench", "--subscribers", "0", "--senders", "1", "--messages", "3", "--max-lost", "0",
                       "--url", server.url)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert [body["text"].split(":")[1] for body in server.bodies] == ["0000000000", "0000000001", "0000000002"]


def test_a_server_that_says_later_and_one_that_says_no() -> None:
    def later(number: int, body: dict[str, Any]) -> bytes:
        return accepted(number, body) if number else reply(503, "Retry-After: 0\r\n", ok=False, code="x", error="later")

    load = ["bench", "--subscribers", "0", "--senders", "1", "--messages", "3"]
    with scripted(later) as server:
        found = json.loads(chatkit(*load, "--json", "--url", server.url).stdout)
        assert (found["sent"], found["refused"], found["unknown"]) == (2, 1, 0)
    with scripted(lambda number, body: reply(401, ok=False, code="unauthorized", error="who?")) as server:
        done = chatkit(*load, "--url", server.url)
        assert (done.returncode, done.stdout, done.stderr) == (ExitCode.NOT_AUTHORIZED, "", "chatkit: who?\n")


def test_a_server_that_goes_away() -> None:
    with scripted(lambda number, body: accepted(number, body) if number < 2 else None) as server:
        done = chatkit("bench", "--subscribers", "0", "--senders", "1", "--messages", "5", "--url", server.url)
    assert done.returncode == ExitCode.UNREACHABLE
    assert "1 without an answer" in done.stdout
    assert done.stderr.count("\n") == 1


def test_interrupted(shared_server: Server) -> None:
    load = [*SMALL, "--rate", "50", "--seconds", "600", "--json"]
    with running("bench", *load, "--url", shared_server.url, url="") as command:
        _wait_for_messages(shared_server)
        command.signal(signal.SIGINT)
        assert (command.wait(), command.rest_of_stderr()) == (ExitCode.INTERRUPTED, [])
        found = json.loads(command.line())
    assert found["interrupted"]
    assert found["sent"] > 0
    assert found["lost"] == 0


def _wait_for_messages(server: Server) -> None:
    """Until some bench has sent something."""
    with running("tail", "chat/*", "--json", "-n", "0", "--count", "3", url=server.url) as tail:
        assert tail.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, 143)])
def test_ended_with_a_server_of_its_own(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with running("bench", *SMALL, "--seconds", "600", url="", TMPDIR=str(tmp_path)) as command:
        while not list(tmp_path.glob("*/chat.db-wal")):
            os.sched_yield()  # there is no event to wait for
        command.signal(number)
        assert (command.wait(), command.rest_of_stderr()) == (code, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--subscribers", "-1"], "--subscribers"),
        (["--senders", "0"], "--senders"),
        (["--messages", "0"], "--messages"),
        (["--seconds", "nan"], "--seconds"),
        (["--rate", "0"], "--rate"),
        (["--size", "3"], "--size"),
        (["--channels", "0"], "--channels"),
        (["--max-lost", "-1"], "--max-lost"),
        (["--max-p99", "soon"], "--max-p99"),
        (["--min-rate", "-1"], "--min-rate"),
        (["--messages", "1", "--seconds", "1"], "give one"),
        (["--durability", "maybe"], "--durability"),
        (["--durability", "full", "--url", "127.0.0.1:1"], "--durability"),
        (["--url", "ftp://x"], "ftp"),
        (["--subscribers", "2000000000"], "connections"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(arguments: list[str], says: str) -> None:
    done = chatkit("bench", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.USAGE, "", 1)
    assert says in done.stderr


def test_nobody_there(unused_url: str) -> None:
    done = chatkit("bench", "--url", unused_url, "--messages", "1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.UNREACHABLE, "", 1)
    assert "chatkit serve" in done.stderr
