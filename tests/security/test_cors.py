"""What a page of another site gets, allowed and not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .doors import Door, bearer, give

OpenDoor = Callable[..., Door]
DEV = "http://localhost:5173"
EVIL = "https://evil.example"


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    return open_door(allow_origins=(DEV,), allow_hosts=("chat.example",))


def test_an_allowed_page_may_read_every_answer(door: Door) -> None:
    for method, path, body in (
        ("GET", "/api/me", None),
        ("POST", "/examples/chat/send", {"roomId": "r", "text": "hi"}),
        ("POST", "/examples/chat/send", {"roomId": "r", "text": ""}),
        ("GET", "/nothing", None),
        ("GET", "/chatkit.js", None),
        ("GET", "/api/tokens", None),
    ):
        answer = door.ask(method, path, body, origin=DEV)
        assert answer.headers["access-control-allow-origin"] == DEV, path
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
    with door.raw() as raw:  # the same head, without the page: what was remembered is not its
        assert "access-control-allow-origin" in raw.request("GET", "/api/me", origin=DEV).headers
        assert "access-control-allow-origin" not in raw.request("GET", "/api/me").headers


def test_a_preflight_is_answered_for_an_allowed_page_only(door: Door) -> None:
    ask = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    answer = door.ask("OPTIONS", "/examples/chat/send", origin=DEV, **ask)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == DEV
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert "content-type" in answer.headers["access-control-allow-headers"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    private = door.ask("OPTIONS", "/setup", origin=DEV, access_control_request_private_network="true", **ask)
    assert private.headers["access-control-allow-private-network"] == "true"
    for origin in (EVIL, "null"):
        refused = door.ask("OPTIONS", "/examples/chat/send", origin=origin, **ask)
        assert refused.status == 403
        assert not [name for name in refused.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:8080", "file://", "http://127.0.0.1.evil.example"])
def test_any_other_page_changes_and_reads_nothing(door: Door, origin: str) -> None:
    for method, path, body in (
        ("POST", "/setup", None),
        ("POST", "/examples/chat/send", {"roomId": "crossed", "text": "hi"}),
        ("POST", "/api/publish", {"topic": "chat/crossed", "event": "x", "persist": True}),
        ("GET", "/api/messages", None),
        ("GET", "/", None),
        ("GET", "/healthz", None),
    ):
        answer = door.ask(method, path, body, origin=origin)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert door.turned_away(origin=origin).code == "forbidden"
    assert door.ask("GET", "/api/messages?channel=chat/crossed").json["messages"] == []


def test_a_form_cannot_post(door: Door) -> None:
    """Its three content types are refused even without an Origin, as old browsers left it out."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        for path in ("/examples/chat/send", "/setup", "/api/publish", "/internal/hooks/rpc"):
            answer = door.ask("POST", path, b'{"roomId":"formed","text":"hi"}', content_type=content_type)
            assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert door.ask("GET", "/api/messages?channel=chat/formed").json["messages"] == []


def test_our_own_page_needs_no_leave(door: Door) -> None:
    port = door.server.port
    for name in ("localhost", "127.0.0.1"):
        own = f"http://{name}:{port}"
        answer = door.ask(
            "POST", "/examples/chat/send", {"roomId": "r", "text": "x"}, host=f"{name}:{port}", origin=own
        )
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers
        peer, opened = door.knock(host=f"{name}:{port}", origin=own)
        peer.close()
        assert opened.status == 101
    crossed = door.ask("GET", "/api/me", host=f"localhost:{port}", origin=f"http://127.0.0.1:{port}")
    assert crossed.status == 403


def test_a_rebound_name_gets_nothing(door: Door) -> None:
    for host in ("evil.example", f"evil.example:{door.server.port}", "0.0.0.0", "localhost.evil.example"):
        for path in ("/", "/api/me", "/healthz", "/nothing"):
            answer = door.ask("GET", path, host=host)
            assert (answer.status, answer.code) == (403, "forbidden")
        assert door.turned_away(host=host).code == "forbidden"
        same = door.ask("POST", "/setup", host=host, origin=f"http://{host}")
        assert same.status == 403
    assert door.ask("GET", "/api/me", host="chat.example").status == 200


def test_the_operator_is_told_once_which_option_lets_a_page_in(door: Door, quiet: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        door.ask("GET", "/api/me", origin="http://localhost:3000")
    told = [message for message in quiet.messages if "localhost:3000" in message]
    assert told == [
        "pages of http://localhost:3000 may not use this server; --allow-origin http://localhost:3000 lets them"
    ]
    for number in range(300):
        door.ask("GET", "/api/me", origin=f"http://{number}.example")
    assert len([message for message in quiet.messages if ".example" in message]) < 100


def test_a_server_that_wants_tokens_shows_its_page_and_answers_preflights(open_door: OpenDoor, tmp_path: Path) -> None:
    secret = give(tmp_path / "chat.db", "ada")
    door = open_door(require_token=True, allow_origins=(DEV,))
    for path in ("/", "/chatkit.js", "/style.css", "/healthz"):
        assert door.ask("GET", path).status == 200
    asked = door.ask("OPTIONS", "/api/me", origin=DEV, access_control_request_method="GET")
    assert asked.status == 204
    without = door.ask("GET", "/api/me", origin=DEV)
    assert (without.status, without.headers["access-control-allow-origin"]) == (401, DEV)
    assert door.ask("GET", "/api/me", origin=DEV, **bearer(secret)).status == 200


def test_the_page_is_locked_up(door: Door) -> None:
    for path in ("/", "/chatkit.js", "/icon.svg"):
        headers = door.ask("GET", path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
