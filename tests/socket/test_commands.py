"""Every frame a client may send, right and wrong."""

from __future__ import annotations

from typing import Any

import pytest

from chatkit import wire
from chatkit.server.websocket import Link

from .harness import Server


def test_a_chat_is_acknowledged_and_broadcast_to_its_sender_too(shared: Server, room: str) -> None:
    with shared.peer("?userId=ada") as peer:
        peer.subscribe(f"chat/{room}")
        peer.say("chat", roomId=room, text="hi", id=f"{room}-1", metadata={"a": 1})
        found, ack = peer.hear_many(2)
        assert ack == {"type": "ack", "id": f"{room}-1", "seq": found["seq"]}
        assert found["data"] == {
            "id": f"{room}-1",
            "userId": "ada",
            "text": "hi",
            "timestamp": found["timestamp"],
            "metadata": {"a": 1},
        }
        assert found.keys() == {"type", "topic", "event", "id", "seq", "userId", "timestamp", "data"}


def test_a_chat_retried_is_acknowledged_as_a_duplicate_and_not_broadcast(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        for _ in range(2):
            peer.say("chat", roomId=room, text="hi", id=f"{room}-1")
        first, second = peer.hear_many(2)
        assert second == {**first, "duplicate": True}
        peer.say("chat", roomId=room, text="other", id=f"{room}-1")
        error = peer.error()
        assert (error["code"], error["id"]) == ("id_conflict", f"{room}-1")


def test_a_published_event_is_ephemeral_unless_it_says_otherwise(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"game/{room}")
        peer.say("publish", topic=f"game/{room}", event="move", data={"x": 1}, id="e1")
        found, ack = peer.hear_many(2)
        assert ack == {"type": "ack", "id": "e1"}
        assert (found["data"], "seq" in found) == ({"x": 1}, False)
        peer.say("publish", topic=f"game/{room}", event="move", data={"x": 2}, persist=True)
        found, ack = peer.hear_many(2)
        assert (ack["id"], ack["seq"]) == (found["id"], found["seq"])


def test_unsubscribe_ends_the_events(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}")
        peer.say("unsubscribe", topic=f"chat/{room}")
        assert peer.hear() == {"type": "unsubscribed", "topic": f"chat/{room}"}
        peer.say("chat", roomId=room, text="hi")
        assert peer.hear()["type"] == "ack"
        assert peer.sync() == []


def test_unsubscribing_what_is_not_subscribed_is_no_error(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.say("unsubscribe", topic=f"chat/{room}")
        assert peer.hear() == {"type": "unsubscribed", "topic": f"chat/{room}"}
        peer.say("unsubscribe", topic="orders")
        assert peer.error()["code"] == "invalid_topic"


def test_subscribing_again_replaces(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}", filter={"text": "a"})
        peer.subscribe(f"chat/{room}")
        peer.say("chat", roomId=room, text="b")
        found, ack = peer.hear_many(2)
        assert (found["type"], ack["type"]) == ("event", "ack")
        assert peer.sync() == []


def test_ping_is_answered_and_auth_is_accepted(shared: Server) -> None:
    with shared.peer() as peer:
        peer.text('{"type":"auth","token":"anything"}')
        peer.say("ping")
        assert peer.hear() == {"type": "pong"}


def test_fields_that_are_not_known_are_ignored(shared: Server) -> None:
    with shared.peer() as peer:
        peer.text('{"future": [1, {"a": null}], "type": "ping", "id": 5}')
        assert peer.hear() == {"type": "pong"}


def test_every_command_of_the_wire_has_a_handler() -> None:
    assert set(Link._handlers) == set(wire.AnyCommand.__args__)


# what is sent, the code, and what else the error frame holds
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("hi", "invalid_json", {}),
    ("", "invalid_json", {}),
    ("{", "invalid_json", {}),
    ('{"type":"ping"}}', "invalid_json", {}),
    ("[" * 5000, "invalid_field", {}),
    ("[]", "invalid_field", {}),
    ("null", "invalid_field", {}),
    ("{}", "unknown_type", {}),
    ('{"type":"nonsense","id":"a","topic":"b"}', "unknown_type", {"id": "a", "topic": "b"}),
    ('{"type":"event"}', "unknown_type", {}),
    ('{"type":5}', "invalid_field", {}),
    ('{"type":"subscribe"}', "invalid_field", {}),
    ('{"type":"subscribe","topic":5}', "invalid_field", {}),
    ('{"type":"subscribe","topic":"orders"}', "invalid_topic", {"topic": "orders"}),
    ('{"type":"subscribe","topic":""}', "invalid_topic", {"topic": ""}),
    ('{"type":"subscribe","topic":"table/orders"}', "invalid_topic", {"topic": "table/orders"}),
    ('{"type":"subscribe","topic":"chat/**/a"}', "invalid_topic", {"topic": "chat/**/a"}),
    ('{"type":"subscribe","topic":"chat/a*"}', "invalid_topic", {"topic": "chat/a*"}),
    ('{"type":"subscribe","topic":"chat/a","after":-1}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","after":"1"}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","after":1.5}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","last":-1}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","last":10001}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","after":1,"last":1}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","filter":[]}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"subscribe","topic":"chat/a","filter":{"a":1e999}}', "invalid_field", {}),
    ('{"type":"subscribe","topic":"chat/a","epoch":5}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"publish","topic":"chat/*","event":"e","id":"1"}', "invalid_topic", {"id": "1", "topic": "chat/*"}),
    ('{"type":"publish","topic":"chat/a","event":""}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"publish","topic":"chat/a","event":"presence:join"}', "invalid_field", {"topic": "chat/a"}),
    ('{"type":"publish","topic":"chat/a","event":"e","data":1e999}', "invalid_json", {}),
    ('{"type":"publish","topic":"chat/a","event":"e","data":"\\ud800","id":"1"}', "invalid_json", {}),
    ('{"type":"chat","roomId":"a","text":" ","id":"1"}', "invalid_field", {"id": "1"}),
    ('{"type":"chat","roomId":"a b","text":"x","id":"1"}', "invalid_topic", {"id": "1"}),
    ('{"type":"chat","roomId":"a","text":"x","id":""}', "invalid_field", {"id": ""}),
    ('{"type":"chat","roomId":"a","text":"x","id":5}', "invalid_field", {}),
    ('{"type":"chat","text":"x"}', "invalid_field", {}),
    ('{"type":"track","topic":"chat/*"}', "invalid_topic", {"topic": "chat/*"}),
    ('{"type":"track","topic":"chat/a","state":"\\ud800"}', "invalid_json", {}),
    ('{"type":"untrack","topic":"a"}', "invalid_topic", {"topic": "a"}),
    ('{"type":"auth"}', "invalid_field", {}),
]


@pytest.mark.parametrize(("text", "code", "extra"), WRONG, ids=[text[:70] for text, _, _ in WRONG])
def test_a_wrong_frame_is_one_error_and_the_connection_lives(
    shared: Server, text: str, code: str, extra: dict[str, Any]
) -> None:
    with shared.peer() as peer:
        peer.text(text)
        error = peer.error()
        assert error == {"type": "error", "code": code, "message": error["message"], **extra}
        assert peer.sync() == []


def test_a_connection_has_so_many_topics_and_no_more(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        for number in range(128):
            peer.subscribe(f"{room}/{number}")
        peer.say("subscribe", topic=f"{room}/more")
        error = peer.error()
        assert (error["code"], error["topic"]) == ("too_many_topics", f"{room}/more")
        peer.subscribe(f"{room}/7")  # replacing takes no room
        peer.say("unsubscribe", topic=f"{room}/7")
        assert peer.hear()["type"] == "unsubscribed"
        peer.subscribe(f"{room}/more")


def test_a_connection_is_present_on_so_many_channels_and_no_more(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        for number in range(128):
            peer.say("track", topic=f"{room}/{number}")
        assert peer.sync() == []
        peer.say("track", topic=f"{room}/more")
        assert peer.error()["code"] == "too_many_topics"
        peer.say("track", topic=f"{room}/7")
        peer.say("untrack", topic=f"{room}/7")
        peer.say("track", topic=f"{room}/more")
        assert peer.sync() == []
