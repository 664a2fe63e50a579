"""One WebSocket to the server: opening it, and what its end means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from .. import wire
from ..errors import ChatkitError, CloseCode, Refused, Unreachable, may_reconnect
from .dial import open_socket, tls_options, unreachable
from .http1 import Response
from .sending import RETRY_STATUSES, answer_of

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import ConnectionClosed

    from .endpoint import Endpoint

_PATH: Final = "/api/realtime"
#: A message is 64 KiB unless the server was told otherwise; a presence:sync of a full room is larger.
_MAX_FRAME_BYTES: Final = 16 * 2**20


class Lost(Exception):
    """The connection ended in a way that another one mends."""


class Link:
    """An open WebSocket that carries frames of the protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._closed = False

    async def send(self, command: wire.AnyCommand) -> None:
        """Write one command.

        Raises:
            Lost, ChatkitError: as :meth:`receive`.
        """
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - loaded with the first link

        try:
            await self._socket.send(wire.encode(command), text=True)
        except ConnectionClosed as closed:
            raise self._end(closed) from None

    async def receive(self) -> wire.AnyFrame | None:
        """The next frame; ``None`` for one of a type that this version does not know.

        Raises:
            Lost: the connection ended; come back after a backoff.
            ChatkitError: it ended for good; the sentence says why.
        """
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        try:
            payload = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise self._end(closed) from None
        try:
            return wire.decode_with(wire.server_frame, payload, "frame")
        except Refused as error:
            if error.code == "unknown_type":
                return None
            raise Unreachable(f"the server sent what is not in the protocol: {error.message}") from None

    async def close(self) -> None:
        """Close it; waits a second at most for the other side. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._socket.close()

    def _end(self, closed: ConnectionClosed) -> Lost | ChatkitError:
        if self._closed:
            return ChatkitError("the client is closed")
        received = closed.rcvd
        return verdict(None if received is None else received.code, "" if received is None else received.reason)


async def open_link(endpoint: Endpoint, user: str | None, token: str | None, timeout_s: float) -> Link:
    """Open a WebSocket as ``user``, or with ``None`` as whoever the server knows us to be.

    Raises:
        Unreachable: nothing answers, or what answers is not a chatkit server.
        Refused: the server says no.
        Lost: the server is there and says "later", or went away in between.
    """
    from websockets.asyncio.client import connect  # noqa: PLC0415 - 100 ms, which send never needs
    from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus  # noqa: PLC0415
    from websockets.typing import Subprotocol  # noqa: PLC0415

    secure = tls_options(endpoint)
    sock = await open_socket(endpoint, timeout_s)
    try:
        connection = await connect(
            f"{endpoint.ws_url}{_PATH}{'?' + urlencode({'userId': user}) if user else ''}",
            sock=sock,
            subprotocols=[Subprotocol("aerostack-v1")],
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            user_agent_header=None,
            compression=None,
            proxy=None,
            open_timeout=timeout_s,
            close_timeout=1,
            max_size=_MAX_FRAME_BYTES,
            max_queue=256,
            **secure,
        )
    except InvalidStatus as error:
        sock.close()
        status, body = error.response.status_code, bytes(error.response.body or b"")
        if status in RETRY_STATUSES:
            raise Lost(f"the server answers {status}") from None
        answer_of(Response(status, body, None, False), endpoint.url)
        raise Unreachable(f"{endpoint.url} does not open a WebSocket (HTTP {status})") from None
    except InvalidMessage as error:
        sock.close()
        if isinstance(error.__cause__, EOFError | OSError):
            raise Lost("the connection ended in the handshake") from None
        raise Unreachable(f"{endpoint.url} does not answer as a chatkit server does") from None
    except InvalidHandshake as error:
        sock.close()
        raise Unreachable(f"{endpoint.url} does not open a WebSocket: {error}") from None
    except TimeoutError:
        sock.close()
        raise Unreachable(f"{endpoint.url} does not answer in {timeout_s:.3g} s") from None
    except OSError as error:
        sock.close()
        if type(error).__module__ == "ssl":
            raise unreachable(endpoint, error, timeout_s) from None
        raise Lost(str(error)) from None
    except asyncio.CancelledError:
        sock.close()
        raise
    return Link(connection)


def verdict(code: int | None, reason: str) -> Lost | ChatkitError:
    """What a close with ``code`` means; ``None`` when the connection just ended."""
    if code is None or may_reconnect(code):
        return Lost(reason or "the connection was lost")
    shown = f"the server closed the connection ({code}{': ' + reason if reason else ''})"
    if code == CloseCode.NOT_AUTHORIZED:
        return Refused("unauthorized", shown)
    if code == CloseCode.MESSAGE_TOO_BIG:
        return Refused("too_large", shown)
    return Refused("bad_request", shown)
