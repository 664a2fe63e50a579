"""Faults inside a commit: the process dies, the disk fails, is slow, or is full, at one system call of SQLite's."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from .load import Load
from .rig import Server, chatkit
from .strace import injecting, need_strace, wal_of


@pytest.fixture(autouse=True)
def _strace() -> None:
    need_strace()


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_killed_at_any_step_of_a_commit(tmp_path: Path, call: str) -> None:
    db, load, rng = tmp_path / "chat.db", Load(), random.Random(call)
    for _ in range(3):
        rule = f"{call}:signal=KILL:when={rng.randrange(12, 60)}"
        with Server(db, prefix=injecting(rule, path=wal_of(db))) as server:
            load.server_at(server.port)
            assert server.wait() != 0
    with Server(db) as server:
        load.server_at(server.port)
        load.wait_acknowledged(10)
        load.finish(db)
    load.end()
    assert load.not_recovered == 0


@pytest.mark.parametrize("rule", ["fdatasync:error=EIO:when=15", "pwrite64:error=EIO:when=40"])
def test_after_an_io_error_nothing_is_acknowledged_and_the_server_ends(tmp_path: Path, rule: str) -> None:
    db, load = tmp_path / "chat.db", Load()
    with Server(db, "--log-format", "json", prefix=injecting(rule, path=wal_of(db))) as server:
        load.server_at(server.port)
        assert server.wait() == 74
    errors = [line for line in server.lines if line.startswith("{") and json.loads(line)["level"] == "critical"]
    assert len(errors) == 1, server.log
    assert "disk I/O error" in errors[0]
    assert "Traceback" not in server.log
    assert set(load.refused) <= {503}
    with Server(db) as server:
        load.server_at(server.port)
        load.wait_acknowledged(10)
        load.finish(db)
    load.end()


def test_a_slow_disk_makes_larger_batches_and_nothing_else(tmp_path: Path) -> None:
    db, load = tmp_path / "chat.db", Load(senders=8)
    rule = "fdatasync:delay_exit=50000"  # microseconds
    with Server(db, prefix=injecting(rule, path=wal_of(db))) as server:
        load.server_at(server.port)
        load.wait_acknowledged(80)
        load.finish(db)
        assert chatkit("top", "--url", f"http://127.0.0.1:{server.port}").returncode == 0
    load.end()
    assert load.refused == []


def test_a_full_disk_refuses_until_there_is_room(tmp_path: Path) -> None:
    """ENOSPC for a while: sends are refused with 507, reads and live delivery go on, then writes work again."""
    db, load = tmp_path / "chat.db", Load(retry_refused=True)
    with Server(db, prefix=injecting("pwrite64:error=ENOSPC:when=60..90", path=wal_of(db))) as server:
        load.server_at(server.port)
        load.wait_refused(3)
        load.wait_acknowledged(50)
        verdict = load.finish(db)
        assert set(load.refused) == {507}
        assert server.stop() == 0
    load.end()
    assert verdict.refused >= 3
