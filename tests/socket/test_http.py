"""HTTP/1.1 as a connection sees it: keep-alive, pipelining, bodies in pieces, HEAD, HTTP/1.0."""

from __future__ import annotations

import pytest

from .harness import Server
from .raw import request_bytes

SEND = "/examples/chat/send"


def test_a_connection_carries_one_request_after_another(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        found = [raw.request("POST", SEND, {"roomId": room, "text": "hi"}).json["seq"] for _ in range(5)]
    assert found == sorted(set(found))


def test_connection_close_is_honoured(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", "/healthz", connection="close")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.is_closed()


def test_what_follows_a_request_that_closes_is_not_carried_out(shared: Server, room: str) -> None:
    body = {"roomId": room, "text": "hi"}
    with shared.raw() as raw:
        raw.send(request_bytes("POST", SEND, body, connection="close") + request_bytes("POST", SEND, body))
        assert raw.response().status == 200
        assert raw.is_closed()
        with shared.raw() as other:
            assert len(other.request("GET", f"/api/messages?channel=chat/{room}").json["messages"]) == 1


def test_http_1_0_closes_after_the_answer(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", "/healthz", version="1.0", host="")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.is_closed()


def test_http_1_0_is_not_kept_even_where_it_asks(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", "/healthz", version="1.0", connection="keep-alive")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.is_closed()


def test_pipelined_requests_are_answered_in_their_order(shared: Server, room: str) -> None:
    requests = [
        request_bytes("GET", "/api/messages?limit=1"),  # reads a file
        request_bytes("POST", SEND, {"roomId": room, "text": "hi", "id": f"{room}-1"}),  # waits for a commit
        request_bytes("GET", "/healthz"),  # at once
        request_bytes("GET", "/nothing"),
        request_bytes("POST", SEND, {"roomId": room, "text": ""}),
        request_bytes("HEAD", "/healthz"),
        request_bytes("GET", "/api/channels"),
    ]
    with shared.raw() as raw:
        raw.send(b"".join(requests))
        answers = [raw.response(head_only=request.startswith(b"HEAD")) for request in requests]
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 400, 200, 200]
    assert "messages" in answers[0].json
    assert answers[1].json["id"] == f"{room}-1"
    assert "channels" in answers[6].json


@pytest.mark.parametrize("slow_first", [False, True])
def test_thousands_of_pipelined_requests_are_all_answered(shared: Server, slow_first: bool) -> None:
    count = 3000
    with shared.raw() as raw:
        raw.send(
            b"".join([request_bytes("GET", "/api/channels")] * slow_first + [request_bytes("POST", "/setup")] * count)
        )
        if slow_first:
            assert "channels" in raw.response().json
        assert all(raw.response().json == {"ok": True} for _ in range(count))


def test_pipelined_sends_of_one_connection_keep_their_order(shared: Server, room: str) -> None:
    bodies = [{"roomId": room, "text": str(number)} for number in range(1000)]
    with shared.raw() as raw:
        raw.send(b"".join(request_bytes("POST", SEND, body) for body in bodies))
        found = [raw.response().json["seq"] for _ in bodies]
        messages = raw.request("GET", f"/api/messages?channel=chat/{room}&limit=1000").json["messages"]
    assert found == sorted(found)
    assert [message["data"]["text"] for message in messages] == [body["text"] for body in bodies]


def test_a_request_may_arrive_byte_by_byte(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        for byte in request_bytes("POST", SEND, {"roomId": room, "text": "hi"}):
            raw.send(bytes([byte]))
        assert raw.response().status == 200


def chunked(*chunks: bytes) -> bytes:
    head = request_bytes("POST", SEND, b"", content_length="", transfer_encoding="chunked")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def test_a_body_may_come_in_chunks(shared: Server, room: str) -> None:
    with shared.raw() as raw:
        raw.send(chunked(b'{"roomId":"', room.encode(), b'","text":"', b"h\xc3", b'\xa9"}') * 2)
        assert [raw.response().status for _ in range(2)] == [200, 200]
        messages = raw.request("GET", f"/api/messages?channel=chat/{room}").json["messages"]
    assert [message["data"]["text"] for message in messages] == ["hé", "hé"]


@pytest.mark.timeout(20)
def test_a_body_in_tiny_chunks_costs_no_more_than_its_bytes(shared: Server) -> None:
    body = b'{"roomId":"chunks","text":"' + b"x" * 60_000 + b'"}'
    with shared.raw() as raw:
        raw.send(chunked(*[body[place : place + 1] for place in range(len(body))]))
        assert raw.response().status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", ["/healthz", "/", "/api/channels", "/api/messages", "/api/presence?channel=chat/a"])
def test_head_is_answered_as_get_without_the_body(shared: Server, method: str, target: str) -> None:
    with shared.raw() as raw:
        answer = raw.request(method, target)
        assert (answer.status, int(answer.headers["content-length"]) > 0) == (200, True)
        assert raw.request("GET", "/healthz").json == {"ok": True}  # nothing of the body is in the way


@pytest.mark.parametrize("target", ["/nothing", "/setup", "/api/messages?limit=0", "/api/presence"])
def test_a_head_that_is_refused_has_no_body_either(shared: Server, target: str) -> None:
    with shared.raw() as raw:
        assert raw.request("HEAD", target).status in (400, 404, 405)
        assert raw.request("GET", "/healthz").json == {"ok": True}


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it_once(shared: Server, room: str) -> None:
    whole = request_bytes("POST", SEND, {"roomId": room, "text": "hi"}, expect="100-continue")
    head, _, body = whole.partition(b"\r\n\r\n")
    with shared.raw() as raw:
        raw.send(head + b"\r\n\r\n")
        assert raw.response().status == 100
        for byte in body:
            raw.send(bytes([byte]))
        assert raw.response().status == 200
        assert raw.request("GET", "/healthz").status == 200


def test_a_client_that_waits_for_leave_to_send_chunks_gets_it(shared: Server, room: str) -> None:
    body = b'{"roomId":"%b","text":"hi"}' % room.encode()
    with shared.raw() as raw:
        raw.send(
            request_bytes("POST", SEND, b"", content_length="", transfer_encoding="chunked", expect="100-continue")
        )
        assert raw.response().status == 100
        raw.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert raw.response().status == 200


def test_leave_is_refused_at_once_where_the_body_would_be(shared: Server) -> None:
    with shared.raw() as raw:
        raw.send(request_bytes("POST", SEND, b"", content_length="1000000", expect="100-continue"))
        answer = raw.response()
        assert (answer.status, answer.code) == (413, "too_large")


def test_an_absolute_target_means_its_path(shared: Server) -> None:
    with shared.raw() as raw:
        assert raw.request("GET", "http://localhost:8787/healthz", host="localhost:8787").status == 200
        assert raw.request("GET", "http://localhost:8787", host="localhost:8787").status == 200


def test_empty_lines_before_a_request_are_ignored(shared: Server) -> None:
    with shared.raw() as raw:
        for prefix in (b"\r\n", b"\r\n\r\n\r\n"):
            raw.send(prefix + request_bytes("GET", "/healthz"))
            assert raw.response().status == 200
        raw.send(b"\r")
        raw.send(b"\n" + request_bytes("GET", "/healthz"))
        assert raw.response().status == 200
