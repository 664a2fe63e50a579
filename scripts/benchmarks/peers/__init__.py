"""The servers under test, in the order of the table."""

from __future__ import annotations

from .base import Peer
from .chatkit import ChatkitFull, ChatkitNormal
from .nchan import Nchan
from .python_stack import FastApi, Websockets
from .socketio import SocketIo
from .uws import Uws

__all__ = ["ALL", "ChatkitFull", "ChatkitNormal"]

ALL: tuple[type[Peer], ...] = (ChatkitNormal, ChatkitFull, Uws, Nchan, SocketIo, Websockets, FastApi)
