"""Every HTTP route: a table from path and method to a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from .. import wire
from ..errors import InvalidName, LogError, Refused
from ..log.base import Query
from ..model import MAX_SEQ, Event, Pattern, channel_of, strip_project
from ..web import assets
from .admin import create_token, list_tokens, me, revoke_token
from .handshake import REALTIME, upgrade_required
from .pages import page
from .request import whole_number
from .stream import stream
from .submissions import Author, resolve_channel
from .upkeep import prune_request

if TYPE_CHECKING:
    from .exchange import Exchange

T = TypeVar("T")

Handler = Callable[["Exchange"], None]

_OK: Final = b'{"ok":true}'
_DEFAULT_LIMIT: Final = 50
_MAX_LIMIT: Final = 1000
#: What a page of messages may weigh, about; the next one goes on from there.
_PAGE_BYTES: Final = 4 * 1024 * 1024


# ----------------------------------------------------------------------------------------------------- writes


def setup(exchange: Exchange) -> None:
    """The tables exist since the server opened its log: creating them again changes nothing."""
    _json_body(exchange)
    exchange.ok(_OK)


def send(exchange: Exchange) -> None:
    """A message to a room."""
    body = _body(exchange, wire.send_body)
    context, grant = exchange.context, exchange.grant
    submission = context.maker.message(
        grant.author or _author(exchange),
        body.roomId,
        body.text,
        event_id=body.id,
        user_id=body.userId,
        timestamp=body.timestamp,
        metadata=body.metadata,
    )
    context.journal.submit(submission, exchange.accepted)


def publish(exchange: Exchange) -> None:
    """Any event to any channel."""
    body = _body(exchange, wire.publish_body)
    context, grant = exchange.context, exchange.grant
    submission = context.maker.event(
        grant.author or _author(exchange),
        body.topic,
        body.event,
        body.data,
        persist=bool(body.persist),
        event_id=body.id,
        user_id=body.userId,
    )
    context.journal.submit(submission, exchange.accepted)


def rpc(exchange: Exchange) -> None:
    """``sdk.socket.emit(event, data, channel)`` of the SDKs' server side."""
    body = _body(exchange, wire.rpc_body)
    if body.method != "socket.emit":
        raise Refused("not_found", f"there is no method {body.method[:80]!r}; 'socket.emit' is the one there is")
    if len(body.args) != 3:
        raise Refused("invalid_field", "`args` should be [event, data, channel]")
    name = wire.decode_with(wire.rpc_string, bytes(body.args[0]), "event in `args`")
    topic = wire.decode_with(wire.rpc_string, bytes(body.args[2]), "channel in `args`")
    author = exchange.grant.author or _author(exchange)
    submission = exchange.context.maker.event(author, topic, name, body.args[1])
    exchange.context.journal.submit(submission, exchange.emitted)


def _author(exchange: Exchange) -> Author:
    """The grant's, made once and kept with it."""
    grant = exchange.grant
    author = grant.author = Author(grant.name, exchange.context.projects, grant)
    return author


def _json_body(exchange: Exchange) -> bytes:
    request = exchange.request
    if request.body and not request.head.is_json:
        raise Refused("unsupported_media_type", "the content type should be application/json")
    return request.body


def _body(exchange: Exchange, decoder: msgspec.json.Decoder[T]) -> T:
    return wire.decode_with(decoder, _json_body(exchange), "body")


def prune(exchange: Exchange) -> None:
    """Remove the oldest events."""
    prune_request(exchange, _body(exchange, wire.prune_body))


# ------------------------------------------------------------------------------------------------------ reads


def messages(exchange: Exchange) -> None:
    """Persisted events, oldest first."""
    given = exchange.request.head.parameters()
    channel = given.get("channel")
    last = _number(given, "last")
    before = _number(given, "before")
    after = _number(given, "after")
    limit = _limit(given) if last is None else min(last, _MAX_LIMIT)
    query = Query(
        None if channel is None else _pattern("channel", channel, exchange.context.projects),
        after=after or 0,
        upto=MAX_SEQ if before is None else before - 1,
        limit=limit,
        newest=last is not None or (before is not None and after is None),
        since=_number(given, "since"),
        user=given.get("user"),
        max_bytes=_PAGE_BYTES,
    )
    exchange.grant.check_read(query.pattern)
    exchange.run(_messages(exchange, query))


async def _messages(exchange: Exchange, query: Query) -> None:
    log = exchange.context.log
    page = await _reading(log.read(query))
    follows = page.position if page.more and not query.newest else None
    found = wire.MessagesPage(log.epoch, [wire.message_of(event) for event in page.events], follows)
    exchange.answer(200, wire.encode(found))


def history(exchange: Exchange) -> None:
    """The SDKs' history of a room, by time."""
    given = exchange.request.head.parameters()
    room = given.get("room")
    if not room:
        raise Refused("invalid_field", "`room` is missing")
    try:
        channel = channel_of(strip_project(room, exchange.context.projects))
    except InvalidName as error:
        raise Refused("invalid_topic", f"`room`: {error}") from None
    query = Query(
        Pattern.parse(channel), limit=_limit(given), newest=True, until=_number(given, "before"), max_bytes=_PAGE_BYTES
    )
    exchange.grant.check_read(query.pattern)
    exchange.run(_history(exchange, room, query))


async def _history(exchange: Exchange, room: str, query: Query) -> None:
    page = await _reading(exchange.context.log.read(query))
    rows = [_history_row(room, event) for event in page.events]
    exchange.answer(200, wire.encode(wire.History(rows)))


def _history_row(room: str, event: Event) -> wire.HistoryMessage:
    return wire.HistoryMessage(
        event.id, room, event.user_id, event.event, msgspec.Raw(event.data), event.timestamp, event.seq or 0
    )


def channels(exchange: Exchange) -> None:
    """Every channel that has persisted events or is in use, of those that the caller may read."""
    exchange.run(_channels(exchange))


async def _channels(exchange: Exchange) -> None:
    context = exchange.context
    stored = {item.channel: item for item in await _reading(context.log.channels())}
    subscribers = context.hub.subscribers()
    found = []
    for name in sorted(stored.keys() | subscribers.keys() | set(context.presence.channels())):
        if not exchange.grant.may_read(name):
            continue
        item = stored.get(name)
        found.append(
            wire.ChannelInfo(
                name,
                0 if item is None else item.events,
                None if item is None else item.last_seq,
                None if item is None else item.last_time,
                subscribers.get(name, 0),
            )
        )
    exchange.answer(200, wire.encode(wire.Channels(found)))


def presence(exchange: Exchange) -> None:
    """Who is here."""
    channel = exchange.request.head.parameters().get("channel")
    if not channel:
        raise Refused("invalid_field", "`channel` is missing")
    name = resolve_channel(channel, exchange.context.projects)
    if not exchange.grant.may_read(name):
        exchange.grant.check_read(Pattern.parse(name))
    exchange.ok(wire.encode(wire.Users(exchange.context.presence.users(name))))


def healthz(exchange: Exchange) -> None:
    """Whether the log takes writes."""
    journal = exchange.context.journal
    if journal.failure is not None:
        raise Refused("unavailable", f"the log has failed: {journal.failure}")
    if exchange.context.draining:
        raise Refused("unavailable", "the server is stopping", retry_after_s=1)
    if not journal.accepts:
        raise Refused("unavailable", "too much waits to be stored", retry_after_s=1)
    if exchange.context.log.trouble is None:
        exchange.ok(_OK)
    else:
        exchange.run(_probe(exchange))


async def _probe(exchange: Exchange) -> None:
    """Nobody may be sending any more, so whether the trouble is over has to be tried."""
    trouble = await exchange.context.log.probe()
    if trouble is not None:
        raise Refused("unavailable", trouble, retry_after_s=5)
    exchange.ok(_OK)


def metrics(exchange: Exchange) -> None:
    """The server's counters."""
    from .metrics import CONTENT_TYPE, render  # noqa: PLC0415 - a library that only this needs

    exchange.answer(200, render(exchange.context), CONTENT_TYPE)


def realtime(exchange: Exchange) -> None:
    """A request for the WebSocket that does not ask for one; those that do never get here."""
    raise upgrade_required()


async def _reading(read: Awaitable[T]) -> T:
    try:
        return await read
    except LogError as error:
        raise Refused("unavailable", f"the log cannot be read: {error}", retry_after_s=1) from error


def _pattern(field: str, text: str, projects: frozenset[str]) -> Pattern:
    try:
        return Pattern.parse(strip_project(text, projects))
    except InvalidName as error:
        raise Refused("invalid_topic", f"`{field}`: {error}") from None


def _limit(given: dict[str, str]) -> int:
    limit = _number(given, "limit")
    if limit is None:
        return _DEFAULT_LIMIT
    if limit == 0:
        raise Refused("invalid_field", "`limit` should be 1 or more")
    return min(limit, _MAX_LIMIT)


def _number(given: dict[str, str], field: str) -> int | None:
    return whole_number(given.get(field), field)


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/setup": {"POST": setup},
    "/examples/chat/send": {"POST": send},
    "/api/examples/chat/send": {"POST": send},
    "/api/publish": {"POST": publish},
    "/internal/hooks/rpc": {"POST": rpc},
    "/api/messages": {"GET": messages},
    "/api/v1/public/realtime/history": {"GET": history},
    "/api/channels": {"GET": channels},
    "/api/presence": {"GET": presence},
    "/api/me": {"GET": me},
    "/api/tokens": {"GET": list_tokens, "POST": create_token},
    "/api/tokens/revoke": {"POST": revoke_token},
    "/api/stream": {"GET": stream},
    "/api/admin/prune": {"POST": prune},
    "/metrics": {"GET": metrics},
    "/healthz": {"GET": healthz},
    REALTIME: {"GET": realtime},
    **{path: {"GET": page} for path in assets()},
}
