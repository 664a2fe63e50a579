"""Every door, every credential, every thing to do: one table, tried over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..socket.raw import Response
from .doors import KINDS, Door, bearer, end, give

#: What each credential is answered for each action: 200 it may, 401 who are you, 403 you may not.
ACTIONS = (
    "send", "publish", "emit", "track", "subscribe", "pattern", "messages", "history", "stream", "channels", "presence",
    "me", "setup", "metrics", "tokens", "prune", "healthz", "page",
)  # fmt: skip

_SENDS = {"send", "publish", "emit", "track"}
_READS = {"subscribe", "pattern", "messages", "history", "stream", "channels", "presence"}
_ADMINISTERS = {"setup", "metrics", "tokens", "prune"}
_ANYBODY = {"healthz", "page"}

MAY: dict[str, set[str]] = {
    "read-only": _READS | {"me"},
    "send-only": _SENDS | {"me"},
    "admin": _SENDS | _READS | _ADMINISTERS | {"me"},
    "wrong": set(),
    "expired": set(),
    "revoked": set(),
}
MAY_WITHOUT: dict[str, set[str]] = {
    "loopback": _SENDS
    | _READS
    | {"setup", "metrics", "me"},  # neither tokens nor prune: it could be any user's process
    "LAN": set(),
    "TLS": set(),
    "Unix": _SENDS | _READS | _ADMINISTERS | {"me"},  # the tests run as the server's own user
}
CREDENTIALS = ("none", *MAY)


def expected(kind: str, credential: str, action: str) -> int:
    may = MAY_WITHOUT[kind] if credential == "none" else MAY[credential]
    if action in _ANYBODY or action in may:
        return 200
    return 401 if credential in ("none", "wrong", "expired", "revoked") else 403


class House:
    """One server of each kind, on one set of tokens."""

    def __init__(self, door: Door, secrets: dict[str, str | None]) -> None:
        self.door, self.secrets = door, secrets


@pytest.fixture(scope="module", params=KINDS)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("matrix")
    db = folder / "chat.db"
    secrets: dict[str, str | None] = {
        "none": None,
        "wrong": "ck_" + "A" * 43,
        "expired": give(db, "expired", expires_at=2),
        "revoked": give(db, "revoked"),
        "read-only": give(db, "read-only", read=["**"]),
        "send-only": give(db, "send-only", send=["**"]),
        "admin": give(db, "admin", admin=True),
    }
    end(db, "revoked")
    door = Door(request.param, db, certificate, folder)
    with door.server:
        yield House(door, secrets)


REQUESTS: dict[str, tuple[str, str, object]] = {
    "send": ("POST", "/examples/chat/send", {"roomId": "matrix", "text": "hi"}),
    "publish": ("POST", "/api/publish", {"topic": "game/7", "event": "move", "data": 1}),
    "emit": ("POST", "/internal/hooks/rpc", {"method": "socket.emit", "args": ["move", 1, "game/7"]}),
    "messages": ("GET", "/api/messages?channel=chat/matrix", None),
    "history": ("GET", "/api/v1/public/realtime/history?room=chat/matrix", None),
    "channels": ("GET", "/api/channels", None),
    "presence": ("GET", "/api/presence?channel=chat/matrix", None),
    "me": ("GET", "/api/me", None),
    "setup": ("POST", "/setup", None),
    "metrics": ("GET", "/metrics", None),
    "tokens": ("GET", "/api/tokens", None),
    "prune": ("POST", "/api/admin/prune", {"keep": 1_000_000}),
    "healthz": ("GET", "/healthz", None),
    "page": ("GET", "/", None),
}
COMMANDS: dict[str, dict[str, object]] = {
    "track": {"type": "track", "topic": "chat/matrix", "state": {}},
    "subscribe": {"type": "subscribe", "topic": "chat/matrix"},
    "pattern": {"type": "subscribe", "topic": "chat/**"},
}


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_cell(house: House, credential: str, action: str) -> None:
    door, fields = house.door, bearer(house.secrets[credential])
    found = over_websocket(door, action, fields) if action in COMMANDS else over_http(door, action, fields)
    assert found == expected(door.kind, credential, action)


def over_http(door: Door, action: str, fields: dict[str, str]) -> int:
    if action == "stream":
        # Only the verdict: the stream itself never ends, and its head says enough.
        with door.raw() as raw:
            raw.send(
                b"GET /api/stream?channel=chat/matrix HTTP/1.1\r\nHost: localhost\r\n"
                + "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
                + b"\r\n"
            )
            return verdict(int(raw.read_until(b"\r\n").split(b" ")[1]))
    answer = door.ask(*REQUESTS[action], **fields)
    if answer.status in (401, 403):
        assert answer.code == {401: "unauthorized", 403: "forbidden"}[answer.status]
        assert (answer.headers.get("www-authenticate") == "Bearer") == (answer.status == 401)
    return verdict(answer.status)


def verdict(status: int) -> int:
    """401 and 403, or 200 for whatever is no question of rights: a route may be missing, a field wrong."""
    return status if status in (401, 403) else 200


def over_websocket(door: Door, action: str, fields: dict[str, str]) -> int:
    peer, answer = door.knock(**fields)
    with peer:
        if answer.status != 101:
            return verdict(answer.status)
        command = dict(COMMANDS[action])
        peer.say(str(command.pop("type")), **command)
        for frame in peer.sync():
            if frame["type"] == "error":
                assert frame["code"] == "forbidden"
                return 403
        return 200


SHOWN: dict[str, Callable[[str], dict[str, str]]] = {
    "Authorization": lambda secret: {"authorization": f"bearer  {secret}"},
    "token subprotocol": lambda secret: {"sec_websocket_protocol": f"aerostack-v1, aerostack-token.{secret}"},
    "key subprotocol": lambda secret: {"sec_websocket_protocol": f"aerostack-v1, aerostack-key.{secret}"},
    "both": lambda secret: {"sec_websocket_protocol": f"aerostack-key.k, aerostack-token.{secret}"},
}


@pytest.mark.parametrize("shown", SHOWN)
def test_a_token_is_shown_in_every_way_of_the_protocol(house: House, shown: str) -> None:
    secret = house.secrets["admin"]
    assert secret is not None
    with house.door.peer("?userId=somebody-else", **SHOWN[shown](secret)) as peer:
        peer.say("chat", roomId=f"shown-{house.door.kind}-{shown.replace(' ', '-')}", text="hi", id=f"{shown}1")
        assert peer.hear()["type"] == "ack"
    channel = f"chat/shown-{house.door.kind}-{shown.replace(' ', '-')}"
    answer = house.door.ask("GET", f"/api/messages?channel={channel}", **bearer(secret))
    assert [message["userId"] for message in answer.json["messages"]] == ["admin"]


@pytest.mark.parametrize("value", ["Basic YWRhOmFkYQ==", "Bearer", "Bearer ", "ck_abc"])
def test_a_field_that_is_no_bearers_is_refused(house: House, value: str) -> None:
    answer: Response = house.door.ask("GET", "/api/me", authorization=value)
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_a_key_of_somebody_elses_system_is_ignored_where_none_is_wanted(house: House) -> None:
    wants = house.door.kind in ("LAN", "TLS")
    assert house.door.ask("GET", "/api/me", **bearer("pk_live_123")).status == (401 if wants else 200)
    peer, answer = house.door.knock(sec_websocket_protocol="aerostack-key.pk_live_123")
    peer.close()
    assert answer.status == (401 if wants else 101)
