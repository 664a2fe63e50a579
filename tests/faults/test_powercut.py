"""With full durability, whatever moment the power goes: what was acknowledged is there."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .load import Load
from .powercut import TRACE, Disk, Synced, Told, Write, steps
from .rig import Server, chatkit
from .strace import need_strace


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_after_a_power_cut_at_any_moment_everything_acknowledged_is_there(tmp_path: Path, durability: str) -> None:
    """Without a sync before each answer the same cuts lose some of the last ones: the cuts are real."""
    need_strace()
    db, trace, rng = tmp_path / "chat.db", tmp_path / "trace", random.Random(3)
    assert chatkit("setup", "--db", str(db)).returncode == 0
    disk = Disk({str(db): db.read_bytes()})
    load = Load(senders=6, readers=0)
    with Server(db, "--durability", durability, prefix=["strace", "-f", "-qq", "-o", str(trace), *TRACE]) as server:
        load.server_at(server.port)
        load.wait_acknowledged(120)
        server.kill()
    load.end()
    told: set[int] = set()
    cuts = lost = 0
    for step in steps(trace):
        if isinstance(step, Write):
            disk.write(step)
        elif isinstance(step, Synced):
            disk.sync(step.path)
        elif isinstance(step, Told):
            told |= set(step.seqs)
        if isinstance(step, Told) or rng.random() < 0.02:
            cuts += 1
            there = found(tmp_path / "after", disk.after_a_power_cut(rng))
            assert there == set(range(1, len(there) + 1))  # a beginning of the log, nothing out of its middle
            lost += len(told - there)
    assert len(told) >= 120
    assert cuts >= 40
    assert (lost == 0) == (durability == "full")


def found(folder: Path, files: dict[str, bytes]) -> set[int]:
    """Positions in the database that these files are, which is whole."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for path, data in files.items():
        if Path(path).name in ("chat.db", "chat.db-wal"):
            (folder / Path(path).name).write_bytes(data)
    with closing(sqlite3.connect(folder / "chat.db")) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        return {row[0] for row in connection.execute("SELECT seq FROM messages")}
