"""Where a reader goes on: each event once and in order, whatever the connections do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import wire
from chatkit.client.events import Event, Notice
from chatkit.client.merge import Merge
from chatkit.client.resume import RELOAD, Reader, covers, without_covered
from chatkit.errors import InvalidName, Refused
from chatkit.model import Pattern

A = "chat/a"


def frame(seq: int | None, topic: str = A, channel: str | None = None) -> wire.EventFrame:
    return wire.EventFrame(topic, "chat:message", f"id{seq}", "u", 1, msgspec.Raw(b'{"text":"x"}'), seq, channel)


def seqs(items: list[Event | Notice]) -> list[int | None]:
    return [item.seq for item in items if isinstance(item, Event)]


def received(reader: Reader, *frames: wire.AnyFrame) -> list[Event | Notice]:
    return [item for one in frames for item in reader.receive(one)[0]]


def test_a_new_reader_asks_for_the_newest_and_then_for_what_follows_its_position() -> None:
    reader = Reader([A], last=2)
    assert reader.commands() == [wire.Subscribe(A, last=2)]
    got = received(reader, wire.Subscribed(A, "e", 9, True), frame(8), frame(9))
    assert seqs(got) == [8, 9]
    levels = [reader.is_level]
    received(reader, wire.Live(A, 9), frame(12))
    levels.append(reader.is_level)
    assert reader.commands() == [wire.Subscribe(A, after=12, epoch="e")]
    assert [*levels, reader.is_level] == [False, True, False]
    assert seqs(received(reader, wire.Subscribed(A, "e", 14, True), frame(12), frame(13), wire.Live(A, 14))) == [13]


def test_a_connection_lost_before_anything_came_asks_for_the_same_again() -> None:
    reader = Reader([A], last=2)
    reader.commands()
    received(reader, wire.Subscribed(A, "e", 9, True))
    assert reader.commands() == [wire.Subscribe(A, last=2)]


def test_a_live_reader_starts_where_the_server_says_it_is() -> None:
    reader = Reader([A])
    assert reader.commands() == [wire.Subscribe(A)]
    received(reader, wire.Subscribed(A, "e", 9, True))
    assert reader.is_level
    assert reader.commands() == [wire.Subscribe(A, after=9, epoch="e")]


def test_last_zero_is_live() -> None:
    assert Reader([A], last=0).commands() == [wire.Subscribe(A)]


def gap_texts(items: list[Event | Notice]) -> list[str]:
    return [item.text for item in items if isinstance(item, Notice) and item.kind == "gap"]


def test_another_log_is_told_and_what_it_has_is_shown() -> None:
    reader = Reader([A], after=3)
    reader.commands()
    received(reader, wire.Subscribed(A, "e", 9, True), frame(4), wire.Live(A, 9))
    reader.commands()
    items, commands = reader.receive(wire.Subscribed(A, "other", 2, False))
    assert (items, commands) == ([], [wire.Subscribe(A, last=RELOAD + 1)])
    levels = [reader.is_level]
    got = received(reader, wire.Subscribed(A, "other", 2, True), frame(1), frame(2), wire.Live(A, 2))
    assert gap_texts(got) == [
        "chat/a: the server has another log than before; going on with the newest 2 events there are"
    ]
    assert isinstance(got[0], Notice)
    assert seqs(got) == [1, 2]
    assert [*levels, reader.is_level] == [False, True]
    assert seqs(received(reader, frame(3))) == [3]
    assert reader.commands() == [wire.Subscribe(A, after=3, epoch="other")]


def test_a_position_beyond_the_end_is_told() -> None:
    reader = Reader([A], after=100)
    reader.commands()
    got = received(reader, wire.Subscribed(A, "e", 9, False), wire.Live(A, 9))
    got += received(reader, wire.Subscribed(A, "e", 9, True), frame(8), wire.Live(A, 9))
    assert gap_texts(got) == [
        "chat/a: position 100 is beyond the end of the log (9); going on with the one event there is"
    ]
    assert seqs(got) == [8]
    assert seqs(received(reader, frame(10))) == [10]


def test_what_is_no_longer_kept_is_told_and_the_newest_are_asked_for() -> None:
    reader = Reader([A], after=3)
    reader.commands()
    items, commands = reader.receive(wire.Subscribed(A, "e", 5000, False))
    assert items == []
    assert commands == [wire.Subscribe(A, last=RELOAD + 1)]
    got = received(reader, wire.Live(A, 5000), frame(5001))  # still of the subscription that is being replaced
    assert got == []
    got = received(reader, wire.Subscribed(A, "e", 5001, True), frame(3), frame(4000), frame(5001), wire.Live(A, 5001))
    assert gap_texts(got) == ["chat/a: events after 3 are no longer kept; going on with the newest 2 events there are"]
    assert seqs(got) == [4000, 5001]
    assert reader.is_level


@pytest.mark.parametrize(("first", "left_out"), [(101, False), (100, True)])
def test_what_is_left_out_is_said(first: int, left_out: bool) -> None:
    reader = Reader([A], after=3)
    reader.commands()
    received(reader, wire.Subscribed(A, "e", 1100, False), wire.Subscribed(A, "e", 1100, True))
    got = received(reader, *[frame(seq) for seq in range(first, 1101)], wire.Live(A, 1100))
    assert seqs(got) == [*range(101, 1101)]
    (text,) = gap_texts(got)
    assert ("left out" in text) == left_out


def test_a_log_with_nothing_in_it_is_told() -> None:
    reader = Reader([A], after=3)
    reader.commands()
    got = received(reader, wire.Subscribed(A, "e", 0, False), wire.Subscribed(A, "e", 0, True), wire.Live(A, 0))
    assert gap_texts(got) == [
        "chat/a: position 3 is beyond the end of the log (0); going on with what comes, there is nothing else"
    ]


def test_a_connection_lost_while_what_there_is_comes_asks_for_it_again() -> None:
    reader = Reader([A], after=30)
    reader.commands()
    received(reader, wire.Subscribed(A, "e", 9, False), wire.Subscribed(A, "e", 9, True), frame(1), frame(2))
    assert reader.commands() == [wire.Subscribe(A, last=RELOAD + 1)]
    got = received(reader, wire.Subscribed(A, "f", 2, True), frame(1), frame(2), wire.Live(A, 2))
    assert len(gap_texts(got)) == 1
    assert seqs(got) == [1, 2]


def test_each_topic_is_told_of_another_log() -> None:
    reader = Reader([A, "chat/b"], after=3)
    reader.commands()
    received(reader, *[wire.Subscribed(topic, "e", 9, True) for topic in (A, "chat/b")])
    received(reader, *[wire.Live(topic, 9) for topic in (A, "chat/b")])
    reader.commands()
    got = received(reader, *[wire.Subscribed(topic, "f", 2, False) for topic in (A, "chat/b")])
    got += received(reader, *[wire.Subscribed(topic, "f", 2, True) for topic in (A, "chat/b")])
    got += received(reader, frame(1), wire.Live(A, 2), frame(2, "chat/b"), wire.Live("chat/b", 2))
    assert [text.split(";")[0] for text in gap_texts(got)] == [
        f"{topic}: the server has another log than before" for topic in (A, "chat/b")
    ]
    assert seqs(got) == [1, 2]


def test_ephemeral_events_move_nothing() -> None:
    reader = Reader([A], after=3)
    reader.commands()
    received(reader, wire.Subscribed(A, "e", 9, True), frame(None))
    assert reader.commands() == [wire.Subscribe(A, after=3, epoch="e")]


def test_a_refused_topic_is_an_error() -> None:
    with pytest.raises(Refused, match="no"):
        Reader([A]).receive(wire.ErrorFrame("forbidden", "no", topic=A))


def test_bad_names_are_refused_at_once() -> None:
    with pytest.raises(InvalidName):
        Reader(["chat/a b"])


def test_two_topics_come_in_the_order_of_the_log() -> None:
    reader = Reader([A, "chat/b"], last=3)
    reader.commands()
    got = received(
        reader,
        wire.Subscribed(A, "e", 9, True),
        *[frame(seq) for seq in (1, 5, 9)],
        wire.Live(A, 9),
        wire.Subscribed("chat/b", "e", 9, True),
        *[frame(seq, "chat/b") for seq in (2, 6, 8)],
        wire.Live("chat/b", 9),
        frame(10),
    )
    assert seqs(got) == [1, 2, 5, 6, 8, 9, 10]


def test_an_event_that_two_patterns_match_comes_once() -> None:
    reader = Reader(["a/*", "*/b"], after=0)
    reader.commands()
    received(reader, *[wire.Subscribed(topic, "e", 5, True) for topic in ("a/*", "*/b")])
    got = received(
        reader,
        *[frame(seq, "a/*", "a/b") for seq in (1, 2)],
        *[frame(seq, "*/b", "a/b") for seq in (1, 2, 3)],
        *[wire.Live(topic, 5) for topic in ("a/*", "*/b")],
    )
    assert seqs(got) == [1, 2, 3]


@given(st.data())
def test_every_event_once_and_in_order_over_any_number_of_connections(data: st.DataObject) -> None:
    """A model of the server: connections end anywhere, and come back while the log grows."""
    reader = Reader([A], after=0)
    log: list[int] = []
    got: list[int | None] = []
    for _ in range(data.draw(st.integers(1, 6))):
        log += [(log[-1] if log else 0) + step for step in data.draw(st.lists(st.integers(1, 3), max_size=4))]
        log = sorted(set(log))
        head = log[-1] if log else 0
        (command,) = reader.commands()
        assert command.after is not None
        replay = [frame(seq) for seq in log if seq > command.after]
        frames: list[wire.AnyFrame] = [wire.Subscribed(A, "e", head, True), *replay, wire.Live(A, head)]
        for _ in range(data.draw(st.integers(0, 3))):
            head += 1
            log.append(head)
            frames.append(frame(head))
        cut = data.draw(st.integers(0, len(frames)))
        for one in frames[:cut]:
            got += seqs(reader.receive(one)[0])
    reader.commands()
    got += seqs(received(reader, wire.Subscribed(A, "e", len(log), True), *[frame(seq) for seq in log]))
    assert got == log


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.integers(1, 3000))
def test_a_merge_loses_and_repeats_nothing(steps: list[tuple[str, bool]], hold_bytes: int) -> None:
    merge = Merge(list("abc"), hold_bytes)
    events = dict.fromkeys("abc", 0)
    out: list[Event] = []
    for seq, (topic, level) in enumerate(steps, 1):
        event = Event(f"x/{topic}", "e", str(seq), seq, "u", 1, b"{}")
        events[topic] += 1
        out += merge.push(topic, event)
        if level:
            out += merge.level(topic)
    for topic in "abc":
        out += merge.level(topic)
    order = [event.seq or 0 for event in out]
    assert sorted(order) == list(range(1, len(steps) + 1))
    for topic in "abc":
        own = [event.seq or 0 for event in out if event.channel == f"x/{topic}"]
        assert own == sorted(own)
    if hold_bytes > 202 * len(steps):
        assert order == sorted(order)


PATTERNS = ["a/b", "a/c", "a/*", "*/b", "a/**", "*/*", "*/**", "a/b/c", "a/*/c", "a/b/**", "*/*/**"]
CHANNELS = ["a/b", "a/c", "b/b", "a/b/c", "a/c/c", "a/b/c/d", "b/b/c", "c/d"]


@pytest.mark.parametrize("wide", PATTERNS)
@pytest.mark.parametrize("narrow", PATTERNS)
def test_what_covers_has_every_channel(wide: str, narrow: str) -> None:
    one, other = Pattern.parse(wide), Pattern.parse(narrow)
    has_all = all(one.matches(channel) for channel in CHANNELS if other.matches(channel))
    assert covers(one, other) == has_all


def test_covered_topics_are_left_out() -> None:
    assert [item.text for item in without_covered(["a/b", "a/*", "a/b", "b/c"])] == ["a/*", "b/c"]
