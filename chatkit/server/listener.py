"""Where a server listens: a port, with TLS or without, or a Unix socket; and beside the database, its control socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import stat
from asyncio import BaseTransport
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ..errors import ChatkitError, InvalidName
from ..unixpath import short
from . import guard, peer
from .access import Access
from .context import Context, logger
from .gate import Gate, nobody
from .guard import Site
from .http import HttpConnection
from .rights import NOBODY, Grant
from .tls import Certificate

_BACKLOG: Final = 4096


class Listener:
    """Everything that a server listens on.

    Attributes:
        url: where, for clients.
    """

    def __init__(self, url: str, servers: list[asyncio.Server], paths: list[UnixPath], certificate: Certificate | None):
        self.url = url
        self._servers, self._paths, self._certificate = servers, paths, certificate

    def close(self) -> None:
        """Accept no more; Unix sockets vanish. Idempotent."""
        for server in self._servers:
            server.close()
        for path in self._paths:
            path.remove()

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Read the certificate again on SIGHUP."""
        if self._certificate is None or not hasattr(signal, "SIGHUP"):
            yield
            return
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        except (NotImplementedError, ValueError, RuntimeError):  # not the main thread
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    def _reload(self) -> None:
        assert self._certificate is not None  # noqa: S101 - reloading() checks
        try:
            self._certificate.reload()
        except ChatkitError as error:
            logger.error("the certificate was not replaced: %s", error)
        else:
            logger.warning("the certificate was read again; new connections use it")


async def listen(context: Context) -> Listener:
    """Listen where the settings say.

    Raises:
        ChatkitError: that cannot be; the message says why.
    """
    config = context.config
    certificate = _certificate(context)
    site = Site(
        "http" if certificate is None else "https",
        context.access.is_local,
        frozenset({*map(guard.allowed_host, config.allow_hosts), *_own_names(context)}),
        frozenset(map(guard.allowed_origin, config.allow_origins)),
    )
    control = await _control(context, config.database)
    try:
        if config.unix is not None:
            gate = Gate(context, site, _welcome_users(context.access))
            path = UnixPath(config.unix, _mode(config.unix_mode))
            server = await path.listen(lambda: HttpConnection(context, gate))
            return Listener(f"unix:{path.path}", [server, *control[0]], [path, *control[1]], None)
        gate = Gate(context, site, nobody if context.access.wants_token else _welcome_addresses(context))
        server = await _port(context, gate, certificate)
    except BaseException:
        Listener("", *control, None).close()
        raise
    _warn(context, certificate)
    return Listener(_url(site.scheme, config.host, server), [server, *control[0]], control[1], certificate)


def _certificate(context: Context) -> Certificate | None:
    config = context.config
    if config.tls_cert is None:
        if config.tls_key is not None:
            raise ChatkitError("--tls-key needs --tls-cert, the certificate that goes with it")
        return None
    if config.unix is not None:
        raise ChatkitError("--tls-cert and --unix exclude each other: nobody listens in on a Unix socket")
    return Certificate(config.tls_cert, config.tls_key)


def _own_names(context: Context) -> set[str]:
    """What this machine is called, where other machines may call it."""
    name = socket.gethostname().lower().rstrip(".")
    return set() if context.access.is_local or not name else {name, f"{name}.local"}


def _warn(context: Context, certificate: Certificate | None) -> None:
    access, host = context.access, context.config.host or "every address"
    if access.is_local:
        return
    if not access.wants_token:
        logger.warning("everybody who can reach %s can read and send everything: --open", host)
    if certificate is None:
        shown = "tokens and messages" if access.wants_token else "messages"
        logger.warning("%s cross the network in the clear; --tls-cert encrypts them", shown)


# ------------------------------------------------------------------------------------------------------ a port


async def _port(context: Context, gate: Gate, certificate: Certificate | None) -> asyncio.Server:
    config = context.config
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(context, gate),
            config.host,
            config.port,
            backlog=_BACKLOG,
            ssl=None if certificate is None else certificate.context,
            ssl_handshake_timeout=None if certificate is None else config.request_timeout_s,
        )
    except OSError as error:
        raise ChatkitError(_why_not(config.host, config.port, error)) from error


def _why_not(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: the port is taken; stop the other program or choose another with --port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"cannot listen on {where}: not allowed; ports below 1024 need privileges, choose another with --port"
    return f"cannot listen on {where}: {error.strerror or error}"


def _url(scheme: str, host: str, server: asyncio.Server) -> str:
    port = server.sockets[0].getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{shown}:{port}"


def _welcome_addresses(context: Context) -> Callable[[BaseTransport], Grant]:
    access = context.access

    def welcome(transport: BaseTransport) -> Grant:
        name = transport.get_extra_info("peername")
        return access.of_address(str(name[0]) if name else "")

    return welcome


# ----------------------------------------------------------------------------------------------- Unix sockets


class UnixPath:
    """A Unix socket in the file system."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path, self._mode = path, mode
        self._inode: tuple[int, int] | None = None

    async def listen(self, factory: Callable[[], asyncio.Protocol]) -> asyncio.Server:
        """Listen on it; a socket that a dead server left behind is taken over.

        Raises:
            ChatkitError: something else is there, or somebody listens on it.
        """
        if not hasattr(socket, "AF_UNIX") or not peer.IS_KNOWN:
            raise ChatkitError("--unix is not possible here: the system does not say who connects")
        self._clear()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short(str(self.path)) as name:
                listening.bind(name)
                os.chmod(name, self._mode)  # nobody gets in before: it does not listen yet
                found = os.stat(name)
            self._inode = found.st_dev, found.st_ino
            listening.setblocking(False)
            return await asyncio.get_running_loop().create_unix_server(factory, sock=listening, backlog=_BACKLOG)
        except (OSError, ValueError) as error:
            listening.close()
            self.remove()
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ChatkitError(f"cannot listen on {self.path}: {why}") from error

    def remove(self) -> None:
        """Remove the socket, unless another one took its place. Idempotent."""
        inode, self._inode = self._inode, None
        with contextlib.suppress(OSError):
            found = self.path.lstat()
            if inode == (found.st_dev, found.st_ino):
                self.path.unlink()

    def _clear(self) -> None:
        try:
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise ChatkitError(f"cannot listen on {self.path}: there is a file that is no socket")
        except OSError:
            return  # nothing is there, or bind() will say what is wrong
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short(str(self.path)) as name:
            probe.settimeout(1.0)
            try:
                probe.connect(name)
            except ConnectionRefusedError:
                self.path.unlink(missing_ok=True)
            except OSError:
                return
            else:
                raise ChatkitError(f"cannot listen on {self.path}: another server does")


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise InvalidName("--unix-mode", text, "use an octal mode such as 600 or 660")
    return mode


def _welcome_users(access: Access) -> Callable[[BaseTransport], Grant]:
    grants: dict[int, Grant] = {}

    def welcome(transport: BaseTransport) -> Grant:
        uid = peer.uid_of(transport)
        if uid < 0:
            return NOBODY
        if uid not in grants:
            grants[uid] = access.of_user(peer.user_of(uid), admin=peer.is_owner(uid))
        return grants[uid]

    return welcome


# -------------------------------------------------------------------------------------------------- the control


async def _control(context: Context, database: Path) -> tuple[list[asyncio.Server], list[UnixPath]]:
    """The socket by which the commands of the same user reach a running server, whatever else it listens on.

    Only one process may write the database, so `chatkit token` asks the one that does. Whoever may write the file
    may do so; nobody else can connect, and nobody else is taken for an administrator.
    """
    if not hasattr(socket, "AF_UNIX") or not peer.IS_KNOWN:
        return [], []
    users = _welcome_users(context.access)

    def welcome(transport: BaseTransport) -> Grant:
        return users(transport) if peer.is_owner(peer.uid_of(transport)) else NOBODY

    gate = Gate(context, Site("http", is_local=True), welcome)
    path = UnixPath(database.with_name(f"{database.name}.control"), 0o600)
    try:
        return [await path.listen(lambda: HttpConnection(context, gate))], [path]
    except ChatkitError as error:
        logger.warning("%s; `chatkit token` works when this server is stopped", error)
        return [], []
