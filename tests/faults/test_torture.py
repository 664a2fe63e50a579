"""The torture's own table, over one short round."""

from __future__ import annotations

from .torture import table, torture


def test_a_round_of_torture_ends_in_a_table() -> None:
    tallies = torture(0, "network", 5)
    assert [(found.rounds, found.lost, found.duplicated) for found in tallies.values()] == [(1, 0, 0)]
    assert table(tallies).splitlines()[2].startswith("| cutting network | 1 | ")
