"""What to measure: the load, and the shape of its messages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..http1 import encode_request

if TYPE_CHECKING:
    from ..endpoint import Endpoint

#: A text carries its mark and its number.
MIN_SIZE_BYTES: Final = 24

_NUMBER_DIGITS: Final = 10


class Plan(NamedTuple):
    """The load.

    Attributes:
        run: a name of its own for the rooms and ids of this run, letters and digits.
        subscribers: how many; subscriber i listens to channel ``i % channels``.
        senders: connections that send, each awaiting an answer before it sends again.
        messages: how many in all, ``None`` for as many as fit in ``seconds``.
        seconds: how long, ``None`` until all messages are sent.
        rate: messages a second of all senders together, ``None`` as fast as the answers come.
        size_bytes: of each text.
        channels: message n goes to channel ``n % channels``.
    """

    run: str
    subscribers: int
    senders: int
    messages: int | None
    seconds: float | None
    rate: float | None
    size_bytes: int
    channels: int

    def room(self, channel: int) -> str:
        """The room with the number ``channel``."""
        return f"bench-{self.run}" if self.channels == 1 else f"bench-{self.run}-{channel}"


class Script:
    """The bytes of every request of a run: all of one room have the same length, so each is one ``%``."""

    def __init__(self, plan: Plan, endpoint: Endpoint, token: str | None) -> None:
        #: It is in every message of this run once and in nothing else: its id has no colon behind the name.
        self.mark = f'"{plan.run}:'.encode("ascii")
        self._channels = plan.channels
        self._templates = [self._template(plan, plan.room(at), endpoint, token) for at in range(plan.channels)]

    @staticmethod
    def _template(plan: Plan, room: str, endpoint: Endpoint, token: str | None) -> bytes:
        number = "0" * _NUMBER_DIGITS
        pad = "x" * (plan.size_bytes - len(plan.run) - 1 - _NUMBER_DIGITS - 1)
        # With a token, or on a Unix socket, the server knows who is sending, and lets them be nobody else.
        user = "" if token or endpoint.path is not None else '"userId":"bench",'
        body = f'{{"roomId":"{room}","id":"{plan.run}-{number}",{user}"text":"{plan.run}:{number}:{pad}"}}'
        request = encode_request("POST", "/examples/chat/send", endpoint.authority, token, body.encode("ascii"))
        return request.replace(b"%", b"%%").replace(number.encode("ascii"), b"%%0%dd" % _NUMBER_DIGITS)

    def request(self, number: int) -> bytes:
        """The bytes of message ``number``."""
        return self._templates[number % self._channels] % (number, number)


def number_of(text: str) -> int:
    """The number in a message's text; -1 when it is not one of a run."""
    number = text.split(":", 2)[1:2]
    return int(number[0]) if number and number[0].isdecimal() else -1
