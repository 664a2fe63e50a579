"""``chatkit send --lines``: a fast pipe, a lost connection, and a reader that goes."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from chatkit.errors import ExitCode
from tests.client.scripted import accepted, reply, scripted
from tests.support import CHATKIT, DEADLINE_S, Server, chatkit, environment


def test_many_lines_in_order_each_with_an_id_of_its_own(shared_server: Server) -> None:
    lines = [f"line {number}" if number % 7 else " \t" for number in range(5000)]
    done = chatkit("send", "many", "--lines", "--json", url=shared_server.url, text="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    kept = chatkit("tail", "many", "--after", "0", "--json", "--no-follow", url=shared_server.url).stdout.splitlines()
    stored = [json.loads(line) for line in kept]
    assert [item["data"]["text"] for item in stored] == [line for line in lines if line.strip()]
    assert [(item["id"], item["seq"]) for item in stored] == [(item["id"], item["seq"]) for item in receipts]
    assert len({item["id"] for item in stored}) == len(stored)


@pytest.mark.parametrize("room", ["general", "game/7"])
def test_a_lost_connection_repeats_the_lines_with_their_ids(room: str) -> None:
    with scripted(lambda number, body: None if number == 1 else accepted(number, body)) as server:
        done = chatkit("send", room, "--lines", url=server.url, text="a\nb\nc\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert server.connections == 2
        texts = [body["text"] if "text" in body else body["data"]["text"] for body in server.bodies]
        assert texts == ["a", "b", "b", "c"]
        assert server.bodies[1]["id"] == server.bodies[2]["id"]


def test_a_server_that_says_later_gets_the_line_again() -> None:
    def script(number: int, body: dict[str, Any]) -> bytes:
        return accepted(number, body) if number else reply(503, "Retry-After: 0\r\n", ok=False, code="x", error="later")

    with scripted(script) as server:
        done = chatkit("send", "general", "--lines", "--json", url=server.url, text="a\nb\n")
        assert (done.returncode, done.stderr) == (0, "")
        # The second line may have been on its way already; then it is sent again, too.
        ids = {text: {body["id"] for body in server.bodies if body["text"] == text} for text in "ab"}
        assert [{json.loads(line)["id"]} for line in done.stdout.splitlines()] == [ids["a"], ids["b"]]
        assert [body["text"] for body in server.bodies][-2:] == ["a", "b"]


def test_refused_lines_are_named_and_the_others_sent() -> None:
    def script(number: int, body: dict[str, Any]) -> bytes:
        if body["text"] == "bad":
            return reply(409, ok=False, code="id_conflict", error="because")
        return accepted(number, body)

    with scripted(script) as server:
        done = chatkit("send", "general", "--lines", "--json", url=server.url, text="a\nbad\n\n\nbad\nb\n")
    assert done.returncode == ExitCode.REFUSED
    assert done.stderr == "chatkit: line 2: because\nchatkit: line 5: because\n"
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("answer", [reply(200, x=1), reply(200, ok=True, id="x", seq="odd")])
def test_an_answer_that_is_odd_is_taken_as_a_single_send_takes_it(answer: bytes) -> None:
    with scripted(lambda number, body: answer) as server:
        one = chatkit("send", "general", "hi", "--id", "x", "--json", url=server.url)
        many = chatkit("send", "general", "--lines", "--json", url=server.url, text="hi\n")
    assert (many.returncode, many.stderr) == (one.returncode, one.stderr)
    assert json.loads(many.stdout)["seq"] == json.loads(one.stdout)["seq"]


def test_it_ends_when_the_reader_of_its_receipts_does(shared_server: Server) -> None:
    done = subprocess.run(
        ["bash", "-c", 'yes | "$@" send gone --lines --json | head -3; echo "${PIPESTATUS[1]}"', "bash", *CHATKIT],
        capture_output=True, text=True, timeout=DEADLINE_S, env=environment(CHATKIT_URL=shared_server.url), check=True,
    )  # fmt: skip
    *lines, status = done.stdout.splitlines()
    assert (len(lines), status, done.stderr) == (3, "141", "")
