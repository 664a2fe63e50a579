"""Backup, restore, prune and a held reader, while messages come."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.cli.top import parse
from tests.socket.peer import Peer
from tests.socket.raw import Raw

from .load import ROOM, SEND, Load
from .rig import Server, chatkit, meta, stored

MIB = 1024 * 1024


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def fill(server: Server, count: int, size: int = 20) -> None:
    """Send without waiting for each answer."""
    with Raw(server.port) as raw:
        payloads = [
            json.dumps({"roomId": ROOM, "id": f"fill{number}", "text": "x" * size}).encode() for number in range(count)
        ]
        head = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
        for start in range(0, count, 200):
            chunk = payloads[start : start + 200]
            raw.send(b"".join(head.format(SEND, len(payload)).encode() + payload for payload in chunk))
            assert {raw.response().status for _ in chunk} == {200}


def test_a_backup_under_load_is_whole_and_comes_back_under_a_new_epoch(tmp_path: Path) -> None:
    db, copy, load = tmp_path / "chat.db", tmp_path / "copy.db", Load()
    with Server(db, "--durability", "normal") as server:
        fill(server, 3000, 200)
        load.server_at(server.port)
        load.wait_acknowledged(20)
        before = dict(load.acknowledged)
        done = chatkit("backup", str(copy), "--db", str(db))
        assert (done.returncode, done.stderr) == (0, "")
        assert "events" in done.stdout
        load.wait_acknowledged(20)
        load.finish(db)
        assert chatkit("backup", str(copy), "--db", str(db)).returncode == 1  # it is there already
        refused = chatkit("restore", str(copy), "--db", str(db), "--force")
        assert (refused.returncode, f"process {server.pid}" in refused.stderr) == (1, True)
        assert server.stop() == 0
    load.end()
    rows, copied = stored(db), stored(copy)
    assert copied == rows[: len(copied)]  # a moment of the log, nothing out of its middle
    assert {(seq, event_id) for event_id, seq in before.items()} <= set(copied)
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]

    old_epoch = meta(db)["epoch"]
    assert chatkit("restore", str(copy), "--db", str(db)).returncode == 1
    done = chatkit("restore", str(copy), "--db", str(db), "--force")
    assert (done.returncode, stored(db)) == (0, copied), done.stderr
    with Server(db) as server, Peer(server.port) as peer:
        answer = peer.subscribe(f"chat/{ROOM}", after=5, epoch=old_epoch)
        assert (answer["recovered"], answer["epoch"] != old_epoch, answer["seq"]) == (False, True, copied[-1][0])
        assert server.stop() == 0
    assert chatkit("doctor", "--full", "--db", str(db)).returncode == 0


def test_a_restore_over_a_database_with_a_wal_does_not_replay_it(tmp_path: Path) -> None:
    db, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    with Server(db) as server:
        fill(server, 5)
        assert chatkit("backup", str(copy), "--db", str(db), "-q").returncode == 0
        with Raw(server.port) as raw:
            for number in range(200):
                assert raw.request("POST", SEND, {"roomId": "other", "id": f"n{number}", "text": "x"}).status == 200
        server.kill()
    assert db.with_name("chat.db-wal").stat().st_size > 0
    assert chatkit("restore", str(copy), "--db", str(db), "--force").returncode == 0
    assert [event_id for _, event_id in stored(db)] == [f"fill{number}" for number in range(5)]
    assert chatkit("doctor", "--full", "--db", str(db)).returncode == 0


@pytest.mark.parametrize("made", ["nothing", "empty", "text", "other"])
def test_what_is_no_backup_is_refused_and_the_database_left_alone(tmp_path: Path, made: str) -> None:
    db, file = tmp_path / "chat.db", tmp_path / "file"
    assert chatkit("setup", "--db", str(db)).returncode == 0
    before = db.read_bytes()
    if made == "empty":
        file.touch()
    elif made == "text":
        file.write_text("not a database" * 1000)
    elif made == "other":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE a (b)")
    done = chatkit("restore", str(file), "--db", str(db), "--force")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert db.read_bytes() == before
    assert chatkit("doctor", "--db", str(db)).returncode == 0


def test_pruning_under_load_takes_the_oldest_and_stops_nobody(tmp_path: Path) -> None:
    db, load = tmp_path / "chat.db", Load()
    with Server(db, "--durability", "normal") as server:
        fill(server, 4000)
        load.server_at(server.port)
        load.wait_delivered(4000)
        load.wait_acknowledged(20)
        done = chatkit("prune", "--keep", "100", "--db", str(server.db))
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[0].replace(",", "")) >= 3900
        load.wait_acknowledged(20)
        load.stop_sending()
        rows, floor = stored(db), meta(db)["floor"]
        load.wait_delivered(rows[-1][0])
        assert rows[0][0] == floor + 1
        with Peer(server.port) as peer, Raw(server.port) as raw:
            assert peer.subscribe(f"chat/{ROOM}", after=floor)["recovered"]
            peer.say("unsubscribe", topic=f"chat/{ROOM}")
            while peer.hear()["type"] != "unsubscribed":
                pass
            assert not peer.subscribe(f"chat/{ROOM}", after=floor - 1)["recovered"]
            found = parse(raw.request("GET", "/metrics").body.decode())
            assert found["chatkit_log_floor"] == floor
        assert server.stop() == 0
    load.end()
    for reader in load.delivered:  # everything, in order, though most of it is gone by now
        seqs = [seq for seq, _ in reader]
        assert seqs == list(range(1, rows[-1][0] + 1))
    assert set(load.refused) == set()


def test_pruning_without_a_server_and_twice(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with Server(db, "--durability", "normal") as server:
        fill(server, 50)
        server.stop()
    assert chatkit("prune", "--older-than", "1d", "--db", str(db)).stdout == "0 events removed\n"
    assert chatkit("prune", "--keep", "10", "--db", str(db)).stdout == "40 events removed\n"
    assert chatkit("prune", "--keep", "10", "--db", str(db)).stdout == "0 events removed\n"
    assert (len(stored(db)), meta(db)["floor"]) == (10, 40)
    assert chatkit("prune", "--keep", "0", "--db", str(db)).stdout == "10 events removed\n"
    with Server(db) as server:
        fill(server, 1)
        assert server.stop() == 0
    assert stored(db) == [(51, "fill0")]
    for wrong in (["--keep", "-1"], ["--older-than", "soon"], [], ["--keep", "1", "--older-than", "1d"]):
        assert chatkit("prune", *wrong, "--db", str(db)).returncode == 2


def test_retention_prunes_by_itself(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with Server(db, "--durability", "normal", "--retention", "1s") as server, Raw(server.port) as raw:
        fill(server, 100)
        while parse(raw.request("GET", "/metrics").body.decode())["chatkit_log_floor"] < 100:
            pass
        assert server.stop() == 0
    assert stored(db) == []
    refused = chatkit("serve", "--retention", "often", "--db", str(db), "--port", "0")
    assert (refused.returncode, "--retention" in refused.stderr) == (2, True)


def test_the_wal_is_bounded_and_shrinks_after_a_held_reader(tmp_path: Path) -> None:
    """A reader with an old snapshot keeps pages in the WAL; nothing is held up by it, and afterwards it starts over."""
    db = tmp_path / "chat.db"
    wal = db.with_name("chat.db-wal")
    with Server(db, "--durability", "normal") as server:
        fill(server, 1000, 60_000)
        assert wal.stat().st_size < 40 * MIB  # 60 MB were written
        with closing(sqlite3.connect(db, isolation_level=None)) as held:
            held.execute("BEGIN")
            held.execute("SELECT count(*) FROM messages").fetchone()
            with Raw(server.port) as raw:
                for number in range(1300):
                    body = {"roomId": "held", "id": f"h{number}", "text": "x" * 60_000}
                    assert raw.request("POST", SEND, body).status == 200
            grown = wal.stat().st_size
            assert grown > 64 * MIB
        with Raw(server.port) as raw:
            for number in range(600):
                body = {"roomId": "after", "id": f"a{number}", "text": "x" * 60_000}
                assert raw.request("POST", SEND, body).status == 200
            assert wal.stat().st_size < grown / 2
        assert server.stop() == 0
    assert not wal.exists()


def test_a_slow_reader_that_pruning_overtakes_is_told(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    with Server(db, "--durability", "normal") as server:
        fill(server, 1500, 10_000)
        with Peer(server.port, receive_bytes=4096) as slow:
            slow.say("subscribe", topic=f"chat/{ROOM}", after=0)
            assert slow.hear()["recovered"]
            assert slow.hear()["seq"] == 1
            assert chatkit("prune", "--keep", "1", "--db", str(server.db)).returncode == 0
            seqs = [1]
            closed = threading.Event()
            while not closed.is_set():
                opcode, payload = slow.hear_frame()
                if opcode == 8:
                    assert int.from_bytes(payload[:2], "big") == 4408
                    closed.set()
                elif opcode == 1:
                    seqs.append(json.loads(payload)["seq"])
            assert seqs == list(range(1, len(seqs) + 1))  # a beginning, without a gap, and then the truth
            assert len(seqs) < 1500
        with Peer(server.port) as again:
            assert not again.subscribe(f"chat/{ROOM}", after=seqs[-1])["recovered"]
