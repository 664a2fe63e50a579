"""What the maintenance commands ask a server, each one request on one blocking socket."""

from __future__ import annotations

import time
from typing import Final

from .. import wire
from ..errors import DeadlineExceeded, Refused, Unreachable
from .dial import dial
from .endpoint import Endpoint
from .http1 import Response, Responses, encode_request
from .sending import answer_of

TIMEOUT_S: Final = 60.0


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Response:
    """One request, and its response whatever the status is.

    Raises:
        Unreachable: no server answers, or it ends the connection.
        DeadlineExceeded: it does not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with dial(endpoint, timeout_s) as sock:
            responses = Responses(endpoint.url)
            sock.sendall(encode_request(method, path, endpoint.authority, token, body))
            while True:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = sock.recv(1 << 18)
                if not piece:
                    raise Unreachable(f"{endpoint.url} ended the connection before it answered")
                if done := responses.feed(piece):
                    return done[0]
    except TimeoutError:
        raise DeadlineExceeded(f"{endpoint.url} did not answer in {timeout_s:g} s") from None
    except OSError as error:
        raise Unreachable(f"{endpoint.url}: {error.strerror or error}") from error


def prune(endpoint: Endpoint, body: wire.PruneBody, *, token: str | None = None) -> wire.PruneAnswer:
    """Ask the server to remove events; it answers after some of them.

    Raises:
        Refused: the server said no.
        Unreachable, DeadlineExceeded: as :func:`request`.
    """
    response = request(endpoint, "POST", "/api/admin/prune", token=token, body=wire.encode(body))
    answer_of(response, endpoint.url)
    return wire.prune_answer.decode(response.body)


def epoch(endpoint: Endpoint, *, token: str | None = None) -> str:
    """The identity of the server's log; raises as :func:`prune` does."""
    response = request(endpoint, "GET", "/api/messages?limit=1", token=token)
    answer_of(response, endpoint.url)
    return wire.messages_page.decode(response.body).epoch


def metrics(endpoint: Endpoint, *, token: str | None = None, timeout_s: float = 5.0) -> str:
    """The server's metrics as text; raises as :func:`prune` does."""
    response = request(endpoint, "GET", "/metrics", token=token, timeout_s=timeout_s)
    if response.status != 200:
        answer_of(response, endpoint.url)
        raise Refused("internal", f"{endpoint.url} answered {response.status} for /metrics")
    return response.body.decode("utf-8", "replace")
