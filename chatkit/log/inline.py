"""Whether a batch is committed where it is, on the event loop's thread, or on the writer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .base import Submission

#: A batch larger than this would hold the loop for a noticeable time, however fast the disk is.
_MAX_EVENTS: Final = 256
_MAX_BYTES: Final = 256 * 1024
#: A commit that takes longer says that the disk, or the machine, is not up to it now ...
_SLOW_S: Final = 0.02
#: ... and that the loop had better keep off it for so long, twice as long each time it is slow again.
_REST_S: Final = 1.0
_MAX_REST_S: Final = 64.0


class Inline:
    """Keeps the loop from being held.

    A commit that syncs nothing is a few writes into the page cache, and two switches of threads, with the interpreter
    lock handed over at each, cost more than that. Redis does the same with ``appendfsync everysec``: it
    writes from its event loop and syncs from a thread (redis.io/docs/latest/operate/oss_and_stack/management/persistence).
    There, as here (:class:`~chatkit.log.flusher.Flusher`), a write may meet a sync under way and take longer for it: where
    it takes much longer, the loop keeps off.
    """

    def __init__(self) -> None:
        self._rest_until_s = 0.0
        self._rest_s = _REST_S

    def takes(self, batch: Sequence[Submission], now_s: float) -> bool:
        """Whether ``batch`` may be committed on the loop; ``now_s`` is a monotonic time."""
        return (
            now_s >= self._rest_until_s
            and len(batch) <= _MAX_EVENTS
            and sum([len(submission.event.data) for submission in batch]) <= _MAX_BYTES
        )

    def took(self, taken_s: float, now_s: float) -> None:
        """A batch was committed on the loop, or tried to be, in so many seconds."""
        if taken_s > _SLOW_S:
            self._rest_until_s = now_s + self._rest_s
            self._rest_s = min(2 * self._rest_s, _MAX_REST_S)
        else:
            self._rest_s = _REST_S
