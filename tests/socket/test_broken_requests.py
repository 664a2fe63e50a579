"""Requests that are broken, too large, or never finished."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import Server
from .raw import Raw, request_bytes

SEND = "/examples/chat/send"


def lives(server: Server) -> bool:
    with server.raw() as raw:
        return raw.request("GET", "/healthz").status == 200


NOT_HTTP = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of TLS
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",  # no Host
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nbad name: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nx: a\0b\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
    b"POST /setup HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 100,
]


@pytest.mark.parametrize("data", NOT_HTTP, ids=lambda data: repr(data[:60]))
def test_what_is_not_http_is_answered_400_and_closed(shared: Server, data: bytes) -> None:
    with shared.raw() as raw:
        raw.send(data)
        answer = raw.response()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        assert raw.is_closed()
    assert lives(shared)


def test_another_version_of_http_is_not_spoken(shared: Server) -> None:
    for data in (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", b"GET / HTTP/0.9\r\nHost: localhost\r\n\r\n"):
        with shared.raw() as raw:
            raw.send(data)
            answer = raw.response()
            assert answer.status in (400, 505)
            assert raw.is_closed()


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", "/examples/chat/send", "POST"),
        ("DELETE", "/api/publish", "POST"),
        ("PUT", "/setup", "POST"),
        ("POST", "/api/messages", "GET, HEAD"),
        ("OPTIONS", "/healthz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(shared: Server, method: str, target: str, allow: str) -> None:
    with shared.raw() as raw:
        answer = raw.request(method, target)
        assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method_not_allowed", allow)
        assert raw.request("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "target", ["/nothing", "/healthz/", "//healthz", "/../healthz", "/%68ealthz/x", "/api", "/%00"]
)
def test_an_unknown_path_is_not_found(shared: Server, target: str) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", target)
        assert (answer.status, answer.code) == (404, "not_found")
        assert raw.request("GET", "/healthz").status == 200


def test_what_was_asked_before_a_broken_request_is_answered_first(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        raw.send(request_bytes("POST", SEND, {"roomId": room, "text": "hi"}) + b"nonsense \r\n\r\n")
        assert raw.response().status == 200
        assert raw.response().status == 400
        assert raw.is_closed()


# ---------------------------------------------------------------------------------------------------- too large


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(make_server: Callable[..., Server]) -> None:
    server = make_server(max_message_bytes=1000)
    with server.raw() as raw:
        fits = b'{"roomId":"a","text":"' + b"x" * 976 + b'"}'
        assert len(fits) == 1000
        assert raw.request("POST", SEND, fits).status == 200
        answer = raw.request("POST", SEND, fits + b" ")
        assert (answer.status, answer.code) == (413, "too_large")
        assert raw.is_closed()
    with server.raw() as raw:
        raw.send(request_bytes("POST", SEND, b"", content_length="", transfer_encoding="chunked"))
        raw.send(b"3e8\r\n" + fits + b"\r\n1\r\n \r\n0\r\n\r\n")
        assert raw.response().code == "too_large"


@pytest.mark.parametrize("megabytes", [1, 30])
def test_a_client_that_is_still_sending_too_much_hears_why(shared: Server, megabytes: int) -> None:
    with shared.raw() as raw:
        raw.send(request_bytes("POST", SEND, b"x" * (megabytes << 20)))
        answer = raw.response()
        assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("line_end", [b"", b"\r\n\r\n"], ids=["unfinished", "finished"])
def test_a_head_that_is_too_long_is_refused(shared: Server, line_end: bytes) -> None:
    with shared.raw() as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 17_000 + line_end)
        answer = raw.response()
        assert (answer.status, answer.code) == (431, "head_too_large")
        assert raw.is_closed()


def test_a_head_of_too_many_fields_is_refused(shared: Server) -> None:
    for count, status in ((99, 200), (100, 431)):
        with shared.raw() as raw:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * count + b"\r\n")
            assert raw.response().status == status


# ------------------------------------------------------------------------------------------------- never finished

WHOLE = request_bytes("POST", SEND, {"roomId": "truncated", "text": "hi"})
CHUNKED = request_bytes("POST", SEND, b"", content_length="", transfer_encoding="chunked") + b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("data", [WHOLE, CHUNKED], ids=["length", "chunked"])
def test_a_request_that_ends_early_does_nothing(shared: Server, data: bytes) -> None:
    for size in range(1, len(data), 7):
        with shared.raw() as raw:
            raw.send(data[:size])
            raw.half_close()
            answer = raw.response()
            assert (answer.status, answer.code) == (400, "bad_request")
            assert raw.is_closed()
    with shared.raw() as raw:
        assert raw.request("GET", "/api/messages?channel=chat/truncated").json["messages"] == []


@pytest.mark.parametrize("leave", [Raw.close, Raw.reset], ids=["close", "reset"])
def test_a_client_that_vanishes_mid_request_harms_nobody(shared: Server, leave: Callable[[Raw], None]) -> None:
    for size in range(0, len(WHOLE) + 1, 11):
        raw = shared.raw()
        raw.send(WHOLE[:size])
        leave(raw)
    with shared.raw() as raw:
        raw.send(WHOLE * 50)
        leave(raw)
    assert lives(shared)
    assert shared.on_loop(lambda: len(shared.context.links)) == 0


def test_a_client_that_only_stops_sending_gets_its_answers(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        raw.send(request_bytes("POST", SEND, {"roomId": room, "text": "hi"}) * 3)
        raw.half_close()
        assert [raw.response().status for _ in range(3)] == [200] * 3
        assert raw.is_closed()


def test_a_client_that_sends_nothing_and_leaves_is_forgotten(shared: Server) -> None:
    with shared.raw() as raw:
        raw.half_close()
        assert raw.is_closed()
