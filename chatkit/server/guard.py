"""Who may come in: what a request's head alone decides. Pure: a head in, a verdict out.

A server on a laptop can be reached by every page that its browser opens, so three fields are looked at before
anything else. `Host`: a page whose name was made to point here (DNS rebinding) sends its own name. `Origin`: a page
of another site says so, on WebSockets too, which no browser keeps from connecting anywhere. `Content-Type`: a form
cannot send JSON, so a POST that is JSON was either sent by a page we allow or asked for leave first.

Vite, webpack-dev-server, Jupyter, Ollama and Storybook each had a CVE for leaving one of them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from .. import wire
from ..errors import InvalidName, Refused
from .rights import Grant, Right

if TYPE_CHECKING:
    from .request import Head

#: Route -> the right it asks for. Nothing is served that is not here, but the page's files, which anybody may have.
ROUTES: Final[dict[tuple[str, str], Right]] = {
    ("POST", "/setup"): Right.ADMIN,
    ("POST", "/examples/chat/send"): Right.SEND,
    ("POST", "/api/examples/chat/send"): Right.SEND,
    ("POST", "/api/publish"): Right.SEND,
    ("POST", "/internal/hooks/rpc"): Right.SEND,
    ("GET", "/api/messages"): Right.READ,
    ("GET", "/api/v1/public/realtime/history"): Right.READ,
    ("GET", "/api/stream"): Right.READ,
    ("GET", "/api/channels"): Right.READ,
    ("GET", "/api/presence"): Right.READ,
    ("GET", "/api/realtime"): Right.MEMBER,
    ("GET", "/api/me"): Right.MEMBER,
    ("GET", "/api/tokens"): Right.OWNER,
    ("POST", "/api/tokens"): Right.OWNER,
    ("POST", "/api/tokens/revoke"): Right.OWNER,
    ("POST", "/api/admin/prune"): Right.OWNER,
    ("GET", "/metrics"): Right.ADMIN,
    ("GET", "/healthz"): Right.NONE,
}

#: Frame -> the right it asks for.
COMMANDS: Final[dict[type[wire.Command], Right]] = {
    wire.Subscribe: Right.READ,
    wire.Unsubscribe: Right.NONE,
    wire.Publish: Right.SEND,
    wire.Chat: Right.SEND,
    wire.Track: Right.SEND,  # it tells everybody on the channel
    wire.Untrack: Right.NONE,
    wire.Auth: Right.NONE,
    wire.Ping: Right.NONE,
}

_WORDS: Final = {
    Right.SEND: "send to any channel",
    Right.READ: "read any channel",
    Right.ADMIN: "do that: it takes a token made with --admin",
    Right.OWNER: "do that: it takes a token made with --admin",
}

_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(?P<port>[0-9]{1,5}))?", re.I)
_NAME = re.compile(r"\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.I)
_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>.+)", re.I)
_PORTS: Final = {"http": 80, "https": 443}

#: Subprotocols that carry a credential, for browsers, which can set no field of a WebSocket's handshake.
_CREDENTIALS: Final = ("aerostack-token.", "aerostack-key.")


class Authority(NamedTuple):
    """A host, in lower case and IPv6 without brackets, and its port, ``None`` where none is said."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """Where a page is from; compared whole, as browsers do."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port in (None, _PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


class Site(msgspec.Struct, frozen=True):
    """What the guard knows of the place where a request arrives.

    Attributes:
        scheme: ``http`` or ``https``.
        is_local: whether it can be reached from this machine only.
        hosts: names it goes by beside the usual; one that starts with a dot stands for all below it.
        origins: of other sites, whose pages may use it.
    """

    scheme: str
    is_local: bool
    hosts: frozenset[str] = frozenset()
    origins: frozenset[Origin] = frozenset()


# --------------------------------------------------------------------------------------------- reading settings


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and _is_loopback(address)


def allowed_host(text: str) -> str:
    """Read one ``--allow-host``: a name, or ``.example.com`` for all names below it.

    Raises:
        InvalidName: it is neither.
    """
    name = text.strip().lower().rstrip(".")
    if not _NAME.fullmatch(name):
        raise InvalidName("host", text, "use a name without scheme and port, such as chat.example.com or .example.com")
    return name


def allowed_origin(text: str) -> Origin:
    """Read one ``--allow-origin``.

    Raises:
        InvalidName: it is no origin, or all of them.
    """
    origin = parse_origin(text.strip().rstrip("/"))
    if origin is None:
        raise InvalidName("origin", text, "use scheme, host and port of the page, such as http://localhost:5173")
    return origin


# ------------------------------------------------------------------------------------------------ reading heads


def parse_authority(text: str) -> Authority | None:
    """``host`` or ``host:port``; ``None`` for anything else."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or (found["port"] is not None and int(found["port"]) > 65535):
        return None
    host = found["host"].lower().strip("[]")
    if found["host"][0] == "[" and _address(host) is None:
        return None
    return Authority(host, int(found["port"]) if found["port"] else None)


def parse_origin(text: str) -> Origin | None:
    """The value of an ``Origin`` field; ``None`` for ``null`` and whatever else is no origin."""
    found = _ORIGIN.fullmatch(text)
    authority = parse_authority(found["authority"]) if found else None
    if found is None or authority is None:
        return None
    scheme = found["scheme"].lower()
    return Origin(scheme, authority.host, _PORTS.get(scheme) if authority.port is None else authority.port)


def check_host(site: Site, host: str | None) -> Authority | None:
    """The name that the client called us by; ``None`` for HTTP/1.0 without one, which no browser speaks.

    Raises:
        Refused: ``bad_request`` for no name, ``forbidden`` for one that is not ours.
    """
    if host is None:
        return None
    authority = parse_authority(host)
    if authority is None:
        raise Refused("bad_request", "the Host field should be a name or address, and a port")
    name = authority.host
    address = _address(name)
    if address is not None:
        # A name can be made to point anywhere; an address is what it says. But one that is not ours came by a
        # detour, such as 0.0.0.0, which some browsers take for this machine.
        known = _is_loopback(address) if site.is_local else not address.is_unspecified
    else:
        known = name == "localhost" or name.endswith(".localhost")
    if known or _is_named(site.hosts, name):
        return authority
    raise Refused("forbidden", f"this server does not go by {name!r}; --allow-host {name} makes it")


def check_origin(site: Site, origin: str | None, authority: Authority | None) -> Origin | None:
    """The origin of another site's page that is allowed; ``None`` when no page asks, or one of our own.

    Raises:
        Refused: ``forbidden``.
    """
    if origin is None:
        return None
    page = parse_origin(origin)
    if page is None:
        raise Refused("forbidden", f"a page without an origin of its own ({origin[:40]!r}) may not use this server")
    if page in site.origins:
        return page
    if authority is not None:
        port = _PORTS[site.scheme] if authority.port is None else authority.port
        if page == (site.scheme, authority.host, port):
            return None
    raise Refused("forbidden", f"pages of {page} may not use this server; --allow-origin {page} lets them")


def check_content(head: Head) -> None:
    """A POST with a body is JSON.

    Raises:
        Refused: ``unsupported_media_type``.
    """
    if head.method == "POST" and head.length != 0 and not head.is_json:
        raise Refused("unsupported_media_type", "the content type should be application/json")


def credential(headers: Mapping[str, str]) -> str | None:
    """The credential that a client shows, whatever its kind.

    Raises:
        Refused: ``unauthorized``, an ``Authorization`` that is no bearer's.
    """
    field = headers.get("authorization")
    if field is not None:
        scheme, _, value = field.partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise Refused("unauthorized", "the Authorization field should be: Bearer, a space, and the token")
        return value.strip()
    offered = [item.strip() for item in headers.get("sec-websocket-protocol", "").split(",")]
    for prefix in _CREDENTIALS:
        for item in offered:
            if item.startswith(prefix) and len(item) > len(prefix):
                return item[len(prefix) :]
    return None


def cors(origin: Origin) -> dict[str, str]:
    """The fields that let an allowed page read an answer."""
    return {
        "Access-Control-Allow-Origin": str(origin),
        "Access-Control-Expose-Headers": "ETag, Retry-After",
        "Vary": "Origin",
    }


def preflight(origin: Origin, headers: Mapping[str, str]) -> dict[str, str]:
    """The fields that answer an allowed page which asks for leave (fetch.spec.whatwg.org, 3.3)."""
    fields = {
        **cors(origin),
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "authorization, content-type, last-event-id",
        "Access-Control-Max-Age": "600",
    }
    if headers.get("access-control-request-private-network") == "true":
        fields["Access-Control-Allow-Private-Network"] = "true"
    return fields


def right_of(method: str, path: str, files: Iterable[str]) -> Right:
    """The right that a route asks for; what does not exist asks for none, and is answered so."""
    right = ROUTES.get(("GET" if method == "HEAD" else method, path))
    if right is not None:
        return right
    known = {route for _, route in ROUTES}
    return Right.NONE if path in files or path not in known else Right.MEMBER


def refusal(grant: Grant, right: Right) -> Refused:
    """Why ``grant`` lacks ``right``."""
    if not grant.mask & Right.MEMBER:
        return Refused("unauthorized", "this server wants a token, as Authorization: Bearer")
    if not grant.identity.verified and right in (Right.ADMIN, Right.OWNER):
        return Refused("unauthorized", "that takes a token made with --admin, as Authorization: Bearer")
    return Refused("forbidden", f"{grant.who} may not {_WORDS.get(right, 'do that')}")


def _is_named(hosts: frozenset[str], name: str) -> bool:
    return name in hosts or any(host[0] == "." and name.endswith(host) for host in hosts)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback
