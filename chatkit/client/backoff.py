"""How long to wait before the next attempt."""

from __future__ import annotations

BASE_S = 0.2
CAP_S = 5.0


class Backoff:
    """Exponential backoff with full jitter.

    Full jitter (a uniform draw from zero to the bound) spreads the clients that a restart cut off at the same instant;
    see "Exponential Backoff and Jitter", M. Brooker, 2015.
    """

    __slots__ = ("attempt", "base_s", "cap_s")

    def __init__(self, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self.base_s, self.cap_s = base_s, cap_s
        self.attempt = 0

    def next_s(self, draw: float, at_least_s: float | None = None) -> float:
        """The next wait in seconds.

        Args:
            draw: a random number in [0, 1).
            at_least_s: what the server asked for (``Retry-After``); the jitter comes on top.
        """
        bound = min(self.cap_s, self.base_s * 2.0 ** min(self.attempt, 30))
        self.attempt += 1
        return draw * bound + (at_least_s or 0.0)

    def reset(self) -> None:
        """An attempt succeeded: the next failure starts over."""
        self.attempt = 0
