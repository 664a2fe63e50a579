"""One listener's gate: the guard and the known credentials, applied to each request.

What a head decides is kept with the head, which comes again and again, so that a request costs one comparison of
bits. A grant that ends loses its bits, and the next request finds out.
"""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..errors import Refused
from ..web import assets
from . import guard
from .guard import Site
from .handshake import VERSION
from .request import Head, HeadCache
from .rights import NOBODY, Grant, Right
from .routes import ROUTES, Handler

if TYPE_CHECKING:
    from .context import Context
    from .exchange import Exchange

_ORIGINS_NOTED: Final = 100
_ORIGINS_KNOWN: Final = 1000
_CHARS_KNOWN: Final = 300
_MEMBER: Final = int(Right.MEMBER)  # "and" with a flag of enum makes a flag, which takes longer than all the rest


class Admission:
    """What a head asks for, and who asks.

    Attributes:
        handler: what answers it.
        right: what that takes.
        grant: what its credential gives; ``None`` where it has none, and the connection's own counts.
        cors: fields for every answer, where an allowed page of another site asks.
    """

    __slots__ = ("cors", "grant", "handler", "right")

    def __init__(self, handler: Handler, right: Right, grant: Grant | None, cors: dict[str, str] | None) -> None:
        self.handler, self.right, self.grant, self.cors = handler, int(right), grant, cors


class Gate:
    """Admits what comes in by one listener.

    Args:
        context: the server.
        site: what the guard needs to know of the listener.
        welcome: the grant of a new connection, before it has shown anything.

    Attributes:
        heads: this listener's heads: another one may admit other things.
    """

    def __init__(self, context: Context, site: Site, welcome: Callable[[BaseTransport], Grant]) -> None:
        self.site, self.welcome = site, welcome
        self.heads = HeadCache(context.config.max_head_fields)
        self._context = context
        self._noted: set[str] = set()
        self._known: dict[tuple[str | None, str | None], guard.Origin | None] = {}

    def admit(self, exchange: Exchange, head: Head, own: Grant) -> Admission:
        """Decide about a head.

        Args:
            exchange: gets the fields that let an allowed page read a refusal.
            head: the request.
            own: the connection's own grant.

        Raises:
            Refused: it may not come in, or there is nothing there.
        """
        try:
            origin = self._check(head)
        except Refused as error:
            exchange.closes = exchange.closes or error.code == "bad_request"
            raise
        exchange.cors = None if origin is None else guard.cors(origin)
        if head.method == "OPTIONS" and origin is not None and "access-control-request-method" in head.headers:
            exchange.cors = guard.preflight(origin, head.headers)
            return Admission(_leave, Right.NONE, None, exchange.cors)
        right = guard.right_of(head.method, head.path, assets())
        grant = self.grant(head) if right is not Right.NONE else None
        granted = own if grant is None else grant
        if not right & granted.mask:
            raise guard.refusal(granted, right)
        admission = Admission(_route(head), right, grant, exchange.cors)
        guard.check_content(head)
        head.admission = admission
        return admission

    def admit_link(self, head: Head, own: Grant) -> Grant:
        """The grant with which a WebSocket opens.

        Raises:
            Refused: it may not.
        """
        self._check(head)
        granted = self.grant(head) or own
        if not granted.mask & _MEMBER:
            raise guard.refusal(granted, Right.MEMBER)
        if granted.allowance is not None:
            granted.allowance.check_links()
        return granted

    def grant(self, head: Head) -> Grant | None:
        """The grant of the credential in a head, ``None`` where there is none.

        Raises:
            Refused: ``unauthorized``.
        """
        secret = guard.credential(head.headers)
        return None if secret is None else self._context.access.of_credential(secret)

    def _check(self, head: Head) -> guard.Origin | None:
        """What Host and Origin say, remembered: each handshake is another head, and these two come again."""
        host, given = asked = head.headers.get("host"), head.headers.get("origin")
        if asked in self._known:
            return self._known[asked]
        authority = guard.check_host(self.site, host)
        try:
            origin = guard.check_origin(self.site, given, authority)
        except Refused as error:
            self._note(given or "", error)
            raise
        if len(host or "") + len(given or "") <= _CHARS_KNOWN:
            if len(self._known) >= _ORIGINS_KNOWN:
                self._known.clear()
            self._known[asked] = origin
        return origin

    def _note(self, origin: str, error: Refused) -> None:
        """Tell the operator, once for each site: a page's author sees no more than a failed request."""
        if origin not in self._noted and len(self._noted) < _ORIGINS_NOTED:
            self._noted.add(origin)
            self._context.logger.warning("%s", error)


def nobody(transport: BaseTransport) -> Grant:
    """The welcome of a listener that wants a token."""
    return NOBODY


def _leave(exchange: Exchange) -> None:
    """The answer to a preflight."""
    exchange.answer(204, b"")


def _route(head: Head) -> Handler:
    methods = ROUTES.get(head.path)
    if methods is None:
        raise Refused("not_found", f"there is nothing at {head.path[:200]}")
    handler = methods.get("GET" if head.method == "HEAD" else head.method)
    if handler is None:
        raise Refused("method_not_allowed", f"{head.path} takes {_methods(methods)}, not {head.method}")
    return handler


def _methods(methods: dict[str, Handler]) -> str:
    return ", ".join(sorted(methods) + (["HEAD"] if "GET" in methods else []))


def hints(head: Head, error: Refused) -> dict[str, str] | None:
    """What RFC 9110 wants said along with a refusal."""
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return {"Allow": _methods(ROUTES[head.path])}
    if error.status == HTTPStatus.UPGRADE_REQUIRED:
        return {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION}
    return None
