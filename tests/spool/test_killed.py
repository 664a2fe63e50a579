"""SIGKILL between any two steps: a message is in the spool, or at the server, or was never promised; never twice."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from chatkit.client.deliver import deliver
from chatkit.client.endpoint import parse_url
from chatkit.client.spool import Spool
from tests.faults.strace import need_strace
from tests.support import CHATKIT, DEADLINE_S, Server, environment, running

from .conftest import Station, texts


def killed_at(call: str, number: int, station: Station, url: str, *command: str, text: bytes = b"") -> int:
    """Run a command that is killed at its n-th ``call``; returns its exit code, 0 when it has not so many."""
    rule = f"inject={call}:signal=KILL:when={number}"
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", rule]
    done = subprocess.run(
        [*trace, *CHATKIT, *command],
        input=text,
        env=environment(CHATKIT_URL=url, **station.env),
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode


@pytest.mark.parametrize("call", ["fdatasync", "unlink", "sendto", "recvfrom"])
def test_a_send_that_is_killed_anywhere(station: Station, shared_server: Server, call: str) -> None:
    need_strace()
    room, kept = f"killed-{call}", []
    with Spool(_made(station)) as spool:
        for number in itertools.count(1):
            text = str(number)
            code = killed_at(call, number, station, shared_server.url, "send", room, text, "--spool")
            kept.append(bool(spool.all()))
            deliver(spool, parse_url(shared_server.url), token=None, timeout_s=DEADLINE_S, wait_s=DEADLINE_S)
            assert spool.all() == []
            if code == 0:
                break
    assert len(kept) > 1
    found = texts(shared_server, room)
    # Each once, in order; and from the step on that makes it safe, every one.
    assert found == [str(number) for number in range(len(kept) - len(found) + 1, len(kept) + 1)]


def _made(station: Station) -> str:
    station.spool.parent.mkdir()
    return str(station.spool)


@pytest.mark.parametrize("call", ["fdatasync", "sendto"])
def test_a_flush_that_is_killed_anywhere(station: Station, away: Server, call: str) -> None:
    need_strace()
    lines = "".join(f"{number}\n" for number in range(4))
    station.run("send", "general", "--lines", "--spool", url=away.url, text=lines)
    away.restart()
    for number in itertools.count(1):
        if killed_at(call, number, station, away.url, "flush") == 0:
            break
    assert station.run("flush", url=away.url).returncode == 0
    assert texts(away) == ["0", "1", "2", "3"]


def test_lines_that_are_killed_at_any_moment_are_each_there_once_and_in_order(station: Station, away: Server) -> None:
    """Those whose receipt was printed, and all that were read before: what is lost is the end, nothing in between."""
    away.restart()
    sent, seen = 0, 0
    for round_ in range(3):
        with running("send", "general", "--lines", "--spool", "--json", url=away.url, **station.env) as send:
            send.write("".join(f"{sent + number}\n" for number in range(30)))
            send.lines(round_ * 7 + 1)
            if round_ == 1:
                away.kill9()
            send.process.kill()
            send.wait()
        if round_ == 1:
            away.restart()
        station.run("flush", url=away.url)
        found = [int(text) for text in texts(away)]
        assert found == sorted(set(found))
        assert len(found) >= seen + round_ * 7 + 1
        sent, seen = sent + 30, len(found)
    assert station.waiting(away.url) == []
