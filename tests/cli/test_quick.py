"""The quick way to read a command line says what Typer says, or nothing; and a send loads little."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit.cli import commands, quick
from chatkit.cli.app import application
from chatkit.cli.options import SEND, TAIL
from tests.support import DEADLINE_S, Server, environment

TOKENS = ["general", "hi", "", "-", "--", "-q", "--json", "--lines", "--user", "bob", "--user=bob", "--user=", "--timeout",
          "2", "--timeout=x", "-n", "--nope", "--help", "-qx", "--js", "--id", "-5", "--url", "http://x:1", "--json=1"]  # fmt: skip


TAIL_TOKENS = ["general", "chat/*", "", "--", "-n", "5", "x", "-n5", "--last", "--last=3", "--after", "0", "--json", "--count",
               "--count=2", "--no-follow", "--event", "e", "--url", "u", "-5", "1_0", " 7"]  # fmt: skip
TOKENS_OF = {"send": (SEND, TOKENS), "tail": (TAIL, TAIL_TOKENS)}


def by_typer(command: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | None:
    seen: list[dict[str, Any]] = []

    def run(self: commands.Command, **given: Any) -> int:
        seen.append(given)
        return 0

    monkeypatch.setattr(commands.Command, "run", run)
    try:
        application(command)([command, *argv], prog_name="chatkit", standalone_mode=False)
    except typer.TyperException:
        return None
    return seen[0] if seen else None


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(sorted(TOKENS_OF)), st.sampled_from(["", "eve"]))
def test_the_two_ways_agree(data: st.DataObject, command: str, user: str) -> None:
    declared, tokens = TOKENS_OF[command]
    argv = data.draw(st.lists(st.sampled_from(tokens), max_size=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHATKIT_USER", user)
        patch.delenv("CHATKIT_URL", raising=False)
        ours = quick.parse(declared, argv)
        if ours is not None:
            theirs = by_typer(command, argv, patch)
            assert theirs is not None
            assert {name: value or value == 0 for name, value in ours.items()} == {
                name: value or value == 0 for name, value in theirs.items()
            }


@pytest.mark.parametrize(
    "argv",
    [["general", "hi"], ["general", "hi", "there", "-q"], ["general"], ["chat/general", "x", "--user", "bob", "--json"],
     ["general", "--lines"], ["general", "--", "-x"], ["general", "hi", "--url=http://h:1", "--timeout", "3"]],
)  # fmt: skip
def test_a_usual_send_is_read_without_typer(argv: list[str]) -> None:
    assert quick.parse(SEND, argv) is not None


@pytest.mark.parametrize(
    "argv",
    [["general"], ["chat/*", "game/**", "--json"], ["general", "-n", "5"], ["general", "--after=0", "--no-follow"]],
)
def test_a_usual_tail_is_read_without_typer(argv: list[str]) -> None:
    assert quick.parse(TAIL, argv) is not None


#: What ``chatkit send general hi`` may load beside the interpreter's own start. A line more here is time for everybody
#: who sends from a script: say in the commit what it is for.
ALLOWED = frozenset(
    {
        *{"__future__", "_bisect", "_cython_3_3_0", "_json", "_socket"},
        *{"_typing", "array", "chatkit", "collections", "contextlib", "copyreg", "cython_runtime", "enum", "errno"},
        *{"functools", "httptools", "itertools", "json", "keyword", "math", "operator", "pwd", "re", "reprlib"},
        *{"select", "selectors", "signal", "socket", "types", "typing", "warnings"},
    }
)


def test_a_send_loads_little(shared_server: Server) -> None:
    code = (
        "import json, sys; before = set(sys.modules); from chatkit.cli import main;"
        "code = main(['send', 'general', 'hi']);"
        "print(json.dumps([code, sorted(set(sys.modules) - before)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
        env=environment(CHATKIT_URL=shared_server.url),
    )
    code_, loaded = json.loads(done.stdout)
    assert code_ == 0
    roots = {name.partition(".")[0] for name in loaded} - {name for name in loaded if name.startswith("encodings")}
    assert roots - ALLOWED == set()
    ours = {name for name in loaded if name.startswith("chatkit.")}
    assert ours == {
        "chatkit.cli", "chatkit.cli.ending", "chatkit.cli.options", "chatkit.cli.quick", "chatkit.cli.send",
        "chatkit.client", "chatkit.client.backoff", "chatkit.client.dial", "chatkit.client.endpoint",
        "chatkit.client.http1", "chatkit.client.oneshot", "chatkit.client.places", "chatkit.client.sending", "chatkit.errors",
    }  # fmt: skip
