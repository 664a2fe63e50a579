"""What README.md says is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .. import readme
from ..support import DEADLINE_S, Server, environment, running

TEXT = readme.README.read_text()
USUAL_URL = "http://127.0.0.1:8787"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_generated_parts_are_as_the_commands_say() -> None:
    assert readme.generate(TEXT) == TEXT, "run scripts/docs"


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.strip().splitlines()[-1])
def test_every_python_example_runs(code: str, server: Server, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code.replace(USUAL_URL, server.url))
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def section(title: str) -> str:
    """The text under one heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def test_the_first_minute_goes_as_it_is_told(server: Server, tmp_path: Path) -> None:
    """Its tail sees what its commands send, curl's included."""
    commands = re.findall(r"^```sh\n(.*?)^```", section("The first minute"), re.DOTALL | re.MULTILINE)
    sends = [one.replace(USUAL_URL, server.url) for one in commands if "send" in one]
    assert len(sends) == 2
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with running("tail", "general", "--json", url=server.url) as tail:
        for command in sends:
            done = subprocess.run(
                ["bash", "-euc", command],
                env=environment(CHATKIT_URL=server.url, PATH=path),
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        shown = tail.lines(2)
    assert "hello from the shell" in shown[0]
    assert "hello from curl" in shown[1]


def test_the_commands_it_names_exist() -> None:
    """Every script, and every option of a ``chatkit`` command, that an example uses."""
    root = readme.README.parent
    reference = readme.commands()
    for code in blocks("sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for word in words:
                if word.startswith("scripts/"):
                    assert (root / word).exists(), word
            if "chatkit" in words:
                for word in words[words.index("chatkit") :]:
                    if re.fullmatch(r"--[a-z-]+", word):
                        assert word in reference, line
