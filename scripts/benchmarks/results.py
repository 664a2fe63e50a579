"""What was measured, as medians over the rounds, and as JSON."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from .scenarios import Column, Scenario


@dataclass(slots=True)
class Row:
    """One server in one scenario: a dict of figures for each round, or why there are none."""

    peer: str
    title: str
    keeps: str
    rounds: list[dict[str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: str = ""

    @property
    def ours(self) -> bool:
        return self.peer.startswith("chatkit")

    def median(self, column: str) -> float | None:
        values = [figures[column] for figures in self.rounds if column in figures]
        return statistics.median(values) if values else None


@dataclass(slots=True)
class Table:
    scenario: Scenario
    rows: list[Row]

    @property
    def key(self) -> Column:
        return next(column for column in self.scenario.columns if column.key)

    def best_peer(self) -> Row | None:
        """Return the best server that is not chatkit, by the key column."""
        found = [(value, row) for row in self.rows if not row.ours and (value := row.median(self.key.name)) is not None]
        if not found:
            return None
        choose = max if self.key.better == "more" else min
        return choose(found, key=lambda pair: pair[0])[1]

    def ratio(self, row: Row) -> float | None:
        """Return how many times better than the best peer a row is, by the key column."""
        best = self.best_peer()
        mine, theirs = row.median(self.key.name), best and best.median(self.key.name)
        if not mine or not theirs:
            return None
        return mine / theirs if self.key.better == "more" else theirs / mine


@dataclass(slots=True)
class Report:
    header: dict[str, str]
    versions: dict[str, str]
    missing: dict[str, str]
    tables: list[Table]
    command: str
    rounds: int

    def as_json(self) -> dict[str, Any]:
        return {
            "at": time.strftime("%Y-%m-%d %H:%M:%S %z"),
            "command": self.command,
            "rounds": self.rounds,
            "header": self.header,
            "versions": self.versions,
            "missing": self.missing,
            "scenarios": [
                {
                    "name": table.scenario.name,
                    "title": table.scenario.title,
                    "key": table.key.name,
                    "better": table.key.better,
                    "columns": [{"name": c.name, "unit": c.unit} for c in table.scenario.columns],
                    "rows": [
                        {
                            "peer": row.peer,
                            "title": row.title,
                            "keeps": row.keeps,
                            "missing": row.missing,
                            "problems": row.problems,
                            "median": {c.name: row.median(c.name) for c in table.scenario.columns},
                            "rounds": row.rounds,
                            "ratio_to_best_peer": table.ratio(row),
                        }
                        for row in table.rows
                    ],
                }
                for table in self.tables
            ],
        }
