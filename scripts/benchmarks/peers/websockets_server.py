"""A plain `websockets` server with `websockets.broadcast` and aiosqlite. Usage: python websockets_server.py DATABASE.

One INSERT, committed, a message (WAL, synchronous=NORMAL); then the broadcast and the acknowledgement. The library serves
WebSocket only, so senders send over one. Runs on uvloop.
"""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import json
import sys
import time
import uuid
from collections import defaultdict

import aiosqlite
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def main(path: str) -> None:
    async with aiosqlite.connect(path) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = NORMAL")
        await database.execute(
            "CREATE TABLE messages (id TEXT PRIMARY KEY, room_id TEXT, user_id TEXT, text TEXT, created_at INTEGER)"
        )

        async def handle(connection: ServerConnection) -> None:
            assert connection.request is not None
            room = connection.request.path.rpartition("/")[2]
            if connection.request.path.startswith("/sub/"):
                rooms[room].add(connection)
                await connection.send("subscribed")
            async for raw in connection:
                message = json.loads(raw)
                room = message["roomId"]
                data = {
                    "id": str(uuid.uuid4()),
                    "userId": message["userId"],
                    "text": message["text"],
                    "timestamp": int(time.time() * 1000),
                }
                await database.execute(
                    "INSERT INTO messages VALUES (?, ?, ?, ?, ?)", (data["id"], room, *list(data.values())[1:])
                )
                await database.commit()
                event = {"type": "event", "topic": f"chat/{room}", "event": "chat:message", "data": data}
                broadcast(rooms[room], json.dumps(event, separators=(",", ":")))
                await connection.send('{"ack":true}')
            for members in rooms.values():
                members.discard(connection)

        async with serve(handle, "127.0.0.1", 0, compression=None, backlog=4096) as server:
            print("port", next(iter(server.sockets)).getsockname()[1], flush=True)
            await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
