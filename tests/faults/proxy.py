"""A proxy that does to a connection what networks do."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

from .rig import DEADLINE_S


class Proxy:
    """Passes connections on to a server, until told otherwise.

    Args:
        port: the server's.
        cut_after: cut each connection after about so many bytes in either direction; 0 for never.
        trickle: pass on at most so many bytes at a time; 0 for all there is.
        seed: for where exactly it cuts.
    """

    def __init__(self, port: int, *, cut_after: int = 0, trickle: int = 0, seed: int = 1) -> None:
        self._target, self._cut_after, self._trickle = port, cut_after, trickle
        self._rng = random.Random(seed)
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._closed = False
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Take and pass on nothing more, and close nothing: a cable is pulled."""
        self._flowing.clear()

    def flow(self) -> None:
        """Go on."""
        self._flowing.set()

    def close(self) -> None:
        """Cut everything."""
        self._closed = True
        self._flowing.set()
        for held in [self._listener, *self._sockets]:
            _cut(held)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket()
            self._sockets += [client, server]
            try:
                server.connect(("127.0.0.1", self._target))
            except OSError:
                _cut(client)
                _cut(server)
                continue
            for source, target in ((client, server), (server, client)):
                limit = self._rng.randrange(self._cut_after // 2, self._cut_after * 2) if self._cut_after else 0
                threading.Thread(target=self._pass_on, args=(source, target, limit), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, limit: int) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(self._trickle or 65536):
                assert self._flowing.wait(DEADLINE_S)
                passed += len(data)
                if limit and passed >= limit:
                    target.sendall(data[: max(0, len(data) - (passed - limit))])
                    self.cuts += 1
                    break
                target.sendall(data)
        _cut(source)
        _cut(target)


def _cut(held: socket.socket) -> None:
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
    held.close()
