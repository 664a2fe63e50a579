"""Any interleaving of sends, stalls, catch-ups and subscriptions gives each subscriber its part of the log, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from chatkit import wire
from chatkit.model import Pattern
from chatkit.server import hub

from .stage import Frame, Stage

CHANNELS = ["chat/a", "chat/b"]
LINKS = 2

Step = Callable[[Stage], Any]


def send(channel: str, count: int, persist: bool) -> Step:
    def step(stage: Stage) -> None:
        for _ in range(count):
            stage.send(channel, persist=persist)

    return step


def turn(times: int) -> Step:
    return lambda stage: stage.turn(times)


def take(link: int, size: int) -> Step:
    return lambda stage: stage.transports[link].take(size)


def subscribe(link: int, topic: str, after: int | None, last: int | None) -> Step:
    def step(stage: Stage) -> None:
        bounded = None if after is None else min(after, stage.log.head)
        stage.say(link, wire.Subscribe(topic, after=bounded, last=last if after is None else None))

    return step


def unsubscribe(link: int, topic: str) -> Step:
    return lambda stage: stage.say(link, wire.Unsubscribe(topic))


links = st.integers(0, LINKS - 1)
traffic = (
    st.builds(send, st.sampled_from(CHANNELS), st.integers(1, 9), st.sampled_from([True, True, True, False]))
    | st.builds(turn, st.integers(1, 6))
    | st.builds(take, links, st.sampled_from([10, 300, 5000]))
)
commands = st.builds(
    subscribe,
    links,
    st.sampled_from(CHANNELS),
    st.none() | st.integers(0, 30),
    st.none() | st.integers(0, 6),
) | st.builds(unsubscribe, links, st.sampled_from(CHANNELS))


#: Events in a page, and how many of the newest are in memory.
sizes = st.sampled_from([(3, 4), (3, 20), (10, 4), (100, 2)])


def play(steps: list[Step], size: tuple[int, int]) -> tuple[Stage, list[list[Frame]]]:
    """Do the steps, let everybody read to the end, and return what each link was told."""

    async def whole() -> Stage:
        stage = Stage(LINKS, page=size[0])
        async with asyncio.timeout(20):
            for step in steps:
                result = step(stage)
                if result is not None:
                    await result
            await stage.settle()
            await stage.end()
        return stage

    with mock.patch.object(hub, "_RECENT_EVENTS", size[1]):
        stage = asyncio.run(whole())
    return stage, [transport.frames() for transport in stage.transports]


def positions(stage: Stage, topic: str) -> list[int]:
    pattern = Pattern.parse(topic)
    return [event.seq or 0 for event in stage.log._events if pattern.matches(event.channel)]


def check_period(stage: Stage, frames: list[Frame], *, ended: bool) -> None:
    """One subscription from its ``subscribed`` to its end: a run of the channel's events without gap or repetition."""
    first, *rest = frames
    seqs = [frame["seq"] for frame in rest if frame["type"] == "event" and "seq" in frame]
    own = positions(stage, first["topic"])
    assert first["recovered"]
    if not any(frame["type"] == "live" for frame in rest) and not ended:
        wanted = [seq for seq in own if seq > first["seq"]]  # from now on
    else:
        start = own.index(seqs[0]) if seqs else len(own)
        wanted = own[start:]
    if ended:
        assert seqs == wanted[: len(seqs)]
    else:
        assert seqs == wanted
    live = [place for place, frame in enumerate(rest) if frame["type"] == "live"]
    assert len(live) <= 1
    for place, frame in enumerate(rest):
        if frame["type"] == "event" and "seq" not in frame:
            assert not live or place > live[0]  # nothing ephemeral among what is replayed


@settings(max_examples=150, deadline=None)
@given(st.lists(traffic | commands, max_size=40), sizes)
def test_each_subscription_gets_its_part_of_the_log_in_order(steps: list[Step], size: tuple[int, int]) -> None:
    stage, heard = play(steps, size)
    for frames in heard:
        for channel in CHANNELS:
            period: list[Frame] = []
            for frame in (found for found in frames if found["topic"] == channel):
                if frame["type"] in ("subscribed", "unsubscribed"):
                    if period:
                        check_period(stage, period, ended=True)
                    period = [frame] if frame["type"] == "subscribed" else []
                else:
                    assert period, "an event without a subscription"
                    period.append(frame)
            if period:
                check_period(stage, period, ended=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(traffic, max_size=25), st.integers(0, 30), st.lists(traffic, max_size=25), sizes)
def test_after_a_position_comes_all_of_the_rest(
    before: list[Step], after: int, then: list[Step], size: tuple[int, int]
) -> None:
    starts: list[int] = []

    def begin(stage: Stage) -> None:
        starts.append(min(after, stage.log.head))
        stage.say(0, wire.Subscribe("chat/a", after=starts[0]))

    stage, heard = play([*before, begin, *then], size)
    seqs = [frame["seq"] for frame in heard[0] if frame["type"] == "event" and "seq" in frame]
    assert seqs == [seq for seq in positions(stage, "chat/a") if seq > starts[0]]


TOPICS = ["chat/a", "chat/b", "chat/*", "*/a", "*/**"]


subscriptions = st.lists(
    st.tuples(st.sampled_from(TOPICS), st.none() | st.integers(0, 20), st.lists(traffic, max_size=4)),
    min_size=2,
    max_size=4,
    unique_by=lambda wanted: wanted[0],
)


@settings(max_examples=200, deadline=None)
@given(st.lists(traffic, min_size=3, max_size=15), subscriptions, st.lists(traffic, max_size=15), sizes)
def test_overlapping_subscriptions_bring_each_event_once(
    before: list[Step],
    wanted: list[tuple[str, int | None, list[Step]]],
    then: list[Step],
    size: tuple[int, int],
) -> None:
    starts: dict[str, int] = {}

    def begin(topic: str, after: int | None) -> Step:
        def step(stage: Stage) -> None:
            starts[topic] = stage.context.hub.position if after is None else min(after, stage.context.hub.position)
            stage.say(0, wire.Subscribe(topic, after=None if after is None else starts[topic]))

        return step

    opening = [step for topic, after, meanwhile in wanted for step in (begin(topic, after), *meanwhile)]
    stage, heard = play([*before, *opening, *then], size)
    events = [frame for frame in heard[0] if frame["type"] == "event" and "seq" in frame]
    seqs = [frame["seq"] for frame in events]
    assert len(seqs) == len(set(seqs))
    due = {seq for topic, start in starts.items() for seq in positions(stage, topic) if seq > start}
    assert set(seqs) == due
    for topic in starts:
        own = [frame["seq"] for frame in events if frame["topic"] == topic]
        assert own == sorted(own)
