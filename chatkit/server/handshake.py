"""The opening handshake of a WebSocket: RFC 6455, section 4.2, done by the sans-I/O server of ``websockets``."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidMethod, InvalidUpgrade
from websockets.headers import parse_subprotocol
from websockets.http11 import Request as HandshakeRequest
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.utils import accept_key

from ..errors import Refused
from .context import Context
from .request import Head
from .responses import date_field
from .rights import Grant
from .session import Session
from .submissions import Author, checked_project, checked_user

REALTIME: Final = "/api/realtime"
VERSION: Final = "13"
PREFERRED: Final = "aerostack-v1"

_quiet = logging.getLogger("chatkit.handshake")
_quiet.setLevel(logging.CRITICAL)  # a bad handshake is answered, it is not our error


#: What a handshake is made of beside its key and the subprotocols; extensions are not negotiated.
_FIELDS: Final = ("connection", "upgrade", "sec-websocket-version")
_KEY_FIELD: Final = "sec-websocket-key"

#: A key is the base64 of 16 bytes. RFC 6455, 4.1.
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_SOME_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


class Accepted(NamedTuple):
    """A handshake that succeeded: what to write, and the session that begins."""

    response: bytes
    session: Session


def select_subprotocol(offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """``aerostack-v1`` if it was offered, else the first: a browser drops a connection whose offer is not answered."""
    if not offered:
        return None
    return Subprotocol(PREFERRED) if PREFERRED in offered else offered[0]


#: Checks handshakes. It keeps nothing between two of them that matters, and making one for each takes longer than the
#: check.
_server: Final = ServerProtocol(logger=_quiet)


def _check(method: str, fields: tuple[tuple[str, str], ...], key: str | None) -> None:
    """Let the library judge a handshake.

    Raises:
        InvalidHandshake: it is none.
    """
    headers = Headers(fields)
    if key is not None:
        headers[_KEY_FIELD] = key
    _server.process_request(HandshakeRequest(REALTIME, headers, method=method))


@lru_cache(maxsize=256)
def _check_all_but_key(method: str, fields: tuple[tuple[str, str], ...]) -> None:
    """As :func:`_check`, once for all clients of one kind, which differ in their key only."""
    _check(method, fields, _SOME_KEY)


def upgrade_required() -> Refused:
    """The answer to a request for :data:`REALTIME` that asks for no WebSocket."""
    return Refused("upgrade_required", f"{REALTIME} is a WebSocket: ask with Upgrade: websocket")


def accept(context: Context, head: Head, grant: Grant) -> Accepted:
    """Answer a handshake of somebody who may come in with ``grant``; a proven name overrides the ``userId`` given.

    Raises:
        Refused: it is none, or a query parameter is wrong.
    """
    headers = head.headers
    if headers.get("upgrade", "").lower() != "websocket":
        raise upgrade_required()
    if (version := headers.get("sec-websocket-version")) not in (None, VERSION):
        raise Refused("upgrade_required", f"version {version[:20]!r} of WebSocket is not spoken here; use {VERSION}")
    parameters = head.parameters()
    user_id = grant.name or parameters.get("userId") or None
    project_id = parameters.get("projectId")
    author = Author(
        None if user_id is None else checked_user(user_id),
        context.projects | {checked_project(project_id)} if project_id else context.projects,
        grant,
    )
    fields = tuple([(name, headers[name]) for name in _FIELDS if name in headers])
    key, offered = headers.get(_KEY_FIELD), headers.get("sec-websocket-protocol")
    try:
        if key is None or not _KEY.fullmatch(key):
            _check(head.method, fields, key)
            raise InvalidHandshake("a key is the base64 of 16 bytes")
        _check_all_but_key(head.method, fields)
        subprotocol = None if offered is None else select_subprotocol(parse_subprotocol(offered))
    except InvalidMethod as error:
        raise Refused("method_not_allowed", f"a WebSocket opens with GET, not {error.method[:20]}") from None
    except InvalidUpgrade:
        raise upgrade_required() from None
    except InvalidHandshake as error:
        raise Refused("bad_request", f"not a WebSocket handshake: {error}") from None
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol is not None else ""
    response = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{chosen}"
    )
    return Accepted(response.encode() + date_field() + b"\r\n", Session(author, context.config.max_topics))
