"""Who is here: join, update, leave, sync."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Server
from .peer import Frame, Peer


def change(found: Frame) -> tuple[str, str, Any, int]:
    data = found["data"]
    assert data.keys() == {"userId", "state", "connections"}
    assert found["userId"] == data["userId"]
    assert "seq" not in found
    return found["event"].removeprefix("presence:"), data["userId"], data["state"], data["connections"]


def users(server: Server, channel: str) -> list[tuple[str, Any, int]]:
    with server.raw() as raw:
        found = raw.request("GET", f"/api/presence?channel={channel}").json["users"]
    return [(user["userId"], user["state"], user["connections"]) for user in found]


def track(peer: Peer, topic: str, **fields: object) -> None:
    """Track, and wait until it is heard by all: an ephemeral event is on its way when the next one is acknowledged."""
    peer.say("track", topic=topic, **fields)
    peer.say("publish", topic="sync/sync", event="sync")
    assert peer.hear()["type"] == "ack"


def test_join_update_and_leave_are_told_to_subscribers(shared: Server, room: str) -> None:
    topic = f"chat/{room}"
    with shared.peer() as listener, shared.peer("?userId=ada") as ada:
        listener.subscribe(topic)
        ada.say("track", topic=topic, state={"mood": "fine"})
        assert change(listener.hear()) == ("join", "ada", {"mood": "fine"}, 1)
        ada.say("track", topic=topic, state=["any", "json"])
        assert change(listener.hear()) == ("update", "ada", ["any", "json"], 1)
        assert users(shared, topic) == [("ada", ["any", "json"], 1)]
        ada.say("untrack", topic=topic)
        assert change(listener.hear()) == ("leave", "ada", ["any", "json"], 0)
        assert users(shared, topic) == []
        ada.say("untrack", topic=topic)
        ada.sync()
        assert listener.sync() == []


def test_a_state_that_is_left_out_is_an_empty_object(shared: Server, room: str) -> None:
    with shared.peer("?userId=ada") as ada:
        track(ada, f"chat/{room}")
        assert users(shared, f"chat/{room}/local") == [("ada", {}, 1)]


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_who_goes_without_a_word_has_left(shared: Server, room: str, leave: str) -> None:
    topic = f"chat/{room}"
    with shared.peer() as listener:
        listener.subscribe(topic)
        ada = shared.peer("?userId=ada")
        ada.say("track", topic=topic)
        assert change(listener.hear()) == ("join", "ada", {}, 1)
        getattr(ada, leave)()
        assert change(listener.hear()) == ("leave", "ada", {}, 0)
        ada.close()


def test_one_user_on_two_connections_is_here_until_both_have_gone(shared: Server, room: str) -> None:
    topic = f"chat/{room}"
    with shared.peer() as listener, shared.peer("?userId=ada") as first:
        listener.subscribe(topic)
        first.say("track", topic=topic, state=1)
        assert change(listener.hear()) == ("join", "ada", 1, 1)
        with shared.peer("?userId=ada") as second:
            second.say("track", topic=topic, state=2)
            assert change(listener.hear()) == ("update", "ada", 2, 2)
        assert change(listener.hear()) == ("update", "ada", 2, 1)
        first.say("untrack", topic=topic)
        assert change(listener.hear())[::3] == ("leave", 0)


def test_a_new_subscriber_is_told_who_is_here(shared: Server, room: str) -> None:
    topic = f"chat/{room}"
    with shared.peer("?userId=ada") as ada, shared.peer("?userId=bob") as bob, shared.peer() as listener:
        track(ada, topic, state={"n": 1})
        track(bob, topic)
        listener.subscribe(f"{topic}/local")
        sync = listener.hear()
        assert (sync["type"], sync["event"], sync["topic"]) == ("event", "presence:sync", f"{topic}/local")
        assert sync["data"] == {
            "users": [
                {"userId": "ada", "state": {"n": 1}, "connections": 1},
                {"userId": "bob", "state": {}, "connections": 1},
            ]
        }
        assert listener.sync() == []


def test_where_nobody_is_nothing_is_told(shared: Server, room: str) -> None:
    with shared.peer() as listener:
        listener.subscribe(f"chat/{room}")
        assert listener.sync() == []


def test_through_a_pattern_each_channel_is_told_by_name(shared: Server, room: str) -> None:
    with shared.peer("?userId=ada") as ada, shared.peer() as listener:
        for name in ("a", "b"):
            track(ada, f"chat/{room}/{name}")
        listener.subscribe(f"chat/{room}/*")
        syncs = listener.events(2)
        assert {found["channel"] for found in syncs} == {f"chat/{room}/a", f"chat/{room}/b"}
        assert {found["topic"] for found in syncs} == {f"chat/{room}/*"}
        ada.say("untrack", topic=f"chat/{room}/a")
        assert listener.hear()["channel"] == f"chat/{room}/a"


def test_presence_is_not_stored(shared: Server, room: str) -> None:
    with shared.peer("?userId=ada") as ada, shared.raw() as raw:
        track(ada, f"chat/{room}")
        assert raw.request("GET", f"/api/messages?channel=chat/{room}").json["messages"] == []


def test_a_filter_applies_to_presence(shared: Server, room: str) -> None:
    topic = f"chat/{room}"
    with shared.peer() as listener, shared.peer("?userId=ada") as ada, shared.peer("?userId=bob") as bob:
        listener.subscribe(topic, filter={"userId": "bob"})
        track(ada, topic)
        track(bob, topic)
        assert [change(found)[:2] for found in listener.sync()] == [("join", "bob")]
