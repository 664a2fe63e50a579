"""A log of millions of events: how long a page of history takes, and starting on it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import cache, generator
from .peers import base

if TYPE_CHECKING:
    from .peers.chatkit import Chatkit

CHANNELS = 100
PAGES = 200
FORM = ("schema.py", "rows.py")  # what decides how the file looks inside
PYTHON = cache.ROOT / ".venv/bin/python"


def database(rows: int) -> Path:
    """Return a log of `rows` chat messages over 100 channels, made once for each form of the tables."""
    form = hashlib.sha256(b"".join((cache.ROOT / "chatkit/log" / name).read_bytes() for name in FORM)).hexdigest()[:8]
    file = cache.CACHE / f"log-{rows}-{form}.db"
    if file.exists():
        return file
    for old in cache.CACHE.glob(f"log-{rows}-*"):
        old.unlink()
    cache.say(f"making a log of {rows:,} events, once ...")
    made = file.with_suffix(".making")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{made}{suffix}").unlink(missing_ok=True)
    command = [str(PYTHON), str(Path(__file__).with_name("make_log.py")), str(made), str(rows), str(CHANNELS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError("cannot make the log: " + (done.stderr.strip().splitlines() or ["no word why"])[-1])
    made.rename(file)
    return file


def measure(peer: Chatkit, rows: int) -> tuple[dict[str, float], list[str]]:
    """Time the start of the server on the log, and pages of 50 from all over it, over one open connection."""
    file = database(rows)
    with tempfile.TemporaryDirectory(dir=cache.CACHE, prefix="history-") as name:
        folder = Path(name)
        copy = folder / "log.db"
        try:
            subprocess.run(["cp", "--reflink=auto", str(file), str(copy)], check=True, timeout=300)
        except subprocess.SubprocessError:
            shutil.copyfile(file, copy)
        with copy.open("rb+") as copied:
            os.fsync(copied)  # the server syncs the file when it starts, and should not pay for the copying
        begun = time.perf_counter()
        with base.start(peer.serve_command(folder, copy), folder) as process:
            port = base.await_port(peer, process, folder)
            started_ms = (time.perf_counter() - begun) * 1e3
            old = sorted(_pages_ms(port, rows, newest=False))
            newest = sorted(_pages_ms(port, rows, newest=True))
    return {
        "page p50": statistics.median(old),
        "page p99": old[int(len(old) * 0.99)],
        "newest page p50": statistics.median(newest),
        "start-up": started_ms,
        "file": file.stat().st_size / 1e6,
    }, []


def _pages_ms(port: int, rows: int, *, newest: bool) -> list[float]:
    """Return the times of PAGES pages: of one channel each, evenly over the log or the newest."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    taken = []
    for n in range(PAGES):
        channel = f"chat/{n % CHANNELS}"
        before = rows + 1 if newest else 10_000 + (rows - 10_000) * n // PAGES
        begun = time.perf_counter()
        connection.request("GET", f"/api/messages?channel={channel}&before={before}&limit=50")
        answer = connection.getresponse()
        body = answer.read()
        taken.append((time.perf_counter() - begun) * 1e3)
        count = len(json.loads(body)["messages"]) if answer.status == http.client.OK else answer.status
        if count != 50:
            raise generator.LoadError(
                f"a page of history before {before} of {channel} has {count} events: {body[:100]!r}"
            )
    connection.close()
    return taken
