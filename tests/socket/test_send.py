"""What may be sent over HTTP, and what it is answered with."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from .harness import Server

SENDS = ("/examples/chat/send", "/api/examples/chat/send")


def stored(server: Server, room: str) -> list[dict[str, Any]]:
    with server.raw() as raw:
        messages: list[dict[str, Any]] = raw.request("GET", f"/api/messages?channel=chat/{room}").json["messages"]
    return messages


def test_setup_needs_no_body_and_may_be_repeated(shared: Server) -> None:
    with shared.raw() as raw:
        for _ in range(2):
            answer = raw.request("POST", "/setup")
            assert (answer.status, answer.json) == (200, {"ok": True})


@pytest.mark.parametrize("path", SENDS)
def test_a_message_is_stored_as_it_was_sent_and_then_acknowledged(shared: Server, room: str, path: str) -> None:
    body = {"roomId": room, "id": f"{room}-1", "userId": "ada", "text": "hi", "timestamp": 1700000000123}
    with shared.raw() as raw:
        answer = raw.request("POST", path, body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json.keys() == {"ok", "id", "seq"}
    assert (answer.json["ok"], answer.json["id"]) == (True, f"{room}-1")
    assert stored(shared, room) == [
        {
            "channel": f"chat/{room}",
            "event": "chat:message",
            "id": f"{room}-1",
            "seq": answer.json["seq"],
            "userId": "ada",
            "timestamp": 1700000000123,
            "data": {"id": f"{room}-1", "userId": "ada", "text": "hi", "timestamp": 1700000000123},
        }
    ]


def test_what_a_send_leaves_out_is_filled_in(shared: Server, room: str) -> None:
    before = time.time() * 1000 - 1
    with shared.raw() as raw:
        answer = raw.request("POST", SENDS[0], {"roomId": room, "text": "hi"})
    (message,) = stored(shared, room)
    assert uuid.UUID(answer.json["id"]).version == 7
    assert message["userId"] == "anonymous"
    assert before <= message["timestamp"] <= time.time() * 1000 + 1
    assert message["data"]["timestamp"] == message["timestamp"]


def test_metadata_is_kept_as_any_json(shared: Server, room: str) -> None:
    metadata = {"reply": None, "tags": ["a", "ü"], "deep": {"n": 1.5}}
    with shared.raw() as raw:
        raw.request("POST", SENDS[0], {"roomId": room, "text": "hi", "metadata": metadata})
    assert stored(shared, room)[0]["data"]["metadata"] == metadata


@pytest.mark.parametrize(
    "text", ["\0 \x1b[31m \u202e", "日本語 👩‍👩‍👧 ü", "  spaces kept  ", "a\r\nb\nc", '"\\/', "x" * 60_000]
)
def test_any_text_comes_back_as_it_was(shared: Server, room: str, text: str) -> None:
    with shared.raw() as raw:
        assert raw.request("POST", SENDS[0], {"roomId": room, "text": text}).status == 200
    assert stored(shared, room)[0]["data"]["text"] == text


def test_a_retry_with_the_same_id_is_answered_with_the_first_seq_and_stored_once(shared: Server, room: str) -> None:
    body = {"roomId": room, "id": f"{room}-1", "userId": "ada", "text": "hi", "timestamp": 5}
    with shared.raw() as raw, shared.peer() as peer:
        peer.subscribe(f"chat/{room}")
        first = raw.request("POST", SENDS[0], body).json
        second = raw.request("POST", SENDS[0], body)
        peer.sync()
        assert peer.sync() == []
    assert (second.status, second.json) == (200, {**first, "duplicate": True})
    assert len(stored(shared, room)) == 1


def test_a_retry_that_leaves_the_timestamp_to_the_server_is_the_same_message(shared: Server, room: str) -> None:
    body = {"roomId": room, "id": f"{room}-1", "text": "hi"}
    with shared.raw() as raw:
        first = raw.request("POST", SENDS[0], body).json
        assert raw.request("POST", SENDS[0], body).json == {**first, "duplicate": True}


@pytest.mark.parametrize(
    "change", [{"text": "other"}, {"userId": "bob"}, {"timestamp": 6}, {"metadata": []}, {"roomId": "other"}]
)
def test_the_same_id_with_other_content_is_a_conflict(shared: Server, room: str, change: dict[str, Any]) -> None:
    body = {"roomId": room, "id": f"{room}-1", "userId": "ada", "text": "hi", "timestamp": 5}
    with shared.raw() as raw:
        raw.request("POST", SENDS[0], body)
        answer = raw.request("POST", SENDS[0], body | change)
    assert (answer.status, answer.code) == (409, "id_conflict")
    assert [message["data"]["text"] for message in stored(shared, room)] == ["hi"]


def test_the_project_suffix_of_a_room_is_dropped(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        raw.request("POST", SENDS[0], {"roomId": f"{room}/local", "text": "hi"})
    assert len(stored(shared, room)) == 1


def test_publish_persists_only_when_asked(shared: Server, room: str) -> None:
    topic = f"chat/{room}"
    with shared.raw() as raw, shared.peer() as peer:
        peer.subscribe(topic)
        passing = raw.request("POST", "/api/publish", {"topic": topic, "event": "typing", "data": {"on": True}})
        lasting = raw.request(
            "POST", "/api/publish", {"topic": topic, "event": "move", "data": [1], "persist": True, "userId": "ada"}
        )
        first, second = peer.events(2)
    assert passing.json.keys() == {"ok", "id"}
    assert lasting.json.keys() == {"ok", "id", "seq"}
    assert "seq" not in first
    assert (first["event"], first["data"], first["userId"]) == ("typing", {"on": True}, "anonymous")
    assert (second["event"], second["data"], second["userId"]) == ("move", [1], "ada")
    assert [message["event"] for message in stored(shared, room)] == ["move"]


def test_a_published_event_is_idempotent_too(shared: Server, room: str) -> None:
    body = {"topic": f"game/{room}", "event": "move", "data": {"x": 1, "y": 2}, "persist": True, "id": f"{room}-1"}
    with shared.raw() as raw:
        first = raw.request("POST", "/api/publish", body).json
        again = raw.request("POST", "/api/publish", body | {"data": {"y": 2, "x": 1}})
        other = raw.request("POST", "/api/publish", body | {"data": {"x": True, "y": 2}})
    assert again.json == {**first, "duplicate": True}
    assert (other.status, other.code) == (409, "id_conflict")


def test_an_rpc_emit_passes_an_ephemeral_event_on(shared: Server, room: str) -> None:
    with shared.raw() as raw, shared.peer() as peer:
        peer.subscribe(f"chat/{room}/local")
        body = {"method": "socket.emit", "args": ["chat:message", {"text": "hi"}, f"chat/{room}"]}
        answer = raw.request("POST", "/internal/hooks/rpc", body)
        (found,) = peer.events(1)
    assert (answer.status, answer.json) == (200, {"ok": True})
    assert (found["topic"], found["event"], found["data"]) == (f"chat/{room}/local", "chat:message", {"text": "hi"})
    assert "seq" not in found
    assert stored(shared, room) == []


def test_any_other_rpc_method_is_not_found(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("POST", "/internal/hooks/rpc", {"method": "db.query", "args": ["DROP TABLE messages"]})
    assert (answer.status, answer.code) == (404, "not_found")
