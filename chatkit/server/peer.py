"""Who is at the other end of a Unix socket: the operating system says."""

from __future__ import annotations

import os
import socket
import struct
import sys
from asyncio import BaseTransport
from typing import Final

# <sys/ucred.h> and <sys/un.h> of macOS; Python has no names for them.
_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
_XUCRED: Final = struct.Struct("=II")  # version and uid, the first fields of struct xucred

IS_KNOWN: Final = sys.platform == "darwin" or hasattr(socket, "SO_PEERCRED")


def uid_of(transport: BaseTransport) -> int:
    """The user id of the process that connected, as it was then; ``-1`` where that cannot be told."""
    # The transport's own socket object may lack getsockopt; another one on the same connection has it.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as peer:
        try:
            return _uid(peer)
        except OSError:  # it has gone meanwhile
            return -1


if sys.platform == "darwin":

    def _uid(peer: socket.socket) -> int:
        version, uid = _XUCRED.unpack(peer.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)[: _XUCRED.size])
        return int(uid) if version == 0 else -1

elif sys.platform == "linux":

    def _uid(peer: socket.socket) -> int:
        ucred = struct.Struct("3i")  # pid, uid, gid: unix(7)
        return int(ucred.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, ucred.size))[1])

else:

    def _uid(peer: socket.socket) -> int:
        return -1


def user_of(uid: int) -> str:
    """The login name of a user id, ``uid:1000`` where it has none."""
    import pwd  # noqa: PLC0415 - Unix only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def is_owner(uid: int) -> bool:
    """Whether a user may do with this server as they like: its own, and root."""
    return uid in (0, os.getuid())
