"""One past each limit."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatkit.server.config import Config

from ..socket.peer import Peer, frame
from ..socket.raw import Closed
from .doors import Door, bearer, close_code, give

OpenDoor = Callable[..., Door]
SEND = "/examples/chat/send"
BODY = {"roomId": "r", "text": "hi"}

#: The limits of PROTOCOL.md, and the options that set them.
LIMITS = {
    "message": "max_message_bytes",
    "request head": "max_head_bytes",
    "fields": "max_head_fields",
    "connections": "max_connections",
    "topics": "max_topics",
    "queued bytes": "max_queued_bytes",
    "replay page": "replay_page",
    "handshake and request": "request_timeout_s",
    "idle": "idle_timeout_s",
    "drain": "drain_timeout_s",
    "ping": "ping_interval_s",
    "pong": "ping_timeout_s",
    "stall": "stall_timeout_s",
    "send rate": "send_rate",
    "burst": "send_burst",
    "connections of a user": "max_user_connections",
}


def test_every_limit_is_an_option_with_a_flag_and_a_variable() -> None:
    declared = {field.name: field.metadata for field in dataclasses.fields(Config)}
    for name in LIMITS.values():
        assert declared[name]["flag"].startswith("--")
        assert declared[name]["env"].startswith("CHATKIT_")
        assert declared[name]["help"]


def test_a_body_one_byte_too_large(open_door: OpenDoor) -> None:
    door = open_door(max_message_bytes=200)
    for size, status in ((200, 200), (201, 413)):
        body = b'{"roomId":"r","text":"' + b"x" * (size - 24) + b'"}'
        assert len(body) == size
        assert door.ask("POST", SEND, body).status == status


def test_a_frame_one_byte_too_large(open_door: OpenDoor) -> None:
    door = open_door(max_message_bytes=200)
    with door.peer() as peer:
        peer.text(b'{"type":"ping"}' + b" " * 185)
        assert peer.hear() == {"type": "pong"}
        peer.text(b'{"type":"ping"}' + b" " * 186)
        assert close_code(peer) == 1009
    with door.peer() as peer:
        peer.send(frame(1, b'{"type":"ping"}', fin=False) + frame(0, b" " * 185, fin=False) + frame(0, b" "))
        assert close_code(peer) == 1009


def test_a_head_one_byte_too_large(open_door: OpenDoor) -> None:
    door = open_door(max_head_bytes=500)
    start, end = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"\r\n\r\n"
    for size, status in ((500, 200), (501, 431)):
        with door.raw() as raw:
            raw.send(start + b"x" * (size - len(start) - len(end)) + end)
            assert raw.response().status == status


def test_a_field_too_many(open_door: OpenDoor) -> None:
    door = open_door(max_head_fields=10)
    for count, status in ((9, 200), (10, 431)):
        with door.raw() as raw:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * count + b"\r\n")
            assert raw.response().status == status


def test_a_connection_too_many(open_door: OpenDoor) -> None:
    door = open_door(max_connections=3)
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(door.raw()) for _ in range(3)]
        for raw in raws:
            assert raw.request("GET", "/healthz").status == 200
        over = stack.enter_context(door.raw())
        answer = over.response()
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "1")
        assert raws[0].request("GET", "/healthz").status == 200


def test_a_topic_too_many(open_door: OpenDoor) -> None:
    door = open_door(max_topics=3)
    with door.peer() as peer:
        for number in range(3):
            peer.subscribe(f"chat/{number}")
            peer.say("track", topic=f"here/{number}")
        peer.sync()
        peer.say("subscribe", topic="chat/3")
        assert peer.error()["code"] == "too_many_topics"
        peer.say("track", topic="here/3")
        assert peer.error()["code"] == "too_many_topics"
        peer.subscribe("chat/2")
        peer.say("unsubscribe", topic="chat/0")
        assert peer.hear()["type"] == "unsubscribed"
        peer.subscribe("chat/3")


def test_a_request_too_slow(open_door: OpenDoor) -> None:
    door = open_door(request_timeout_s=0.5)
    for part in (b"GET /healthz HTT", b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"):
        with door.raw() as raw:
            raw.send(part)
            assert raw.response().status == 408
            assert raw.is_closed()


# ------------------------------------------------------------------------------------------------ of one identity


def rated(open_door: OpenDoor, tmp_path: Path, **options: Any) -> tuple[Door, str, str]:
    """A server on which three sends are all there is for a long time, and the tokens of two users."""
    db = tmp_path / "chat.db"
    ada, bob = give(db, "ada"), give(db, "bob")
    return open_door("LAN", send_rate=1, send_burst=3, **options), ada, bob


def test_a_send_too_many_over_http(open_door: OpenDoor, tmp_path: Path) -> None:
    door, ada, bob = rated(open_door, tmp_path)
    statuses = [door.ask("POST", SEND, BODY, **bearer(ada)).status for _ in range(6)]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses
    for path, body in ((SEND, BODY), ("/api/publish", {"topic": "chat/r", "event": "x"})):
        answer = first_refused(door, path, body, ada)
        assert answer.code == "rate_limited"
        assert int(answer.headers["retry-after"]) >= 1
    assert door.ask("GET", "/api/messages?channel=chat/r", **bearer(ada)).status == 200
    assert door.ask("POST", SEND, BODY, **bearer(bob)).status == 200


def first_refused(door: Door, path: str, body: object, secret: str) -> Any:
    for _ in range(20):
        answer = door.ask("POST", path, body, **bearer(secret))
        if answer.status != 200:
            return answer
    raise AssertionError("nothing was refused")


def test_a_send_too_many_over_all_connections_of_a_user(open_door: OpenDoor, tmp_path: Path) -> None:
    door, ada, _ = rated(open_door, tmp_path)
    with door.peer(**bearer(ada)) as one, door.peer(**bearer(ada)) as two:
        for number in range(10):
            peer: Peer = (one, two)[number % 2]
            peer.say("publish", topic="chat/r", event="x", id=f"i{number}")
        frames = [peer.hear() for peer in (one, two) for _ in range(5)]
    kinds = [found["type"] for found in frames]
    assert 3 <= kinds.count("ack") <= 5
    errors = [found for found in frames if found["type"] == "error"]
    assert len(errors) == 10 - kinds.count("ack")
    assert {found["code"] for found in errors} == {"rate_limited"}
    assert all(found["id"].startswith("i") for found in errors)


def test_presence_counts_as_sending(open_door: OpenDoor, tmp_path: Path) -> None:
    door, ada, _ = rated(open_door, tmp_path)
    with door.peer(**bearer(ada)) as peer:
        for _ in range(10):
            peer.say("track", topic="chat/r", state={})
        assert "rate_limited" in [found.get("code") for found in peer.sync()]


def test_strangers_share_what_their_address_has(open_door: OpenDoor) -> None:
    door = open_door("LAN", open=True, send_rate=1, send_burst=3)
    statuses = [door.ask("POST", SEND, {**BODY, "userId": f"u{number}"}).status for number in range(6)]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses


def test_a_websocket_too_many_of_one_user(open_door: OpenDoor, tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    ada, bob = give(db, "ada"), give(db, "bob")
    door = open_door("LAN", max_user_connections=2)
    with door.peer(**bearer(ada)) as one, door.peer(**bearer(ada)):
        refused = door.turned_away(**bearer(ada))
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate_limited", "5")
        with door.peer(**bearer(bob)) as guest:
            guest.say("auth", token=ada)
            assert guest.error()["code"] == "rate_limited"
            assert guest.sync() == []
        one.send(frame(8))
        one.rest()
        with door.peer(**bearer(ada)):
            assert door.turned_away(**bearer(ada)).status == 429


@pytest.mark.parametrize(("kind", "rate", "links"), [("loopback", None, 0), ("Unix", None, 0), ("LAN", 50, 100)])
def test_limits_of_a_user_are_for_those_who_come_from_elsewhere(
    open_door: OpenDoor, tmp_path: Path, kind: str, rate: int | None, links: int
) -> None:
    secret = give(tmp_path / "chat.db", "ada")
    door = open_door(kind)

    def look() -> tuple[int | None, int]:
        grant = door.server.context.access.of_credential(secret)
        assert grant is not None
        if grant.allowance is None:
            return None, 0
        assert grant.allowance.bucket is not None
        return int(grant.allowance.bucket._per_s), grant.allowance.max_links

    assert door.server.on_loop(look) == (rate, links)


def test_a_stranger_may_not_keep_a_connection(open_door: OpenDoor, tmp_path: Path) -> None:
    give(tmp_path / "chat.db", "ada")
    door = open_door("LAN")
    with door.raw() as raw:
        assert raw.request("GET", "/api/me").status == 401
        with contextlib.suppress(Closed):
            assert raw.is_closed()
