"""Each test of the suite runs once for each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from .engines import ENGINES, Engine, InlineEngine, SqliteEngine


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    made: Engine = request.param(tmp_path)
    return made


@pytest.fixture(params=[SqliteEngine, InlineEngine], ids=lambda engine: engine.name)
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteEngine:
    made: SqliteEngine = request.param(tmp_path)
    return made
