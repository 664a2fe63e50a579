"""A database that something else has laid hands on: read-only, damaged, half gone, in use, or from tomorrow."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.socket.peer import Peer
from tests.socket.raw import Raw

from .load import ROOM, SEND, Load
from .rig import COMMAND, Server, chatkit, meta, stored


def send(server: Server, count: int, *, start: int = 0, size: int = 20) -> None:
    with Raw(server.port) as raw:
        for number in range(start, start + count):
            body = {"roomId": ROOM, "id": f"m{number}", "text": "x" * size, "timestamp": 1}
            assert raw.request("POST", SEND, body).status == 200


def made(db: Path, count: int, size: int = 20) -> Path:
    with Server(db, "--durability", "normal") as server:
        send(server, count, size=size)
        assert server.stop() == 0
    return db


def findings(db: Path, *options: str) -> tuple[int, dict[str, str]]:
    """Doctor's exit code, and the level of each check."""
    done = chatkit("doctor", "--db", str(db), "--json", *options)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {found["check"]: found["level"] for found in map(json.loads, done.stdout.splitlines())}


def _without_privilege() -> list[str]:
    """A command that takes from root what makes it ignore the modes of files."""
    if os.geteuid():
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override"]
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False, timeout=10).returncode:
        pytest.skip("root cannot give up its privileges here, and nothing is read-only to it")
    return prefix


def never_listens(server: Server) -> int:
    code = server.wait()
    assert server.port == 0, server.log
    assert "Traceback" not in server.log, server.log
    return code


def test_a_read_only_file_is_refused_at_the_start(tmp_path: Path) -> None:
    db = made(tmp_path / "chat.db", 3)
    db.chmod(0o444)
    server = Server(db, prefix=_without_privilege())
    assert never_listens(server) == 1
    assert "chatkit: cannot use the database" in server.log
    db.chmod(0o600)
    assert [event_id for _, event_id in stored(db)] == ["m0", "m1", "m2"]


def test_a_second_server_is_told_who_has_the_database(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with Server(db) as first:
        send(first, 1)
        second = Server(db)
        assert never_listens(second) == 1
        assert f"process {first.pid}" in second.log
        setup = chatkit("setup", "--db", str(db))
        assert (setup.returncode, setup.stdout.strip()[:10]) == (0, "up to date")
        send(first, 1, start=1)
        assert first.stop() == 0
    with Server(db) as third:
        send(third, 1, start=2)
    assert len(stored(db)) == 3


def test_a_corrupt_page_is_damage_and_no_traceback(tmp_path: Path) -> None:
    db = made(tmp_path / "chat.db", 2000, size=300)
    pages = db.stat().st_size // 4096
    with db.open("r+b") as file:
        for page in range(8, pages - 1):
            file.seek(page * 4096)
            file.write(b"\x5a" * 4096)
    code, levels = findings(db)
    assert (code, levels["pages"]) == (65, "damage")
    restored = chatkit("restore", str(db), "--db", str(tmp_path / "new.db"))
    assert (restored.returncode, (tmp_path / "new.db").exists()) == (65, False)
    server = Server(db)
    server._listening.wait(30)
    if server.port:
        with Raw(server.port) as raw:
            assert raw.request("GET", "/api/messages?limit=1000").status in (200, 503)
            answer = raw.request("POST", SEND, {"roomId": "a", "text": "hi"})
            assert answer.status in (200, 503)
        if answer.status == 200:  # else it ends by itself
            server.stop()
    assert server.wait() in (0, 1, 65, 74)
    assert "Traceback" not in server.log, server.log


def test_a_flipped_byte_in_a_row_is_found_and_not_restored(tmp_path: Path) -> None:
    db = made(tmp_path / "chat.db", 50, size=300)
    data = db.read_bytes()
    place = data.index(b"xxxxxxxxxx") + 40
    db.write_bytes(data[:place] + b"y" + data[place + 1 :])
    assert findings(db)[0] == 0  # its structure is whole
    code, levels = findings(db, "--full")
    assert (code, levels["pages"], levels["events"]) == (65, "ok", "damage")
    restored = chatkit("restore", str(db), "--db", str(tmp_path / "new.db"))
    assert restored.returncode == 65
    assert "not what was stored" in restored.stderr


def test_a_missing_wal_ends_the_epoch(tmp_path: Path) -> None:
    """What was acknowledged is gone with the file; no position may mean another event than it did."""
    db = tmp_path / "chat.db"
    with Server(db) as server:
        send(server, 5)
        before = meta(db)["epoch"]
        server.kill()
    db.with_name("chat.db-wal").unlink()
    code, levels = findings(db)
    assert (code, levels["complete"]) == (1, "problem")
    with Server(db) as server, Peer(server.port) as peer:
        assert "its -wal file is gone" in server.log
        answer = peer.subscribe(f"chat/{ROOM}", after=4, epoch=before)
        assert (answer["recovered"], answer["epoch"] != before) == (False, True)
        send(server, 1)
        assert server.stop() == 0
    with Server(db) as server:
        assert "epoch" not in server.log
        assert meta(db)["epoch"] == answer["epoch"]


def test_a_killed_server_leaves_a_wal_that_doctor_takes_for_what_it_is(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with Server(db) as server:
        send(server, 5)
        server.kill()
    code, levels = findings(db, "--full")
    assert code == 0, levels
    with Server(db):
        assert len(stored(db)) == 5


def test_a_power_cut_under_normal_durability_ends_the_epoch(tmp_path: Path) -> None:
    """The machine's boot is another than the one that had the log open: its last commits may be gone."""
    db = tmp_path / "chat.db"
    epochs = []
    for durability in ("full", "normal"):
        with Server(db, "--durability", durability) as server:
            send(server, 1)
            server.kill()
        with closing(sqlite3.connect(db, isolation_level=None)) as connection:
            marked = connection.execute("SELECT value FROM meta WHERE key = 'open'").fetchone()[0].split()
            assert marked[0] == durability
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'open'", (f"{durability} another-boot",))
            wal = db.with_name("chat.db-wal").read_bytes()
        db.with_name("chat.db-wal").write_bytes(wal)  # closing the connection removed it
        epochs.append(meta(db)["epoch"])
        db.with_name("chat.db-wal").write_bytes(wal)
        with Server(db) as server:
            epochs.append(meta(db)["epoch"])
            assert ("the machine went down" in server.log) == (durability == "normal")
            server.stop()
    assert epochs[0] == epochs[1]
    assert epochs[2] != epochs[3]


#: The command line with a clock that is wrong by so many seconds.
WRONG_CLOCK = """
import sys, time
ns, now = time.time_ns, time.time
time.time_ns = lambda: ns() + {0} * 10**9
time.time = lambda: now() + {0}
from chatkit.cli import main
sys.exit(main())
"""


def test_a_clock_set_back_a_day_changes_no_order(tmp_path: Path) -> None:
    db, load = tmp_path / "chat.db", Load()
    for seconds in (0, -86_400, 0):
        command = COMMAND if not seconds else (sys.executable, "-c", WRONG_CLOCK.format(seconds))
        with Server(db, "--durability", "normal", command=command) as server:
            load.server_at(server.port)
            load.wait_acknowledged(30)
            if seconds:
                assert server.stop() == 0
            else:
                server.kill()
    with Server(db) as server:
        load.server_at(server.port)
        load.wait_acknowledged(5)
        load.finish(db)
        pruned = chatkit("prune", "--older-than", "12h", "--db", str(server.db))
        assert (
            pruned.stdout == "0 events removed\n"
        )  # the old-looking ones follow younger ones: never out of the middle
        server.stop()
    load.end()


def test_messages_of_a_clock_that_was_ahead_are_named(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    command = (sys.executable, "-c", WRONG_CLOCK.format(86_400))
    with Server(db, command=command) as server:
        send(server, 1)
        server.stop()
    code, levels = findings(db)
    assert (code, levels["times"]) == (0, "warning")
