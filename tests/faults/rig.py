"""A real ``chatkit serve`` in a process of its own, to be killed, starved and lied to."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DEADLINE_S = 30.0

#: The command line, with the interpreter's warnings as errors; what follows ``-c`` may bend the process first.
COMMAND = (sys.executable, "-W", "error", "-m", "chatkit.cli")


class Server:
    """One life of a server.

    Args:
        db: its database.
        options: of ``chatkit serve``.
        prefix: a program that runs it, such as strace.
        command: what to run instead of chatkit's command line.
        limits: resource limits of the process, by name: ``RLIMIT_NOFILE=100``.
    """

    def __init__(
        self,
        db: Path,
        *options: str,
        prefix: Sequence[str] = (),
        command: Sequence[str] = COMMAND,
        **limits: int,
    ) -> None:
        self.db = db
        self._traced = bool(prefix) and prefix[0] == "strace"
        self.lines: list[str] = []
        self.port = 0
        self._listening = threading.Event()

        def prepare() -> None:
            for name, value in limits.items():
                number = getattr(resource, name)
                hard = value if name == "RLIMIT_NOFILE" else resource.getrlimit(number)[1]
                resource.setrlimit(number, (value, hard))

        arguments = [*prefix, *command, "serve", "--db", str(db), "--port", "0", *options]
        self.process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=prepare if limits else None,  # noqa: PLW1509 - no lock of ours is needed
            env={**os.environ, "PYTHONUNBUFFERED": "1", "HOME": str(db.parent)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("chatkit: listening on "):
                self.port = int(line.rpartition(":")[2])
                self._listening.set()
        self._listening.set()

    def listening(self) -> Self:
        """Wait until it listens."""
        assert self._listening.wait(DEADLINE_S), self.lines
        assert self.port, self.lines
        return self

    @property
    def pid(self) -> int:
        """The server's own process, also where another program runs it."""
        if not self._traced:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text(encoding="ascii").split()[0])

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, and wait for the end."""
        if self.process.poll() is None:
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                os.kill(self.pid, number)
        return self.wait()

    def stop(self) -> int:
        """Ask it to drain, and wait for it."""
        return self.kill(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    @property
    def log(self) -> str:
        """All it printed."""
        return "\n".join(self.lines)

    def __enter__(self) -> Self:
        return self.listening()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()


def chatkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env={**os.environ, **environment},
        check=False,
    )


def stored(db: Path) -> list[tuple[int, str]]:
    """Position and id of every event, as SQLite has them."""
    with closing(sqlite3.connect(db)) as connection:
        return list(connection.execute("SELECT seq, id FROM messages ORDER BY rowid"))


def meta(db: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(db)) as connection:
        return dict(connection.execute("SELECT key, value FROM meta"))
