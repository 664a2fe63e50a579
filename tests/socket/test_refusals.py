"""Bodies and queries that are refused: the status, the stable code, and the field in the sentence."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import Server

SEND = "/examples/chat/send"
PUBLISH = "/api/publish"
RPC = "/internal/hooks/rpc"

_GOOD: dict[str, dict[str, Any]] = {
    SEND: {"roomId": "refused", "text": "hi"},
    PUBLISH: {"topic": "chat/refused", "event": "typing", "data": {}},
    RPC: {"method": "socket.emit", "args": ["typing", {}, "chat/refused"]},
}
_GONE: object = object()

# path, field, code, wrong values
_FIELDS: list[tuple[str, str, str, list[object]]] = [
    (SEND, "text", "invalid_field", [_GONE, "", "   ", "\n\t", None, 5, [], {}, True]),
    (SEND, "roomId", "invalid_field", [_GONE, None, 5, ["a"]]),
    (SEND, "roomId", "invalid_topic", ["", "a b", "/", "a//b", "é" * 100, "x" * 65, "*", "a\0"]),
    (SEND, "id", "invalid_field", ["", 5, "x" * 201, "a\nb", "\x1b[0m", {}]),
    (SEND, "userId", "invalid_field", ["", 5, "x" * 129, "a\rb"]),
    (SEND, "timestamp", "invalid_field", [-1, "now", 2**53, 1.5, True]),
    (PUBLISH, "topic", "invalid_field", [_GONE, None, 5]),
    (PUBLISH, "topic", "invalid_topic", ["", "orders", "table/orders", "chat/*", "chat/**", "chat/"]),
    (PUBLISH, "event", "invalid_field", [_GONE, "", 5, "x" * 129, "a\nb", "presence:join"]),
    (PUBLISH, "persist", "invalid_field", ["yes", 1, {}]),
    (PUBLISH, "id", "invalid_field", ["", 5, "x" * 201]),
    (RPC, "method", "invalid_field", [_GONE, None, 5]),
    (RPC, "args", "invalid_field", [_GONE, [], ["a"], ["a", 1, "chat/a", 2], "a", {}, ["a", 1, None]]),
    (RPC, "args", "invalid_field", [[name, {}, "chat/a"] for name in (None, 5, "", "presence:sync")]),
    (RPC, "args", "invalid_topic", [["a", 1, "orders"], ["a", 1, "chat/*"]]),
]
FIELDS = [(path, field, value, code) for path, field, code, values in _FIELDS for value in values]


@pytest.mark.parametrize(("path", "field", "value", "code"), FIELDS)
def test_a_wrong_field_is_refused_by_name(shared: Server, path: str, field: str, value: object, code: str) -> None:
    body = {**_GOOD[path], field: value}
    if value is _GONE:
        del body[field]
    with shared.raw() as raw:
        answer = raw.request("POST", path, body)
        assert (answer.status, answer.code) == (400, code), answer
        if path == SEND:
            assert f"`{field}`" in answer.json["error"]
        assert raw.request("GET", "/healthz").status == 200  # the connection lives


NOT_JSON = [b"{", b"", b"hi", b"\xff\xfe{}", b'{"x":' + b"[" * 30_000]


@pytest.mark.parametrize("path", _GOOD)
@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:12]))
def test_a_body_that_is_not_json_in_utf8_is_refused(shared: Server, path: str, body: bytes) -> None:
    with shared.raw() as raw:
        answer = raw.request("POST", path, body)
        assert (answer.status, answer.code) == (400, "invalid_json")
        assert raw.request("GET", "/healthz").status == 200


@pytest.mark.parametrize("path", _GOOD)
@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"true"])
def test_a_body_that_is_not_an_object_is_refused(shared: Server, path: str, body: bytes) -> None:
    with shared.raw() as raw:
        answer = raw.request("POST", path, body)
    assert (answer.status, answer.code) == (400, "invalid_field")


@pytest.mark.parametrize(
    "data",
    [b"1e999", b"-1e999", b'{"a":[1e400]}', b'"\xff"', b'"\\ud800"', b"[" * 2_000 + b"]" * 2_000],
    ids=lambda data: repr(data[:12]),
)
def test_data_that_not_every_reader_could_decode_is_refused(shared: Server, data: bytes) -> None:
    with shared.raw() as raw:
        for body in (
            b'{"topic":"chat/a","event":"chat:message","persist":true,"data":%b}' % data,
            b'{"topic":"chat/a","event":"e","data":%b}' % data,
        ):
            answer = raw.request("POST", PUBLISH, body)
            assert (answer.status, answer.code) == (400, "invalid_json")
        answer = raw.request("POST", SEND, b'{"roomId":"a","text":"hi","metadata":%b}' % data)
        assert (answer.status, answer.code) == (400, "invalid_json")


@pytest.mark.parametrize("path", [*_GOOD, "/setup"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_a_body_that_does_not_say_it_is_json_is_refused(shared: Server, path: str, content_type: str) -> None:
    with shared.raw() as raw:
        answer = raw.request("POST", path, _GOOD.get(path, {}), content_type=content_type)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;a=b"]
)
def test_parameters_and_case_of_the_content_type_do_not_matter(shared: Server, content_type: str) -> None:
    with shared.raw() as raw:
        assert raw.request("POST", SEND, _GOOD[SEND], content_type=content_type).status == 200


def test_a_post_without_a_body_needs_no_content_type(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("POST", SEND)
    assert (answer.status, answer.code) == (400, "invalid_json")


_NUMBERS = ("after", "before", "limit", "since", "last")
_NOT_NUMBERS = ("x", "-1", "1.5", "9007199254740992", "%D9%A3", "1e3")

# target, code
QUERIES = [
    *[(f"/api/messages?{field}={value}", "invalid_field") for field in _NUMBERS for value in _NOT_NUMBERS],
    ("/api/messages?limit=0", "invalid_field"),
    ("/api/messages?limit=1&limit=2", "invalid_field"),
    ("/api/messages?channel=orders", "invalid_topic"),
    ("/api/messages?channel=", "invalid_topic"),
    ("/api/messages?channel=table/orders", "invalid_topic"),
    ("/api/messages?user=%ff", "bad_request"),
    ("/api/messages?" + "&".join(f"a{n}=1" for n in range(40)), "bad_request"),
    ("/api/v1/public/realtime/history", "invalid_field"),
    ("/api/v1/public/realtime/history?room=", "invalid_field"),
    ("/api/v1/public/realtime/history?room=a%20b", "invalid_topic"),
    ("/api/v1/public/realtime/history?room=chat/a&before=x", "invalid_field"),
    ("/api/presence", "invalid_field"),
    ("/api/presence?channel=chat/*", "invalid_topic"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "code"), QUERIES)
def test_a_wrong_query_is_refused(shared: Server, target: str, code: str) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", target)
        assert (answer.status, answer.code) == (400, code)
        assert raw.request("GET", "/healthz").status == 200


def test_a_refused_message_leaves_nothing_behind(shared: Server) -> None:
    with shared.raw() as raw:
        found = raw.request("GET", "/api/messages?channel=chat/refused").json["messages"]
    assert {message["data"]["text"] for message in found} <= {"hi"}
