"""URLs, backoff, HTTP and closes: values in, values out."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import model
from chatkit.client import sending
from chatkit.client.backoff import Backoff
from chatkit.client.endpoint import Endpoint, checked_token, parse_url
from chatkit.client.http1 import Response, Responses, encode_request
from chatkit.client.letters import Letters
from chatkit.client.link import Lost, verdict
from chatkit.errors import InvalidName, Refused, Unreachable


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("http://127.0.0.1:8787", "127.0.0.1", 8787),
        ("ws://localhost:1/", "localhost", 1),
        ("localhost", "localhost", 8787),
        ("HTTP://Example.org", "example.org", 80),
        ("[::1]:99", "::1", 99),
        ("http://[::1]", "::1", 80),
    ],
)
def test_urls(text: str, host: str, port: int) -> None:
    assert parse_url(text) == Endpoint(host, port)
    assert parse_url(parse_url(text).url) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://x", "https://x/y", "unix:", "http://x:0", "http://x:70000", "http://u:p@x", "http://x/y",
     "x y", "http://x\r\ny", "://x", "http://x:y"],
)  # fmt: skip
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_url(text)


def test_a_token_cannot_smuggle_a_field_and_is_not_shown() -> None:
    with pytest.raises(InvalidName) as caught:
        checked_token("secret\r\nX: y")
    assert "secret" not in str(caught.value)
    assert checked_token("") is None


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 50))
def test_backoff_is_bounded_and_grows(draw: float, attempts: int) -> None:
    backoff = Backoff(base_s=0.2, cap_s=5.0)
    for _ in range(attempts):
        assert 0 <= backoff.next_s(draw) < 5.0
    assert backoff.next_s(draw, at_least_s=3.0) >= 3.0
    backoff.reset()
    assert backoff.next_s(draw) < 0.2


@given(st.text(alphabet="abc/.-_~:@* é\n0", max_size=70))
def test_the_cheap_way_to_read_a_name_is_the_same_way(name: str) -> None:
    def outcome(read: object) -> str:
        try:
            return str(read(name))  # type: ignore[operator]
        except InvalidName:
            return "refused"

    assert outcome(sending.channel_of) == outcome(model.channel_of)


def test_a_table_is_no_channel() -> None:
    with pytest.raises(InvalidName, match="reserved"):
        sending.channel_of("table/x")


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000"])
def test_a_message_has_something_to_say(text: str) -> None:
    with pytest.raises(InvalidName, match="empty"):
        sending.message("general", text, user="u")


@pytest.mark.parametrize("where", ["general", "game/7"])
def test_a_message_is_the_same_bytes_for_the_same_id(where: str) -> None:
    one, two = (sending.message(where, "hé", user="u", event_id="1", metadata={"a": 1}) for _ in range(2))
    assert one == two
    body = json.loads(one.body)
    assert "hé" in json.dumps(body, ensure_ascii=False)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidName, match="UTF-8"):
        sending.message("general", "\udcff", user="u")


def response(status: int, body: bytes, extra: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


@given(st.integers(1, 40))
def test_responses_cut_into_any_pieces(size: int) -> None:
    stream = response(200, b"{}") + response(503, b'{"x":1}', "Retry-After: 2\r\n") + response(204, b"")
    responses = Responses("http://x")
    got = [item for at in range(0, len(stream), size) for item in responses.feed(stream[at : at + size])]
    assert [(item.status, item.body, item.retry_after_s) for item in got] == [
        (200, b"{}", None), (503, b'{"x":1}', 2.0), (204, b"", None),
    ]  # fmt: skip


@pytest.mark.parametrize("stream", [b"SSH-2.0-OpenSSH_9\r\n", b"\x00\x01", b"HTTP/9 x\r\n\r\n"])
def test_what_is_not_http_is_no_server(stream: bytes) -> None:
    with pytest.raises(Unreachable, match="http://x does not answer as a chatkit server does"):
        Responses("http://x").feed(stream)


def test_a_request_is_one_write_with_its_credential() -> None:
    data = encode_request("POST", "/p", "h:1", "tok", b"{}")
    assert data.startswith(b"POST /p HTTP/1.1\r\nHost: h:1\r\n")
    assert b"Authorization: Bearer tok\r\n" in data
    assert data.endswith(b"Content-Length: 2\r\n\r\n{}")


def answer(status: int, body: bytes) -> sending.Receipt:
    post = sending.message("general", "x", user="u", event_id="1")
    return sending.receipt_of(post, Response(status, body, None, True), "http://x")


def test_receipts() -> None:
    assert answer(200, b'{"ok":true,"id":"1","seq":7}') == ("chat/general", "1", 7, False)
    assert answer(200, b'{"ok":true,"id":"1","seq":7,"duplicate":true}').duplicate
    with pytest.raises(Refused) as caught:
        answer(413, b'{"ok":false,"code":"too_large","error":"too much"}')
    assert (caught.value.code, caught.value.status, str(caught.value)) == ("too_large", 413, "too much")
    for status, body in ((404, b"<html>"), (200, b"[]"), (200, b""), (404, b'{"detail":"Not Found"}')):
        with pytest.raises(Unreachable):
            answer(status, body)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1012, 4000, 4408, 4499])
def test_closes_that_another_connection_mends(code: int | None) -> None:
    assert isinstance(verdict(code, ""), Lost)


@pytest.mark.parametrize("code", [1002, 1007, 1008, 1009, 4500, 4501, 4502])
def test_closes_that_are_final(code: int) -> None:
    error = verdict(code, "why")
    assert isinstance(error, Refused)
    assert (error.status == 401) == (code == 4501)


@given(st.integers(0, 2**63), st.integers(0, 2**64 - 1))
def test_ids_are_uuids_of_version_7(now_ns: int, random_bits: int) -> None:
    one = uuid.UUID(sending.uuid7(now_ns, random_bits))
    assert (one.version, one.variant) == (7, uuid.RFC_4122)
    assert one.int >> 80 == now_ns // 10**6


def test_ids_made_one_after_the_other_are_in_order() -> None:
    start = time.time_ns()
    ids = [sending.uuid7(start + step * 1000, 2**64 - 1 - step) for step in range(3000)]
    assert ids == sorted(set(ids))
    assert uuid.UUID(sending.new_id()).version == 7


@given(st.lists(st.sampled_from([
    response(200, b'{"ok":true}'), response(200, b'{"ok":true,"seq":12}'), response(200, b""),
    response(200, b"x" * 300), response(200, b"{}", "Retry-After: 1\r\n"), response(200, b"{}", "Connection: close\r\n"),
    b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    response(503, b"{}"), response(200, b"y" * 70_000),
]), max_size=8), st.integers(1, 500))  # fmt: skip
def test_plain_responses_are_read_as_the_parser_reads_them(parts: list[bytes], size: int) -> None:
    for at, part in enumerate(parts):
        if b"Connection: close" in part:
            del parts[at + 1 :]  # what follows it is no response
    stream, fast, slow = b"".join(parts), Responses("http://x"), httptools_only()
    found = [item for at in range(0, len(stream), size) for item in fast.feed(stream[at : at + size])]
    assert found == slow.feed(stream)


def httptools_only() -> Responses:
    """The same, without the short way."""
    responses = Responses("http://x")
    responses._plain = lambda data: data  # type: ignore[method-assign]
    return responses


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["general", "chat/a.b", "game/7", "комната"]))
def test_a_letter_is_the_same_request_byte_for_byte(text: str, where: str) -> None:
    endpoint = Endpoint("127.0.0.1", 1)
    for user in ("bob", 'a"b\\', "Ян", "0" * 36):
        data, event_id = Letters(endpoint, "token", where, user).letter(text)
        post = sending.message(where, text, user=user, event_id=event_id)
        expected = encode_request("POST", post.path, endpoint.authority, "token", post.body)
        if "\x7f" not in text:
            assert data == expected
        assert json.loads(data.partition(b"\r\n\r\n")[2]) == json.loads(post.body)
        assert b"Content-Length: %d\r\n" % len(data.partition(b"\r\n\r\n")[2]) in data


def test_the_ids_of_letters_are_in_order() -> None:
    letters = Letters(Endpoint("127.0.0.1", 1), None, "general", "bob")
    ids = [letters.letter("x")[1] for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [item[:13] for item in ids] == sorted(item[:13] for item in ids)
