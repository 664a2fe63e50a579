"""Topics: patterns, the project suffix, filters, and overlapping subscriptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import Server
from .peer import TEXT, Frame, Peer, frame, seqs, texts
from .test_replay import send


def event_frames(peer: Peer) -> list[Frame]:
    return [found for found in peer.sync() if found["type"] == "event"]


@pytest.mark.parametrize(
    ("topic", "heard"),
    [
        ("chat/{room}/a", ["a"]),
        ("chat/{room}/*", ["a", "b"]),
        ("chat/{room}/**", ["a", "b", "a/x", "b/x"]),
        ("chat/*/a", ["a"]),
        ("*/{room}/*", ["a", "b"]),
        ("chat/{room}/*/x", ["a/x", "b/x"]),
        ("chat/{room}/*/**", ["a/x", "b/x"]),
        ("chat/{room}/c", []),
    ],
)
def test_a_pattern_hears_the_channels_it_matches(shared: Server, room: str, topic: str, heard: list[str]) -> None:
    topic = topic.format(room=room)
    with shared.peer() as peer:
        peer.subscribe(topic)
        for name in ("a", "b", "a/x", "b/x"):
            send(shared, f"{room}/{name}", name)
        send(shared, f"{room}-other/c", "other")
        frames = event_frames(peer)
        assert texts(frames) == heard
        assert {found["topic"] for found in frames} <= {topic}
        for found in frames:
            named = f"chat/{room}/{found['data']['text']}" if "*" in topic else None
            assert found.get("channel") == named


def test_every_frame_carries_the_topic_as_the_client_named_it(shared: Server, room: str) -> None:
    with shared.peer("?projectId=mine") as peer:
        for topic in (f"chat/{room}", f"chat/{room}/local", f"chat/{room}/mine"):
            assert peer.subscribe(topic, after=0)["topic"] == topic
            while (found := peer.hear())["type"] != "live":
                assert found["topic"] == topic
            assert found["topic"] == topic
            send(shared, room, "hi")
            assert {found["topic"] for found in event_frames(peer)} == {topic}
            peer.say("unsubscribe", topic=topic)
            assert peer.hear() == {"type": "unsubscribed", "topic": topic}


def test_a_suffix_that_is_no_project_of_the_connection_is_part_of_the_channel(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}/mine")
        send(shared, room, "hi")
        assert event_frames(peer) == []
        send(shared, f"{room}/mine", "hi")
        assert texts(event_frames(peer)) == ["hi"]


def test_a_project_is_never_all_that_is_left_of_a_channel(shared: Server) -> None:
    with shared.peer("?projectId=general") as peer:
        peer.subscribe("chat/general")
        send(shared, "general", "hi")
        assert texts(event_frames(peer)) == ["hi"]


def test_the_projects_of_the_server_are_known_to_every_client(make_server: Callable[..., Server]) -> None:
    server = make_server(projects=("one", "two"))
    with server.peer() as peer:
        peer.subscribe("chat/a/one")
        peer.subscribe("chat/a/local")
        send(server, "a/two", "hi")
        assert [found["topic"] for found in event_frames(peer)] == ["chat/a/one"]


# ------------------------------------------------------------------------------------------------------ filters

DATA: list[Any] = [
    {"x": 1},
    {"x": 1, "y": "a"},
    {"x": True},
    {"x": "1"},
    {"x": 1.0, "y": None},
    {"y": "a"},
    [1],
    None,
    5,
]
FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, list(range(len(DATA)))),
    ({"x": 1}, [0, 1, 4]),
    ({"x": True}, [2]),
    ({"x": "1"}, [3]),
    ({"x": 1, "y": "a"}, [1]),
    ({"y": None}, [4]),
    ({"y": "a"}, [1, 5]),
    ({"z": 1}, []),
]


@pytest.mark.parametrize(("conditions", "found"), FILTERS, ids=repr)
def test_a_filter_passes_what_has_its_values_live_and_replayed(
    shared: Server, room: str, conditions: dict[str, Any], found: list[int]
) -> None:
    topic = f"game/{room}"
    with shared.raw() as raw, shared.peer() as listener, shared.peer() as plain:
        plain.subscribe(topic)
        listener.subscribe(topic, filter=conditions)
        for data in DATA:
            body = {"topic": topic, "event": "e", "data": data, "persist": True}
            assert raw.request("POST", "/api/publish", body).status == 200
        assert [event["data"] for event in event_frames(plain)] == DATA
        assert [event["data"] for event in event_frames(listener)] == [DATA[place] for place in found]
        listener.subscribe(topic, filter=conditions, after=0)
        replayed = []
        while (heard := listener.hear())["type"] == "event":
            replayed.append(heard["data"])
        assert replayed == [DATA[place] for place in found]


def test_a_filter_applies_to_ephemeral_events(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"game/{room}", filter={"to": "me"})
        for to in ("you", "me"):
            peer.say("publish", topic=f"game/{room}", event="e", data={"to": to})
        frames = peer.hear_many(3)  # both in one batch, or each in its own
        assert [found["data"] for found in frames if found["type"] == "event"] == [{"to": "me"}]
        assert [found["type"] for found in frames].count("ack") == 2


# ------------------------------------------------------------------------------------------------------ overlap


def test_an_event_comes_once_however_many_subscriptions_match(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        for topic in (f"chat/{room}/*", f"chat/{room}/a", f"chat/{room}/a/local", f"chat/{room}/**", "chat/*/a"):
            peer.subscribe(topic)
        sent = send(shared, f"{room}/a", "1", "2")
        frames = event_frames(peer)
        assert seqs(frames) == sent
        assert {found["topic"] for found in frames} == {f"chat/{room}/a"}  # an exact name before a pattern
        send(shared, f"{room}/b", "3")
        assert [found["topic"] for found in event_frames(peer)] == [f"chat/{room}/*"]


def test_when_one_of_them_ends_the_others_take_over(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}/*")
        peer.subscribe(f"chat/{room}/a")
        peer.say("unsubscribe", topic=f"chat/{room}/a")
        peer.sync()
        send(shared, f"{room}/a", "1")
        assert [found["topic"] for found in event_frames(peer)] == [f"chat/{room}/*"]


def test_what_a_filter_keeps_out_comes_through_another_subscription(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}/a", filter={"text": "1"})
        peer.subscribe(f"chat/{room}/*")
        send(shared, f"{room}/a", "1", "2")
        assert {found["data"]["text"]: found["topic"] for found in event_frames(peer)} == {
            "1": f"chat/{room}/a",
            "2": f"chat/{room}/*",
        }


@pytest.mark.parametrize("order", [["*", "a", "**"], ["a", "*", "**"], ["**", "*", "a"]])
def test_overlapping_replays_bring_each_event_once(shared: Server, room: str, order: list[str]) -> None:
    sent = [send(shared, f"{room}/{'ab'[number % 2]}", str(number))[0] for number in range(10)]
    with shared.peer() as peer:
        for place, name in enumerate(order):
            peer.say("subscribe", topic=f"chat/{room}/{name}", after=sent[place * 3])
        frames: list[Frame] = []
        while [found["type"] for found in frames].count("live") < len(order):
            frames.append(peer.hear())
        events = [found for found in frames if found["type"] == "event"]
        first = 0 if order[0] != "a" else None
        wanted = sent[1:] if first == 0 else [seq for n, seq in enumerate(sent) if (n > 0 and n % 2 == 0) or n > 3]
        assert sorted(seqs(events)) == wanted
        new = send(shared, f"{room}/a", "new")
        assert seqs(event_frames(peer)) == new


def test_an_exact_name_comes_before_a_pattern_in_a_replay_too(shared: Server, room: str) -> None:
    send(shared, f"{room}/a", "1", "2", "3")
    with shared.peer() as peer:
        commands = [{"type": "subscribe", "topic": f"chat/{room}/{name}", "after": 0} for name in "*a"]
        peer.send(b"".join(frame(TEXT, json.dumps(command).encode()) for command in commands))
        events = [found for found in peer.hear_many(7) if found["type"] == "event"]
        assert [found["topic"] for found in events] == [f"chat/{room}/a"] * 3
