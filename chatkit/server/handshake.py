"""The opening handshake of a WebSocket: RFC 6455, section 4.2, done by the sans-I/O server of ``websockets``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from websockets.datastructures import Headers
from websockets.http11 import Request as HandshakeRequest
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ..errors import Refused
from .context import Context
from .request import Head
from .rights import Grant
from .session import Session
from .submissions import Author, checked_user

REALTIME: Final = "/api/realtime"
VERSION: Final = "13"
PREFERRED: Final = "aerostack-v1"

_quiet = logging.getLogger("chatkit.handshake")
_quiet.setLevel(logging.CRITICAL)  # a bad handshake is answered, it is not our error


class Accepted(NamedTuple):
    """A handshake that succeeded: what to write, and the session that begins."""

    response: bytes
    session: Session


def select_subprotocol(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """``aerostack-v1`` if it was offered, else the first: a browser drops a connection whose offer is not answered."""
    if not offered:
        return None
    return Subprotocol(PREFERRED) if PREFERRED in offered else offered[0]


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
    author = Author(
        None if user_id is None else checked_user(user_id),
        context.projects | {parameters["projectId"]} if parameters.get("projectId") else context.projects,
        grant,
    )
    protocol = ServerProtocol(select_subprotocol=select_subprotocol, logger=_quiet)
    request = HandshakeRequest(head.path, Headers(head.headers.items()), method=head.method)
    answer = protocol.accept(request)
    if answer.status_code != 101:
        code = {405: "method_not_allowed", 426: "upgrade_required"}.get(answer.status_code, "bad_request")
        raise Refused(code, answer.body.decode(errors="replace").strip())
    return Accepted(answer.serialize(), Session(author, context.config.max_topics))
