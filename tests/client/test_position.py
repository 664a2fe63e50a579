"""Cursors: what a reader has handed over, and no more."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import wire
from chatkit.client.events import Event
from chatkit.client.position import Cursor, Position
from chatkit.client.resume import Reader
from chatkit.errors import InvalidName

from .test_resume import frame

URL = "http://127.0.0.1:8787"


@given(
    st.dictionaries(
        st.text(), st.none() | st.builds(Position, st.text(min_size=1, max_size=9), st.integers(0, 2**53 - 1))
    )
)
def test_a_cursor_is_a_line_and_back(topics: dict[str, Position | None]) -> None:
    cursor = Cursor(URL, topics)
    line = cursor.to_json()
    assert "\n" not in line
    assert Cursor.from_json(line) == cursor == Cursor.from_json(line.encode() + b"\n")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "5", "null", "[]", '{"type":"other","url":"x","topics":{}}', '{"type":"cursor","url":"x","topics":{"a":{"seq":1}}}',
     '{"type":"cursor","url":"x","topics":{"a":{"epoch":"","seq":1}}}', b"\xff\xfe", "[" * 100_000, "hello\x1b[2J",
     '{"type":"cursor","url":"x","topics":{"a":{"epoch":"e","seq":-1}}}'],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidName, match="cursor"):
        Cursor.from_json(text)


def test_a_cursor_of_elsewhere_is_refused() -> None:
    cursor = Cursor(URL, {"chat/a": None})
    Reader(["chat/a"], cursor=cursor, url=URL)
    with pytest.raises(InvalidName, match="another server"):
        Reader(["chat/a"], cursor=cursor, url="http://127.0.0.1:1")
    for topics in (["chat/b"], ["chat/a", "chat/b"], ["chat/*"]):
        with pytest.raises(InvalidName, match="other channels"):
            Reader(topics, cursor=cursor, url=URL)


def test_a_reader_goes_on_from_a_cursor() -> None:
    cursor = Cursor(URL, {"chat/a": Position("e", 7), "chat/b": None})
    reader = Reader(["chat/a", "chat/b"], last=5, cursor=cursor, url=URL)
    assert reader.cursor == cursor
    assert reader.commands() == [wire.Subscribe("chat/a", after=7, epoch="e"), wire.Subscribe("chat/b", last=5)]


def test_a_position_that_cannot_be_honoured_is_kept_until_that_was_told() -> None:
    reader = Reader(["chat/a"], cursor=Cursor(URL, {"chat/a": Position("old", 7)}), url=URL)
    reader.commands()
    for one in (wire.Subscribed("chat/a", "new", 2, False), wire.Subscribed("chat/a", "new", 2, True), frame(1)):
        reader.receive(one)
        assert reader.cursor.topics == {"chat/a": Position("old", 7)}
    items, _ = reader.receive(wire.Live("chat/a", 2))
    assert reader.cursor.topics == {"chat/a": Position("new", 0)}
    assert isinstance(items[1], Event)
    reader.handed(items[1])
    assert reader.cursor.topics == {"chat/a": Position("new", 2)}


class Model:
    """A server with two channels and their patterns, that a reader reads with breaks."""

    def __init__(self, data: st.DataObject, topics: list[str]) -> None:
        self.data, self.topics = data, topics
        self.log: list[tuple[int, str]] = []

    def grow(self) -> None:
        for channel in self.data.draw(st.lists(st.sampled_from(["x/a", "x/b"]), max_size=5)):
            self.log.append((len(self.log) + 1, channel))

    def frames(self, command: wire.Subscribe) -> list[wire.AnyFrame]:
        topic = command.topic
        own = [(seq, where) for seq, where in self.log if topic in ("x/*", where)]
        after = command.after if command.after is not None else 0
        head = len(self.log)
        replay = [frame(seq, topic, where if topic == "x/*" else None) for seq, where in own if seq > after]
        return [wire.Subscribed(topic, "e", head, True), *replay, wire.Live(topic, head)]

    def connection(self, reader: Reader) -> list[wire.AnyFrame]:
        """The frames of one connection, the topics' mixed, cut anywhere."""
        queues = [self.frames(command) for command in reader.commands()]
        mixed: list[wire.AnyFrame] = []
        while queue := [queue for queue in queues if queue]:
            mixed.append(self.data.draw(st.sampled_from(queue)).pop(0))
        return mixed[: self.data.draw(st.integers(0, len(mixed)))]


@given(st.data(), st.sampled_from([["x/a"], ["x/a", "x/b"], ["x/*"]]))
def test_whoever_goes_on_from_the_cursor_of_any_moment_gets_the_rest_once(
    data: st.DataObject, topics: list[str]
) -> None:
    model = Model(data, topics)
    got: list[int] = []
    cursor: Cursor | None = None
    for _ in range(data.draw(st.integers(1, 4))):  # each is a process that ends anywhere
        reader = Reader(topics, after=0, cursor=cursor, url=URL)
        ended = False
        for _ in range(data.draw(st.integers(1, 3))):  # each is a connection
            model.grow()
            for one in model.connection(reader):
                for item in reader.receive(one)[0]:
                    assert isinstance(item, Event)
                    reader.handed(item)
                    got.append(item.seq or 0)
                    cursor = Cursor.from_json(reader.cursor.to_json())
                    ended = data.draw(st.booleans()) and data.draw(st.booleans())
                    if ended:
                        break
                if ended:
                    break
            if ended:
                break
    reader = Reader(topics, after=0, cursor=cursor, url=URL)
    for command in reader.commands():
        for one in model.frames(command):
            for item in reader.receive(one)[0]:
                assert isinstance(item, Event)
                got.append(item.seq or 0)
    expected = [seq for seq, where in model.log if topics == ["x/*"] or where in topics]
    assert sorted(got) == expected


def test_ephemeral_events_do_not_move_a_cursor() -> None:
    reader = Reader(["chat/a"], after=3, url=URL)
    reader.commands()
    reader.receive(wire.Subscribed("chat/a", "e", 9, True))
    before = reader.cursor
    (item,), _ = reader.receive(wire.EventFrame("chat/a", "wave", "i", "u", 1, msgspec.Raw(b"1")))
    assert isinstance(item, Event)
    reader.handed(item)
    assert reader.cursor == before == Cursor(URL, {"chat/a": Position("e", 3)})
