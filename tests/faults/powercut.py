"""What a power cut would leave: files made of synced writes, and of any part of the others."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CALL = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_START = re.compile(r"(?P<name>\w+)\((?:\d+<(?P<path>[^>]*)>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_SEQ = re.compile(rb'"seq":(\d+)')
_NUMBERS = re.compile(r", (\d+)\) += \d+$")

#: How to run the server so that the trace has all that is needed, every byte included.
TRACE = ("-y", "-xx", "-s", "1000000", "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,write,writev,sendto,sendmsg")


class Write(NamedTuple):
    """Bytes at a place of a file; ``None`` for a file that is cut there."""

    path: str
    place: int
    data: bytes | None


class Synced(NamedTuple):
    """A file was synced."""

    path: str


class Told(NamedTuple):
    """A client was told that these positions are durable."""

    seqs: list[int]


def steps(trace: Path) -> Iterator[Write | Synced | Told]:
    """What the server did, in order: a write and an answer when they begin, a sync when it has ended."""
    begun: dict[str, str] = {}
    for line in trace.read_text(encoding="ascii").splitlines():
        found = _CALL.fullmatch(line)
        if found is None:
            continue
        thread, rest = found["thread"], found["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>").rstrip()
            if _START.match(rest) and not rest.startswith(("fdatasync", "fsync", "pwrite64", "ftruncate")):
                yield from _step(begun.pop(thread))
            continue
        if rest.startswith("<... "):
            rest = begun.pop(thread, "") + rest.partition(" resumed>")[2]
        yield from _step(rest)


def _step(call: str) -> Iterator[Write | Synced | Told]:
    found = _START.match(call)
    if found is None:
        return
    name, path = found["name"], bytes.fromhex((found["path"] or "").replace("\\x", "")).decode()
    if name in ("fdatasync", "fsync"):
        yield Synced(path)
    elif name == "ftruncate":
        size = _NUMBERS.search(call)
        assert size is not None, call
        yield Write(path, int(size[1]), None)
    elif name == "pwrite64":
        place = _NUMBERS.search(call)
        if place is not None:  # else the kill has cut the trace off in it, and nothing follows
            yield Write(path, int(place[1]), _bytes(call))
    elif path.startswith("socket:"):
        seqs = [int(seq) for seq in _SEQ.findall(_bytes(call)) if b'"ok":true' in _bytes(call)]
        if seqs:
            yield Told(seqs)


def _bytes(call: str) -> bytes:
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(call))


class Disk:
    """A disk with a cache that a power cut empties.

    Args:
        files: what is on it, by path.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self._synced = {path: bytearray(data) for path, data in files.items()}
        self._cached: list[Write] = []

    def write(self, write: Write) -> None:
        self._cached.append(write)

    def sync(self, path: str) -> None:
        """What was written to a file is on the disk."""
        for write in self._cached:
            if write.path == path:
                _apply(self._synced, write)
        self._cached = [write for write in self._cached if write.path != path]

    def after_a_power_cut(self, rng: random.Random) -> dict[str, bytes]:
        """The files that are found: of what was not synced, any part may have reached the disk."""
        files = {path: bytearray(data) for path, data in self._synced.items()}
        share = rng.choice([0.0, 0.5, 0.9])
        for write in self._cached:
            if rng.random() < share:
                _apply(files, write)
        return {path: bytes(data) for path, data in files.items()}


def _apply(files: dict[str, bytearray], write: Write) -> None:
    data = files.setdefault(write.path, bytearray())
    if write.data is None:
        del data[write.place :]
        return
    if len(data) < write.place:
        data.extend(b"\0" * (write.place - len(data)))
    data[write.place : write.place + len(write.data)] = write.data
