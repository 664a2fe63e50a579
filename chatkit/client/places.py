"""Where the client keeps files. Light: a plain send asks whether there is a spool, and loads nothing for it."""

from __future__ import annotations

import os
import sys


def spool_path() -> str:
    """The spool of this user: ``CHATKIT_SPOOL``, else in the directory for state that is to stay."""
    if path := os.environ.get("CHATKIT_SPOOL"):
        return path
    if sys.platform == "win32":
        from platformdirs import user_state_dir  # noqa: PLC0415

        return os.path.join(user_state_dir("chatkit", appauthor=False), "spool.db")
    # What platformdirs says, without the 30 ms that it takes to load. A test holds the two to the same.
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state")
    return os.path.join(state, "chatkit", "spool.db")
