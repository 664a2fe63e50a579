"""Every body and frame of the protocol as a struct that validates while it decodes.

The HTTP bodies come first, then what a WebSocket client may say, then what the server says. Decoding raises
:class:`~chatkit.errors.Refused` with a sentence that names the field; encoding cannot fail.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from .errors import Refused
from .model import Event

T = TypeVar("T")

Json = dict[str, Any] | list[Any] | str | int | float | bool | None

_encode = msgspec.json.Encoder().encode

#: JSON's null, and what a field of any JSON is when it is left out: a union with None would take nothing but null.
NULL: Final = msgspec.Raw(b"null")


# ---------------------------------------------------------------------------------------------- HTTP bodies


class SendBody(msgspec.Struct, gc=False):
    """``POST /examples/chat/send``: a message to a room. ``timestamp`` is Unix milliseconds."""

    roomId: str  # noqa: N815 - the seed's own names
    text: str
    id: str | None = None
    userId: str | None = None  # noqa: N815
    timestamp: int | None = None
    metadata: msgspec.Raw = NULL


class PublishBody(msgspec.Struct, gc=False):
    """``POST /api/publish``: any event to any channel."""

    topic: str
    event: str
    data: msgspec.Raw = NULL
    persist: bool | None = None
    id: str | None = None
    userId: str | None = None  # noqa: N815


class RpcBody(msgspec.Struct):
    """``POST /internal/hooks/rpc``: what the SDKs' server side calls."""

    method: str
    args: list[msgspec.Raw] = []


class TokenBody(msgspec.Struct):
    """``POST /api/tokens``: patterns as in a subscription; without any, everything. ``expiresAt``: Unix milliseconds."""

    name: str
    send: list[str] = []
    read: list[str] = []
    admin: bool = False
    expiresAt: int | None = None  # noqa: N815


class RevokeBody(msgspec.Struct):
    """``POST /api/tokens/revoke``."""

    name: str


class NewToken(msgspec.Struct, kw_only=True):
    """The answer to ``POST /api/tokens``: the only time that the token is seen."""

    ok: bool = True
    token: str


class TokenInfo(msgspec.Struct):
    """One token in ``GET /api/tokens``; times are Unix milliseconds."""

    name: str
    send: list[str]
    read: list[str]
    admin: bool
    createdAt: int  # noqa: N815
    expiresAt: int | None  # noqa: N815


class TokenList(msgspec.Struct):
    """``GET /api/tokens``."""

    tokens: list[TokenInfo]


class Me(msgspec.Struct):
    """``GET /api/me``: ``userId`` is null for whoever one says one is."""

    userId: str | None  # noqa: N815
    verified: bool
    send: list[str]
    read: list[str]
    admin: bool
    expiresAt: int | None  # noqa: N815


class PruneBody(msgspec.Struct):
    """``POST /api/admin/prune``: keep so many events, or those stored at ``before`` (Unix milliseconds) or later."""

    keep: int | None = None
    before: int | None = None


class PruneAnswer(msgspec.Struct, kw_only=True):
    """What was removed by this request; ``done`` is false when more is to go, and the client asks again."""

    ok: bool = True
    removed: int
    floor: int
    done: bool


class Accepted(msgspec.Struct, kw_only=True, gc=False):
    """The answer to a send or publish that is done; an ephemeral event has no ``seq``."""

    ok: bool = True
    id: str
    seq: int | msgspec.UnsetType = msgspec.UNSET
    duplicate: bool | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, kw_only=True):
    """The answer to a request that is refused."""

    ok: bool = False
    code: str
    error: str


class Message(msgspec.Struct):
    """One persisted event in ``GET /api/messages``."""

    channel: str
    event: str
    id: str
    seq: int
    userId: str  # noqa: N815
    timestamp: int
    data: msgspec.Raw


class MessagesPage(msgspec.Struct):
    """``GET /api/messages``: oldest first; ``next`` is the ``after`` of the next page, ``None`` at the end."""

    epoch: str
    messages: list[Message]
    next: int | None = None


class HistoryMessage(msgspec.Struct):
    """One event in the SDKs' history."""

    id: str
    room_id: str
    user_id: str
    event: str
    data: msgspec.Raw
    created_at: int
    seq: int


class History(msgspec.Struct):
    """``GET /api/v1/public/realtime/history``."""

    messages: list[HistoryMessage]


class ChannelInfo(msgspec.Struct):
    """One row of ``GET /api/channels``; ``lastTime`` is Unix milliseconds."""

    name: str
    events: int
    lastSeq: int | None  # noqa: N815
    lastTime: int | None  # noqa: N815
    subscribers: int


class Channels(msgspec.Struct):
    """``GET /api/channels``."""

    channels: list[ChannelInfo]


class Present(msgspec.Struct):
    """Somebody who is here: the state they track, and on how many connections."""

    userId: str  # noqa: N815
    state: msgspec.Raw
    connections: int


class Users(msgspec.Struct):
    """``GET /api/presence`` and the data of ``presence:sync``."""

    users: list[Present]


class MessageData(msgspec.Struct, omit_defaults=True, gc=False):
    """The data of ``chat:message``."""

    id: str
    userId: str  # noqa: N815
    text: str
    timestamp: int
    metadata: msgspec.Raw | None = None


# ------------------------------------------------------------------------------- what a WebSocket client says


class Command(msgspec.Struct, tag_field="type", gc=False):
    """Base of every frame a client may send."""


class Subscribe(Command, tag="subscribe"):
    """Start, or replace, a subscription."""

    topic: str
    after: int | None = None
    epoch: str | None = None
    last: int | None = None
    filter: dict[str, Any] | None = None


class Unsubscribe(Command, tag="unsubscribe"):
    """End a subscription."""

    topic: str


class Publish(Command, tag="publish"):
    """An event from this connection's user."""

    topic: str
    event: str
    data: msgspec.Raw = NULL
    persist: bool | None = None
    id: str | None = None


class Chat(Command, tag="chat"):
    """A message from this connection's user."""

    roomId: str  # noqa: N815
    text: str
    metadata: msgspec.Raw = NULL
    id: str | None = None


class Track(Command, tag="track"):
    """Be present on a channel, or change the state."""

    topic: str
    state: msgspec.Raw = msgspec.Raw(b"{}")


class Untrack(Command, tag="untrack"):
    """Stop being present."""

    topic: str


class Auth(Command, tag="auth"):
    """A new token for this connection."""

    token: str


class Ping(Command, tag="ping"):
    """Answered with ``pong``."""


AnyCommand = Subscribe | Unsubscribe | Publish | Chat | Track | Untrack | Auth | Ping


# --------------------------------------------------------------------------------------- what the server says


class Subscribed(msgspec.Struct, tag_field="type", tag="subscribed"):
    """Sent before anything is replayed."""

    topic: str
    epoch: str
    seq: int
    recovered: bool


class EventFrame(msgspec.Struct, tag_field="type", tag="event", omit_defaults=True, gc=False):
    """An event. ``channel`` is set where it came through a pattern, whose name is the topic."""

    topic: str
    event: str
    id: str
    userId: str  # noqa: N815
    timestamp: int
    data: msgspec.Raw
    seq: int | None = None
    channel: str | None = None


class Live(msgspec.Struct, tag_field="type", tag="live"):
    """The replay is done."""

    topic: str
    seq: int


class Unsubscribed(msgspec.Struct, tag_field="type", tag="unsubscribed"):
    """The subscription has ended."""

    topic: str


class Ack(msgspec.Struct, tag_field="type", tag="ack", omit_defaults=True):
    """A publish or chat is done."""

    id: str
    seq: int | None = None
    duplicate: bool = False


class ErrorFrame(msgspec.Struct, tag_field="type", tag="error", omit_defaults=True):
    """One command failed; the connection lives."""

    code: str
    message: str
    id: str | None = None
    topic: str | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """The answer to ``ping``."""


AnyFrame = Subscribed | EventFrame | Live | Unsubscribed | Ack | ErrorFrame | Pong


# ------------------------------------------------------------------------------------------- encode and decode

encode = _encode


def encode_event(event: Event, topic: str, channel: str | None = None) -> bytes:
    """The frame text of ``event`` for a client that calls its channel ``topic``."""
    return _encode(
        EventFrame(
            topic, event.event, event.id, event.user_id, event.timestamp, msgspec.Raw(event.data), event.seq, channel
        )
    )


def message_data(event_id: str, user_id: str, text: str, timestamp: int, metadata: msgspec.Raw | None = None) -> bytes:
    """The data of a ``chat:message``, in UTF-8 JSON."""
    return _encode(MessageData(event_id, user_id, text, timestamp, metadata))


def message_of(event: Event) -> Message:
    """A persisted event as ``GET /api/messages`` shows it."""
    assert event.seq is not None  # noqa: S101 - only persisted events are listed
    return Message(
        event.channel, event.event, event.id, event.seq, event.user_id, event.timestamp, msgspec.Raw(event.data)
    )


def decode_with(decoder: msgspec.json.Decoder[T], payload: bytes, what: str) -> T:
    """Decode ``payload``.

    Args:
        decoder: what to expect.
        payload: bytes off the wire.
        what: ``"body"`` or ``"frame"``, for the sentence.

    Raises:
        Refused: ``invalid_json`` when it is not JSON in UTF-8, ``invalid_field`` when a field is missing or of the
            wrong type, ``unknown_type`` when a frame has no known type.
    """
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), what) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused("invalid_json", f"the {what} is not JSON in UTF-8: {why}") from None


_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_TYPE = re.compile(r"Expected `(?P<want>[^`]+)`, got `(?P<have>[^`]+)`(?: - at `\$\.?(?P<field>[^`]*)`)?")
_TAG = re.compile(r"Invalid value '?(?P<tag>.*?)'? - at `\$\.type`")


def _invalid(text: str, what: str) -> Refused:
    """msgspec's sentence, said in the protocol's words."""
    if found := _MISSING.match(text):
        field = found["field"]
        if field == "type":
            return Refused("unknown_type", f"the {what} has no `type`")
        return Refused("invalid_field", f"`{field}` is missing")
    if found := _TAG.match(text):
        return Refused("unknown_type", f"no {what} has the type {found['tag'][:40]!r}")
    if found := _TYPE.match(text):
        where = f"`{found['field']}`" if found["field"] else f"the {what}"
        return Refused("invalid_field", f"{where} should be {found['want']}, not {found['have']}")
    return Refused("invalid_field", text)


send_body: Final = msgspec.json.Decoder(SendBody)
publish_body: Final = msgspec.json.Decoder(PublishBody)
prune_body: Final = msgspec.json.Decoder(PruneBody)
prune_answer: Final = msgspec.json.Decoder(PruneAnswer)
rpc_body: Final = msgspec.json.Decoder(RpcBody)
token_body: Final = msgspec.json.Decoder(TokenBody)
revoke_body: Final = msgspec.json.Decoder(RevokeBody)
new_token: Final = msgspec.json.Decoder(NewToken)
token_list: Final = msgspec.json.Decoder(TokenList)
me: Final = msgspec.json.Decoder(Me)
rpc_string: Final = msgspec.json.Decoder(str)
command: Final[msgspec.json.Decoder[AnyCommand]] = msgspec.json.Decoder(AnyCommand)
server_frame: Final[msgspec.json.Decoder[AnyFrame]] = msgspec.json.Decoder(AnyFrame)
messages_page: Final = msgspec.json.Decoder(MessagesPage)
history: Final = msgspec.json.Decoder(History)
channels: Final = msgspec.json.Decoder(Channels)
users: Final = msgspec.json.Decoder(Users)
accepted: Final = msgspec.json.Decoder(Accepted)
failure: Final = msgspec.json.Decoder(Failure)
anything: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder()


def same_json(left: Any, right: Any) -> bool:
    """JSON equality of decoded values: Python takes ``True`` and ``1`` for the same, JSON does not.

    Raises:
        RecursionError: they are nested too deeply to be compared.
    """
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same_json(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same_json, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


#: Levels of nesting of a value, far from where parsers give up: what one of them takes and the next one, called from
#: deeper in a program, does not would be a message that breaks its readers.
MAX_DEPTH: Final = 100


def checked_json(raw: msgspec.Raw, field: str) -> bytes:
    """The bytes of ``raw`` on one line, after the checks that msgspec.Raw leaves out.

    A raw value is not decoded, so bytes that are no UTF-8, an escape of half a surrogate pair, or a number beyond
    every float would reach the parsers of the hub's filters, the log and every subscriber; and a value with line
    breaks would be several lines of a stream.

    Raises:
        Refused: ``invalid_json``, also for a value nested deeper than :data:`MAX_DEPTH`.
    """
    value = bytes(raw)
    try:
        decoded = anything.decode(value)
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise Refused("invalid_json", f"`{field}` is not JSON in UTF-8: {error}") from None
    if value.count(b"[") + value.count(b"{") > MAX_DEPTH and _is_deep(decoded):
        raise Refused("invalid_json", f"`{field}` is nested deeper than {MAX_DEPTH}")
    if b"\n" in value or b"\r" in value:
        return msgspec.json.format(value, indent=-1)
    return value


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = [item for item in inner if isinstance(item, dict | list)]
        if depth > MAX_DEPTH:
            return True
    return False
