"""A server that acknowledges every message and delivers them wrongly: one never, one twice, two in the wrong order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator

_HANDSHAKE = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#: With the answer to message n: what the subscriber gets.
_DELIVERED = {0: [], 1: [1, 1], 2: [], 3: [3, 2], 4: [4]}


class _Faulty:
    def __init__(self) -> None:
        self._subscriber: asyncio.StreamWriter | None = None
        self._texts: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    self._subscriber = writer
                    writer.write(_HANDSHAKE)
                    writer.write(_frame(type="subscribed", topic="t", epoch="e", seq=0, recovered=True))
                    await reader.read()
                    return
                found = re.search(rb"Content-Length: (\d+)", head)
                assert found
                body = json.loads(await reader.readexactly(int(found[1])))
                number = len(self._texts)
                self._texts.append(body["text"])
                answer = json.dumps({"ok": True, "id": body["id"], "seq": number + 1}, separators=(",", ":")).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
                for other in _DELIVERED[number]:
                    assert self._subscriber
                    self._subscriber.write(_frame(type="event", seq=other + 1, data={"text": self._texts[other]}))


def _frame(**fields: object) -> bytes:
    payload = json.dumps(fields, separators=(",", ":")).encode()
    head = bytes((0x81, len(payload))) if len(payload) < 126 else b"\x81\x7e" + len(payload).to_bytes(2, "big")
    return head + payload


@contextlib.contextmanager
def faulty() -> Iterator[str]:
    """Its URL, while it runs."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_Faulty().talk, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait([task])
    await asyncio.sleep(0)  # lets the transports close their sockets
