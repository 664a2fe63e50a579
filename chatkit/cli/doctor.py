"""``chatkit doctor``: look at the database and what it stands on."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from ..errors import ExitCode
from ..log.maintenance.doctor import Finding, examine
from ..log.setup import default_path
from .progress import bar

_STYLES: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red", "damage": "bold red"}


def run(db: str | None, full: bool, json_output: bool) -> int:
    """Examine, say what was found, and return the exit code."""
    worst = ExitCode.DONE
    with bar("events") as progress:
        for finding in examine(Path(db) if db else default_path(), full=full, now_s=time.time(), progress=progress):
            _show(finding, json_output)
            if finding.level == "damage":
                worst = ExitCode.DAMAGED
            elif finding.level == "problem" and worst is ExitCode.DONE:
                worst = ExitCode.REFUSED
    return worst


def _show(finding: Finding, json_output: bool) -> None:
    if json_output:
        print(msgspec.json.encode(finding).decode(), flush=True)
        return
    head = f"{finding.level:<8}{finding.check:<12}"
    lines = [f"{head}{finding.text}", *([f"{'':<20}-> {finding.advice}"] if finding.advice else [])]
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
        from rich.text import Text  # noqa: PLC0415

        text = Text("\n".join(lines))
        text.stylize(_STYLES[finding.level], 0, len(finding.level))
        Console(highlight=False).print(text, soft_wrap=True)
    else:
        print("\n".join(lines), flush=True)
