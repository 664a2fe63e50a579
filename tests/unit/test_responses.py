"""HTTP responses as bytes, the table of options, and the tables of codes."""

from __future__ import annotations

import dataclasses
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from chatkit.errors import STATUS, CloseCode, Refused, may_reconnect
from chatkit.server import responses
from chatkit.server.config import Config


def split(data: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return status, dict(field.split(": ", 1) for field in fields), body


def test_an_answer_says_what_it_is_and_how_long() -> None:
    for data in (responses.ok(b'{"ok":true}'), responses.response(200, b'{"ok":true}')):
        status, fields, body = split(data)
        assert (status, body) == ("HTTP/1.1 200 OK", b'{"ok":true}')
        assert (fields["Content-Type"], fields["Content-Length"]) == ("application/json", "11")
        assert parsedate_to_datetime(fields["Date"]).tzinfo is not None
        assert "Connection" not in fields


def test_an_answer_to_head_has_the_length_and_no_body() -> None:
    _, fields, body = split(responses.response(200, b"12345", close=True, head_only=True, headers={"X": "y"}))
    assert (fields["Content-Length"], fields["Connection"], fields["X"], body) == ("5", "close", "y", b"")


def test_304_says_nothing_about_a_body() -> None:
    _, fields, body = split(responses.response(304, b""))
    assert "Content-Length" not in fields
    assert body == b""


@pytest.mark.parametrize("code", STATUS)
def test_every_code_is_a_status_with_a_reason(code: str) -> None:
    status, _, body = split(responses.refusal(Refused(code, "why", retry_after_s=0.2)))
    assert status.startswith(f"HTTP/1.1 {STATUS[code]} ")
    assert status.rpartition(" ")[2]
    assert f'"code":"{code}"'.encode() in body


def test_a_retry_is_told_in_whole_seconds() -> None:
    for after, said in ((0.2, "1"), (1, "1"), (5.4, "5")):
        assert split(responses.refusal(Refused("unavailable", "x", retry_after_s=after)))[1]["Retry-After"] == said
    assert "Retry-After" not in split(responses.refusal(Refused("unavailable", "x")))[1]


def test_close_codes_tell_whether_to_come_back() -> None:
    back = {code for code in CloseCode if may_reconnect(code)}
    assert back == {
        CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART, CloseCode.STALLED, CloseCode.PING_TIMEOUT,
    }  # fmt: skip
    assert [may_reconnect(code) for code in (4000, 4499, 4500, 4999)] == [True, True, False, False]


def test_every_option_is_declared_whole_and_once() -> None:
    fields = dataclasses.fields(Config)
    flags = [field.metadata["flag"] for field in fields]
    names = [field.metadata["env"] for field in fields]
    assert len(set(flags)) == len(set(names)) == len(fields)
    for field in fields:
        assert field.metadata["flag"].startswith("--")
        assert field.metadata["env"].startswith("CHATKIT_")
        assert field.metadata["help"].endswith(".")


def test_the_defaults_are_those_of_the_protocol() -> None:
    config = Config()
    assert (config.host, config.port, config.durability) == ("127.0.0.1", 8787, "full")
    assert (config.max_message_bytes, config.max_head_bytes, config.max_head_fields) == (65536, 16384, 100)
    assert (config.max_connections, config.max_topics, config.max_queued_bytes) == (10_000, 128, 1 << 20)
    assert (config.replay_page, config.request_timeout_s, config.drain_timeout_s) == (300, 10, 10)
    assert (config.ping_interval_s, config.ping_timeout_s, config.stall_timeout_s) == (25, 10, 60)
    assert Config(db=Path("x")).database == Path("x")
    assert Config().database.name == "chatkit.db"
