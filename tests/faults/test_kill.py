"""SIGKILL and SIGTERM under load, round after round, on the same database."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from .load import Load
from .rig import Server


@pytest.mark.parametrize("durability", ["full", "normal"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_lost_or_doubled_however_it_ends(tmp_path: Path, how: signal.Signals, durability: str) -> None:
    db, load, rng = tmp_path / "chat.db", Load(), random.Random(7)
    for _ in range(4):
        with Server(db, "--durability", durability) as server:
            load.server_at(server.port)
            load.wait_acknowledged(rng.randrange(1, 150))
            code = server.kill(how)
        assert code == (-9 if how is signal.SIGKILL else 0), server.log
        assert "Traceback" not in server.log
    with Server(db) as server:
        load.server_at(server.port)
        load.wait_acknowledged(10)
        verdict = load.finish(db)
        assert server.stop() == 0
    load.end()
    assert verdict.acknowledged > 10
    assert load.not_recovered == 0
