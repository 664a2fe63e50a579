"""From what a client sends to what the log accepts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from chatkit import wire
from chatkit.errors import Refused
from chatkit.server.session import MAX_LAST, Session, error_for
from chatkit.server.submissions import Author, Maker

NOBODY, ADA = Author(None, frozenset({"local"})), Author("ada", frozenset({"local"}))


@pytest.fixture
def maker() -> Maker:
    ids = iter(f"id{number}" for number in range(100))
    return Maker(lambda: 1234, lambda: next(ids))


def test_a_message_is_filled_in(maker: Maker) -> None:
    made = maker.message(NOBODY, "general", "hi")
    assert (made.event.channel, made.event.id, made.event.user_id) == ("chat/general", "id0", "anonymous")
    assert (made.event.timestamp, made.timestamp_given, made.derived, made.text) == (1234, False, True, "hi")
    assert json.loads(made.event.data) == {"id": "id0", "userId": "anonymous", "text": "hi", "timestamp": 1234}


def test_what_is_given_is_kept(maker: Maker) -> None:
    raw = msgspec.Raw(b'{ "a": 1 }')
    made = maker.message(ADA, "a/local", "hi", event_id="x", user_id="bob", timestamp=0, metadata=raw)
    assert (made.event.channel, made.event.id, made.event.user_id, made.event.timestamp) == ("chat/a", "x", "bob", 0)
    assert (made.timestamp_given, made.derived) == (True, False)
    assert json.loads(made.event.data)["metadata"] == {"a": 1}
    assert maker.message(ADA, "a", "hi").event.user_id == "ada"


@pytest.mark.parametrize("metadata", [wire.NULL, msgspec.Raw(b"null")])
def test_no_metadata_is_left_out(maker: Maker, metadata: msgspec.Raw) -> None:
    made = maker.message(ADA, "a", "hi", metadata=metadata)
    assert "metadata" not in json.loads(made.event.data)
    assert made.derived


def test_an_event_is_ephemeral_unless_asked(maker: Maker) -> None:
    made = maker.event(ADA, "game/a/local", "move", msgspec.Raw(b"[1]"))
    assert (made.event.channel, made.event.persist, made.event.data, made.derived) == ("game/a", False, b"[1]", False)
    assert maker.event(ADA, "game/a", "move", wire.NULL, persist=True).event.persist


@pytest.mark.parametrize(("data", "text"), [(b'{"text":"hi"}', "hi"), (b'{"text":5}', ""), (b"[]", ""), (b"null", "")])
def test_a_message_that_comes_as_an_event_has_its_text_in_the_column(maker: Maker, data: bytes, text: str) -> None:
    made = maker.event(ADA, "chat/a", "chat:message", msgspec.Raw(data), persist=True)
    assert (made.text, made.derived, made.event.data) == (text, False, data)


def test_names_of_the_servers_own_events_may_not_be_used(maker: Maker) -> None:
    with pytest.raises(Refused) as raised:
        maker.event(ADA, "chat/a", "presence:join", wire.NULL)
    assert raised.value.code == "invalid_field"


@pytest.mark.parametrize(
    ("fields", "topics", "code"),
    [
        ({}, 2, "too_many_topics"),
        ({"after": -1}, 0, "invalid_field"),
        ({"last": -1}, 0, "invalid_field"),
        ({"last": MAX_LAST + 1}, 0, "invalid_field"),
        ({"after": 1, "last": 1}, 0, "invalid_field"),
        ({"after": 0}, 1, None),
        ({"last": MAX_LAST}, 1, None),
    ],
)
def test_a_subscription_has_bounds(fields: dict[str, Any], topics: int, code: str | None) -> None:
    session = Session(ADA, max_topics=2)
    command = wire.Subscribe("chat/a", **fields)
    if code is None:
        session.check_subscribe(command, topics)
        return
    with pytest.raises(Refused) as raised:
        session.check_subscribe(command, topics)
    assert raised.value.code == code


def test_presence_has_bounds() -> None:
    session = Session(ADA, max_topics=2)
    session.tracked = frozenset({"a/a", "a/b"})
    session.check_track("a/a")
    with pytest.raises(Refused):
        session.check_track("a/c")


@pytest.mark.parametrize(
    ("payload", "extra"),
    [
        (b'{"id":"1","topic":"t"}', {"id": "1", "topic": "t"}),
        (b'{"id":1,"topic":["t"]}', {}),
        (b"[]", {}),
        (b"{", {}),
        (b"\xff", {}),
    ],
)
def test_an_error_names_the_id_and_topic_it_is_about(payload: bytes, extra: dict[str, str]) -> None:
    frame = json.loads(wire.encode(error_for(payload, Refused("invalid_field", "no"))))
    assert frame == {"type": "error", "code": "invalid_field", "message": "no", **extra}
