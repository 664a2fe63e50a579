"""``chatkit login``: keep a token for a server."""

from __future__ import annotations

import sys

from .. import wire
from ..client.endpoint import DEFAULT_URL, Endpoint, checked_token, parse_url
from ..client.logins import store
from ..client.oneshot import ask
from ..client.sending import answer_of
from .ending import UsageError

_TIMEOUT_S = 10.0


def run(url: str | None, ca_file: str | None, forget: bool) -> int:
    """Ask for the token, try it, keep it; raises ChatkitError."""
    endpoint = parse_url(url or DEFAULT_URL, ca_file)
    if forget:
        store(endpoint.url, None)
        print(f"forgotten: the token for {endpoint.url}")
        return 0
    token = checked_token(_typed(endpoint))
    if token is None:
        raise UsageError("no token was given")
    me = _me(endpoint, token)
    store(endpoint.url, token)
    if me.verified and me.userId is not None:
        print(f"logged in at {endpoint.url} as {me.userId}")
    else:
        print(f"kept the token for {endpoint.url}, which does not ask for one")
    return 0


def _typed(endpoint: Endpoint) -> str:
    if sys.stdin is None or not sys.stdin.isatty():
        return "" if sys.stdin is None else sys.stdin.read(65536).strip()
    from getpass import getpass  # noqa: PLC0415 - a script gives it on standard input

    try:
        return getpass(f"token for {endpoint.url}: ").strip()
    except EOFError:
        return ""


def _me(endpoint: Endpoint, token: str) -> wire.Me:
    response = ask(endpoint, "GET", "/api/me", None, token=token, timeout_s=_TIMEOUT_S)
    answer_of(response, endpoint.url)
    return wire.decode_with(wire.me, response.body, "body")
