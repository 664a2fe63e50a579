"""The spool itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chatkit.client import places, sending
from chatkit.client.sending import Post
from chatkit.client.spool import Count, Spool
from chatkit.client.turn import Turn
from chatkit.errors import Refused, SpoolBusy, SpoolError
from tests.support import DEADLINE_S

A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"


def post(text: str, event_id: str | None = None, where: str = "general", timestamp: int | None = 1) -> Post:
    return sending.message(where, text, user="ann", event_id=event_id, timestamp=timestamp)


def put(spool: Spool, url: str, *texts: str) -> list[int]:
    return spool.add(url, [(post(text, f"id-{text}"), "ann") for text in texts])


def waiting(spool: Spool, url: str) -> list[str]:
    return [item.text for item in spool.waiting(url, 100)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "new" / "spool.db")


def test_what_is_added_waits_in_order_for_its_own_server(path: str) -> None:
    with Spool(path) as spool:
        put(spool, A, "1", "2")
        put(spool, B, "other")
        put(spool, A, "3")
    with Spool(path) as spool:
        assert waiting(spool, A) == ["1", "2", "3"]
        assert waiting(spool, B) == ["other"]
        assert spool.counts() == [Count(A, 3, 0), Count(B, 1, 0)]
        first = spool.waiting(A, 1)[0]
        assert first.post == post("1", "id-1")
        assert (first.channel, first.user, first.id) == ("chat/general", "ann", "id-1")
        spool.remove([first.place])
        assert waiting(spool, A) == ["2", "3"]
        assert spool.find(first.place) is None


def test_it_is_private(path: str) -> None:
    with Spool(path):
        pass
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("where", ["general", "game/7"])
def test_the_same_id_with_the_same_content_is_one_message(path: str, where: str) -> None:
    with Spool(path) as spool:
        (first,) = spool.add(A, [(post("hi", "x", where), "ann")])
        assert spool.add(A, [(post("hi", "x", where, timestamp=2), "ann")]) == [first]
        with pytest.raises(Refused, match="other content"):
            spool.add(A, [(post("new", "y", where), "ann"), (post("ho", "x", where), "ann")])
        assert waiting(spool, A) == ["hi"]
        assert spool.add(B, [(post("ho", "x", where), "ann")]) != [first]


def test_what_is_set_aside_waits_for_a_person(path: str) -> None:
    with Spool(path) as spool:
        places_ = put(spool, A, "1", "2")
        spool.set_aside(places_[0], Refused("id_conflict", "because"))
        assert waiting(spool, A) == ["2"]
        assert spool.count(A) == Count(A, 1, 1)
        assert [(item.text, item.code, item.why) for item in spool.all()] == [
            ("1", "id_conflict", "because"), ("2", None, None),
        ]  # fmt: skip
        assert spool.put_back(A) == 1
        assert waiting(spool, A) == ["1", "2"]
        spool.set_aside(places_[0], Refused("id_conflict", "because"))
        put(spool, A, "1")
        assert waiting(spool, A) == ["1", "2"]
        assert spool.drop("id-1", B) == 0
        assert spool.drop("id-1") == 1
        assert waiting(spool, A) == ["2"]


def test_a_place_is_not_given_again(path: str) -> None:
    with Spool(path) as spool:
        (first,) = put(spool, A, "1")
        spool.remove([first])
        assert put(spool, A, "2")[0] > first


def other_database(path: Path, *, wal: bool) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    connection.execute("CREATE TABLE mine (a)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("kind", ["text", "short", "database", "wal"])
def test_another_file_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "spool.db"
    if kind in ("text", "short"):
        file.write_text("my notes\n" * (100 if kind == "text" else 1))
    else:
        other_database(file, wal=kind == "wal")
    before = file.read_bytes()
    with pytest.raises(SpoolError, match="not a spool"):
        Spool(str(file))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_one_of_a_newer_chatkit_is_refused(path: str) -> None:
    with Spool(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(SpoolError, match="newer"):
        Spool(path)


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file" / "spool.db", tmp_path):
        with pytest.raises(SpoolError, match="cannot use the spool"):
            Spool(str(wrong))


def test_an_empty_file_becomes_a_spool(tmp_path: Path) -> None:
    (tmp_path / "spool.db").touch()
    with Spool(str(tmp_path / "spool.db")) as spool:
        assert put(spool, A, "1")


WRITER = """
import sys
from chatkit.client import sending
from chatkit.client.spool import Spool
who, path, url = sys.argv[1:]
for number in range(15):
    with Spool(path) as spool:
        text = f"{who}-{number}"
        spool.add(url, [(sending.message("general", text, user="ann", event_id=text), "ann")])
"""


def test_many_processes_write_at_once(path: str) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(who), path, A]) for who in range(4)]
    assert [writer.wait(DEADLINE_S) for writer in writers] == [0] * 4
    with Spool(path) as spool:
        found = waiting(spool, A)
    assert len(found) == 60
    for who in range(4):
        assert [text for text in found if text.startswith(f"{who}-")] == [f"{who}-{number}" for number in range(15)]


HOLDER = """
import sys
from chatkit.client.turn import Turn
with Turn(sys.argv[1], sys.argv[2], 0):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_has_the_turn_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "spool.db")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, A], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdin
    with holder:
        assert holder.stdout.readline() == "held\n"
        for wait_s in (0, 0.05):
            with pytest.raises(SpoolBusy), Turn(path, A, wait_s):
                pass
        with Turn(path, B, 0):
            pass
        holder.kill()
        with Turn(path, A, DEADLINE_S), pytest.raises(SpoolBusy), Turn(path, A, 0):
            pass


def test_whoever_gave_up_waiting_does_not_take_the_turn_later(tmp_path: Path) -> None:
    path = str(tmp_path / "spool.db")
    with Turn(path, A, 0), pytest.raises(SpoolBusy), Turn(path, A, 0.01):
        pass
    with Turn(path, A, DEADLINE_S):
        pass


@pytest.mark.parametrize("state", ["", "/some/where", "relative"])
def test_it_is_where_platformdirs_says(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    import platformdirs

    monkeypatch.delenv("CHATKIT_SPOOL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", state)
    folder = platformdirs.PlatformDirs("chatkit", appauthor=False).user_state_dir
    assert places.spool_path() == os.path.join(folder, "spool.db")
    monkeypatch.setenv("CHATKIT_SPOOL", "/x/y.db")
    assert places.spool_path() == "/x/y.db"
