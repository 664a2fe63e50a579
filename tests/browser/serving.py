"""A real ``chatkit serve`` that can be killed and started again, and what another program would say to it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from http.client import HTTPConnection, HTTPMessage
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Serving:
    """One server process at a time, always on the same port and the same database."""

    def __init__(self, folder: Path) -> None:
        self.db = folder / "chat.db"
        self.url = ""
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start, and return when it listens."""
        command = [sys.executable, "-m", "chatkit.cli", "serve", "--port", str(self._port), "--db", str(self.db)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if " listening on " in line:
                self.url = line.split()[-1]
                self._port = int(self.url.rpartition(":")[2])
                return
        raise AssertionError("chatkit serve ended before it listened")

    def kill(self) -> None:
        """As a crash: no goodbye to anybody."""
        self._end(kill=True)

    def stop(self) -> None:
        """As Ctrl-C."""
        self._end(kill=False)

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, HTTPMessage, bytes]:
        """One request; status, header fields and body of the answer, whatever it is."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.msg, answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST JSON, as curl would; it must be accepted."""
        status, _, answer = self.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        assert status == 200, answer
        accepted: dict[str, Any] = json.loads(answer)
        return accepted

    def send(self, room: str, text: str, user: str = "ada", **fields: Any) -> dict[str, Any]:
        """A message from somebody who is not in a browser."""
        return self.post("/examples/chat/send", {"roomId": room, "text": text, "userId": user, **fields})

    def fill(self, room: str, count: int, *, text: str = "message {}") -> None:
        """Messages 1 to ``count``, stored in this order: pipelined on one connection."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        head = f"POST /examples/chat/send HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            for start in range(1, count + 1, 200):
                numbers = range(start, min(start + 200, count + 1))
                bodies = [{"roomId": room, "text": text.format(n), "userId": f"user-{n % 3}"} for n in numbers]
                for body in map(json.dumps, bodies):
                    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                answers = b""
                while answers.count(b'"seq":') < len(numbers):
                    part = connection.recv(65536)
                    assert part, "the server closed the connection"
                    assert b'"ok":false' not in part
                    answers += part

    def get(self, path: str) -> Any:
        """GET JSON."""
        status, _, answer = self.request("GET", path)
        assert status == 200, answer
        return json.loads(answer)

    def texts(self, room: str) -> list[str]:
        """What the log holds of a room."""
        page = self.get(f"/api/messages?channel=chat/{room}&limit=1000")
        return [message["data"]["text"] for message in page["messages"]]
