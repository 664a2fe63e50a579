"""Bodies and frames: decoding with a sentence, encoding that every JSON parser reads back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import wire
from chatkit.errors import STATUS, Refused
from chatkit.model import Event

from .attempt import attempt


def refused(decoder: msgspec.json.Decoder[Any], payload: bytes) -> Refused:
    with pytest.raises(Refused) as raised:
        wire.decode_with(decoder, payload, "body")
    return raised.value


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        (b"{}", "invalid_field", "`roomId` is missing"),
        (b'{"roomId":"a"}', "invalid_field", "`text` is missing"),
        (b'{"roomId":5,"text":"a"}', "invalid_field", "`roomId` should be str, not int"),
        (b'{"roomId":"a","text":null}', "invalid_field", "`text` should be str, not null"),
        (b"[]", "invalid_field", "the body should be object, not array"),
        (b"{", "invalid_json", "not JSON in UTF-8"),
        (b'{"roomId":"\xff","text":"a"}', "invalid_json", "not JSON in UTF-8"),
        (b"", "invalid_json", "not JSON in UTF-8"),
    ],
)
def test_a_refusal_names_the_field(payload: bytes, code: str, words: str) -> None:
    error = refused(wire.send_body, payload)
    assert (error.code, error.status) == (code, 400)
    assert words in error.message


@pytest.mark.parametrize(
    ("payload", "code"), [(b"{}", "unknown_type"), (b'{"type":"x"}', "unknown_type"), (b'{"type":1}', "invalid_field")]
)
def test_a_frame_needs_a_type_that_is_known(payload: bytes, code: str) -> None:
    assert refused(wire.command, payload).code == code


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.booleans(), st.sampled_from([None, 2]))
def test_any_json_passes_unchanged_and_on_one_line(value: Any, ascii_only: bool, indent: int | None) -> None:
    sent = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    taken = attempt(wire.checked_json, msgspec.Raw(sent), "data")
    if not isinstance(taken, bytes):  # halves of surrogate pairs
        assert isinstance(taken, Refused)
        assert taken.code == "invalid_json"
        return
    assert json.loads(taken) == value
    assert b"\n" not in taken
    event = Event("chat/a", "e", "id", "user", 1, taken, 7)
    frame = json.loads(wire.encode_event(event, "chat/a/local"))
    assert frame["data"] == value
    assert frame["seq"] == 7


@given(st.binary(max_size=40))
def test_any_bytes_are_data_or_refused(data: bytes) -> None:
    body = b'{"topic":"chat/a","event":"e","data":' + data + b"}"

    def take() -> bytes:
        return wire.checked_json(wire.decode_with(wire.publish_body, body, "body").data, "data")

    taken = attempt(take)
    assert json.loads(taken) is not ... if isinstance(taken, bytes) else _is_400(taken)


def _is_400(error: object) -> bool:
    return isinstance(error, Refused) and error.status == STATUS[error.code] == 400


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_refused(data: bytes) -> None:
    decoders: list[msgspec.json.Decoder[Any]] = [wire.command, wire.send_body, wire.publish_body, wire.rpc_body]
    for decoder in decoders:
        taken = attempt(wire.decode_with, decoder, data, "frame")
        assert isinstance(taken, msgspec.Struct) or _is_400(taken)


@given(json_values, json_values)
def test_json_is_the_same_where_its_text_is(left: Any, right: Any) -> None:
    assert wire.same_json(left, left)
    assert wire.same_json(left, right) == wire.same_json(right, left)
    if json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True):
        assert wire.same_json(left, right)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [(1, 1.0, True), (1, True, False), ([0], [False], False), ({"a": 1}, {"a": 1, "b": 2}, False), ("1", 1, False)],
)
def test_true_is_not_one(left: Any, right: Any, same: bool) -> None:
    assert wire.same_json(left, right) is same


def test_deep_data_is_refused_long_before_a_parser_gives_up() -> None:
    for depth, taken in ((wire.MAX_DEPTH, True), (wire.MAX_DEPTH + 1, False), (30_000, False)):
        raw = msgspec.Raw(b"[" * depth + b"]" * depth)
        if taken:
            assert wire.checked_json(raw, "data")
        else:
            with pytest.raises(Refused):
                wire.checked_json(raw, "data")
    wide = b"[" + b"[]," * 5000 + b"[]]"
    assert wire.checked_json(msgspec.Raw(wide), "data") == wide


def test_what_is_not_there_is_left_out() -> None:
    event = Event("chat/a", "e", "1", "u", 1, b"null")
    assert json.loads(wire.encode_event(event, "chat/a")).keys() == {
        "type", "topic", "event", "id", "userId", "timestamp", "data",
    }  # fmt: skip
    assert wire.encode(wire.Ack("1")) == b'{"type":"ack","id":"1"}'
    assert wire.encode(wire.Accepted(id="1")) == b'{"ok":true,"id":"1"}'
    assert wire.encode(wire.Accepted(id="1", seq=2, duplicate=True)) == b'{"ok":true,"id":"1","seq":2,"duplicate":true}'
    assert wire.message_data("1", "u", "hi", 2) == b'{"id":"1","userId":"u","text":"hi","timestamp":2}'
