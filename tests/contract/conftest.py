"""Each test of the suite runs once for each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from .engines import ENGINES, Engine, SqliteEngine


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    made: Engine = request.param(tmp_path)
    return made


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteEngine:
    return SqliteEngine(tmp_path)
