"""Ages, logs, metrics as `top` reads them, and versions with known faults."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from chatkit.cli.top import mean, parse, quantile, table
from chatkit.errors import InvalidName
from chatkit.log.checkpoint import known_faults
from chatkit.log.maintenance.pruning import Plan
from chatkit.log.maintenance.retention import Retention, age_s
from chatkit.server.counters import BATCH_SIZES, COMMIT_S, Commits
from chatkit.server.logs import JsonFormatter, TextFormatter


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("90m", 5400), ("12h", 43200), ("30d", 2_592_000), ("1.5d", 129_600), ("2W", 1_209_600)],
)
def test_an_age(text: str, seconds: float) -> None:
    assert age_s(text) == seconds
    assert Retention.parse(text).plan(10_000_000) == Plan(None, int((10_000_000 - seconds) * 1000))


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "0d", "1y", "1d2h", "soon", "\u0663d"])
def test_no_age(text: str) -> None:
    with pytest.raises(InvalidName):
        age_s(text)


def test_a_number_of_events() -> None:
    assert Retention.parse("100000").plan(0) == Plan(keep=100_000)


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
    ],
)
def test_versions_with_a_known_fault(version: tuple[int, int, int], faulty: bool) -> None:
    assert (known_faults(version) is not None) == faulty


def record(message: str, *, connection: int | None = None, error: bool = False) -> logging.LogRecord:
    try:
        if error:
            raise ValueError("a\nb")
    except ValueError:
        found = logging.LogRecord("chatkit.server", logging.INFO, "file", 1, message, None, sys.exc_info())
    else:
        found = logging.LogRecord("chatkit.server", logging.INFO, "file", 1, message, None, None)
    found.created = 1.25
    if connection is not None:
        found.connection = connection
    return found


def test_a_line_of_text() -> None:
    assert TextFormatter().format(record("a")) == "1970-01-01T00:00:01.250Z info a"
    assert TextFormatter().format(record("a", connection=7)) == "1970-01-01T00:00:01.250Z info [c7] a"
    assert TextFormatter().format(record("a\x1b[2J\nb")) == "1970-01-01T00:00:01.250Z info a\\x1b[2J\\nb"
    assert "ValueError" in TextFormatter().format(record("a", error=True))


def test_a_line_of_json() -> None:
    line = JsonFormatter().format(record("a\nü", connection=7, error=True))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("error").endswith("ValueError: a\nb")
    assert found == {
        "time": "1970-01-01T00:00:01.250Z",
        "level": "info",
        "logger": "chatkit.server",
        "message": "a\nü",
        "connection": 7,
    }


def test_batches_fall_into_the_buckets_that_prometheus_means() -> None:
    commits = Commits()
    for size, place in ((1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (4096, 12), (4097, 13), (10**6, 13)):
        before = list(commits.by_size)
        commits.add(size, 0.00005)
        assert [index for index, (a, b) in enumerate(zip(before, commits.by_size, strict=True)) if a != b] == [place]
        assert place == len(BATCH_SIZES) or size <= BATCH_SIZES[place]
    for seconds in (0.0, 0.00009, 0.00011, 0.0005, 0.01, 1.0, 3.0, 100.0):
        before = list(commits.by_time)
        commits.add(1, seconds)
        (place,) = [index for index, (a, b) in enumerate(zip(before, commits.by_time, strict=True)) if a != b]
        assert place == len(COMMIT_S) or seconds <= COMMIT_S[place] * 1.001
        assert place == 0 or seconds >= COMMIT_S[place - 1] * 0.999


SAMPLE = """
# HELP chatkit_healthy 1 when the log takes writes
chatkit_healthy 1.0
chatkit_events_total{kind="persisted"} 100.0
chatkit_deliveries_total 1000.0
chatkit_commit_seconds_bucket{le="0.001"} 10.0
chatkit_commit_seconds_bucket{le="0.01"} 99.0
chatkit_commit_seconds_bucket{le="+Inf"} 100.0
chatkit_batch_events_count 10.0
chatkit_batch_events_sum 100.0
chatkit_refused_total{code="timeout"} 2.0
chatkit_refused_total{code="disk_full"} 3.0
"""


def test_metrics_become_rows() -> None:
    now = parse(SAMPLE)
    rows = dict(table(now, None, 0))
    assert (rows["healthy"], rows["stored"], rows["refused"]) == ("yes", "100", "5")
    before = {name: value / 2 for name, value in now.items()}
    rows = dict(table(now, before, 2.0))
    assert rows["stored"].startswith("25/s ")
    assert rows["commit"] == "<= 10 ms median, <= 10 ms p99"
    assert quantile(now, None, "chatkit_commit_seconds", 0.999) == "longer"
    assert quantile({}, None, "chatkit_commit_seconds", 0.5) == "-"
    assert (mean(now, before, "chatkit_batch_events"), mean({}, None, "chatkit_batch_events")) == (10.0, 0.0)
