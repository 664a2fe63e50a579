"""One sender: a keep-alive connection with one message on it at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol, cast

from ...errors import ChatkitError, Refused
from ..http1 import Response, Responses
from ..sending import RETRY_STATUSES, answer_of

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from .plan import Script
    from .summary import Histogram
    from .tally import Tally

#: A server that says "later" without saying when.
_PAUSE_S: Final = 0.1


class Source(Protocol):
    """Who hands out the messages."""

    def free(self, sender: Sender) -> None:
        """``sender`` may have the next one."""

    def failed(self, sender: Sender, error: ChatkitError | None) -> None:
        """``sender`` is gone; ``error`` says that the server will not have it, ``None`` that the connection ended."""


class Sender(asyncio.Protocol):
    """A sender.

    Attributes:
        last_ns: when the latest answer came.
    """

    transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint, script: Script, tally: Tally, into: Histogram, source: Source) -> None:
        self._url, self._request, self._tally, self._latencies = endpoint.url, script.request, tally, into
        self._source = source
        self._responses = Responses(endpoint.url)
        self._number = -1
        self._partial = False
        self._over = False
        self.last_ns = 0

    def send(self, begun_ns: int) -> None:
        """Send a new message, which was due at ``begun_ns``."""
        self._number = self._tally.send(begun_ns)
        self.transport.write(self._request(self._number))

    # The transport's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        try:
            # An answer that is whole and says yes, which is one flat object: the parser would cost more than the send.
            if not self._partial and data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"}") and b'"ok":true' in data:
                self._stored()
                return
            responses = self._responses.feed(data)
            self._partial = not responses
            for response in responses:
                self._answered(response)
        except ChatkitError as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(None)

    # Inside.

    def _answered(self, response: Response) -> None:
        if response.status == 200:
            self._stored()
            return
        if response.status not in RETRY_STATUSES:
            answer_of(response, self._url)
        if self._number >= 0:
            self._tally.refuse(self._number)
            self._number = -1
        pause_s = _PAUSE_S if response.retry_after_s is None else response.retry_after_s
        asyncio.get_running_loop().call_later(pause_s, self._source.free, self)

    def _stored(self) -> None:
        number, self._number = self._number, -1
        if number < 0:
            raise Refused("bad_request", f"{self._url} answers what nobody asked")
        self.last_ns = time.perf_counter_ns()
        self._latencies.add(self.last_ns - self._tally.begun_ns[number])
        self._tally.store(number)
        self._source.free(self)

    def _end(self, error: ChatkitError | None) -> None:
        if not self._over:
            self._over = True
            self.transport.abort()
            self._source.failed(self, error)
