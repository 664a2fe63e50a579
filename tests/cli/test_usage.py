"""The command lines that cannot be, and the exit codes: one line on stderr, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatkit.cli.ending import MEANINGS
from chatkit.errors import ExitCode
from tests.client.scripted import reply, scripted
from tests.support import Server, chatkit

WRONG = [
    (["sned", "x"], "did you mean 'send'"),
    (["send"], "'room'"),
    (["send", "general", ""], "empty"),
    (["send", "general", "  "], "empty"),
    (["send", "general"], "empty"),
    (["send", "a b", "hi"], "room"),
    (["send", "chat/*", "hi"], "channel"),
    (["send", "table/x", "hi"], "reserved"),
    (["send", "", "hi"], "room"),
    (["send", "general", "hi", "--timeout", "0"], "--timeout"),
    (["send", "general", "hi", "--timeout", "soon"], "--timeout"),
    (["send", "general", "hi", "--timeout", "nan"], "--timeout"),
    (["send", "general", "hi", "--bogus"], "--bogus"),
    (["send", "general", "hi", "--user"], "--user"),
    (["send", "general", "hi", "--user", "a\nb"], "control"),
    (["send", "general", "hi", "--id", "x" * 300], "id"),
    (["send", "general", "hi", "--url", "ftp://x"], "ftp"),
    (["send", "general", "hi", "--lines"], "--lines"),
    (["send", "general", "--lines", "--id", "x"], "--id"),
    (["tail"], "channel"),
    (["tail", "a b"], "channel"),
    (["tail", "general", "-n", "-1"], "--last"),
    (["tail", "general", "-n", "x"], "--last"),
    (["tail", "general", "--after", "-1"], "--after"),
    (["tail", "general", "--after", "1", "--last", "1"], "--after"),
    (["tail", "general", "--count", "0"], "--count"),
    (["serve", "--port", "99999"], "--port"),
    (["serve", "--port", "x"], "--port"),
    (["serve", "--max-topics", "0"], "--max-topics"),
    (["serve", "--ping-interval", "-1"], "--ping-interval"),
    (["serve", "--durability", "maybe"], "--durability"),
    (["setup", "extra"], "extra"),
    (["--bogus"], "--bogus"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[" ".join(item[0])[:50] for item in WRONG])
def test_wrong_usage(arguments: list[str], says: str, unused_url: str) -> None:
    done = chatkit(*arguments, url=unused_url)
    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("chatkit: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr.lower()


def test_text_that_is_not_utf8_is_refused(unused_url: str) -> None:
    assert chatkit("send", "general", url=unused_url, text=b"\xff").returncode == ExitCode.USAGE
    assert chatkit("send", "general", os.fsdecode(b"\xff"), url=unused_url).returncode == ExitCode.USAGE


def test_a_bad_token_is_refused_and_not_shown(unused_url: str) -> None:
    done = chatkit("send", "general", "hi", url=unused_url, env={"CHATKIT_TOKEN": "se\ncret"})
    assert done.returncode == ExitCode.USAGE
    assert "cret" not in done.stderr


def test_no_command_is_help_and_wrong_usage() -> None:
    done = chatkit()
    assert done.returncode == ExitCode.USAGE
    assert "Usage: chatkit" in done.stdout


@pytest.mark.parametrize("command", [[], ["setup"], ["serve"], ["send"], ["tail"]])
def test_help_teaches_and_names_the_exit_codes(command: list[str]) -> None:
    done = chatkit(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.replace("│", " ").split())
    for code, meaning in MEANINGS.items():
        assert f"{int(code)} {meaning}" in text
    assert chatkit(*command, "-h").stdout == done.stdout


def test_version() -> None:
    done = chatkit("--version")
    assert (done.returncode, done.stdout) == (0, "chatkit 0.1.0\n")


def test_the_table_of_exit_codes_is_whole() -> None:
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", [["send", "general", "hi"], ["tail", "general"]])
def test_nobody_there(command: list[str], unused_url: str) -> None:
    done = chatkit(*command, url=unused_url)
    assert done.returncode == ExitCode.UNREACHABLE
    assert unused_url in done.stderr
    assert "chatkit serve" in done.stderr
    lines = chatkit("send", "general", "--lines", url=unused_url, text="a\nb\n")
    assert (lines.returncode, lines.stderr.count("\n")) == (ExitCode.UNREACHABLE, 1)


def test_unknown_host() -> None:
    done = chatkit("send", "general", "hi", "--url", "http://nowhere.invalid:1")
    assert done.returncode == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (401, "unauthorized", ExitCode.NOT_AUTHORIZED),
        (403, "forbidden", ExitCode.NOT_AUTHORIZED),
        (409, "id_conflict", ExitCode.REFUSED),
        (507, "disk_full", ExitCode.REFUSED),
    ],
)
@pytest.mark.parametrize("command", [["hi"], ["--lines"]])
def test_refusals(command: list[str], status: int, code: str, exit_code: ExitCode) -> None:
    with scripted(lambda number, body: reply(status, ok=False, code=code, error="because")) as server:
        done = chatkit("send", "general", *command, url=server.url, text="one\n")
    assert done.returncode == exit_code
    assert done.stderr in ("chatkit: because\n", "chatkit: line 1: because\n")


@pytest.mark.parametrize("command", [["hi"], ["--lines"]])
def test_no_answer_in_time(command: list[str]) -> None:
    with scripted(lambda number, body: b"") as server:
        done = chatkit("send", "general", *command, "--timeout", "0.3", url=server.url, text="one\n")
        assert done.returncode == ExitCode.TIMED_OUT
        assert server.bodies[0]["id"] in done.stderr


def test_what_the_server_says_cannot_reach_the_terminal() -> None:
    with scripted(lambda number, body: reply(400, ok=False, code="x", error="a\x1b[2J\nb\u202e")) as server:
        done = chatkit("send", "general", "hi", url=server.url)
    assert done.stderr == "chatkit: a\\x1b[2J b\\u202e\n"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes, which are not a database\n" * 40)
    before = file.read_bytes()
    for command in (["setup"], ["serve", "--port", "0"]):
        done = chatkit(*command, "--db", str(file))
        assert done.returncode == ExitCode.REFUSED
        assert str(file) in done.stderr
        assert done.stderr.count("\n") == 1
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_port_that_is_taken(shared_server: Server, tmp_path: Path) -> None:
    port = shared_server.url.rpartition(":")[2]
    done = chatkit("serve", "--port", port, "--db", str(tmp_path / "x.db"))
    assert done.returncode == ExitCode.REFUSED
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_completion_knows_the_commands_and_the_options() -> None:
    words = chatkit(env={"_CHATKIT_COMPLETE": "complete_bash", "COMP_WORDS": "chatkit ta", "COMP_CWORD": "1"})
    assert words.stdout.split() == ["tail"]
    flags = chatkit(env={"_CHATKIT_COMPLETE": "complete_bash", "COMP_WORDS": "chatkit send --ti", "COMP_CWORD": "2"})
    assert flags.stdout.split() == ["--timeout"]
    flags = chatkit(env={"_CHATKIT_COMPLETE": "complete_bash", "COMP_WORDS": "chatkit serve --dur", "COMP_CWORD": "2"})
    assert flags.stdout.split() == ["--durability"]
