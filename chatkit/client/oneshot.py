"""One request on one blocking socket: all that ``chatkit send ROOM TEXT`` needs, and no event loop to load for it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from ..errors import DeadlineExceeded, Unreachable
from .backoff import Backoff
from .dial import dial
from .http1 import Response, Responses, encode_request
from .sending import RETRY_STATUSES, Receipt, receipt_of

if TYPE_CHECKING:
    import socket
    from typing import Self

    from .endpoint import Endpoint
    from .sending import Post


def send(endpoint: Endpoint, post: Post, *, token: str | None, timeout_s: float, line: Line | None = None) -> Receipt:
    """Send ``post`` and return what the server says of it.

    A connection that is lost, and a status that passes, is tried again with the same id until ``timeout_s`` is over.
    A server that was never there is not waited for: whoever forgot to start it should hear so at once.

    Args:
        endpoint: the server.
        post: what to send.
        token: a credential.
        timeout_s: seconds to try.
        line: a connection for this send and more; by default one of its own.

    Raises:
        Unreachable: no server answers; nothing was sent.
        Refused: the server said no.
        DeadlineExceeded: the outcome is unknown.
    """
    data = encode_request("POST", post.path, endpoint.authority, token, post.body)
    deadline = time.monotonic() + timeout_s
    backoff, connected = Backoff(), False
    response: Response | None = None
    while True:
        at_least_s = None
        try:
            response = line.attempt(data, deadline) if line else _attempt(endpoint, data, deadline)
        except Unreachable:
            if not connected:
                raise
        except _Lost:
            connected, response = True, None
        else:
            connected = True
            if response.status not in RETRY_STATUSES:
                return receipt_of(post, response, endpoint.url)
            at_least_s = response.retry_after_s
        import random  # noqa: PLC0415 - 2 ms that a send which succeeds does without

        wait_s = backoff.next_s(random.random(), at_least_s)  # noqa: S311 - jitter, not a secret
        if time.monotonic() + wait_s >= deadline:
            break
        time.sleep(wait_s)
    if response is not None:
        return receipt_of(post, response, endpoint.url)
    raise outcome_unknown(post.id, timeout_s)


class _Lost(Exception):
    """The connection ended, or the time did, before the answer."""


class Line:
    """A connection for one request after the other, opened when it is needed. Use it with ``with``."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._sock: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._sock:
            self._sock.close()
            self._sock = None

    def attempt(self, data: bytes, deadline: float) -> Response:
        """Write one request and read its answer.

        Raises:
            Unreachable: nothing answers; nothing was sent.
            _Lost: the outcome is unknown.
        """
        if self._sock:
            with contextlib.suppress(_Lost):  # it may have waited too long for the server, which then closes it
                return self._exchange(self._sock, data, deadline)
        self._sock = dial(self._endpoint, deadline - time.monotonic())
        return self._exchange(self._sock, data, deadline)

    def _exchange(self, sock: socket.socket, data: bytes, deadline: float) -> Response:
        response: Response | None = None
        try:
            response = _exchange(sock, self._endpoint.url, data, deadline)
        finally:
            if response is None or not response.keep_alive:
                self._close()
        return response


def _attempt(endpoint: Endpoint, data: bytes, deadline: float) -> Response:
    with dial(endpoint, deadline - time.monotonic()) as sock:
        return _exchange(sock, endpoint.url, data, deadline)


def _exchange(sock: socket.socket, url: str, data: bytes, deadline: float) -> Response:
    responses = Responses(url)
    try:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        with contextlib.suppress(ConnectionError):  # a server that refuses early (413) stops reading and answers
            sock.sendall(data)
        while True:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = sock.recv(65536)
            if not piece:
                raise _Lost
            if done := responses.feed(piece):
                return done[0]
    except OSError as error:
        raise _Lost from error


def outcome_unknown(event_id: str, timeout_s: float) -> DeadlineExceeded:
    """The error of a request that was not answered in time; ``event_id`` is empty for one that only reads."""
    if not event_id:
        return DeadlineExceeded(f"no answer in {timeout_s:.3g} s")
    return DeadlineExceeded(
        f"no answer in {timeout_s:.3g} s; the outcome is unknown, send again with the id {event_id} to be sure"
    )
