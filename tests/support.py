"""A real server in a process of its own, and commands run against it. For every suite."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: Seconds after which a test has failed. Generous: the machine may be busy, and nothing waits this long that works.
DEADLINE_S = 30.0

CHATKIT = [sys.executable, "-m", "chatkit.cli"]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a command: this one's, without what the developer has set for chatkit."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHATKIT_")}
    env |= {"CHATKIT_SPOOL": "/nowhere/spool.db"}  # not the developer's
    env |= {"CHATKIT_USER": "tester", "PYTHONWARNINGS": "error", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "xterm"}
    return env | extra


class Server:
    """A ``chatkit serve`` process that can be killed and started again on the same port and database.

    Attributes:
        db: the database file.
        url: where it listens, the same after :meth:`restart`.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.db = directory / "chat.db"
        self.url = ""
        self._directory, self._options, self._port = directory, options, "0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        ready = self._directory / "url"
        ready.unlink(missing_ok=True)
        command = ["serve", "--port", self._port, "--db", str(self.db), "--ready-file", str(ready), *self._options]
        with (self._directory / "serve.err").open("ab") as stderr:
            self._process = subprocess.Popen(
                [*CHATKIT, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment(),
            )
        deadline = time.monotonic() + DEADLINE_S
        while not ready.exists():
            assert self._process.poll() is None, self.stderr()
            assert time.monotonic() < deadline, "the server does not get ready"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)  # the file comes, or the process ends
        self.url = ready.read_text().strip()
        self._port = self.url.rpartition(":")[2]

    def stderr(self) -> str:
        """What it has said on stderr."""
        return (self._directory / "serve.err").read_text()

    def kill9(self) -> None:
        """End it as a crash does."""
        assert self._process
        self._process.kill()
        self._process.wait(DEADLINE_S)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; returns its exit code."""
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(DEADLINE_S)

    def restart(self) -> None:
        """Start it again where it was; it must not be running."""
        self.start()

    def forget(self) -> None:
        """Remove its database; it must not be running."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.db}{suffix}").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it, however it is."""
        if self._process and self._process.poll() is None:
            self.kill9()


def chatkit(
    *arguments: str, url: str = "", text: bytes | str | None = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end and return its output.

    Args:
        arguments: the command line.
        url: the server, as ``CHATKIT_URL``.
        text: its standard input.
        env: more of the environment.
    """
    extra = dict(env or {}) | ({"CHATKIT_URL": url} if url else {})
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [*CHATKIT, *arguments],
        input=data,
        capture_output=True,
        env=environment(**extra),
        timeout=DEADLINE_S,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A command that runs beside the test.

    Attributes:
        process: the process; its standard input is a pipe.
    """

    def __init__(self, *arguments: str, url: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [*CHATKIT, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(CHATKIT_URL=url, **env),
        )
        self._out, self._err = (self._reader(stream) for stream in (self.process.stdout, self.process.stderr))

    @staticmethod
    def _reader(stream: Any) -> queue.Queue[str | None]:
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in stream:
                lines.put(line.decode().rstrip("\n"))
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return lines

    def line(self) -> str:
        """The next line of its output."""
        line = self._next(self._out)
        assert line is not None, f"the output ended; stderr: {self.rest_of_stderr()}"
        return line

    def lines(self, count: int) -> list[str]:
        """The next ``count`` lines of its output."""
        return [self.line() for _ in range(count)]

    def error_line(self) -> str:
        """The next line of its stderr."""
        line = self._next(self._err)
        assert line is not None, "stderr ended"
        return line

    def rest(self) -> list[str]:
        """What is left of its output, until it ends."""
        return list(iter(lambda: self._next(self._out), None))

    def rest_of_stderr(self) -> list[str]:
        """What is left of its stderr, until it ends."""
        return list(iter(lambda: self._next(self._err), None))

    @staticmethod
    def _next(lines: queue.Queue[str | None]) -> str | None:
        line = lines.get(timeout=DEADLINE_S)
        if line is None:
            lines.put(None)  # whoever asks again hears the same
        return line

    def write(self, text: str) -> None:
        """Write to its standard input, at once."""
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin
        self.process.stdin.close()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        return self.process.wait(DEADLINE_S)

    def stop(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        self.rest()
        self.rest_of_stderr()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]


@contextlib.contextmanager
def running(*arguments: str, url: str, **env: str) -> Iterator[Running]:
    """A command beside the test, ended with the block."""
    command = Running(*arguments, url=url, **env)
    try:
        yield command
    finally:
        command.stop()


def subscribed(server: Server, count: int, channel: str = "chat/general") -> None:
    """Wait until ``channel`` has ``count`` subscribers."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{server.url}/api/channels", timeout=DEADLINE_S) as answer:  # noqa: S310 - our own
            found = json.load(answer)["channels"]
        if any(item["name"] == channel and item["subscribers"] >= count for item in found):
            return
        select.select([], [], [], 0.01)  # there is no event to wait for: the server tells whoever asks
    raise AssertionError(f"{channel} does not get {count} subscribers")
