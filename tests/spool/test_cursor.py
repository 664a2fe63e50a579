"""tail --cursor: a restarted script goes on where it stopped, whatever ended it."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
from contextlib import aclosing
from pathlib import Path

import pytest

import chatkit as library
from chatkit.errors import ExitCode
from tests.faults.strace import need_strace
from tests.support import CHATKIT, DEADLINE_S, Server, chatkit, environment, running, subscribed


@pytest.fixture
def cursor(tmp_path: Path) -> Path:
    return tmp_path / "cursor"


_rooms = itertools.count()


@pytest.fixture
def room(shared_server: Server) -> str:
    """A room with the messages 1 to 5."""
    name = f"room{next(_rooms)}"
    send(shared_server, name, 1, 5)
    return name


def send(server: Server, room: str, first: int, last: int) -> None:
    text = "".join(f"{number}\n" for number in range(first, last + 1))
    assert chatkit("send", room, "--lines", url=server.url, text=text).returncode == 0


def numbers(output: str) -> list[int]:
    return [int(json.loads(line)["data"]["text"]) for line in output.splitlines()]


def read(server: Server, room: str, cursor: Path, *options: str) -> list[int]:
    """One run that prints what there is and ends."""
    arguments = ("tail", room, "--json", "--no-follow", "--cursor", str(cursor), *options)
    done = chatkit(*arguments, url=server.url)
    assert (done.returncode, done.stderr) == (0, "")
    return numbers(done.stdout)


def test_each_run_goes_on_where_the_last_one_stopped(shared_server: Server, room: str, cursor: Path) -> None:
    assert read(shared_server, room, cursor, "--last", "2") == [4, 5]
    assert read(shared_server, room, cursor, "--last", "2") == []
    send(shared_server, room, 6, 8)
    assert read(shared_server, room, cursor, "--count", "2") == [6, 7]
    assert read(shared_server, room, cursor) == [8]
    kept = json.loads(cursor.read_text())
    assert kept["url"] == shared_server.url
    assert list(kept["topics"]) == [f"chat/{room}"]
    assert list(cursor.parent.glob(".cursor*")) == []


def test_what_comes_before_the_first_event_is_not_missed(shared_server: Server, room: str, cursor: Path) -> None:
    """A position is kept as soon as there is one, not with the first event only."""
    with running("tail", room, "-n", "0", "--cursor", str(cursor), url=shared_server.url):
        subscribed(shared_server, 1, f"chat/{room}")
        while "null" in cursor.read_text():
            pass
    send(shared_server, room, 6, 6)
    assert read(shared_server, room, cursor, "-n", "0") == [6]


def test_several_channels_have_a_position_each(shared_server: Server, room: str, cursor: Path) -> None:
    other = f"{room}-other"
    for number in range(3):
        send(shared_server, (room, other)[number % 2], 10 + number, 10 + number)
    arguments = ("tail", room, other, "--json", "--no-follow", "--after", "0", "--cursor", str(cursor))
    first = chatkit(*arguments, "--count", "6", url=shared_server.url)
    rest = chatkit(*arguments, url=shared_server.url)
    assert numbers(first.stdout) + numbers(rest.stdout) == [1, 2, 3, 4, 5, 10, 11, 12]


def test_events_that_were_not_asked_for_move_it_too(shared_server: Server, room: str, cursor: Path) -> None:
    assert read(shared_server, room, cursor, "--event", "nothing") == []
    assert read(shared_server, room, cursor) == []


def test_a_link_stays_a_link(shared_server: Server, room: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(read(shared_server, room, tmp_path / "link")) == 5
    assert (tmp_path / "link").is_symlink()
    assert read(shared_server, room, tmp_path / "real") == []


@pytest.mark.parametrize("content", ["", "my notes\n", "{}", "[1]", '{"url":"x"}', "\x00" * 5000])
def test_a_file_that_is_no_cursor_is_left_alone(unused_url: str, cursor: Path, content: str) -> None:
    cursor.write_text(content)
    done = chatkit("tail", "general", "--cursor", str(cursor), url=unused_url)
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert "name another file, or remove it" in done.stderr
    assert cursor.read_text() == content


def test_a_cursor_of_something_else_is_left_alone(
    shared_server: Server, room: str, cursor: Path, unused_url: str
) -> None:
    read(shared_server, room, cursor)
    before = cursor.read_bytes()
    for arguments, url, says in (
        ((room,), unused_url, "another server"),
        (("elsewhere",), shared_server.url, "other channels"),
        ((room, "elsewhere"), shared_server.url, "other channels"),
    ):
        done = chatkit("tail", *arguments, "--cursor", str(cursor), url=url)
        assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
        assert says in done.stderr
        assert "remove it to start anew" in done.stderr
    assert cursor.read_bytes() == before


def test_a_place_that_cannot_be_written_is_told_at_once(shared_server: Server, room: str, tmp_path: Path) -> None:
    for wrong, code in ((tmp_path, ExitCode.USAGE), (tmp_path / "no" / "cursor", ExitCode.REFUSED)):
        done = chatkit("tail", room, "--cursor", str(wrong), url=shared_server.url)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
        assert str(wrong) in done.stderr


def test_a_tail_that_is_killed_while_messages_come(shared_server: Server, room: str, cursor: Path) -> None:
    got: list[int] = []
    arguments = ("tail", room, "--json", "--after", "0", "--cursor", str(cursor))
    for round_ in range(3):
        with running(*arguments, url=shared_server.url) as tail:
            first = 6 + 20 * round_
            send(shared_server, room, first, first + 19)
            seen = numbers("\n".join(tail.lines(8 + round_)))
            tail.process.kill()
            tail.wait()
            seen += numbers("\n".join(tail.rest()))
        assert seen == [*range(seen[0], seen[-1] + 1)]
        assert got[-1:] == [] or seen[0] in (got[-1], got[-1] + 1)  # at most the one in between again, and no gap
        got = got[: len(got) - (got[-1:] == seen[:1])] + seen
    got += read(shared_server, room, cursor)
    assert sorted(set(got)) == [*range(1, 66)]
    assert len(got) <= 67


@pytest.mark.parametrize(("call", "number"), [("fsync", 3), ("fsync", 4), ("rename", 3)])
def test_a_tail_that_is_killed_at_any_step_of_a_write(
    shared_server: Server, room: str, cursor: Path, call: str, number: int
) -> None:
    need_strace()
    rule = f"inject={call}:signal=KILL:when={number}"
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", rule]
    command = [*CHATKIT, "tail", room, "--json", "--no-follow", "--after", "0", "--cursor", str(cursor)]
    done = subprocess.run(
        [*trace, *command],
        env=environment(CHATKIT_URL=shared_server.url),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode in (-9, 137), done.stderr
    first, rest = numbers(done.stdout), read(shared_server, room, cursor, "--after", "0")
    assert first == [*range(1, len(first) + 1)]
    assert rest == [*range(rest[0], 6)]
    assert rest[0] in (len(first), len(first) + 1)


def test_the_python_client_goes_on_from_a_cursor(shared_server: Server, room: str) -> None:
    async def some(saved: str | None, count: int) -> tuple[list[str | None], str]:
        cursor = library.Cursor.from_json(saved) if saved else None
        async with library.connect(shared_server.url, user="ann") as chat:
            texts: list[str | None] = []
            async with aclosing(chat.tail(room, after=0, cursor=cursor, follow=False)) as stream:
                async for event in stream:
                    texts.append(event.text)
                    saved = stream.cursor.to_json()
                    if len(texts) == count:
                        break
            assert saved
            return texts, saved

    first, saved = asyncio.run(some(None, 2))
    rest, _ = asyncio.run(some(saved, 9))
    assert (first, rest) == (["1", "2"], ["3", "4", "5"])


def test_reading_to_the_end_is_told(shared_server: Server, room: str) -> None:
    async def main() -> list[object]:
        seen: list[object] = []
        async with library.connect(shared_server.url, user="ann") as chat:
            stream = chat.tail(room, last=2, on_level=lambda: seen.append("level"))
            async with aclosing(stream):
                seen += [(await anext(stream)).text, (await anext(stream)).text]
                more = asyncio.ensure_future(anext(stream))
                await chat.send(room, "6")
                seen.append((await more).text)
        return seen

    assert asyncio.run(main()) == ["4", "5", "level", "6"]
