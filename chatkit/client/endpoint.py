"""Where a server is: a URL read once, and the place its sockets come from."""

from __future__ import annotations

import os
import re
import sys
from typing import Final

from ..errors import ChatkitError, InvalidName

DEFAULT_URL: Final = "http://127.0.0.1:8787"
DEFAULT_PORT: Final = 8787

_SCHEMES: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
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
        host: a name or an address, IPv6 without brackets; ``localhost`` for a Unix socket.
        port: 1-65535.
        is_tls: whether it speaks TLS.
        path: the Unix socket, ``None`` for a port.
        ca_file: the certificates to trust, ``None`` for the system's.
    """

    __slots__ = ("ca_file", "host", "is_tls", "path", "port")

    def __init__(
        self, host: str, port: int, *, is_tls: bool = False, path: str | None = None, ca_file: str | None = None
    ) -> None:
        self.host, self.port, self.is_tls, self.path, self.ca_file = host, port, is_tls, path, ca_file

    def _key(self) -> tuple[object, ...]:
        return self.host, self.port, self.is_tls, self.path, self.ca_file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Endpoint) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"

    @property
    def authority(self) -> str:
        """``host:port`` as a ``Host`` field has it."""
        if self.path is not None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL for people and for links."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"

    @property
    def ws_url(self) -> str:
        """The same for a WebSocket."""
        return f"{'wss' if self.is_tls else 'ws'}://{self.authority}"


def parse_url(text: str, ca_file: str | None = None) -> Endpoint:
    """Read ``http://host:port``, ``https://host:port``, the same with ``ws``, ``host:port`` or ``unix:PATH``.

    A missing port is the scheme's own (80 or 443), or 8787 when there is no scheme either.

    Raises:
        InvalidName: it is no such URL; the error says what would be right.
    """
    if text[:5].lower() == "unix:":
        path = text[5:].removeprefix("//")
        if not path:
            raise InvalidName("URL", text, "use unix: and the path of the socket")
        return Endpoint("localhost", 80, path=path)
    found = _URL.fullmatch(text.strip())
    if not found:
        raise InvalidName("URL", text, f"use http://host:port without a path, such as {DEFAULT_URL}")
    scheme = (found["scheme"] or "").lower()
    if scheme and scheme not in _SCHEMES:
        raise InvalidName("URL", text, f"{scheme!r} is not supported; use http, https or unix:PATH")
    port = int(found["port"]) if found["port"] else _SCHEMES.get(scheme, DEFAULT_PORT)
    if not 1 <= port <= 65535:
        raise InvalidName("URL", text, "a port is 1 to 65535")
    return Endpoint(found["host"].strip("[]").lower(), port, is_tls=scheme in ("https", "wss"), ca_file=ca_file)


def logins_path() -> str:
    """The file that ``chatkit login`` keeps tokens in: ``CHATKIT_LOGINS``, else one in the user's configuration.

    Spelled out here, since platformdirs takes longer to load than a send takes.
    """
    if path := os.environ.get("CHATKIT_LOGINS"):
        return path
    if sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")
    elif sys.platform == "win32":
        folder = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        folder = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(folder, "chatkit", "logins.json")


def find_token(endpoint: Endpoint, token_file: str | None = None) -> str | None:
    """The token for a server: from ``token_file``, else ``CHATKIT_TOKEN``, else what ``chatkit login`` was given.

    Raises:
        ChatkitError: the file cannot be read, or holds no token.
    """
    if token_file is not None:
        try:
            with open(token_file, encoding="utf-8") as stream:
                found = stream.read(65536).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ChatkitError(f"cannot read a token from {token_file}: {error}") from None
        if not found:
            raise ChatkitError(f"{token_file} holds no token")
        return checked_token(found)
    if token := os.environ.get("CHATKIT_TOKEN"):
        return checked_token(token)
    if not os.path.exists(logins_path()):
        return None
    from .logins import stored_token  # noqa: PLC0415 - most have none

    return checked_token(stored_token(endpoint.url))


def speaker(endpoint: Endpoint, user: str | None, token: str | None) -> str | None:
    """Who to say that we are: the server knows better where there is a token, or a Unix socket."""
    user = user or os.environ.get("CHATKIT_USER") or None
    return default_user() if user is None and token is None and endpoint.path is None else user


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
