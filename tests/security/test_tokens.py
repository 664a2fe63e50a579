"""Tokens on live connections: who one is, what one may, and the end."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatkit.log import tokens

from ..socket.raw import DEADLINE_S, Raw, Response
from .doors import Door, bearer, close_code, end, give, rows

OpenDoor = Callable[..., Door]


def admin(door: Door, method: str, path: str, body: object = None) -> Response:
    """Ask as the commands do: by the control socket."""
    raw = Raw.__new__(Raw)
    raw.socket, raw.buffer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), b""
    raw.socket.settimeout(DEADLINE_S)
    raw.socket.connect(f"{door.db}.control")
    with raw:
        return raw.request(method, path, body)


def test_a_token_is_its_user_and_nobody_else(tmp_path: Path, open_door: OpenDoor) -> None:
    secret = give(tmp_path / "chat.db", "ada")
    door = open_door("LAN")
    send = "/examples/chat/send"
    as_bob = door.ask("POST", send, {"roomId": "r", "text": "hi", "userId": "bob"}, **bearer(secret))
    assert (as_bob.status, as_bob.code) == (403, "forbidden")
    published = {"topic": "chat/r", "event": "x", "userId": "bob"}
    assert door.ask("POST", "/api/publish", published, **bearer(secret)).status == 403
    for user in ({}, {"userId": "ada"}):
        assert door.ask("POST", send, {"roomId": "r", "text": "hi", **user}, **bearer(secret)).status == 200
    with door.peer("?userId=bob", **bearer(secret)) as peer:
        peer.subscribe("chat/r")
        peer.say("track", topic="chat/r", state={"mood": "fine"})
        assert peer.hear()["data"]["userId"] == "ada"
        peer.say("chat", roomId="r", text="from a socket")
        assert peer.hear()["userId"] == "ada"
    assert {row[0] for row in rows(door.db, "SELECT user_id FROM messages")} == {"ada"}


def test_rights_are_of_channels(tmp_path: Path, open_door: OpenDoor) -> None:
    secret = give(tmp_path / "chat.db", "ada", send=["builds", "game/*"], read=["chat/a", "game/**"])
    door = open_door("LAN")

    def sends(topic: str) -> int:
        return door.ask("POST", "/api/publish", {"topic": topic, "event": "x"}, **bearer(secret)).status

    assert [sends(topic) for topic in ("chat/builds", "game/7", "chat/a", "game/7/x", "game/7/local")] == [
        200, 200, 403, 403, 200,
    ]  # fmt: skip
    reads = {
        "/api/messages?channel=chat/a": 200,
        "/api/messages?channel=chat/builds": 403,
        "/api/messages?channel=chat/*": 403,
        "/api/messages?channel=game/*": 200,
        "/api/messages?channel=game/**": 200,
        "/api/messages": 403,
        "/api/v1/public/realtime/history?room=chat/a/local": 200,
        "/api/v1/public/realtime/history?room=chat/b": 403,
        "/api/presence?channel=game/7": 200,
        "/api/presence?channel=chat/b": 403,
    }
    assert {path: door.ask("GET", path, **bearer(secret)).status for path in reads} == reads
    with door.peer(**bearer(secret)) as peer:
        topics = {"chat/a": True, "chat/b": False, "game/**": True, "game/7/*": True, "chat/*": False, "*/**": False}
        for topic, may in topics.items():
            peer.say("subscribe", topic=topic, after=0)
            found = [frame["type"] for frame in peer.sync() if frame["type"] != "live"]
            assert found == (["subscribed"] if may else ["error"]), topic


def test_a_refused_pattern_delivers_nothing_of_what_it_would_cover(tmp_path: Path, open_door: OpenDoor) -> None:
    reader = give(tmp_path / "chat.db", "reader", read=["chat/a"])
    writer = give(tmp_path / "chat.db", "writer")
    door = open_door("LAN")
    with door.peer(**bearer(reader)) as peer:
        peer.say("subscribe", topic="chat/**", last=10)
        assert peer.error()["code"] == "forbidden"
        peer.subscribe("chat/a")
        for room in ("secret", "a"):
            body = {"roomId": room, "text": room}
            assert door.ask("POST", "/examples/chat/send", body, **bearer(writer)).status == 200
        assert peer.hear()["data"]["text"] == "a"
        assert peer.sync() == []


def test_channels_lists_what_may_be_read(tmp_path: Path, open_door: OpenDoor) -> None:
    reader = give(tmp_path / "chat.db", "reader", read=["chat/a"])
    writer = give(tmp_path / "chat.db", "writer")
    door = open_door("LAN")
    for room in ("a", "b"):
        body = {"roomId": room, "text": "hi"}
        assert door.ask("POST", "/examples/chat/send", body, **bearer(writer)).status == 200
    names = [item["name"] for item in door.ask("GET", "/api/channels", **bearer(reader)).json["channels"]]
    assert names == ["chat/a"]


# ------------------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize("kind", ["loopback", "LAN", "Unix", "TLS"])
def test_a_revoked_token_ends_on_every_connection_at_once(tmp_path: Path, open_door: OpenDoor, kind: str) -> None:
    db = tmp_path / "chat.db"
    secret, other = give(db, "ada"), give(db, "bob")
    door = open_door(kind)
    with door.peer(**bearer(secret)) as peer, door.peer(**bearer(other)) as stays, door.raw() as kept:
        peer.subscribe("chat/r")
        stays.subscribe("chat/r")
        assert kept.request("GET", "/api/me", **bearer(secret)).json["userId"] == "ada"
        assert admin(door, "POST", "/api/tokens/revoke", {"name": "ada"}).status == 200
        assert close_code(peer) == 4501
        answer = kept.request("GET", "/api/me", **bearer(secret))  # the very same bytes, whose head was remembered
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert kept.is_closed()
        assert stays.sync() == []
    assert door.turned_away(**bearer(secret)).status == 401
    assert admin(door, "POST", "/api/tokens/revoke", {"name": "ada"}).status == 404


def test_a_token_ends_when_it_expires(tmp_path: Path, open_door: OpenDoor) -> None:
    secret = give(tmp_path / "chat.db", "ada", expires_at=time.time_ns() // 1_000_000 + 1500)
    give(tmp_path / "chat.db", "keeps the door open")
    door = open_door("LAN")
    with door.peer(**bearer(secret)) as peer:
        assert close_code(peer) == 4501
    assert door.ask("GET", "/api/me", **bearer(secret)).status == 401


def test_tokens_made_and_ended_while_the_server_runs_are_in_the_file(tmp_path: Path, open_door: OpenDoor) -> None:
    give(tmp_path / "chat.db", "first")
    door = open_door("LAN")
    made = admin(door, "POST", "/api/tokens", {"name": "ada", "send": ["builds"], "expiresAt": 4102444800000})
    secret = made.json["token"]
    assert secret.startswith("ck_")
    assert len(secret) == 46
    assert door.ask("GET", "/api/me", **bearer(secret)).json == {
        "userId": "ada", "verified": True, "send": ["chat/builds"], "read": [], "admin": False,
        "expiresAt": 4102444800000,
    }  # fmt: skip
    again = admin(door, "POST", "/api/tokens", {"name": "ada"})
    assert (again.status, again.code) == (409, "id_conflict")
    assert admin(door, "POST", "/api/tokens/revoke", {"name": "first"}).status == 200
    door.server.stop()
    found = rows(door.db, "SELECT name, revoked_at IS NULL FROM tokens ORDER BY name")
    assert found == [("ada", 1), ("first", 0)]
    later = open_door("LAN")
    assert later.ask("GET", "/api/me", **bearer(secret)).status == 200


def test_neither_the_database_nor_the_log_holds_a_token(
    tmp_path: Path, open_door: OpenDoor, quiet: pytest.LogCaptureFixture
) -> None:
    secret = give(tmp_path / "chat.db", "ada")
    door = open_door("LAN")
    made = admin(door, "POST", "/api/tokens", {"name": "bob"}).json["token"]
    text = "a message that nobody should log"
    for token in (secret, made, secret + "x"):
        door.ask("POST", "/examples/chat/send", {"roomId": "r", "text": text}, **bearer(token))
        door.ask("POST", "/examples/chat/send", b'{"roomId": ', **bearer(token))
        door.knock(sec_websocket_protocol=f"aerostack-token.{token}")[0].close()
        door.ask("GET", f"/nothing?token={token}", **bearer(token))
    with door.peer(**bearer(secret)) as peer:
        peer.say("auth", token=secret + "y")
        assert peer.error()["code"] == "unauthorized"
        assert close_code(peer) == 4501
    door.server.stop()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    for token in (secret, made):
        assert token.encode() not in stored
        assert token[3:].encode() not in stored
        assert token not in quiet.text
    assert text not in quiet.text
    assert tokens.digest(secret) in stored


def test_the_files_are_private(tmp_path: Path, open_door: OpenDoor) -> None:
    door = open_door("Unix")
    for path in (door.db, Path(f"{door.db}.control"), Path(door.server.url.removeprefix("unix:"))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    door.server.stop()
    assert not Path(f"{door.db}.control").exists()
    assert not Path(door.server.url.removeprefix("unix:")).exists()


# -------------------------------------------------------------------------------------------------- the auth frame


def test_the_auth_frame_replaces_who_one_is(tmp_path: Path, open_door: OpenDoor) -> None:
    db = tmp_path / "chat.db"
    ada, bob = give(db, "ada"), give(db, "bob", read=["chat/b"], send=["chat/b"])
    door = open_door("LAN")
    with door.peer(**bearer(ada)) as peer, door.peer(**bearer(ada)) as watcher:
        for topic in ("chat/a", "chat/b"):
            peer.subscribe(topic)
        watcher.subscribe("chat/b")
        peer.say("track", topic="chat/b", state={})
        assert watcher.hear()["event"] == "presence:join"
        assert peer.hear()["event"] == "presence:join"
        peer.say("auth", token=bob)
        left = watcher.hear()
        assert (left["event"], left["data"]["userId"]) == ("presence:leave", "ada")
        frames = peer.sync()
        errors = [(frame["code"], frame["topic"]) for frame in frames if frame["type"] == "error"]
        assert errors == [("forbidden", "chat/a")]
        peer.say("chat", roomId="b", text="as bob")
        assert watcher.hear()["userId"] == "bob"
        peer.say("chat", roomId="a", text="not there")
        assert "forbidden" in [frame.get("code") for frame in peer.sync()]
        assert admin(door, "POST", "/api/tokens/revoke", {"name": "ada"}).status == 200
        assert close_code(watcher) == 4501
        assert peer.sync() == []  # it is ada's no more
        assert admin(door, "POST", "/api/tokens/revoke", {"name": "bob"}).status == 200
        assert close_code(peer) == 4501


def test_where_no_token_is_wanted_the_auth_frame_makes_one_somebody(tmp_path: Path, open_door: OpenDoor) -> None:
    secret = give(tmp_path / "chat.db", "ada")
    door = open_door("loopback")
    with door.peer("?userId=guest") as peer:
        peer.subscribe("chat/r")
        peer.say("auth", token="pk_live_of_another_system")
        peer.say("chat", roomId="r", text="1")
        assert peer.hear()["userId"] == "guest"
        peer.hear()
        peer.say("auth", token=secret)
        peer.say("chat", roomId="r", text="2")
        assert peer.hear()["userId"] == "ada"
        peer.hear()
        peer.say("auth", token="ck_wrong")
        assert peer.error()["code"] == "unauthorized"
        assert close_code(peer) == 4501


# ---------------------------------------------------------------------------------------------- the control socket


def test_only_the_servers_own_user_may_hand_out_tokens(tmp_path: Path, open_door: OpenDoor) -> None:
    db = tmp_path / "chat.db"
    ordinary, administrator = give(db, "ordinary"), give(db, "administrator", admin=True)
    door = open_door("LAN")
    assert door.ask("POST", "/api/tokens", {"name": "x"}, **bearer(ordinary)).status == 403
    assert door.ask("POST", "/api/tokens", {"name": "x"}, **bearer(administrator)).status == 200
    listed = door.ask("GET", "/api/tokens", **bearer(administrator))
    assert [token["name"] for token in listed.json["tokens"]] == ["administrator", "ordinary", "x"]
    assert "token" not in json.dumps(listed.json).replace('"tokens"', "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_cannot_open_the_control_socket(tmp_path: Path, open_door: OpenDoor) -> None:
    door = open_door("Unix", unix_mode="666")
    os.chmod(f"{door.db}.control", 0o666)  # even if it were open to all, the system says who connects
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    script = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(path)
    s.sendall(b"GET /api/tokens HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    print(s.recv(4096).split(b" ")[1].decode())
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(path)
    s.sendall(b"GET /api/me HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    data = b""
    while piece := s.recv(4096): data += piece
    print(data.partition(b"\\r\\n\\r\\n")[2].decode())
"""
    unix = door.server.url.removeprefix("unix:")
    found = subprocess.run(
        [sys.executable, "-c", script, f"{door.db}.control", unix],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert found[0] == "401"
    assert json.loads(found[1])["code"] == "unauthorized"
    assert found[2] == "403"
    assert json.loads(found[3]) == {
        "userId": "nobody", "verified": True, "send": ["*/**"], "read": ["*/**"], "admin": False, "expiresAt": None,
    }  # fmt: skip


def test_an_ended_token_makes_room_for_another_of_its_name(tmp_path: Path, open_door: OpenDoor) -> None:
    db = tmp_path / "chat.db"
    old, expired = give(db, "ada"), give(db, "bob", expires_at=2)
    end(db, "ada")
    new = give(db, "ada")
    door = open_door("LAN")
    assert door.ask("GET", "/api/me", **bearer(old)).status == 401
    assert door.ask("GET", "/api/me", **bearer(new)).status == 200
    renewed = admin(door, "POST", "/api/tokens", {"name": "bob"}).json["token"]
    assert door.ask("GET", "/api/me", **bearer(expired)).status == 401
    assert door.ask("GET", "/api/me", **bearer(renewed)).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 5},
        {"name": "a\nb"},
        {"name": "x", "send": "chat/*"},
        {"name": "x", "send": ["a b/c"]},
        {"name": "x", "read": ["table/x"]},
        {"name": "x", "expiresAt": 5},
        {"name": "x", "admin": "yes"},
    ],
)
def test_a_token_that_cannot_be_is_not_made(tmp_path: Path, open_door: OpenDoor, body: object) -> None:
    door = open_door("loopback")
    answer = admin(door, "POST", "/api/tokens", body)
    assert (answer.status, answer.code) == (400, "invalid_field")
