"""Messages as safe text, in any width."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatkit.cli.render import Renderer, colour_of, escape, wrap
from chatkit.client.events import Event

TODAY = "2025-11-24"
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


def event(text: str, user: str = "ann", channel: str = "chat/general", timestamp: int = 1_763_985_600_000) -> Event:
    data = json.dumps({"id": "1", "userId": user, "text": text, "timestamp": timestamp}).encode()
    return Event(channel, "chat:message", "1", 1, user, timestamp, data)


def renderer(colour: bool = False, name_channels: bool = False) -> Renderer:
    return Renderer(colour=colour, name_channels=name_channels, today=TODAY)


def without_times(shown: str) -> str:
    return re.sub(r"\d\d:\d\d(:\d\d)?", lambda found: "T" * len(found[0]), re.sub(r"-- .* --\n", "", shown))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\x7fb\x9bc", r"a\x7fb\x9bc"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("one\rtwo", r"one\x0dtwo"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("\u2028\ufeff\u200f\u061c", r"\u2028\ufeff\u200f\u061c"),
        ("\udc80", r"\udc80"),
        ("héllo 你好 👩‍👩‍👧", "héllo 你好 👩‍👩‍👧"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(), st.text(min_size=1), st.sampled_from([None, 10, 30, 80, 200]), st.booleans())
def test_nothing_that_a_terminal_obeys_gets_through(text: str, user: str, cells: int | None, colour: bool) -> None:
    shown = SEQUENCE.sub("", renderer(colour).show(event(text, user, "x/" + user), cells))
    for char in shown:
        assert char in "\n\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) < 0xA0)
        assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(alphabet="ab 你\n\t👍-", max_size=80), st.integers(4, 40))
def test_wrapping_keeps_the_text_and_the_width(text: str, cells: int) -> None:
    rows = list(wrap(text, cells))
    assert all(cell_len(row) <= cells for row in rows)
    assert re.sub(r"\s", "", "".join(rows)) == re.sub(r"\s", "", text)


def test_a_wide_terminal_has_a_hanging_indent() -> None:
    shown = without_times(renderer().show(event("one two three four five six seven eight nine\nten"), 45))
    assert shown == (
        "TTTTTTTT ann  one two three four five six\n"
        "              seven eight nine\n"
        "              ten"
    )  # fmt: skip


def test_a_narrow_terminal_puts_the_text_below() -> None:
    shown = without_times(renderer().show(event("one two three four five"), 20))
    assert shown == "TTTTT ann\n  one two three four\n  five"


def test_names_line_up() -> None:
    one = renderer()
    one.show(event("x", "a-longer-name"), 100)
    assert without_times(one.show(event("x", "ann"), 100)) == "TTTTTTTT ann            x"


def test_what_is_not_a_terminal_gets_the_date_and_no_wrapping() -> None:
    shown = renderer().show(event("long " * 50 + "\nsecond"), None)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ann  long ", shown)
    assert shown.endswith("\n  second")


def test_another_day_gets_a_line() -> None:
    one = renderer()
    assert one.show(event("x", timestamp=0), 80).startswith("-- 19")
    assert not one.show(event("x", timestamp=0), 80).startswith("--")


@pytest.mark.parametrize("timestamp", [2**53, -(2**53), 10**18])
def test_a_time_that_is_none(timestamp: int) -> None:
    assert "--:--:--" in renderer().show(event("x", timestamp=timestamp), 80)


def test_several_channels_are_named() -> None:
    one = renderer(name_channels=True)
    assert "#general" in one.show(event("x"), 80)
    assert " game/7 " in one.show(event("x", channel="game/7"), 80)


def test_other_events_show_their_data() -> None:
    moved = Event("game/7", "player-moved", "1", 1, "ann", 0, b'{"x":"\xe2\x80\xae"}')
    assert renderer().show(moved, None).endswith('ann  player-moved {"x":"\\u202e"}')
    odd = Event("chat/general", "chat:message", "1", 1, "ann", 0, b'{"text":1}')
    assert renderer().show(odd, None).endswith('ann  chat:message {"text":1}')


def test_a_user_has_one_colour() -> None:
    assert colour_of("ann") == colour_of("ann")
    assert len({colour_of(f"user{number}") for number in range(100)}) > 8
    assert f"38;5;{colour_of('ann')}m" in renderer(colour=True).show(event("x"), 80)


@given(st.text(alphabet="a\x7f\x9b\u202e\u2028\n é", max_size=20))
def test_json_lines_are_harmless_and_the_same_json(text: str) -> None:
    one = event(text)
    raw = Event(one.channel, one.event, one.id, one.seq, one.user_id, one.timestamp,
                json.dumps({"text": text}, ensure_ascii=False, indent=1).encode())  # fmt: skip
    line = raw.to_json()
    assert json.loads(line)["data"] == {"text": text}
    assert len(line.splitlines()) == 1
    assert line == escape(line)
