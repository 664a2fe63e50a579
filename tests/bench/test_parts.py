"""The pure parts of the bench: percentiles, what counts as lost, frames, the bounds."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.cli.bench import milliseconds
from chatkit.cli.ending import UsageError
from chatkit.client.bench.frames import Frames, text_frame
from chatkit.client.bench.plan import MIN_SIZE_BYTES, Plan, Script, number_of
from chatkit.client.bench.result import Bounds, Result
from chatkit.client.bench.summary import Histogram, Quantiles
from chatkit.client.bench.tally import Sequence, Tally, Verdict
from chatkit.client.endpoint import parse_url


@given(st.lists(st.integers(0, 10**12), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_right_to_within_a_hundredth(values: list[int], q: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert exact <= histogram.at(q) <= exact * 1.01


def test_of_nothing_there_are_no_percentiles() -> None:
    assert Histogram().quantiles() is None


def test_all_percentiles() -> None:
    histogram = Histogram()
    for ms in range(1, 1001):
        histogram.add(ms * 1_000_000)
    found = histogram.quantiles()
    assert found
    assert found == pytest.approx((1000, 500, 900, 990, 999, 1000), rel=0.01)


def tally(*, stored: int, unknown: int = 0, refused: int = 0, channels: int = 1) -> Tally:
    made = Tally(channels)
    for _ in range(stored):
        made.store(made.send(0))
    for _ in range(unknown):
        made.send(0)
    for _ in range(refused):
        made.refuse(made.send(0))
    return made


def test_by_count() -> None:
    made = tally(stored=5, unknown=1, refused=1)
    assert (made.stored, made.unknown, made.refused) == ([5], 1, 1)
    # The one without an answer may have come or not.
    found = [made.by_count(0, count) for count in (3, 5, 6, 8)]
    assert found == [Verdict(2, 0), Verdict(0, 0), Verdict(0, 0), Verdict(0, 2)]


def test_each_channel_has_its_own_messages() -> None:
    made = tally(stored=5, channels=2)
    assert (made.by_count(0, 3), made.by_count(1, 2)) == (Verdict(), Verdict())


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ([(0, 1), (1, 2), (2, 3)], Verdict()),
        ([(0, 1), (2, 3)], Verdict(lost=1)),
        ([(0, 1), (1, 2), (1, 2), (2, 3)], Verdict(duplicated=1)),
        ([(0, 1), (2, 3), (1, 2)], Verdict(disordered=1)),
        ([], Verdict(lost=3)),
    ],
)
def test_by_sequence(came: list[tuple[int, int]], expected: Verdict) -> None:
    seen = Sequence()
    for number, seq in came:
        seen.take(number, seq)
    assert tally(stored=3, unknown=1).by_sequence(0, seen) == expected


@given(st.lists(st.integers(0, 70_000), max_size=4), st.integers(1, 5_000))
def test_frames_cut_into_any_pieces(sizes: list[int], step: int) -> None:
    stream = b""
    for size in sizes:
        head = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65_536 else None
        stream += b"\x81" + (head or b"\x7f" + size.to_bytes(8, "big")) + b"x" * size
    frames = Frames()
    found = [frame for at in range(0, len(stream), step) for frame in frames.feed(stream[at : at + step])]
    assert [(opcode, len(payload)) for opcode, payload in found] == [(1, size) for size in sizes]


def test_a_frame_from_a_client_is_masked() -> None:
    assert text_frame(b"hi") == b"\x81\x82\x00\x00\x00\x00hi"
    assert text_frame(b"x" * 200)[:4] == b"\x81\xfe\x00\xc8"


@pytest.mark.parametrize("size", [MIN_SIZE_BYTES, 128])
def test_a_request_has_its_number_its_room_and_the_size_asked_for(size: int) -> None:
    script = Script(Plan("ab12cd34", 0, 1, 1, None, None, size, 3), parse_url("http://127.0.0.1:1"), "to%ken")
    head, _, body = script.request(7).partition(b"\r\n\r\n")
    found = json.loads(body)
    assert (found["roomId"], found["id"], len(found["text"])) == ("bench-ab12cd34-1", "ab12cd34-0000000007", size)
    assert number_of(found["text"]) == 7
    assert b"Content-Length: %d" % len(body) in head
    assert b"Bearer to%ken" in head
    assert body.count(script.mark) == 1


def result(faults: Verdict = Verdict(), p99_ms: float = 5.0) -> Result:  # noqa: B008 - a tuple
    times = Quantiles(10, 1, 2, p99_ms, 6, 7)
    return Result(
        stored=10, refused=0, unknown=0, unsent=0, delivered=50, seconds=1, sends_per_s=10, deliveries_per_s=50,
        ack=times, delivery=times, faults=faults, sampled=2, disconnected=0, cpu=0.1, late_ms=0, interrupted=False,
        trouble=None,
    )  # fmt: skip


def test_bounds() -> None:
    assert Bounds().broken(result(Verdict(9, 9, 9))) == []
    assert Bounds(0, 5, 10).broken(result()) == []
    assert Bounds(max_lost=0).broken(result(Verdict(1, 2, 3))) == [
        "deliveries lost: 1; --max-lost is 0",
        "deliveries duplicated: 2; --max-lost is 0",
        "deliveries out of order: 3; --max-lost is 0",
    ]
    assert [line[:10] for line in Bounds(max_p99_ms=4).broken(result())] == ["p99 of ack", "p99 of del"]
    assert Bounds(max_p99_ms=4).broken(result()._replace(ack=None, delivery=None))
    assert Bounds(min_rate=11).broken(result()) == ["10 sends/s; --min-rate is 11"]


def test_times() -> None:
    assert [milliseconds("--x", text) for text in ("50ms", "0.5s", "2s", ".5ms")] == [50, 500, 2000, 0.5]
    for text in ("", "50", "ms", "0ms", "-1s", "1h"):
        with pytest.raises(UsageError, match="--x should be a time such as 50ms"):
            milliseconds("--x", text)
