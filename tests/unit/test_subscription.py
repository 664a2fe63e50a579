"""Which events are a subscription's own."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from chatkit.model import Event, parse_topic
from chatkit.server.subscription import State, Subscription
from chatkit.server.websocket import Link

NOBODY = cast("Link", None)


def subscription(topic: str, conditions: dict[str, Any] | None = None, *, rank: int = 0) -> Subscription:
    return Subscription(NOBODY, parse_topic(topic, frozenset()), conditions, rank)


def event(channel: str = "chat/a", data: object = None, seq: int | None = None) -> Event:
    return Event(channel, "e", "1", "u", 1, json.dumps(data).encode(), seq)


def rivals(*all_: Subscription) -> None:
    for one in all_:
        one.rivals = tuple(other for other in all_ if other is not one)


def test_a_topic_wants_its_channels() -> None:
    assert subscription("chat/a").wants(event("chat/a"))
    assert not subscription("chat/a").wants(event("chat/b"))
    assert subscription("chat/*").wants(event("chat/b"))


@pytest.mark.parametrize(
    ("conditions", "data", "passes"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {}, False),
        ({"a": None}, {"a": None}, True),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, True),
        ({"a": {"b": [1]}}, {"a": {"b": [True]}}, False),
        ({"a": {}}, {"a": {"b": 1}}, False),
        ({"a": 1}, [1], False),
        ({"a": 1}, "a", False),
        ({}, "anything", True),
    ],
)
def test_a_filter_compares_values_as_json(conditions: dict[str, Any], data: object, passes: bool) -> None:
    assert subscription("chat/a", conditions).wants(event(data=data)) is passes


def test_only_one_without_filter_and_rivals_is_plain() -> None:
    plain, other = subscription("chat/a"), subscription("chat/*")
    assert plain.is_plain
    assert not subscription("chat/a", {"a": 1}).is_plain
    rivals(plain, other)
    assert not plain.is_plain


def test_live_the_lowest_rank_takes_an_event_and_a_name_is_lower_than_any_pattern() -> None:
    pattern, name, later = (
        subscription("chat/*", rank=1),
        subscription("chat/a", rank=2),
        subscription("chat/a/p", rank=3),
    )
    rivals(pattern, name, later)
    for one in (pattern, name, later):
        one.state = State.LIVE
    assert [one.takes_live(event()) for one in (pattern, name)] == [False, True]
    assert pattern.takes_live(event("chat/b"))
    name.state = State.LAGGING
    assert pattern.takes_live(event())


def test_what_a_rival_has_delivered_is_not_replayed() -> None:
    replaying, live, behind = subscription("chat/*"), subscription("chat/a"), subscription("*/a", {"x": 1})
    rivals(replaying, live, behind)
    replaying.state, live.state, behind.state = State.REPLAYING, State.LIVE, State.LAGGING
    live.start, behind.start, behind.position = 10, 2, 6
    taken = [seq for seq in range(1, 16) if replaying.takes_replayed(event(data={"x": 1}, seq=seq), head=12)]
    assert taken == [1, 2, 7, 8, 9, 10, 13, 14, 15]
    taken = [seq for seq in range(1, 16) if replaying.takes_replayed(event(data={"x": 2}, seq=seq), head=12)]
    assert taken == [*range(1, 11), 13, 14, 15]
