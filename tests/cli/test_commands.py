"""The whole loop, as a person and as a script use it: real processes, real sockets, real signals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import termios
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatkit.errors import ExitCode
from tests.support import CHATKIT, DEADLINE_S, Server, chatkit, environment, running, subscribed


def texts(lines: list[str]) -> list[str]:
    return [json.loads(line)["data"]["text"] for line in lines]


def on_terminal(*arguments: str, url: str = "", until: str = "", columns: int = 80, **env: str) -> tuple[int, str]:
    """Run a command on a terminal; interrupt it when ``until`` has appeared. Returns exit code and output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*CHATKIT, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(**({"CHATKIT_URL": url} if url else {}), **{"NO_COLOR": "", **env}),
    )
    os.close(theirs)
    output = b""
    deadline = time.monotonic() + DEADLINE_S
    try:
        while time.monotonic() < deadline and select.select([ours], [], [], DEADLINE_S)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the last writer is gone
                break
            output += piece
            if until and until.encode() in output:
                until = ""
                process.send_signal(signal.SIGINT)
            if not piece:
                break
        return process.wait(DEADLINE_S), output.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


# ------------------------------------------------------------------------------------------------------- send


def test_send_is_silent_where_no_person_looks(shared_server: Server) -> None:
    done = chatkit("send", "quiet", "hello", "there", url=shared_server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (line,) = chatkit("tail", "chat/quiet", "--json", "--no-follow", url=shared_server.url).stdout.splitlines()
    found = json.loads(line)
    assert found["data"]["text"] == "hello there"
    assert found["userId"] == found["data"]["userId"] == "tester"
    assert found["channel"] == "chat/quiet"


def test_send_says_a_line_on_a_terminal_and_none_with_quiet(shared_server: Server) -> None:
    code, output = on_terminal("send", "general", "hi", url=shared_server.url)
    assert code == 0
    assert re.fullmatch(r"sent: chat/general #\d+\n", output)
    assert on_terminal("send", "general", "hi", "-q", url=shared_server.url) == (0, "")


def test_send_takes_the_whole_of_standard_input(shared_server: Server) -> None:
    chatkit("send", "stdin", "--user", "bob", url=shared_server.url, text="two\nlines\n")
    (line,) = chatkit("tail", "stdin", "--json", "--no-follow", url=shared_server.url).stdout.splitlines()
    assert json.loads(line)["data"]["text"] == "two\nlines"
    assert json.loads(line)["userId"] == "bob"


@pytest.mark.parametrize("where", ["ids", "game/ids", "комната"])
def test_send_again_with_the_same_id_stores_nothing_new(shared_server: Server, where: str) -> None:
    first, second = (
        json.loads(chatkit("send", where, "hi", "--id", f"same-{where}", "--json", url=shared_server.url).stdout)
        for _ in range(2)
    )
    assert second == first | {"duplicate": True}
    assert (
        chatkit("send", where, "other", "--id", f"same-{where}", url=shared_server.url).returncode == ExitCode.REFUSED
    )


def test_send_lines_in_order_as_they_arrive(shared_server: Server) -> None:
    with (
        running("tail", "lines", "-n", "0", "--json", url=shared_server.url) as tail,
        running("send", "lines", "--lines", "--json", url=shared_server.url) as send,
    ):
        subscribed(shared_server, 1, "chat/lines")
        send.write("first\n")
        assert texts([tail.line()]) == ["first"]
        assert json.loads(send.line())["ok"]
        send.write("".join(f"{number}\r\n\n" for number in range(500)) + "no line break")
        send.end_input()
        assert texts(tail.lines(501)) == [*map(str, range(500)), "no line break"]
        assert send.wait() == 0
        seqs = [json.loads(line)["seq"] for line in send.rest()]
        assert seqs == sorted(seqs)
        assert len(seqs) == 501


def test_a_line_that_is_refused_does_not_stop_the_others(shared_server: Server) -> None:
    text = b"one\n\xff\n" + b"x" * 100_000 + b"\ntwo\n"
    done = chatkit("send", "wrong-lines", "--lines", url=shared_server.url, text=text)
    assert done.returncode == ExitCode.USAGE
    assert [line[:16] for line in done.stderr.splitlines()] == ["chatkit: line 2:", "chatkit: line 3:"]
    found = chatkit("tail", "wrong-lines", "--json", "--no-follow", url=shared_server.url).stdout.splitlines()
    assert texts(found) == ["one", "two"]


def test_a_text_that_is_too_large(shared_server: Server) -> None:
    for size in (100_000, 4_000_000, 20_000_000):
        done = chatkit("send", "general", url=shared_server.url, text=b"x" * size)
        assert done.returncode == ExitCode.REFUSED
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--lines"]])
def test_send_is_interrupted_while_it_reads(shared_server: Server, options: list[str]) -> None:
    with running("send", "general", *options, "--json", url=shared_server.url) as send:
        if options:
            send.write("one\n")
            send.line()
        else:
            _wait_until_reading(send.process.pid)
        send.signal(signal.SIGINT)
        assert send.wait() == ExitCode.INTERRUPTED
        assert send.rest_of_stderr() == []


def _wait_until_reading(pid: int) -> None:
    """Until the process sleeps in a read of its standard input."""
    state = Path(f"/proc/{pid}/syscall")
    if not state.exists():
        pytest.skip("needs /proc to know when the command reads")
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if state.read_text().startswith("0 0x0 "):
            return
        select.select([], [], [], 0.01)
    raise AssertionError("the command does not read")


# ------------------------------------------------------------------------------------------------------- tail


@pytest.fixture(scope="module")
def ten(shared_server: Server) -> Server:
    """A server whose room ``ten`` has the messages 1 to 12."""
    chatkit("send", "ten", "--lines", url=shared_server.url, text="".join(f"{number}\n" for number in range(1, 13)))
    return shared_server


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], range(3, 13)), (["-n", "2"], range(11, 13)), (["--after", "0"], range(1, 13)), (["-n", "0"], range(0)),
     (["--last", "100"], range(1, 13)), (["--after", "0", "--count", "2"], range(1, 3))],
)  # fmt: skip
def test_where_tail_starts(ten: Server, options: list[str], expected: range) -> None:
    done = chatkit("tail", "ten", "--json", "--no-follow", *options, url=ten.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert texts(done.stdout.splitlines()) == [str(number) for number in expected]


def test_tail_after_a_seq_goes_on_behind_it(ten: Server) -> None:
    lines = chatkit("tail", "ten", "--json", "--no-follow", url=ten.url).stdout.splitlines()
    seq = json.loads(lines[4])["seq"]
    assert (
        chatkit("tail", "ten", "--json", "--no-follow", "--after", str(seq), url=ten.url).stdout.splitlines()
        == lines[5:]
    )


def test_tail_beyond_the_end_says_so_and_shows_what_there_is(ten: Server) -> None:
    done = chatkit("tail", "ten", "--no-follow", "--after", "9999999", url=ten.url)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 12)
    assert "beyond the end" in done.stderr
    assert done.stderr.count("\n") == 1


def test_tail_count_ends_by_itself(ten: Server) -> None:
    done = chatkit("tail", "ten", "--count", "3", url=ten.url)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3


def test_tail_shows_events_by_name_and_no_presence_without(shared_server: Server) -> None:
    url = shared_server.url
    post = ["curl", "-sf", f"{url}/api/publish", "-H", "Content-Type: application/json", "-d"]
    with (
        running("tail", "events", "--json", url=url) as plain,
        running("tail", "events", "--event", "wa*", url=url) as named,
    ):
        subscribed(shared_server, 2, "chat/events")
        for body in (
            {"topic": "chat/events", "event": "wave", "data": {"n": 1}},
            {"topic": "chat/events", "event": "saved", "data": {"n": 2}, "persist": True},
        ):
            subprocess.run([*post, json.dumps(body)], check=True, capture_output=True, timeout=DEADLINE_S)
        chatkit("send", "events", "hi", url=url)
        assert [json.loads(line)["event"] for line in plain.lines(2)] == ["saved", "chat:message"]
        assert named.line().endswith('wave {"n": 1}')


def test_tail_ends_when_its_reader_does(ten: Server) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" tail ten --after 0 | head -3; echo "${PIPESTATUS[0]}"', "bash", *CHATKIT],
        capture_output=True, text=True, timeout=DEADLINE_S, env=environment(CHATKIT_URL=ten.url), check=True,
    )  # fmt: skip
    *lines, status = done.stdout.splitlines()
    assert (len(lines), status, done.stderr) == (3, "141", "")


def test_tail_ends_when_its_reader_does_even_while_nothing_comes(shared_server: Server) -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [*CHATKIT, "tail", "silent", "-n", "0"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment(CHATKIT_URL=shared_server.url),
    )
    os.close(write)
    subscribed(shared_server, 1, "chat/silent")
    os.close(read)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == (-signal.SIGPIPE, b"")


def test_tail_is_interrupted(shared_server: Server) -> None:
    with running("tail", "general", url=shared_server.url) as tail:
        subscribed(shared_server, 1)
        tail.signal(signal.SIGINT)
        assert tail.wait() == ExitCode.INTERRUPTED
        assert tail.rest_of_stderr() == []


def test_tail_is_interrupted_while_its_reader_stalls(shared_server: Server) -> None:
    chatkit("send", "stall", "--lines", url=shared_server.url, text="\n".join(["x" * 1000] * 200))
    read, write = os.pipe()
    process = subprocess.Popen(
        [*CHATKIT, "tail", "stall", "--after", "0"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment(CHATKIT_URL=shared_server.url),
    )
    os.close(write)
    state = Path(f"/proc/{process.pid}/syscall")
    deadline = time.monotonic() + DEADLINE_S
    while state.exists() and not state.read_text().startswith("1 0x1 "):  # until it sleeps in a write
        assert time.monotonic() < deadline
        select.select([], [], [], 0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == (ExitCode.INTERRUPTED, b"")
    os.close(read)


def test_tail_on_a_terminal_wraps_and_colours_and_is_harmless(shared_server: Server) -> None:
    chatkit("send", "tty", "word " * 30 + "\x1b[2J", "--user", "ann", url=shared_server.url)
    code, wide = on_terminal("tail", "tty", url=shared_server.url, until="\\x1b[2J", columns=100)
    assert code == ExitCode.INTERRUPTED
    assert "\x1b[2J" not in wide
    assert "\x1b[1;38;5;" in wide
    plain = re.sub(r"\x1b\[[0-9;]*m", "", wide)
    first, second, *_ = plain.splitlines()
    assert second.startswith(" " * (first.index("word")))
    assert max(map(len, plain.splitlines())) <= 100
    _, narrow = on_terminal("tail", "tty", url=shared_server.url, until="\\x1b[2J", columns=24, NO_COLOR="1")
    assert "\x1b" not in narrow
    assert narrow.splitlines()[1].startswith("  word")
    assert max(map(len, narrow.replace("^C", "").splitlines())) <= 24


def test_two_tails_and_eight_pipes_over_a_crash(server: Server) -> None:
    """The issue's own scene: each message once, in one order, for everybody; what was acknowledged is there."""
    count, pipes = 60, 8
    with ExitStack() as stack:
        tails = [stack.enter_context(running("tail", "general", "-n", "0", "--json", url=server.url)) for _ in range(2)]
        subscribed(server, 2)
        senders = [
            stack.enter_context(
                running("send", "general", "--lines", "--json", "--user", f"u{who}", "--timeout", "25", url=server.url)
            )
            for who in range(pipes)
        ]
        for who, sender in enumerate(senders):
            sender.write("".join(f"{who}-{number}\n" for number in range(count // 2)))
        acknowledged = [sender.line() for sender in senders]
        server.kill9()
        for who, sender in enumerate(senders):
            sender.write("".join(f"{who}-{number}\n" for number in range(count // 2, count)))
            sender.end_input()
        server.restart()
        for sender in senders:
            assert sender.wait() == 0
            acknowledged += sender.rest()
        seen = [tail.lines(count * pipes) for tail in tails]
        notices = [tail.error_line() for tail in tails]
    assert seen[0] == seen[1]
    events = [json.loads(line) for line in seen[0]]
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    for who in range(pipes):
        own = [event["data"]["text"] for event in events if event["userId"] == f"u{who}"]
        assert own == [f"{who}-{number}" for number in range(count)]
    assert {json.loads(line)["id"] for line in acknowledged} == {event["id"] for event in events}
    assert all("connecting again" in notice for notice in notices)


# ---------------------------------------------------------------------------------------------- setup and serve


def test_setup_says_what_it_did(tmp_path: Path) -> None:
    db = tmp_path / "new" / "chat.db"
    first, second = (chatkit("setup", "--db", str(db)) for _ in range(2))
    assert first.stdout.startswith(f"created {db} ")
    assert second.stdout.startswith(f"up to date: {db} ")
    assert (db.stat().st_mode & 0o777) == 0o600
    assert chatkit("setup", env={"CHATKIT_DB": str(db)}).stdout == second.stdout
    with sqlite3.connect(db) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(messages)")}
    connection.close()
    assert {"id", "room_id", "user_id", "text", "created_at"} <= columns


def test_serve_prints_lines_that_a_script_can_read(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with running("serve", "--port", "0", "--db", str(db), url="") as server:
        assert server.line() == f"chatkit: created {db}"
        url = server.line().removeprefix("chatkit: listening on ")
        assert chatkit("send", "general", "hi", url=url).returncode == 0
        server.signal(signal.SIGINT)
        assert server.wait() == 0
    with running("serve", "--port", "0", url="", CHATKIT_DB=str(db)) as server:
        assert server.line().startswith("chatkit: listening on http://127.0.0.1:")


def test_serve_shows_a_panel_on_a_terminal(tmp_path: Path) -> None:
    db = tmp_path / "c.db"
    code, output = on_terminal("serve", "--port", "0", "--db", str(db), until="Ctrl-C", NO_COLOR="1", columns=120)
    assert code == 0
    for part in (
        "http://127.0.0.1:",
        "chatkit tail general --url",
        "chatkit send general hello --url",
        str(db),
        "(new)",
    ):
        assert part in output


def test_serve_replaces_a_ready_file_that_is_stale_and_drains(server: Server) -> None:
    chatkit("send", "general", "hi", url=server.url)
    with running("tail", "general", "-n", "1", url=server.url) as tail:
        tail.line()
        assert server.terminate() == 0
        assert "connecting again" in tail.error_line()
        server.restart()
        assert "connected again" in tail.error_line()


def test_a_ready_file_that_cannot_be_written(tmp_path: Path) -> None:
    done = chatkit("serve", "--port", "0", "--db", str(tmp_path / "c.db"), "--ready-file", str(tmp_path / "no" / "url"))
    assert done.returncode == ExitCode.REFUSED
    assert "ready file" in done.stderr
    assert done.stderr.count("\n") == 1
