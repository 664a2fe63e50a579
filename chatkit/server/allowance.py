"""What one identity has left: sends, and connections. Pure: time is passed in."""

from __future__ import annotations

from ..errors import Refused


class Bucket:
    """A limit on a rate: allows ``per_s`` in the long run and ``burst`` at once (a token bucket)."""

    __slots__ = ("_burst", "_left", "_per_s", "_since_s")

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._left = float(burst)
        self._since_s: float | None = None

    def take(self, now_s: float) -> None:
        """Take one.

        Args:
            now_s: seconds of any clock; one that is set back takes nothing away.

        Raises:
            Refused: ``rate_limited``, with the time until there is one again.
        """
        if self._since_s is not None:
            self._left = min(self._burst, self._left + max(0.0, now_s - self._since_s) * self._per_s)
        self._since_s = now_s
        if self._left < 1.0:
            raise Refused(
                "rate_limited",
                f"more than {self._per_s:g} sends a second; slow down",
                retry_after_s=(1.0 - self._left) / self._per_s,
            )
        self._left -= 1.0


class Allowance:
    """Shared by everything that one user does, with however many tokens.

    Attributes:
        bucket: the sends that are left, ``None`` where there is no limit.
        max_links: open WebSockets at most, 0 for any number.
        links: how many there are.
    """

    __slots__ = ("__weakref__", "bucket", "links", "max_links")

    def __init__(self, rate_per_s: float, burst: int, max_links: int) -> None:
        self.bucket = Bucket(rate_per_s, burst) if rate_per_s else None
        self.max_links = max_links
        self.links = 0

    def check_links(self) -> None:
        """Raise Refused (``rate_limited``) where one more connection would be too many."""
        if self.max_links and self.links >= self.max_links:
            raise Refused("rate_limited", f"you have {self.links} connections, the most there may be", retry_after_s=5)
