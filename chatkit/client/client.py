"""The public client: ``async with chatkit.connect(url) as chat``."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode
from weakref import WeakSet

from .. import wire
from ..errors import ChatkitError
from . import sending
from .dial import tls_options
from .endpoint import DEFAULT_URL, Endpoint, checked_token, find_token, parse_url, speaker
from .events import Event, Notice, Presence
from .follow import follow as follow_links
from .here import Here
from .http1 import encode_request
from .link import Link, open_link
from .pipe import Pipe
from .position import Cursor
from .resume import Reader
from .sending import Receipt
from .stream import Stream

if TYPE_CHECKING:
    import asyncio

    from .http1 import Response

_PAGE = 500


class Chat:
    """A client of one server, as one user. Make it with :func:`connect`.

    Nothing is opened before the first call that needs it. Sends, publishes and reads share one HTTP connection, on
    which they are pipelined in the order of the calls; each :meth:`tail`, and presence, has a WebSocket of its own.

    Attributes:
        user: who sends; ``None`` for whoever the server knows us to be.
        url: the server.
    """

    def __init__(self, endpoint: Endpoint, user: str | None, token: str | None, timeout_s: float) -> None:
        self.user = None if user is None else sending.checked("user", user, 128)
        self.url = endpoint.url
        tls_options(endpoint)  # a file of authorities that cannot be used is known before anything is asked
        self._endpoint, self._token, self._timeout_s = endpoint, token, timeout_s
        self._closed = False
        self._links: WeakSet[Link] = WeakSet()
        self._pipe = Pipe(endpoint)
        self._here = Here(self._open_link)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections and end the streams; sends not answered yet fail with ``DeadlineExceeded``."""
        self._closed = True
        await self._here.close()
        for link in list(self._links):
            await link.close()
        await self._pipe.close()

    @property
    def endpoint(self) -> Endpoint:
        """Where the server is."""
        return self._endpoint

    @property
    def pipe(self) -> Pipe:
        """The connection of sends and reads."""
        return self._pipe

    @property
    def timeout_s(self) -> float:
        """How long a call tries."""
        return self._timeout_s

    @property
    def token(self) -> str | None:
        """The credential."""
        return self._token

    # ----------------------------------------------------------------------------------------------- writing

    async def send(
        self,
        room: str,
        text: str,
        *,
        id: str | None = None,  # noqa: A002 - the protocol's own name
        metadata: Any = None,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send a message and return when it is durable.

        A lost connection is opened again and the message repeated with the same id, which the server stores once.

        Args:
            room: a room, ``general``, or any channel, ``chat/general``.
            text: at least one character that is not white space.
            id: makes sending it again harmless across processes too; by default a new UUIDv7.
            metadata: any JSON value to go with it.
            timeout_s: seconds to try, by default those given to :func:`connect`.

        Raises:
            InvalidName: the room, the text or the id cannot be.
            Unreachable: no server answers; nothing was sent.
            Refused: the server says no.
            DeadlineExceeded: the outcome is unknown; send again with the same id.
        """
        return await (await self.enqueue(room, text, id=id, metadata=metadata, timeout_s=timeout_s))

    async def enqueue(
        self,
        room: str,
        text: str,
        *,
        id: str | None = None,  # noqa: A002
        metadata: Any = None,
        timeout_s: float | None = None,
    ) -> asyncio.Future[Receipt]:
        """As :meth:`send`, in two steps: put it in the order now, wait for the receipt later.

        Awaiting the call gives a future for the receipt, and takes time only while more than 1 MiB waits to be
        sent. Many messages in a row are sent without waiting for each other, and are stored in the order of the calls.
        """
        post = sending.message(room, text, user=self.user, event_id=id, metadata=metadata)
        return await self._post(post, timeout_s)

    async def publish(
        self,
        channel: str,
        event: str,
        data: Any = None,
        *,
        persist: bool = False,
        id: str | None = None,  # noqa: A002
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send any event to any channel.

        Args:
            channel: a channel, or a room.
            event: its name, ``player-moved``.
            data: any JSON value.
            persist: whether it enters the log. If not, only those who listen now get it, and the receipt has no
                ``seq``.
            id: as for :meth:`send`.
            timeout_s: as for :meth:`send`.

        Raises:
            as :meth:`send`.
        """
        post = sending.event(channel, event, data, user=self.user, event_id=id, persist=persist)
        return await (await self._post(post, timeout_s))

    # ----------------------------------------------------------------------------------------------- reading

    def tail(
        self,
        *channels: str,
        last: int | None = None,
        after: int | None = None,
        cursor: Cursor | None = None,
        follow: bool = True,
        ephemeral: bool = False,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the protocol's own name
        on_notice: Callable[[Notice], object] | None = None,
        on_level: Callable[[], object] | None = None,
    ) -> Stream:
        """Yield the events of channels as they come, each once, in the order of the log.

        A lost connection is opened again, for as long as it takes, and the stream resumes where it was. To resume in
        another process, keep :attr:`Stream.cursor` after an event is dealt with, and give it back as ``cursor``::

            stream = chat.tail("general", after=0, cursor=Cursor.from_json(saved) if saved else None)
            async for event in stream:
                deal_with(event)
                saved = stream.cursor.to_json()

        Where the server cannot go on from a position (its log is another one, ends before it, or no longer has what
        followed it), a notice of the kind ``gap`` says so, and the newest events that there are follow, 1,000 at most
        for each channel.

        Args:
            channels: rooms, channels or patterns: ``general``, ``chat/general``, ``chat/*``, ``game/**``.
            last: start with the newest ``last`` events of each.
            after: start with every event after this seq. With neither: only what is new.
            cursor: go on where a stream of the same channels and server was; then ``last`` and ``after`` are for
                channels of which it had seen nothing yet.
            follow: go on with new events; ``False`` ends where the log ends now.
            ephemeral: yield events that are not in the log too, presence among them.
            filter: only events whose data has these values.
            on_notice: called when the connection is lost, when it is back, and when the server could not resume.
            on_level: called when everything that was in the log has been yielded, and again after each new connection.

        Raises:
            InvalidName: a channel breaks the grammar, or the cursor is of another server or other channels.
            Unreachable: the server cannot be reached in the first place.
            Refused: the server says no.
        """
        if not channels:
            raise TypeError("tail() needs a channel")
        if last is not None and after is not None:
            raise TypeError("tail() takes `last` or `after`, not both")
        topics = [topic_of(channel) for channel in channels]
        reader = Reader(topics, last=last, after=after, filter=filter, cursor=cursor, url=self.url)
        events = follow_links(
            reader,
            self._open_link,
            until_level=not follow,
            on_notice=on_notice or _ignore,
            on_level=on_level or _nothing,
        )
        return Stream(self._tail(events, ephemeral), reader)

    async def _tail(self, events: AsyncGenerator[Event, None], ephemeral: bool) -> AsyncGenerator[Event, None]:
        async with aclosing(events):
            async for event in events:
                if ephemeral or event.seq is not None:
                    yield event

    async def history(
        self,
        channel: str,
        *,
        after: int | None = None,
        before: int | None = None,
        since: int | None = None,
        user: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Event]:
        """Yield what the log has of a channel, oldest first, asking page by page.

        Args:
            channel: a room or channel.
            after: only events with a greater seq.
            before: only events with a smaller seq.
            since: only events from this Unix millisecond on.
            user: only events of this user.
            limit: at most so many; ``None`` for all.

        Raises:
            as :meth:`send`.
        """
        asked = {"channel": sending.channel_of(channel), "before": before, "since": since, "user": user}
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page = wire.decode_with(
                wire.messages_page, await self._get("/api/messages", **asked, after=after, limit=size), "body"
            )
            for item in page.messages:
                yield Event(item.channel, item.event, item.id, item.seq, item.userId, item.timestamp, bytes(item.data))
            if left is not None:
                left -= len(page.messages)
            if page.next is None:
                return
            after = page.next

    async def channels(self) -> list[wire.ChannelInfo]:
        """Every channel that has events in the log or is in use; raises as :meth:`send` does."""
        return wire.decode_with(wire.channels, await self._get("/api/channels"), "body").channels

    # ---------------------------------------------------------------------------------------------- presence

    async def track(self, channel: str, state: Any = None, *, timeout_s: float | None = None) -> None:
        """Be present on a channel, or change the state, until :meth:`untrack` or the end of this client.

        Raises:
            as :meth:`send`.
        """
        await self._here.track(
            sending.channel_of(channel), {} if state is None else state, timeout_s or self._timeout_s
        )

    async def untrack(self, channel: str, *, timeout_s: float | None = None) -> None:
        """Stop being present on a channel; nothing happens if this client was not."""
        await self._here.untrack(sending.channel_of(channel), timeout_s or self._timeout_s)

    async def presence(self, channel: str) -> list[Presence]:
        """Who is on a channel now, in the order they came; raises as :meth:`send` does."""
        body = await self._get("/api/presence", channel=sending.channel_of(channel))
        users = wire.decode_with(wire.users, body, "body").users
        return [Presence(user.userId, wire.anything.decode(user.state), user.connections) for user in users]

    # ------------------------------------------------------------------------------------------------ inside

    async def _post(self, post: sending.Post, timeout_s: float | None) -> asyncio.Future[Receipt]:
        data = encode_request("POST", post.path, self._endpoint.authority, self._token, post.body)
        read = partial(sending.receipt_of, post, url=self.url)
        return await self._pipe.submit(data, timeout_s or self._timeout_s, read, post.id)

    async def _get(self, path: str, **query: str | int | None) -> bytes:
        text = urlencode({name: value for name, value in query.items() if value is not None})
        target = f"{path}?{text}" if text else path
        data = encode_request("GET", target, self._endpoint.authority, self._token)
        return await (await self._pipe.submit(data, self._timeout_s, self._body))

    def _body(self, response: Response) -> bytes:
        if response.status != 200:
            sending.answer_of(response, self.url)
        return response.body

    async def _open_link(self) -> Link:
        link = None if self._closed else await open_link(self._endpoint, self.user, self._token, self._timeout_s)
        if link is None or self._closed:  # it may have been closed meanwhile
            if link:
                await link.close()
            raise ChatkitError("the client is closed")
        self._links.add(link)
        return link


def topic_of(name: str) -> str:
    """The topic that a person means: a name without ``/`` is a room, ``*`` every room."""
    return name if "/" in name else f"chat/{name}"


def connect(
    url: str | None = None,
    *,
    user: str | None = None,
    token: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
    timeout_s: float = 10.0,
) -> Chat:
    """A client for the server at ``url``, to be used with ``async with``.

    Args:
        url: ``http://host:port``, ``https://host:port`` or ``unix:PATH``; by default ``CHATKIT_URL``, else the local
            server's usual address.
        user: who sends; by default ``CHATKIT_USER``, else whoever the token or the socket says, else the login name.
        token: a credential; by default that in ``token_file``, else ``CHATKIT_TOKEN``, else what ``chatkit login`` was
            given for the URL.
        token_file: a file that holds one.
        ca_file: certificates to trust (PEM) instead of the system's; by default ``CHATKIT_CA_FILE``.
        timeout_s: seconds each call may take unless it says otherwise.

    Raises:
        InvalidName: the URL, the user or the token cannot be.
    """
    ca_file = ca_file or os.environ.get("CHATKIT_CA_FILE") or None
    endpoint = parse_url(url or os.environ.get("CHATKIT_URL") or DEFAULT_URL, ca_file)
    token = checked_token(token) or find_token(endpoint, token_file)
    return Chat(endpoint, speaker(endpoint, user, token), token, timeout_s)


def _ignore(notice: Notice) -> None:
    """The caller does not care."""


def _nothing() -> None:
    """The caller does not care."""
