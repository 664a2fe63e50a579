"""What the benchmark needs to know of a server, and how it starts one."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .. import cache, machine
from ..generator import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

START_LIMIT_S = 30.0
HERE = Path(__file__).parent
CHAT_BODY = '{"roomId":"{c}","userId":"u1","text":"{m}"}'


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens. Its files are in `folder`, gone when it has stopped."""

    port: int
    pid: int
    folder: Path
    started_s: float


class Peer(ABC):
    """A server under test, in the configuration that its own users would choose for speed."""

    name: ClassVar[str]
    title: ClassVar[str]
    keeps: ClassVar[str]  # what it does about persistence, as the table shows it
    replays: ClassVar[bool] = False
    subscriber: ClassVar[Role]
    sender: ClassVar[Role]
    late: ClassVar[Role | None] = None  # a subscriber that first wants everything from the start

    @abstractmethod
    def install(self) -> None:
        """Make the server ready to start, in `.bench/`. Raise MissingError where that cannot be."""

    @abstractmethod
    def version(self) -> str:
        """Return the versions of what it is made of, for the header. Only after `install`."""

    @abstractmethod
    def command(self, folder: Path) -> list[str]:
        """Return the command that serves, with its files in `folder`."""

    def ready(self, folder: Path, said: str) -> int | None:
        """Return the port once the server listens; `said` is all that it has printed so far."""
        del folder
        for line in said.splitlines(keepends=True):
            if line.startswith("port ") and line.endswith("\n"):
                return int(line[5:])
        return None

    @contextlib.contextmanager
    def serve(self) -> Iterator[Server]:
        """Start it on the server's CPU with an empty folder on a real disk, stop it at the end whatever happened."""
        data = cache.CACHE / "data"
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data, prefix=f"{self.name}-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            begun = time.perf_counter()
            with start(self.command(folder), folder) as process:
                port = await_port(self, process, folder)
                yield Server(port, process.pid, folder, time.perf_counter() - begun)


@contextlib.contextmanager
def start(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own and end the whole group afterwards, politely first."""
    if shutil.which("setpriv"):  # it must not outlive a benchmark that was killed
        command = ["setpriv", "--pdeathsig", "TERM", *command]
    if machine.pinned(machine.SERVER_CPU):
        command = ["taskset", "--cpu-list", str(machine.SERVER_CPU), *command]
    with (folder / "stderr").open("wb") as complaint:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaint,
            start_new_session=True,
            cwd=folder,
        )
    try:
        yield process
    finally:
        for how, wait_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            try:
                process.wait(wait_s)
                break
            except subprocess.TimeoutExpired:
                continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdout is not None
        process.stdout.close()


def await_port(peer: Peer, process: subprocess.Popen[bytes], folder: Path) -> int:
    """Wait until a server that was started listens, and return its port. Raise MissingError when it does not."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    said = ""
    end = time.perf_counter() + START_LIMIT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.perf_counter() < end and process.poll() is None:
            if selector.select(timeout=0.005):
                piece = process.stdout.read()
                said += (piece or b"").decode(errors="replace")
                if piece == b"":
                    time.sleep(0.005)
            port = peer.ready(folder, said)
            if port is not None:
                return port
    lines = (folder / "stderr").read_text(errors="replace").strip().splitlines() or ["no word why"]
    raise cache.MissingError(f"does not start: {lines[-1][:120]}")


def free_port() -> int:
    """Return a port that was free a moment ago, for servers that cannot pick one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Tell whether something accepts connections on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def node_versions(modules: Path, *packages: str) -> str:
    """Return the versions of installed npm packages."""
    import json  # noqa: PLC0415

    return ", ".join(
        f"{name} {json.loads((modules / name / 'package.json').read_text())['version']}" for name in packages
    )
