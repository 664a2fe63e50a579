"""The opening handshake of a WebSocket."""

from __future__ import annotations

import pytest

from .harness import Server
from .peer import frame, handshake_bytes
from .raw import request_bytes


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ("aerostack-v1", "aerostack-v1"),
        ("aerostack-key.abc, aerostack-token.def, aerostack-v1", "aerostack-v1"),
        ("aerostack-key.abc,aerostack-v1,other", "aerostack-v1"),
        ("aerostack-token.def, aerostack-key.abc", "aerostack-token.def"),
        ("chat", "chat"),
    ],
)
def test_one_of_the_offered_subprotocols_is_selected(shared: Server, offered: str, selected: str) -> None:
    with shared.peer(sec_websocket_protocol=offered) as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == selected


def test_without_an_offer_no_subprotocol_is_selected(shared: Server) -> None:
    with shared.peer() as peer:
        assert "sec-websocket-protocol" not in peer.answer.headers
        assert "sec-websocket-extensions" not in peer.answer.headers


def test_credentials_are_ignored_where_none_are_required(shared: Server) -> None:
    with shared.peer(authorization="Bearer nonsense") as peer:
        assert peer.sync() == []


def test_compression_is_not_agreed_on(shared: Server) -> None:
    with shared.peer(sec_websocket_extensions="permessage-deflate; client_max_window_bits") as peer:
        assert "sec-websocket-extensions" not in peer.answer.headers
        assert peer.sync() == []


def test_frames_sent_along_with_the_handshake_are_heard(shared: Server) -> None:
    with shared.raw() as raw:
        raw.send(handshake_bytes() + frame(1, b'{"type":"ping"}'))
        assert raw.response().status == 101
        assert raw.read(2 + 15).endswith(b'{"type":"pong"}')


def test_a_connection_may_become_a_websocket_after_requests(shared: Server) -> None:
    with shared.raw() as raw:
        assert raw.request("GET", "/healthz").status == 200
        raw.send(handshake_bytes())
        assert raw.response().status == 101


WRONG: list[tuple[dict[str, str], int, str]] = [
    ({"sec_websocket_version": "8"}, 426, "upgrade_required"),
    ({"sec_websocket_version": ""}, 400, "bad_request"),
    ({"sec_websocket_key": ""}, 400, "bad_request"),
    ({"sec_websocket_key": "short"}, 400, "bad_request"),
    ({"upgrade": "h2c"}, 426, "upgrade_required"),
    ({"upgrade": ""}, 426, "upgrade_required"),
    ({"connection": "keep-alive"}, 426, "upgrade_required"),
    ({"upgrade": "", "connection": "", "sec_websocket_key": "", "sec_websocket_version": ""}, 426, "upgrade_required"),
]


@pytest.mark.parametrize(("headers", "status", "code"), WRONG)
def test_a_wrong_handshake_is_told_what_is_wrong(
    shared: Server, headers: dict[str, str], status: int, code: str
) -> None:
    with shared.raw() as raw:
        raw.send(handshake_bytes("", headers))
        answer = raw.response()
        assert (answer.status, answer.code) == (status, code)
        if status == 426:
            assert answer.headers["sec-websocket-version"] == "13"
            assert answer.headers["upgrade"] == "websocket"


def test_a_handshake_is_a_get(shared: Server) -> None:
    with shared.raw() as raw:
        raw.send(handshake_bytes().replace(b"GET", b"POST", 1))
        assert raw.response().status == 405


@pytest.mark.parametrize("query", ["?userId=a%0ab", "?userId=" + "x" * 129, "?userId=a&userId=b", "?userId=%ff"])
def test_a_user_that_cannot_be_is_refused(shared: Server, query: str) -> None:
    with shared.raw() as raw:
        raw.send(handshake_bytes(query))
        answer = raw.response()
        assert answer.status == 400
        assert answer.code in ("invalid_field", "bad_request")


def test_a_handshake_may_not_be_pipelined_behind_an_unanswered_request(shared: Server) -> None:
    with shared.raw() as raw:
        raw.send(request_bytes("GET", "/api/channels") + handshake_bytes())
        assert raw.response().status == 200
        assert raw.response().status == 400
        assert raw.is_closed()


def test_an_upgrade_elsewhere_is_an_ordinary_request(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", "/healthz", upgrade="websocket", connection="Upgrade")
        assert answer.status == 200
        assert raw.request("GET", "/healthz").status == 200


def test_the_user_of_the_query_is_the_author(shared: Server, room: str) -> None:
    with shared.peer("?userId=%C3%A9va%20b&projectId=p1") as peer:
        peer.subscribe(f"chat/{room}/p1")
        peer.say("chat", roomId=room, text="hi")
        (found,) = peer.events(1)
        assert (found["userId"], found["data"]["userId"], found["topic"]) == ("éva b", "éva b", f"chat/{room}/p1")


def test_a_project_id_has_a_length(shared: Server) -> None:
    """It becomes part of every name that the client may use, and names are remembered."""
    with shared.peer(f"?projectId={'p' * 128}") as peer:
        peer.subscribe(f"chat/general/{'p' * 128}")
    with shared.raw() as raw:
        raw.send(handshake_bytes(f"?projectId={'p' * 129}"))
        answer = raw.response()
        assert (answer.status, answer.json["code"]) == (400, "invalid_field")
