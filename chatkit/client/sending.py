"""What a send says and what its answer means; pure, and light enough for a one-shot command."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Final, NamedTuple

from ..errors import InvalidName, Refused, Unreachable
from .http1 import Response

_SEND_PATH: Final = "/examples/chat/send"
_PUBLISH_PATH: Final = "/api/publish"

#: Statuses after which the outcome is unknown, or which pass: the same request again, with the same id.
RETRY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})

# The grammar lives in chatkit.model, which loads msgspec and with it half of the standard library. Nearly every name
# is one of these, is right, and need not pay for that.
_PLAIN_NAME = re.compile(r"(?!table/)[A-Za-z0-9._~:@-]{1,64}(?:/[A-Za-z0-9._~:@-]{1,64})?")
_PLAIN_ID = re.compile(r"[A-Za-z0-9._~:@-]{1,128}")


class Receipt(NamedTuple):
    """What the server says of an event that is done: durable if it is persisted.

    Attributes:
        channel: where it went.
        id: its id, the caller's or a new one.
        seq: its position in the log, ``None`` when it is ephemeral.
        duplicate: the id was there already with the same content: nothing new was stored or broadcast.
    """

    channel: str
    id: str
    seq: int | None
    duplicate: bool


class Post(NamedTuple):
    """A request that is ready to go, as often as needed.

    Attributes:
        channel: where its event goes.
        id: its event's id, the same in every attempt.
        path: the route.
        body: JSON in UTF-8.
    """

    channel: str
    id: str
    path: str
    body: bytes


def channel_of(room_or_channel: str) -> str:
    """As :func:`chatkit.model.channel_of`, cheaper for a plain name."""
    if _PLAIN_NAME.fullmatch(room_or_channel):
        return room_or_channel if "/" in room_or_channel else f"chat/{room_or_channel}"
    from ..model import channel_of as any_channel_of  # noqa: PLC0415 - see _PLAIN_NAME

    return any_channel_of(room_or_channel)


def checked(what: str, value: str, max_chars: int) -> str:
    """As :func:`chatkit.model.check_text`, cheaper for a plain value."""
    if _PLAIN_ID.fullmatch(value):
        return value
    from ..model import check_text  # noqa: PLC0415 - see _PLAIN_NAME

    return check_text(what, value, max_chars)


def new_id() -> str:
    """A fresh id."""
    return uuid7(time.time_ns(), int.from_bytes(os.urandom(8), "big"))


def uuid7(now_ns: int, random_bits: int) -> str:
    """A UUIDv7 (RFC 9562 section 5.7): ordered by time, which keeps the server's unique index fast.

    The server takes them from ``uuid_utils``, which loads ``uuid`` and ``platform``: 6 ms of a send.

    Args:
        now_ns: Unix nanoseconds; what is below a millisecond goes into ``rand_a`` (section 6.2, method 3), so that
            ids made one after the other are in order.
        random_bits: at least 62 random bits.
    """
    ms, rest_ns = divmod(now_ns, 1_000_000)
    value = (ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (rest_ns * 4096 // 1_000_000) << 64 | 0b10 << 62
    text = f"{value | random_bits & (1 << 62) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def message(
    room_or_channel: str,
    text: str,
    *,
    user: str,
    event_id: str | None = None,
    metadata: Any = None,
    timestamp: int | None = None,
) -> Post:
    """A ``chat:message`` to a room or channel.

    Args:
        room_or_channel: where.
        text: what it says.
        user: who sends.
        event_id: by default a new one.
        metadata: any JSON value to go with it.
        timestamp: when it was written, in Unix milliseconds; by default when the server gets it.

    Raises:
        InvalidName: the room, channel, user or id breaks the grammar, or the text is empty or not UTF-8.
    """
    channel = channel_of(room_or_channel)
    if not text.strip():
        raise InvalidName("text", text, "it is empty; a message has something to say")
    event_id = new_id() if event_id is None else checked("id", event_id, 200)
    checked("user", user, 128)
    if channel.startswith("chat/"):
        body: dict[str, Any] = {"roomId": channel[5:], "id": event_id, "userId": user, "text": text}
        if timestamp is not None:
            body["timestamp"] = timestamp
        if metadata is not None:
            body["metadata"] = metadata
        return Post(channel, event_id, _SEND_PATH, _encode(body, text))
    data: dict[str, Any] = {"id": event_id, "userId": user, "text": text}
    if timestamp is not None:
        data["timestamp"] = timestamp
    if metadata is not None:
        data["metadata"] = metadata
    body = {"topic": channel, "event": "chat:message", "data": data, "persist": True, "id": event_id, "userId": user}
    return Post(channel, event_id, _PUBLISH_PATH, _encode(body, text))


def event(
    channel: str, name: str, data: Any, *, user: str, event_id: str | None = None, persist: bool | None = None
) -> Post:
    """Any event to any channel.

    Raises:
        InvalidName: the channel, event, user or id breaks the grammar, or a string in the data is not UTF-8.
    """
    topic = channel_of(channel)
    event_id = new_id() if event_id is None else checked("id", event_id, 200)
    body = {
        "topic": topic,
        "event": checked("event", name, 128),
        "data": data,
        "id": event_id,
        "userId": checked("user", user, 128),
    }
    if persist is not None:
        body["persist"] = persist
    return Post(topic, event_id, _PUBLISH_PATH, _encode(body, name))


def _encode(body: dict[str, Any], shown: str) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidName("text", shown, "it is not UTF-8") from None


def receipt_of(post: Post, response: Response, url: str) -> Receipt:
    """What ``response`` says of ``post``.

    Raises:
        Refused: the server said no.
        Unreachable: the answer is not one of a chatkit server.
    """
    answer = answer_of(response, url)
    event_id, seq = answer.get("id", post.id), answer.get("seq")
    return Receipt(post.channel, str(event_id), seq if isinstance(seq, int) else None, answer.get("duplicate") is True)


def answer_of(response: Response, url: str) -> dict[str, Any]:
    """The JSON object of a 200; raises as :func:`receipt_of` does."""
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Unreachable(f"{url} does not answer as a chatkit server does (HTTP {response.status}, not a JSON object)")
    if 200 <= response.status < 300:
        return answer
    code, why = answer.get("code"), answer.get("error")
    if not isinstance(code, str) or not isinstance(why, str):
        raise Unreachable(f"{url} does not answer as a chatkit server does (HTTP {response.status})")
    raise Refused(code, why, status=response.status, retry_after_s=response.retry_after_s)
