"""Names of Unix sockets. A socket's address holds about a hundred bytes; a path may be longer."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Final

_MAX_BYTES: Final = 100  # sun_path has 108 on Linux and 104 on macOS


@contextlib.contextmanager
def short(path: str) -> Iterator[str]:
    """A name of ``path`` that fits; on Linux any path has one, elsewhere a long one is left for the system to refuse."""
    if len(os.fsencode(path)) <= _MAX_BYTES or sys.platform != "linux":
        yield path
        return
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
