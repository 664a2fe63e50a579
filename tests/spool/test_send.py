"""send --spool and flush as a script uses them: real processes, a server that is away, or says no."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from chatkit.errors import ExitCode
from tests.client.scripted import accepted, reply, scripted
from tests.support import CHATKIT, DEADLINE_S, Server, environment, running

from .conftest import Station, texts

MANY = 60


def test_a_message_waits_until_the_server_is_there(station: Station, away: Server) -> None:
    done = station.run("send", "general", "one", "--spool", url=away.url)
    assert (done.returncode, done.stdout) == (ExitCode.SPOOLED, "")
    assert done.stderr.count("\n") == 1
    assert "spooled (1 waiting, `chatkit flush` delivers): cannot reach" in done.stderr
    done = station.run("send", "general", "two", "--spool", "--json", "--id", "second", url=away.url)
    assert json.loads(done.stdout) == {"ok": False, "spooled": True, "channel": "chat/general", "id": "second"}
    assert [item.text for item in station.waiting(away.url)] == ["one", "two"]
    assert (station.spool.stat().st_mode & 0o777) == 0o600
    away.restart()
    done = station.run("flush", url=away.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"delivered 2 messages to {away.url}\n", "")
    assert texts(away) == ["one", "two"]
    assert station.run("flush", url=away.url).stdout == f"nothing waits for {away.url}\n"


def test_the_time_is_that_of_writing(station: Station, away: Server) -> None:
    station.run("send", "general", "one", "--spool", url=away.url)
    written = station.spool.stat().st_mtime_ns // 1_000_000
    away.restart()
    station.run("flush", url=away.url)
    (line,) = station.run("tail", "general", "--no-follow", "--json", url=away.url).stdout.splitlines()
    assert 0 <= written - json.loads(line)["timestamp"] < 10_000


def test_the_next_send_delivers_and_a_spooling_one_goes_behind(station: Station, away: Server) -> None:
    for text in ("one", "two"):
        station.run("send", "general", text, "--spool", url=away.url)
    away.restart()
    done = station.run("send", "general", "three", "--spool", "--json", url=away.url)
    assert (done.returncode, done.stderr, json.loads(done.stdout)["seq"]) == (0, "", 3)
    away.kill9()
    station.run("send", "general", "four", "--spool", url=away.url)
    away.restart()
    assert station.run("send", "general", "five", url=away.url).returncode == 0
    assert sorted(texts(away)) == sorted(["one", "two", "three", "four", "five"])
    assert texts(away)[:3] == ["one", "two", "three"]
    station.run("send", "general", "six", "--spool", url=away.url)
    away.kill9()
    station.run("send", "general", "seven", "--spool", url=away.url)
    away.restart()
    assert station.run("send", "general", "--lines", url=away.url, text="eight\n").returncode == 0
    assert sorted(texts(away)[5:]) == ["eight", "seven", "six"]
    assert station.waiting(away.url) == []


def test_where_the_server_is_there_the_message_just_goes(station: Station, shared_server: Server) -> None:
    done = station.run("send", "just", "hi", "--spool", url=shared_server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for channel in ("just", "game/7"):
        first, again = (
            station.run("send", channel, "hi", "--spool", "--id", f"x-{channel}", "--json", url=shared_server.url)
            for _ in range(2)
        )
        # The time is another one, so that it is another message: the id stands for one that was sent once.
        assert first.returncode == 0
        assert again.returncode in (0, ExitCode.REFUSED)
    assert station.waiting(shared_server.url) == []


def test_lines_wait_and_keep_their_order(station: Station, away: Server) -> None:
    text = "".join(f"{number}\n\n" for number in range(MANY))
    done = station.run("send", "general", "--lines", "--spool", url=away.url, text=text)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (ExitCode.SPOOLED, "", 1)
    assert f"{MANY} messages spooled" in done.stderr
    away.restart()
    done = station.run(
        "send", "general", "--lines", "--spool", "--json", url=away.url, text="x\n\xff\ny".encode("latin1")
    )
    assert (done.returncode, done.stderr[:16]) == (ExitCode.USAGE, "chatkit: line 2:")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [MANY + 1, MANY + 2]
    assert texts(away) == [*map(str, range(MANY)), "x", "y"]


def test_lines_go_on_while_the_server_comes_and_goes(station: Station, away: Server) -> None:
    with running("send", "general", "--lines", "--spool", "--json", url=away.url, **station.env) as send:
        send.write("one\n")
        away.restart()
        assert json.loads(send.line())["seq"] == 1
        away.kill9()
        send.write("two\nthree\n")
        away.restart()
        assert [json.loads(line)["seq"] for line in send.lines(2)] == [2, 3]
        away.kill9()
        send.write("four\n")
        send.end_input()
        assert send.wait() == ExitCode.SPOOLED
        assert "1 message spooled" in send.error_line()
    away.restart()
    assert station.run("flush", "-q", url=away.url).stdout == ""
    assert texts(away) == ["one", "two", "three", "four"]


def test_lines_that_are_interrupted_say_what_waits(station: Station, away: Server) -> None:
    with running("send", "general", "--lines", "--spool", url=away.url, **station.env) as send:
        send.write("one\n")
        while not (station.spool.exists() and station.spool.stat().st_size and station.waiting(away.url)):
            pass
        send.signal(signal.SIGINT)
        assert send.wait() == ExitCode.INTERRUPTED
        assert send.rest_of_stderr() == ["chatkit: 1 message spooled, `chatkit flush` delivers"]


def refusal(status: int, code: str = "x", extra: str = "") -> bytes:
    return reply(status, extra, ok=False, code=code, error="because")


@pytest.mark.parametrize("answer", [refusal(503, "unavailable", "Retry-After: 60\r\n"), refusal(507, "disk_full"), b""])
@pytest.mark.parametrize("command", [["hi"], ["--lines"]])
def test_an_unknown_outcome_is_spooled_with_the_same_id(station: Station, answer: bytes, command: list[str]) -> None:
    answers: list[bytes] = [answer]
    with scripted(lambda number, body: answers[0] if answers else accepted(1, body)) as server:
        done = station.run("send", "general", *command, "--spool", "--timeout", "0.5", url=server.url, text="hi\n")
        assert (done.returncode, done.stderr.count("\n")) == (ExitCode.SPOOLED, 1)
        (waiting,) = station.waiting(server.url)
        answers.clear()
        assert station.run("flush", url=server.url).returncode == 0
        assert {body["id"] for body in server.bodies} == {waiting.id}
        first, *rest = server.bodies
        assert rest
        assert all(body == first for body in rest)


def test_a_token_that_has_ended_keeps_the_message_for_one_that_is_good(station: Station) -> None:
    with scripted(lambda number, body: refusal(401)) as server:
        done = station.run("send", "general", "hi", "--spool", url=server.url)
        assert done.returncode == ExitCode.SPOOLED
        assert done.stderr.startswith("chatkit: spooled (1 waiting")


@pytest.mark.parametrize(("status", "code"), [(400, 1), (409, 1), (413, 1), (403, 77), (404, 1)])
def test_a_refusal_that_its_sender_hears_is_not_kept(station: Station, status: int, code: int) -> None:
    with scripted(lambda number, body: refusal(status)) as server:
        done = station.run("send", "general", "hi", "--spool", url=server.url)
        assert (done.returncode, done.stderr) == (code, "chatkit: because\n")
        assert station.waiting(server.url) == []


def test_a_line_that_is_refused_does_not_stop_the_others(station: Station) -> None:
    def script(number: int, body: dict[str, Any]) -> bytes:
        return refusal(413, "too_large") if body["text"] == "bad" else accepted(number, body)

    with scripted(script) as server:
        done = station.run("send", "general", "--lines", "--spool", "--json", url=server.url, text="a\nbad\nb\n")
        assert (done.returncode, done.stderr) == (ExitCode.REFUSED, "chatkit: line 2: because\n")
        assert len(done.stdout.splitlines()) == 2
        assert station.waiting(server.url) == []


def test_what_is_refused_for_good_is_set_aside_and_the_others_go(station: Station, unused_url: str) -> None:
    allowed = False

    def script(number: int, body: dict[str, Any]) -> bytes:
        return accepted(number, body) if allowed or body["text"] != "bad" else refusal(409, "id_conflict")

    with scripted(script) as server:
        url = server.url
        port_closed = unused_url  # spooled for another address, then moved: the scripted server is always there
        for text in ("one", "bad", "two"):
            station.run("send", "general", text, "--id", text, "--spool", url=port_closed)
        move(station, port_closed, url)
        done = station.run("flush", url=url)
        assert done.returncode == ExitCode.REFUSED
        assert done.stdout == (f"delivered 2 messages to {url}; 1 refused and set aside, see `chatkit flush --list`\n")
        assert done.stderr == (
            "chatkit: spooled message bad to chat/general was refused and is set aside: because; "
            "see `chatkit flush --list`, remove it with `chatkit flush --drop bad`\n"
        )
        listed = station.run("flush", "--list", url=url).stdout
        assert "0 waiting, 1 refused" in listed
        assert "refused (id_conflict): because" in listed
        assert station.waiting(url)[0].code == "id_conflict"
        (line,) = station.run("flush", "--list", "--json", url=url).stdout.splitlines()
        assert json.loads(line) == {
            "url": url, "id": "bad", "channel": "chat/general", "userId": "tester", "text": "bad",
            "refused": "id_conflict", "why": "because",
        }  # fmt: skip
        assert station.run("send", "general", "three", "--spool", url=url).returncode == 0
        assert station.run("flush", "--drop", "nope", url=url).returncode == ExitCode.REFUSED
        if_retried = station.run("flush", "--retry", url=url)
        assert if_retried.returncode == ExitCode.REFUSED
        allowed = True
        assert station.run("flush", "--retry", url=url).stdout == f"delivered 1 message to {url}\n"
        assert [body["text"] for body in server.bodies] == ["one", "bad", "two", "three", "bad", "bad"]


def move(station: Station, old: str, new: str) -> None:
    import sqlite3

    connection = sqlite3.connect(station.spool)
    with connection:
        connection.execute("UPDATE spool SET url = ? WHERE url = ?", (new, old))
    connection.close()


def test_a_message_is_dropped(station: Station, unused_url: str) -> None:
    station.run("send", "general", "hi", "--id", "x", "--spool", url=unused_url)
    done = station.run("flush", "--drop", "x", url=unused_url)
    assert (done.returncode, done.stdout) == (0, "dropped x\n")
    assert station.waiting(unused_url) == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [(refusal(401, "unauthorized"), ExitCode.NOT_AUTHORIZED), (refusal(503, "unavailable", "Retry-After: 60\r\n"), 75),
     (b"", ExitCode.TIMED_OUT), (b"SSH-2.0-x\r\n", ExitCode.UNREACHABLE)],
)  # fmt: skip
def test_flush_says_how_it_ended(station: Station, unused_url: str, answer: bytes, code: int) -> None:
    station.run("send", "general", "hi", "--spool", url=unused_url)
    with scripted(lambda number, body: answer) as server:
        move(station, unused_url, server.url)
        done = station.run("flush", "--timeout", "0.3", url=server.url)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1)
        assert done.stdout == f"delivered 0 messages to {server.url}; 1 still waits\n"
        assert len(station.waiting(server.url)) == 1


def test_flush_of_one_server_leaves_the_others(station: Station, away: Server, unused_url: str) -> None:
    for url in (away.url, unused_url):
        station.run("send", "general", "hi", "--spool", url=url)
    away.restart()
    done = station.run("flush", url=away.url)
    assert done.stdout.splitlines() == [
        f"delivered 1 message to {away.url}",
        f"1 message for another server: `chatkit flush --url {unused_url}`",
    ]
    assert [item.url for item in station.waiting(None)] == [unused_url]


def test_a_plain_send_is_done_whatever_becomes_of_the_spool(station: Station, unused_url: str) -> None:
    station.run("send", "general", "old", "--spool", url=unused_url)

    def script(number: int, body: dict[str, Any]) -> bytes:
        return accepted(1, body) if body["text"] == "new" else refusal(401, "unauthorized")

    with scripted(script) as server:
        move(station, unused_url, server.url)
        done = station.run("send", "general", "new", "--json", url=server.url)
        assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
        assert done.stderr == f"chatkit: what was spooled for {server.url} before still waits: because\n"
        station.spool.write_text("not a spool")
        assert station.run("send", "general", "new", url=server.url).returncode == 0


def test_a_spool_that_cannot_be_used_is_told_before_anything_is_sent(station: Station, shared_server: Server) -> None:
    station.spool.parent.mkdir()
    station.spool.write_text("my notes")
    for command in (["send", "notes", "hi", "--spool"], ["send", "notes", "--lines", "--spool"], ["flush"]):
        done = station.run(*command, url=shared_server.url, text="hi\n")
        assert (done.returncode, done.stderr.count("\n")) == (ExitCode.REFUSED, 1)
        assert "not a spool" in done.stderr
    assert texts(shared_server, "notes") == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--drop", "x", "--list"], "--drop"), (["--json"], "--json"), (["--timeout", "0"], "--timeout")],
)
def test_wrong_usage(station: Station, unused_url: str, arguments: list[str], says: str) -> None:
    done = station.run("flush", *arguments, url=unused_url)
    assert done.returncode == ExitCode.USAGE
    assert says in done.stderr
    assert not station.spool.exists()


def test_many_at_once_deliver_each_message_once_and_in_order(station: Station, away: Server) -> None:
    text = "".join(f"{number}\n" for number in range(MANY))
    station.run("send", "general", "--lines", "--spool", url=away.url, text=text)
    away.restart()
    commands = [["flush"]] * 3 + [["send", "other", "hi"]] + [["send", "general", "late", "--spool", "--json"]] * 2
    env = environment(CHATKIT_URL=away.url, **station.env)
    running_ = [
        subprocess.Popen([*CHATKIT, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    outcomes = [process.communicate(timeout=DEADLINE_S) for process in running_]
    assert [process.returncode for process in running_] == [0] * len(commands), outcomes
    assert texts(away) == [*map(str, range(MANY)), "late", "late"]
    assert {json.loads(out)["seq"] for out, _ in outcomes[-2:]} <= set(range(MANY, MANY + 5))
    assert station.waiting(away.url) == []


def test_a_send_loads_sqlite_only_where_there_is_a_spool(station: Station, shared_server: Server) -> None:
    code = (
        "import sys; from chatkit.cli import main; code = main(['send', 'loads', 'hi']);"
        "print(code, 'sqlite3' in sys.modules, 'asyncio' in sys.modules)"
    )

    def loaded() -> str:
        env = environment(CHATKIT_URL=shared_server.url, **station.env)
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout

    assert loaded() == "0 False False\n"
    station.run("send", "loads", "hi", "--spool", url=shared_server.url)
    assert loaded() == "0 True False\n"
