"""A disk that is really full: a limit on the size of files, and a small file system."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.socket.peer import Peer
from tests.socket.raw import Raw

from .load import ROOM, SEND, Load
from .rig import Server


def body(number: int, size: int = 1000) -> dict[str, object]:
    return {"roomId": ROOM, "id": f"m{number}", "text": "x" * size}


def fill(raw: Raw) -> list[str]:
    """Send until the disk is full; the ids that were acknowledged."""
    acknowledged: list[str] = []
    for number in range(10_000):
        answer = raw.request("POST", SEND, body(number))
        if answer.status == 507:
            assert answer.code == "disk_full"
            assert answer.headers["retry-after"]
            return acknowledged
        assert answer.status == 200, answer
        acknowledged.append(f"m{number}")
    raise AssertionError("it never filled up")


def reads_and_live_delivery_go_on(port: int, count: int) -> None:
    with Peer(port) as peer, Raw(port) as raw:
        assert peer.subscribe(f"chat/{ROOM}")["recovered"]
        event = {"topic": f"chat/{ROOM}", "event": "typing", "data": 1}
        assert raw.request("POST", "/api/publish", event).status == 200
        assert peer.hear()["event"] == "typing"
        found = raw.request("GET", f"/api/messages?channel=chat/{ROOM}&last=1000").json["messages"]
        assert len(found) == min(count, 1000)
        assert raw.request("POST", SEND, body(10_001)).status == 507
        assert raw.request("GET", "/healthz").status == 503


def test_a_limit_on_file_size_is_a_full_disk(tmp_path: Path) -> None:
    db, limit = tmp_path / "chat.db", 400_000
    with Server(db, RLIMIT_FSIZE=limit) as server, Raw(server.port) as raw:
        acknowledged = fill(raw)
        reads_and_live_delivery_go_on(server.port, len(acknowledged))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = raw.request("POST", SEND, body(len(acknowledged)))
        assert (again.status, again.json["seq"]) == (200, len(acknowledged) + 1)
        assert raw.request("GET", "/healthz").status == 200
        found = raw.request("GET", "/api/messages?limit=1000&after=0").json["messages"]
        assert [message["id"] for message in found[:5]] == acknowledged[:5]
        assert server.stop() == 0, server.log


def test_a_full_file_system_refuses_until_there_is_room(tmp_path: Path) -> None:
    """A file system of 2 MiB in a namespace of the server's own, filled to the last byte by another file."""
    db, prefix = tmp_path / "small" / "chat.db", _small_disk(tmp_path / "small")
    with Server(db, prefix=prefix) as server, Raw(server.port) as raw:
        inside = Path(f"/proc/{server.pid}/root") / db.parent.relative_to("/")
        acknowledged = fill(raw)
        reads_and_live_delivery_go_on(server.port, len(acknowledged))
        (inside / "ballast").unlink()
        again = raw.request("POST", SEND, body(len(acknowledged)))
        assert (again.status, again.json["seq"]) == (200, len(acknowledged) + 1)
        assert server.stop() == 0, server.log


def test_a_load_on_a_disk_that_fills_and_empties(tmp_path: Path) -> None:
    db, load = tmp_path / "chat.db", Load(retry_refused=True, size=500)
    with Server(db) as server:
        load.server_at(server.port)
        for _ in range(3):
            load.wait_acknowledged(20)
            wal = db.with_name("chat.db-wal").stat().st_size
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (wal + 8192, resource.RLIM_INFINITY))
            load.wait_refused(5)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        load.finish(db)
        assert set(load.refused) == {507}
        assert server.stop() == 0, server.log
    load.end()


def _small_disk(folder: Path) -> list[str]:
    """A command that gives another a file system of 2 MiB at ``folder``, half of it taken."""
    folder.mkdir()
    prepare = f"mount -t tmpfs -o size=2m none {folder} && head -c 1M /dev/zero > {folder}/ballast"
    prefix = ["unshare", "-rm", "sh", "-ec", f'{prepare}; exec "$@"', "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=10, check=False)
    if tried.returncode:
        reason = f"no file system of its own here: {tried.stderr.strip()[:200]}"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    return prefix
