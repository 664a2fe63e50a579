"""Where each target starts: one or two inputs that go far."""

from __future__ import annotations

import json
from typing import Final

_HEAD: Final = (
    b"POST /examples/chat/send?x=y HTTP/1.1\r\nHost: localhost:8787\r\nOrigin: http://localhost:8787\r\n"
    b"Content-Type: application/json\r\nAuthorization: Bearer ck_x\r\nContent-Length: 13\r\n\r\n"
)
_CHUNKED: Final = b"POST /setup HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
_JWT: Final = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.AAAA"


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


SEEDS: Final[dict[str, list[bytes]]] = {
    "requests": [_HEAD + b'{"roomId":"a"', _CHUNKED + _HEAD],
    "guard": [
        _HEAD,
        b"OPTIONS / HTTP/1.1\r\nHost: a.localhost.\r\nOrigin: null\r\nAccess-Control-Request-Method: X\r\n\r\n",
    ],
    "frames": [
        b"\x81\x85\0\0\0\0hello\x01\x80\0\0\0\0\x80\xfe\0\x80\0\0\0\0" + b"x" * 128 + b"\x88\x82\0\0\0\0\x03\xe8"
    ],
    "handshake": [
        (
            b"GET /api/realtime?userId=a&projectId=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: aerostack-v1, aerostack-token.x\r\n\r\n"
        )
    ],
    "bodies": [
        _json(roomId="general", text="hi", id="1", userId="u", timestamp=1, metadata={"a": [1, None]}),
        _json(topic="game/7/local", event="move", data={"x": 1.5}, persist=True),
        _json(method="socket.emit", args=["e", {}, "a/b"]),
        _json(name="ada", send=["**"], read=["chat/*"], admin=True, expiresAt=4102444800000),
    ],
    "commands": [
        _json(type="subscribe", topic="chat/**", after=0, epoch="e", filter={"a": 1}),
        _json(type="publish", topic="a/b", event="e", data="\ud83d\ude00", id="i"),
        _json(type="chat", roomId="a", text="t", metadata=None),
        _json(type="track", topic="a/b", state={}),
        _json(type="auth", token="ck_x"),
    ],
    "queries": [b"channel=chat%2F*&after=0&before=5&last=3&limit=10&since=1&user=a", b"room=chat/a/local&limit=1"],
    "jwt": [_JWT],
    "responses": [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\n{}HTTP/1.1 100 Continue\r\n\r\n",
        b'HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n{"code":"x"}',
    ],
    "server": [
        _json(
            type="event", topic="a", event="e", id="i", userId="u", timestamp=1, data={"text": "\x1b[31m\u202e"}, seq=1
        )
    ],
}
