"""A server that misbehaves on purpose: it answers HTTP requests as a script says, and then is gone."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

#: What a script does with one request: the bytes to answer, ``None`` to drop the connection instead.
Script = Callable[[int, dict[str, Any]], bytes | None]


def reply(status: int, extra: str = "", **body: Any) -> bytes:
    """One HTTP answer."""
    data = json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{extra}\r\n".encode() + data


def accepted(seq: int, body: dict[str, Any]) -> bytes:
    """The answer to a send that is done."""
    return reply(200, ok=True, id=body["id"], seq=seq)


class Scripted:
    """Listens, and calls the script with each request: its number, from 0, and its body.

    Attributes:
        url: where.
        bodies: every body that came, in order.
        connections: how many connections were accepted.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bodies: list[dict[str, Any]] = []
        self.connections = 0
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._connection = connection
            with connection:
                connection.settimeout(20)
                with contextlib.suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while found := re.match(rb"(?s).*?content-length: (\d+)(?:\r\n[^\r]+)*\r\n\r\n", data, re.IGNORECASE):
                end = found.end() + int(found[1])
                if len(data) < end:
                    break
                body, data = json.loads(data[found.end() : end]), data[end:]
                number = len(self.bodies)
                self.bodies.append(body)
                answer = self._script(number, body)
                if answer is None:
                    return
                connection.sendall(answer)

    def close(self) -> None:
        """Be gone, with the connection that there is."""
        for one in (self._listener, self._connection):
            with contextlib.suppress(OSError):
                if one:
                    one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@contextlib.contextmanager
def scripted(script: Script) -> Iterator[Scripted]:
    """A scripted server for the block."""
    server = Scripted(script)
    try:
        yield server
    finally:
        server.close()
