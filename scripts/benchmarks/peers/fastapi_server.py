"""FastAPI + uvicorn + aiosqlite as its tutorials write it. Usage: python fastapi_server.py DATABASE.

One INSERT, committed, a message (WAL, synchronous=NORMAL); then the broadcast, then the answer.
"""

# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"
from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING

import aiosqlite
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Message(BaseModel):
    roomId: str  # noqa: N815  (the name on the wire)
    userId: str  # noqa: N815
    text: str


class ConnectionManager:
    def __init__(self) -> None:
        self.rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)

    async def broadcast(self, room: str, text: str) -> None:
        for websocket in list(self.rooms[room]):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_text(text)


manager = ConnectionManager()
database: aiosqlite.Connection


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    global database
    async with aiosqlite.connect(sys.argv[1]) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = NORMAL")
        await database.execute(
            "CREATE TABLE messages (id TEXT PRIMARY KEY, room_id TEXT, user_id TEXT, text TEXT, created_at INTEGER)"
        )
        yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/sub/{room}")
async def subscribe(websocket: WebSocket, room: str) -> None:
    await websocket.accept()
    manager.rooms[room].add(websocket)
    await websocket.send_text("subscribed")
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.rooms[room].discard(websocket)


@app.post("/send")
async def send(message: Message) -> dict[str, object]:
    data = {
        "id": str(uuid.uuid4()),
        "userId": message.userId,
        "text": message.text,
        "timestamp": int(time.time() * 1000),
    }
    await database.execute(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
        (data["id"], message.roomId, data["userId"], data["text"], data["timestamp"]),
    )
    await database.commit()
    event = {"type": "event", "topic": f"chat/{message.roomId}", "event": "chat:message", "data": data}
    await manager.broadcast(message.roomId, json.dumps(event, separators=(",", ":")))
    return {"ok": True, "id": data["id"]}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    print("port", listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ws_per_message_deflate=False, timeout_keep_alive=120
    )
    uvicorn.Server(config).run([listener])
