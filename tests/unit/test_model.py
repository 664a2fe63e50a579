"""Channels, rooms, patterns and topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit.errors import InvalidName
from chatkit.model import (
    Pattern,
    Topic,
    channel_of,
    check_channel,
    check_room,
    check_text,
    parse_topic,
    room_of,
    strip_project,
)

from .attempt import attempt

GOOD = [
    "chat/general",
    "a/b/c",
    "chat/日本語",
    "chat/हिन्दी",
    "chat/é",
    "a.b/_-~:@",
    "x" * 64 + "/" + "y" * 64,
    "TABLE/a",
    "1/2",
]
BAD = [
    "", "/", "chat", "chat/", "/general", "chat//a", "chat/a/", "table/a", "table/a/b", "chat/a b", "chat/a\n", "chat/a\0",
    "chat/*", "chat/**", "chat/a*", "chat/a?", "chat/[a]", "chat/" + "x" * 65, "a/" * 99 + "ééé", "chat/\u202e", "chat/\ud800",
    "chat/😀", "chat/a%20b", "chat\\a", "chat/a#b",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_channel_is_two_or_more_segments(name: str) -> None:
    assert check_channel(name) == name
    assert Pattern.parse(name).is_channel


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_channel_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(InvalidName) as raised:
        check_channel(name)
    assert raised.value.what == "channel"
    assert raised.value.value == name


def test_the_limit_of_a_channel_is_in_bytes() -> None:
    fits = "a" * 64 + "/" + "é" * 64 + "/" + "b" * 6
    assert len(fits.encode()) == 200
    check_channel(fits)
    with pytest.raises(InvalidName, match="200 bytes"):
        check_channel(fits + "b")


def test_a_name_without_a_slash_is_a_room() -> None:
    assert channel_of("general") == "chat/general"
    assert channel_of("game/one") == "game/one"
    assert check_room("a/b") == "chat/a/b"
    assert (room_of("chat/a/b"), room_of("game/one")) == ("a/b", "game/one")
    for name in ("", "a b", "*"):
        with pytest.raises(InvalidName):
            channel_of(name)


MATCHES = [
    ("chat/*", ["chat/a", "chat/b"], ["chat/a/b", "chats/a", "game/a"]),
    ("*/a", ["chat/a", "game/a"], ["a/b", "x/y/a"]),
    ("chat/**", ["chat/a", "chat/a/b/c"], ["chats/a", "game/chat/a"]),
    ("*/**", ["a/b", "a/b/c"], []),
    ("a/*/c", ["a/b/c", "a/c/c"], ["a/c", "a/b/b/c", "a/b/d"]),
    ("a/*/**", ["a/b/c", "a/b/c/d"], ["a/b"]),
    ("a/*/c/**", ["a/b/c/d", "a/b/c/d/e"], ["a/b/c", "a/b/b/c/d"]),
    ("chat/a", ["chat/a"], ["chat/A", "chat/a/b", "chat/ab"]),
]


@pytest.mark.parametrize(("pattern", "yes", "no"), MATCHES)
def test_a_star_is_one_segment_and_two_at_the_end_are_the_rest(pattern: str, yes: list[str], no: list[str]) -> None:
    parsed = Pattern.parse(pattern)
    assert [name for name in yes + no if parsed.matches(name)] == yes


@pytest.mark.parametrize("text", ["*", "**", "**/a", "a/**/b", "a/***", "a/b*", "a/*b", "table/*", "a/", "*/", ""])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        Pattern.parse(text)


segments = st.sampled_from(["a", "b", "*"])
patterns = st.builds(
    lambda parts, rest: Pattern.parse("/".join([*parts, *rest])),
    st.lists(segments, min_size=2, max_size=4),
    st.sampled_from([[], ["**"]]),
)
channels = st.lists(st.sampled_from("ab"), min_size=2, max_size=6).map("/".join)


@given(patterns, patterns, channels)
def test_patterns_that_share_a_channel_always_say_that_they_may_overlap(
    one: Pattern, other: Pattern, channel: str
) -> None:
    assert one.may_overlap(other) == other.may_overlap(one)
    if one.matches(channel) and other.matches(channel):
        assert one.may_overlap(other)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("chat/a/local", "chat/a"),
        ("chat/local", "chat/local"),
        ("chat/*/local", "chat/*"),
        ("chat/**/local", "chat/**"),
        ("chat/a/local/local", "chat/a/local"),
        ("chat/a/other", "chat/a/other"),
        ("local", "local"),
        ("", ""),
    ],
)
def test_a_project_is_dropped_once_where_a_channel_is_left(name: str, left: str) -> None:
    assert strip_project(name, frozenset({"local", ""})) == left


def test_a_topic_keeps_the_name_it_was_given() -> None:
    topic = parse_topic("chat/a/local", frozenset({"local"}))
    assert (topic.name, topic.pattern.text) == ("chat/a/local", "chat/a")


@given(st.text(max_size=30))
def test_any_text_is_a_topic_or_refused(text: str) -> None:
    topic = attempt(parse_topic, text, frozenset({"local"}))
    assert topic.name == text if isinstance(topic, Topic) else isinstance(topic, InvalidName)


@pytest.mark.parametrize("value", ["", "x" * 11, "a\nb", "\x1b[0m", "a\x7f", "\x85", "\ud800", "\0"])
def test_a_text_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(InvalidName):
        check_text("id", value, 10)


@pytest.mark.parametrize("value", ["a", "x" * 10, "é ü", "👩‍👩‍👧", "\u00a0", "\u200b"])
def test_any_other_text_may_be_an_id(value: str) -> None:
    assert check_text("id", value, 10) == value
