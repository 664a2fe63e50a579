"""Senders and readers that live through whatever happens to the server, and the one check at the end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.socket.peer import CLOSE, PING, PONG, TEXT, frame, handshake_bytes
from tests.socket.raw import Closed, Raw

from .rig import DEADLINE_S, stored

ROOM = "faults"
SEND = "/examples/chat/send"


class Verdict(NamedTuple):
    """What became of everything that was sent.

    Attributes:
        acknowledged: sends that were answered 200.
        stored: events in the database.
        delivered: events that readers got, all readers together.
        refused: answers of 5xx.
        lost: acknowledged and not stored as acknowledged.
        duplicated: stored or delivered more than once.
    """

    acknowledged: int
    stored: int
    delivered: int
    refused: int
    lost: int
    duplicated: int


class Load:
    """Closed-loop senders and subscribed readers against one server after another.

    A sender sends one message at a time, and the same one again, with the same id, until it is answered; a reader
    resumes from its position. Neither waits by the clock: without a server they wait for the next.

    Args:
        senders, readers: how many.
        retry_refused: send what was refused again, instead of the next.
        size: characters of a message.
    """

    def __init__(
        self, senders: int = 4, readers: int = 2, *, name: str = "m", retry_refused: bool = False, size: int = 20
    ) -> None:
        self._name, self._size, self._retry_refused = name, size, retry_refused
        self.changed = threading.Condition()
        self.acknowledged: dict[str, int] = {}
        self.refused: list[int] = []
        self.delivered: list[list[tuple[int, str]]] = [[] for _ in range(readers)]
        self.not_recovered = 0
        self._places: list[tuple[str | None, int]] = [(None, 0)] * readers
        self._sockets: list[socket.socket] = []
        self._port: int | None = None
        self._life = 0
        self._sending = True
        self._reading = True
        self._failures: list[BaseException] = []
        self._senders = [self._thread(self._send_all, number) for number in range(senders)]
        self._readers = [self._thread(self._read_all, number) for number in range(readers)]

    # ------------------------------------------------------------------------------------------- the director

    def server_at(self, port: int) -> None:
        """There is a server: go on with it."""
        with self.changed:
            self._port = port
            self._life += 1
            self.changed.notify_all()

    def wait_acknowledged(self, more: int) -> None:
        """Wait until so many more messages are acknowledged."""
        wanted = len(self.acknowledged) + more
        self.wait_for(lambda: len(self.acknowledged) >= wanted)

    def wait_refused(self, more: int) -> None:
        """Wait until so many more were refused."""
        wanted = len(self.refused) + more
        self.wait_for(lambda: len(self.refused) >= wanted)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            done = self.changed.wait_for(lambda: bool(self._failures) or condition(), DEADLINE_S)
        if self._failures:
            raise self._failures[0]
        assert done, (len(self.acknowledged), self.refused[-3:], [len(reader) for reader in self.delivered])

    def stop_sending(self) -> None:
        """Let every sender have its answer, and end."""
        with self.changed:
            self._sending = False
            self.changed.notify_all()
        self._join(self._senders)

    def wait_delivered(self, head: int) -> None:
        """Wait until every reader has got everything up to ``head``."""
        self.wait_for(lambda: all(not head or (reader and reader[-1][0] >= head) for reader in self.delivered))

    def end(self) -> None:
        """Stop everything, whatever state it is in."""
        with self.changed:
            self._sending = self._reading = False
            self._port = None
            self._life += 1
            self.changed.notify_all()
            for held in self._sockets:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)
        self._join([*self._senders, *self._readers])

    def finish(self, db: Path) -> Verdict:
        """Stop sending, let the readers read to the end, and check. The last server still runs."""
        self.stop_sending()
        rows = stored(db)
        self.wait_delivered(rows[-1][0] if rows else 0)
        return self.check(rows)

    def check(self, rows: list[tuple[int, str]]) -> Verdict:
        """The one check: acknowledged is a subset of stored, which is delivered, in order, nothing twice."""
        by_id = {event_id: seq for seq, event_id in rows}
        lost = sum(by_id.get(event_id) != seq for event_id, seq in self.acknowledged.items())
        duplicated = len(rows) - len(by_id)
        for reader in self.delivered:
            duplicated += len(reader) - len(set(reader))
        verdict = Verdict(
            len(self.acknowledged), len(rows), sum(map(len, self.delivered)), len(self.refused), lost, duplicated
        )
        assert (lost, duplicated) == (0, 0), verdict
        seqs = [seq for seq, _ in rows]
        assert seqs == sorted(set(seqs)), "positions do not rise"
        for reader in self.delivered:
            assert reader == rows, _difference(reader, rows)
        return verdict

    # --------------------------------------------------------------------------------------------- the threads

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        def run() -> None:
            try:
                work(number)
            except BaseException as error:
                with self.changed:
                    self._failures.append(error)
                    self.changed.notify_all()

        thread = threading.Thread(target=run, name=f"{work.__name__}-{number}", daemon=True)
        thread.start()
        return thread

    def _join(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), f"{thread.name} did not end"
        if self._failures:
            raise self._failures[0]

    def _next_server(self, after: int, wanted: Callable[[], bool]) -> tuple[int, int] | None:
        """The port and number of a server later than ``after``; ``None`` when nobody wants one any more."""
        with self.changed:
            self.changed.wait_for(lambda: (self._life > after and self._port is not None) or not wanted())
            if self._port is None or not (self._life > after):
                return None
            return self._port, self._life

    def _send_all(self, number: int) -> None:
        life, sent = 0, 0
        raw: Raw | None = None
        while self._sending:
            event_id = f"{self._name}-{number}-{sent}"
            sent += 1
            body = {"roomId": ROOM, "id": event_id, "userId": f"u{number}", "text": "x" * self._size, "timestamp": sent}
            while True:
                try:
                    if raw is None:
                        found = self._next_server(life - 1 if life else 0, lambda: self._reading)
                        if found is None:
                            return
                        port, life = found
                        raw = Raw(port)
                    answer = raw.request("POST", SEND, body)
                except (Closed, OSError, ValueError) as error:  # ValueError: cut in the middle of an answer
                    if raw is not None:
                        raw.close()
                        raw = None
                    if isinstance(error, ConnectionRefusedError) or self._port is None:
                        life += 1  # it is dead: wait for the next one
                    continue
                with self.changed:
                    if answer.status == 200:
                        self.acknowledged[event_id] = answer.json["seq"]
                    else:
                        assert answer.status in (503, 507), answer
                        self.refused.append(answer.status)
                    self.changed.notify_all()
                if answer.headers.get("connection") == "close":
                    raw.close()
                    raw = None
                if answer.status == 200 or not self._retry_refused or not self._sending:
                    break
        if raw is not None:
            raw.close()

    def _read_all(self, number: int) -> None:
        life = 0
        while True:
            epoch, position = self._places[number]
            found = self._next_server(life - 1 if life else 0, lambda: self._reading)
            if found is None or not self._reading:
                return
            port, life = found
            try:
                with Raw(port) as raw:
                    raw.send(handshake_bytes())
                    if raw.response().status != 101:
                        continue  # it is stopping
                    self._read_one(number, raw, epoch, position)
            except (Closed, OSError) as error:
                if isinstance(error, ConnectionRefusedError):
                    life += 1

    def _read_one(self, number: int, raw: Raw, epoch: str | None, position: int) -> None:
        """Read until the server closes; where to go on is in what was delivered."""
        raw.send(command("subscribe", topic=f"chat/{ROOM}", after=position, epoch=epoch))
        with self.changed:
            self._sockets.append(raw.socket)
        while True:
            opcode, payload = next_frame(raw)
            if opcode == CLOSE:
                return
            if opcode == PING:
                raw.send(frame(PONG, payload))
                continue
            found = json.loads(payload)
            with self.changed:
                if found["type"] == "subscribed":
                    start = position if found["recovered"] else found["seq"]
                    self.not_recovered += not found["recovered"]
                    self._places[number] = (found["epoch"], start)
                elif found["type"] == "event":
                    self._places[number] = (self._places[number][0], found["seq"])
                    self.delivered[number].append((found["seq"], found["id"]))
                    self.changed.notify_all()


def command(type_: str, **fields: object) -> bytes:
    """One command as a frame."""
    return frame(TEXT, json.dumps({"type": type_, **{k: v for k, v in fields.items() if v is not None}}).encode())


def next_frame(raw: Raw) -> tuple[int, bytes]:
    """The next frame of a server, whose frames are whole and unmasked."""
    first, size = raw.read(2)
    if size == 126:
        size = int.from_bytes(raw.read(2), "big")
    elif size == 127:
        size = int.from_bytes(raw.read(8), "big")
    return first & 0x0F, raw.read(size)


def _difference(have: list[tuple[int, str]], want: list[tuple[int, str]]) -> str:
    place = next((at for at, (a, b) in enumerate(zip(have, want, strict=False)) if a != b), min(len(have), len(want)))
    return f"a reader got {len(have)} of {len(want)} events; at {place}: {have[place : place + 3]}, {want[place : place + 3]}"
