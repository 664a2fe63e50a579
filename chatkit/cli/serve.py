"""``chatkit serve``: run the server."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import typing
from pathlib import Path
from typing import Any

import chatkit

from ..errors import ChatkitError, InvalidName, LogFailed, exit_code
from ..log.maintenance.retention import Retention
from ..server.app import Running
from ..server.app import run as run_server
from ..server.config import Config
from .ending import UsageError
from .options import READY_FILE, Option


def options() -> tuple[Option, ...]:
    """The options: one for each field of the server's settings, and the ready file."""
    kinds = typing.get_type_hints(Config)
    return (*(_option(field, kinds[field.name]) for field in dataclasses.fields(Config)), READY_FILE)


def _option(field: dataclasses.Field[Any], kind: Any) -> Option:
    declared = field.metadata
    default: Any = field.default
    if kind == tuple[str, ...]:
        kind, default = list[str], list(default)
    if typing.get_args(kind)[1:] == (type(None),):
        kind = typing.get_args(kind)[0]
    return Option(
        field.name,
        (declared["flag"],),
        kind,
        default,
        declared["help"],
        metavar=declared["metavar"],
        env=declared["env"],
    )


def run(ready_file: str | None, **given: Any) -> int:
    """Serve until SIGINT or SIGTERM; raises ChatkitError."""
    config = Config(**{name: _checked(name, value) for name, value in given.items()})
    ready = _ReadyFile(Path(ready_file)) if ready_file else None

    def started(running: Running) -> None:
        if ready:
            ready.write(running.url)
        announce(running)

    try:
        run_server(config, started)
    except LogFailed as error:  # the server's log has said it, in its format
        return exit_code(error)
    finally:
        if ready:
            ready.discard()
    return 0


def _checked(name: str, value: Any) -> Any:
    """A value that the server can work with."""
    declared = next(field.metadata for field in dataclasses.fields(Config) if field.name == name)
    flag, least = declared["flag"], declared["least"]
    if isinstance(value, list):
        return tuple(part for item in value for part in item.split(",") if part)
    if name == "retention" and value is not None:
        try:
            Retention.parse(value)
        except InvalidName as error:
            raise UsageError(f"--retention: {error}") from None
    elif name == "port":
        if not 0 <= value <= 65535:
            raise UsageError("--port should be 0 to 65535")
    elif isinstance(value, float):
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{flag} should be more than 0 seconds")
    elif isinstance(value, int) and not isinstance(value, bool) and value < least:
        raise UsageError(f"{flag} should be {least} or more")
    return value


def announce(running: Running) -> None:
    """Say where the server is: a panel on a terminal, else lines that a script can read."""
    if sys.stdout.isatty():
        _panel(running)
        return
    if running.created:
        print(f"chatkit: created {running.db}")
    print(f"chatkit: listening on {running.url}", flush=True)


def _panel(running: Running) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    suffix = "" if running.url == "http://127.0.0.1:8787" else f" --url {running.url}"
    rows = [
        ("address", Text(running.url, style="bold cyan")),
        ("page", Text(f"{running.url}/", style="cyan")),
        ("database", Text(f"{running.db}{' (new)' if running.created else ''}")),
        ("listen", Text(f"chatkit tail general{suffix}", style="green")),
        ("send", Text(f"chatkit send general hello{suffix}", style="green")),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    title = f"[bold]chatkit[/] {chatkit.__version__}"
    console = Console(highlight=False)
    console.print(
        Panel(table, title=title, title_align="left", subtitle="Ctrl-C stops", subtitle_align="right", expand=False)
    )


class _ReadyFile:
    """The file that tells a script where the server is.

    What an earlier run left is removed at once, since a reader must not take it for this one's; and whether the file
    can be written is known before the server starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._draft.touch()
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise ChatkitError(f"cannot write the ready file {path}: {error.strerror}") from error

    def write(self, url: str) -> None:
        """Write the URL so that a reader sees all of it or nothing."""
        self._draft.write_text(f"{url}\n", encoding="utf-8")
        self._draft.replace(self._path)

    def discard(self) -> None:
        """Leave no draft behind when the server did not start."""
        self._draft.unlink(missing_ok=True)
