"""The one place that opens a socket to a server, blocking or not."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING

from ..errors import Unreachable

if TYPE_CHECKING:
    import asyncio

    from .endpoint import Endpoint

_HINTS = {
    errno.ECONNREFUSED: "connection refused; is `chatkit serve` running?",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
}


def dial(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """Open a blocking connection within ``timeout_s``.

    Raises:
        Unreachable: nothing answers; nothing was sent.
    """
    deadline = time.monotonic() + max(timeout_s, 0.001)
    failure: OSError = OSError("the name has no address")
    try:
        # A host in bytes spares getaddrinfo the codec for international names, 2 ms of a send.
        for family, kind, proto, _, address in socket.getaddrinfo(
            endpoint.host.encode("ascii"), endpoint.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, proto)
            try:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure
    except OSError as error:
        raise _unreachable(endpoint, error, timeout_s) from error


async def open_socket(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """Open a non-blocking connection within ``timeout_s``, on the running loop.

    Raises:
        Unreachable: nothing answers; nothing was sent.
    """
    import asyncio  # noqa: PLC0415 - a blocking send must not pay for it

    try:
        async with asyncio.timeout(timeout_s):
            return await _open(asyncio.get_running_loop(), endpoint)
    except OSError as error:  # TimeoutError is one
        raise _unreachable(endpoint, error, timeout_s) from error


async def _open(loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for family, kind, proto, _, address in await loop.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _unreachable(endpoint: Endpoint, error: OSError, timeout_s: float) -> Unreachable:
    if isinstance(error, TimeoutError):
        why = f"no answer in {timeout_s:.3g} s"
    elif isinstance(error, socket.gaierror):
        why = f"no such host ({error.strerror})"
    else:
        why = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    return Unreachable(f"cannot reach {endpoint.url}: {why}")
