"""Where a server is: a URL read once, and the place its sockets come from."""

from __future__ import annotations

import os
import re
from typing import Final

from ..errors import InvalidName

DEFAULT_URL: Final = "http://127.0.0.1:8787"
DEFAULT_PORT: Final = 8787

_SCHEMES: Final = {"http": 80, "ws": 80}
_LATER: Final = ("https", "wss", "unix")
_TOKEN = re.compile(r"[!-~]+")
_URL = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?"
    r"(?P<host>\[[0-9a-f:.]+(?:%\w+)?\]|[a-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)


class Endpoint:
    """A server's address.

    Attributes:
        host: a name or an address, IPv6 without brackets.
        port: 1-65535.
    """

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Endpoint) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"

    @property
    def authority(self) -> str:
        """``host:port`` as a ``Host`` field has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL for people and for links."""
        return f"http://{self.authority}"

    @property
    def ws_url(self) -> str:
        """The same for a WebSocket."""
        return f"ws://{self.authority}"


def parse_url(text: str) -> Endpoint:
    """Read ``http://host:port``, ``ws://host:port`` or ``host:port``.

    A missing port is the scheme's own (80), or 8787 when there is no scheme either.

    Raises:
        InvalidName: it is no such URL; the error says what would be right.
    """
    scheme = text.partition(":")[0].lower()
    if scheme in _LATER and text[len(scheme) :].startswith((":/", ":.")):
        raise InvalidName("URL", text, f"{scheme} is not supported; use http://host:port")
    found = _URL.fullmatch(text.strip())
    if not found:
        raise InvalidName("URL", text, f"use http://host:port without a path, such as {DEFAULT_URL}")
    scheme = (found["scheme"] or "").lower()
    if scheme and scheme not in _SCHEMES:
        raise InvalidName("URL", text, f"{scheme!r} is not supported; use http://host:port")
    port = int(found["port"]) if found["port"] else _SCHEMES.get(scheme, DEFAULT_PORT)
    if not 1 <= port <= 65535:
        raise InvalidName("URL", text, "a port is 1 to 65535")
    return Endpoint(found["host"].strip("[]").lower(), port)


def default_user() -> str:
    """``CHATKIT_USER``, else the login name, else ``anonymous``."""
    for name in ("CHATKIT_USER", "LOGNAME", "USER", "USERNAME"):
        if value := os.environ.get(name):
            return value
    try:
        import pwd  # noqa: PLC0415 - Unix only, and only where no variable says it

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return "anonymous"


def checked_token(token: str | None) -> str | None:
    """Return ``token`` if it may stand in a header field; an empty one is none.

    Raises:
        InvalidName: it may not. The error does not show it.
    """
    if token and not _TOKEN.fullmatch(token):
        raise InvalidName("token", "***", "it has characters other than visible ASCII; is CHATKIT_TOKEN set right?")
    return token or None
