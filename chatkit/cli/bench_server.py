"""The server that ``chatkit bench`` starts, and leaves no trace of."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from ..client.endpoint import Endpoint, parse_url
from ..errors import ChatkitError
from .ending import UsageError

_READY: Final = "listening on "
_DEADLINE_S: Final = 30.0
#: Files of this process, and of the server, beside the connections.
_OTHER_FILES: Final = 128


@contextlib.contextmanager
def throw_away(durability: str) -> Iterator[Endpoint]:
    """A server on a free port of this machine with a temporary database; both are gone at the end of the block.

    Raises:
        ChatkitError: it does not start; the sentence is what it said.
    """
    with (
        _terminated(),
        tempfile.TemporaryDirectory(prefix="chatkit-bench-", ignore_cleanup_errors=True) as directory,
        (Path(directory) / "serve.err").open("w+b") as stderr,
    ):
        process = _start(directory, durability, stderr.fileno())
        try:
            yield _wait(process, Path(stderr.name))
        finally:
            # Nobody wants what it holds: no drain.
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _start(directory: str, durability: str, stderr: int) -> subprocess.Popen[bytes]:
    database = os.path.join(directory, "chat.db")
    return subprocess.Popen(  # noqa: S603 - this very program
        # -P: a module in the directory where somebody measures is none of ours.
        [
            sys.executable,
            "-P",
            "-m",
            "chatkit.cli",
            "serve",
            "--port",
            "0",
            "--db",
            database,
            "--durability",
            durability,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={name: value for name, value in os.environ.items() if not name.startswith("CHATKIT_")},
        start_new_session=True,  # Ctrl-C is for us: we still ask it for the rest
    )


def _wait(process: subprocess.Popen[bytes], stderr: Path) -> Endpoint:
    assert process.stdout  # noqa: S101 - it is a pipe
    alarm = threading.Timer(_DEADLINE_S, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            if _READY in (text := line.decode(errors="replace")):
                return parse_url(text.partition(_READY)[2].strip())
    finally:
        alarm.cancel()
    said = stderr.read_text(errors="replace").strip().splitlines()
    raise ChatkitError(f"the server did not start: {said[-1] if said else 'it said nothing'}")


def room_for(connections: int) -> None:
    """Let this process, and a server that it starts, have so many connections.

    Raises:
        UsageError: the system does not.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Unix only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and wanted > soft:
        if hard != resource.RLIM_INFINITY and wanted > hard:
            raise UsageError(f"{connections:,} connections are more than the {hard:,} files this system lets one open")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Let what ends a process quietly, a closed terminal too, first clean up."""
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [(number, signal.signal(number, _exit)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
