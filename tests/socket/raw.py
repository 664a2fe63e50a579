"""A socket that speaks exactly the bytes a test gives it, and reads HTTP responses."""

from __future__ import annotations

import json
import socket
import struct
from types import TracebackType
from typing import Any, NamedTuple, Self

DEADLINE_S = 10.0


class Closed(Exception):
    """The server closed the connection."""


class Response(NamedTuple):
    """One HTTP response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a refusal, whose shape is checked on the way."""
        found = self.json
        assert found.keys() == {"ok", "code", "error"}
        assert found["ok"] is False
        assert found["error"]
        code: str = found["code"]
        return code


class Raw:
    """One TCP connection."""

    def __init__(self, port: int, *, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(DEADLINE_S)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self, method: str, target: str, body: object = None, *, version: str = "1.1", **headers: str
    ) -> Response:
        """One request and its response; ``body`` is sent as JSON, or as it is when it is bytes."""
        self.send(request_bytes(method, target, body, version=version, **headers))
        return self.response(head_only=method == "HEAD")

    def response(self, *, head_only: bool = False) -> Response:
        head, _, _ = self.read_until(b"\r\n\r\n").partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = 0 if head_only or int(status) in (101, 100, 304) else int(headers["content-length"])
        return Response(int(status), headers, self.read(length))

    def read(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self._more()
        size = self.buffer.index(end) + len(end)
        return self.read(size)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        try:
            while True:
                self._more()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def is_closed(self) -> bool:
        """Whether the server closes without another byte; waits for it to do either."""
        return self.rest() == b""

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: the peer gets RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.buffer += data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def request_bytes(method: str, target: str, body: object = None, *, version: str = "1.1", **headers: str) -> bytes:
    """A request; ``content_type="..."`` becomes ``Content-Type: ...``. An empty value leaves a default field out."""
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    fields = {"host": "localhost"}
    if body is not None:
        fields |= {"content-type": "application/json", "content-length": str(len(payload))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode() + payload
