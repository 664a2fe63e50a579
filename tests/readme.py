"""The generated parts of README.md, so that what it says of the commands cannot drift from the commands."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from chatkit.cli.commands import COMMANDS
from chatkit.cli.ending import MEANINGS
from chatkit.server.config import Config

README = Path(__file__).parent.parent / "README.md"


def commands() -> str:
    """Every command's own help, as a terminal of 88 columns shows it."""
    environment = {**os.environ, "COLUMNS": "88", "TERM": "dumb", "NO_COLOR": "1"}
    parts = []
    for command in COMMANDS:
        shown = subprocess.run(
            [sys.executable, "-m", "chatkit.cli", *command.name.split(), "--help"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        text = "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")
        parts.append(
            f"<details><summary><code>chatkit {command.name}</code></summary>\n\n```\n{text}\n```\n\n</details>"
        )
    return "\n\n".join(parts)


def options() -> str:
    """The settings of ``chatkit serve``."""
    rows = ["| option | environment variable | default | |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(Config):
        given = field.metadata
        rows.append(f"| `{given['flag']}` | `{given['env']}` | {_default(field.default)} | {given['help']} |")
    return "\n".join(rows)


def _default(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return f"`{' '.join(value)}`"
    if isinstance(value, bool):
        return "`on`" if value else "off"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def exit_codes() -> str:
    """The exit codes of every command."""
    rows = ["| code | when |", "| --- | --- |"]
    return "\n".join(rows + [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()])


GENERATED = {"commands": commands, "options": options, "exit codes": exit_codes}


def generate(text: str) -> str:
    """``text`` with every generated part written anew."""
    for name, make in GENERATED.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"README.md has no part <!-- {name} --> ... <!-- end of {name} -->")
        content = f"\n{make()}\n\n"
        text = pattern.sub(lambda found, content=content: found[1] + content + found[2], text)  # type: ignore[misc]
    return text


def main() -> int:
    """Write README.md, or with ``--check`` say whether it is as it should be."""
    before = README.read_text()
    after = generate(before)
    if "--check" in sys.argv:
        return 0 if before == after else 1
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
