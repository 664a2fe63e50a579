"""The one place that opens a socket to a server, blocking or not."""

from __future__ import annotations

import errno
import socket
import time
from typing import TYPE_CHECKING, Any

from ..errors import Unreachable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

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
        if endpoint.path is not None:
            return _dial_path(endpoint.path, timeout_s)
        secure = tls_options(endpoint)  # first: a file that cannot be used is known without a connection
        # A host in bytes spares getaddrinfo the codec for international names, 2 ms of a send.
        for family, kind, proto, _, address in socket.getaddrinfo(
            endpoint.host.encode("ascii"), endpoint.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, proto)
            try:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if secure:
                    sock = secure["ssl"].wrap_socket(sock, server_hostname=endpoint.host)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure
    except OSError as error:
        raise unreachable(endpoint, error, timeout_s) from error


def _dial_path(path: str, timeout_s: float) -> socket.socket:
    from ..unixpath import short  # noqa: PLC0415 - a port does without

    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(max(timeout_s, 0.001))
        with short(path) as name:
            sock.connect(name)
    except BaseException:
        sock.close()
        raise
    return sock


async def connect(endpoint: Endpoint, timeout_s: float, factory: Callable[[], asyncio.Protocol]) -> None:
    """Open a connection, TLS included, and give it the protocol that ``factory`` makes.

    Raises:
        Unreachable: nothing answers; nothing was sent.
    """
    import asyncio  # noqa: PLC0415

    secure = tls_options(endpoint)
    sock = await open_socket(endpoint, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().create_connection(factory, sock=sock, **secure)
    except OSError as error:
        sock.close()
        raise unreachable(endpoint, error, timeout_s) from error
    except BaseException:
        sock.close()
        raise


def tls_options(endpoint: Endpoint) -> dict[str, Any]:
    """What asyncio and websockets want to be told of TLS."""
    if not endpoint.is_tls:
        return {}
    from . import tls  # noqa: PLC0415

    return {"ssl": tls.context(endpoint), "server_hostname": endpoint.host}


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
        raise unreachable(endpoint, error, timeout_s) from error


async def _open(loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    if endpoint.path is not None:
        return await _open_path(loop, endpoint.path)
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


async def _open_path(loop: asyncio.AbstractEventLoop, path: str) -> socket.socket:
    from ..unixpath import short  # noqa: PLC0415

    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with short(path) as name:
            await loop.sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    return sock


def unreachable(endpoint: Endpoint, error: OSError, timeout_s: float) -> Unreachable:
    """Why a connection cannot be opened."""
    if isinstance(error, TimeoutError):
        why = f"no answer in {timeout_s:.3g} s"
    elif isinstance(error, socket.gaierror):
        why = f"no such host ({error.strerror})"
    elif untrusted := getattr(error, "verify_message", None):
        why = f"its certificate is not trusted ({untrusted}); --ca-file names who signed it"
    elif type(error).__module__ == "ssl":
        why = f"no TLS there ({(getattr(error, 'reason', None) or 'the connection ended').lower().replace('_', ' ')})"
    elif endpoint.path is not None and error.errno == errno.EACCES:
        why = "you may not use this socket"
    else:
        why = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    return Unreachable(f"cannot reach {endpoint.url}: {why}")
