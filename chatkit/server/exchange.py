"""One request and its answer, as a handler sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .. import wire
from ..errors import Refused
from ..log.base import Outcome, Submission
from . import responses
from .context import Context, logger
from .request import Request
from .rights import Grant

if TYPE_CHECKING:
    from .http import HttpConnection


class Exchange:
    """One request and its answer. Answers leave in the order of the requests (RFC 9112, 9.3.2).

    Attributes:
        response: the answer, once there is one.
        grant: who asks, and what they may do.
        cors: fields for every answer, where an allowed page of another site asks.
        closes: whether the connection closes after the answer.
        size: how many bytes the request has.
    """

    __slots__ = ("_connection", "closes", "context", "cors", "grant", "request", "response", "size")

    def __init__(self, connection: HttpConnection, context: Context, request: Request, grant: Grant) -> None:
        self._connection = connection
        self.grant = grant
        self.closes = not request.head.keep_alive
        self.cors: dict[str, str] | None = None
        self.response: bytes | None = None
        self.context = context
        self.request = request
        self.size = request.head.size + len(request.body)

    def ok(self, body: bytes) -> None:
        """Answer 200 with JSON."""
        head = self.request.head
        if head.keep_alive and self.cors is None and head.method != "HEAD":
            self._set(responses.ok(body))
        else:
            self.answer(200, body)

    def answer(
        self, status: int, body: bytes, content_type: str = responses.JSON, headers: dict[str, str] | None = None
    ) -> None:
        """Answer anything."""
        head = self.request.head
        if self.cors is not None:
            headers = _merged(headers, self.cors)
        self._set(
            responses.response(
                status,
                body,
                content_type,
                headers=headers,
                close=self.closes,
                head_only=head.method == "HEAD",
            )
        )

    def refuse(self, error: Refused, headers: dict[str, str] | None = None) -> None:
        """Answer that it is refused."""
        self.context.counters.refuse(error)
        if self.cors is not None:
            headers = _merged(headers, self.cors)
        if error.status == HTTPStatus.UNAUTHORIZED:
            self.closes = True  # a stranger may not keep a connection
        head_only = self.request.head.method == "HEAD"
        self._set(responses.refusal(error, close=self.closes, headers=headers, head_only=head_only))

    def accepted(self, submission: Submission, outcome: Outcome) -> None:
        """Answer a send or publish with what became of it."""
        if isinstance(outcome, Refused):
            self.refuse(outcome)
            return
        answer = wire.Accepted(id=submission.event.id)
        if outcome.seq is not None:
            answer.seq = outcome.seq
        if outcome.duplicate:
            self.context.counters.duplicates += 1
            answer.duplicate = True
        self.ok(wire.encode(answer))

    def emitted(self, submission: Submission, outcome: Outcome) -> None:
        """Answer an emit."""
        if isinstance(outcome, Refused):
            self.refuse(outcome)
        else:
            self.ok(b'{"ok":true}')

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer later, from a coroutine; one that fails answers 500."""
        self._connection.running += 1
        self.context.spawn(self._guard(work))

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refused as error:
            self.refuse(error)
        except Exception:
            logger.exception("%s %r failed", self.request.head.method, self.request.head.path)
            self.refuse(Refused("internal", "the server failed; its log says how"))
        finally:
            self._connection.running -= 1
            self._connection.flush()

    def become(self, make: Callable[[asyncio.Transport, int], asyncio.Protocol]) -> None:
        """Answer with whatever ``make`` writes, from now on and for as long as the connection lives.

        Raises:
            Refused: an earlier request is not answered yet.
        """
        self._connection.become(self, make)

    def _set(self, response: bytes) -> None:
        if self.response is None:
            self.response = response
            self._connection.answered(response)


def _merged(headers: dict[str, str] | None, cors: dict[str, str]) -> dict[str, str]:
    """Both, of which either may say on what the answer depends."""
    if not headers:
        return cors
    merged = {**headers, **cors}
    if "Vary" in headers and "Vary" in cors:
        merged["Vary"] = f"{headers['Vary']}, {cors['Vary']}"
    return merged
