"""What the SQLite engine does with files: its own, older, newer, foreign, and in use."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.errors import LogError, NotALog, SchemaTooNew
from chatkit.log import schema
from chatkit.log.base import Log
from chatkit.log.setup import prepare
from chatkit.log.sqlite import SqliteLog

from .engines import SqliteEngine, message, messages


def execute(path: Path, *statements: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows: list[sqlite3.Row] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        return rows


def contents(folder: Path) -> dict[str, bytes]:
    """The name and bytes of every file; SQLite's shared memory is no content."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_a_new_database_is_private_and_says_that_it_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "chat.db"
    prepared = prepare(path)
    assert (prepared.created, prepared.migrated_from, prepared.schema, prepared.events) == (
        True,
        None,
        schema.VERSION,
        0,
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert execute(path, "PRAGMA application_id") == [(schema.APPLICATION_ID,)]
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]


def test_preparing_again_changes_nothing(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(3))

    sqlite.run(scenario)
    first = prepare(sqlite.path)
    before = sqlite.path.read_bytes()
    second = prepare(sqlite.path)
    assert (second.created, second.events, second.epoch) == (False, 3, first.epoch)
    assert sqlite.path.read_bytes() == before


def test_two_databases_have_two_epochs(tmp_path: Path) -> None:
    assert prepare(tmp_path / "a.db").epoch != prepare(tmp_path / "b.db").epoch


def test_the_columns_of_the_seed_hold_what_the_seed_says(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        await log.append([message("hi", id="1", room="general", user="u", at=1)])

    sqlite.run(scenario)
    rows = execute(sqlite.path, "SELECT id, room_id, user_id, text, created_at FROM messages")
    assert rows == [("1", "general", "u", "hi", 1)]


@pytest.mark.parametrize("data", [b"hi", b"\0" * 5000, os.urandom(8192), b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_file_that_is_no_database_is_refused_and_left_untouched(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    with pytest.raises(NotALog) as raised:
        prepare(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert contents(tmp_path) == {"notes.txt": data}


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_a_database_of_another_program_is_refused_and_left_untouched(tmp_path: Path, journal_mode: str) -> None:
    path = tmp_path / "other.db"
    execute(
        path, f"PRAGMA journal_mode = {journal_mode}", "CREATE TABLE messages (id)", "INSERT INTO messages VALUES (1)"
    )
    before = contents(tmp_path)
    with pytest.raises(NotALog, match="another program"):
        prepare(path)
    assert contents(tmp_path) == before


def test_a_database_that_another_program_holds_open_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE messages (id)")
        before = contents(tmp_path)
        with pytest.raises(NotALog):
            prepare(path)
        assert contents(tmp_path) == before


def test_the_unfinished_business_of_a_program_that_crashed_is_left_to_it(tmp_path: Path) -> None:
    alive, crashed = tmp_path / "alive", tmp_path / "crashed"
    for folder in (alive, crashed):
        folder.mkdir()
    with closing(sqlite3.connect(alive / "other.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE messages (id)")
        for name, data in contents(alive).items():
            (crashed / name).write_bytes(data)
    before = contents(crashed)
    assert "other.db-wal" in before
    with pytest.raises(NotALog):
        prepare(crashed / "other.db")
    assert contents(crashed) == before


def test_a_database_of_a_newer_chatkit_is_refused_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    prepare(path)
    execute(path, "PRAGMA user_version = 7", "ALTER TABLE messages ADD COLUMN invented")
    before = contents(tmp_path)
    with pytest.raises(SchemaTooNew, match="schema 7"):
        prepare(path)
    assert contents(tmp_path) == before


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(LogError) as raised:
        prepare(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LogError):
        prepare(tmp_path / "file" / "chat.db")


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.touch()
    assert prepare(path).created


def test_a_second_opener_is_told_who_has_it(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        with pytest.raises(LogError) as raised:
            await sqlite.open()
        assert str(os.getpid()) in str(raised.value)
        assert str(sqlite.path) in str(raised.value)
        await log.append(messages(1))

    sqlite.run(scenario)
    sqlite.run(scenario_again)


async def scenario_again(log: Log) -> None:
    """It can be opened again once the first has let go."""
    assert log.head == 1


def test_a_file_has_one_lock_by_whatever_name_it_is_opened(sqlite: SqliteEngine, tmp_path: Path) -> None:
    async def scenario(log: Log) -> None:
        link = tmp_path / "link.db"
        link.symlink_to(sqlite.path)
        with pytest.raises(LogError, match=str(os.getpid())):
            await SqliteLog.open(link)

    sqlite.run(scenario)


def test_the_lock_of_a_process_that_was_killed_is_free(sqlite: SqliteEngine) -> None:
    code = (
        "import asyncio, os, sys, pathlib; from chatkit.log.sqlite import SqliteLog; path = pathlib.Path(sys.argv[1])\n"
        "async def main():\n await SqliteLog.open(path)\n print('open', flush=True)\n await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    prepare(sqlite.path)
    with subprocess.Popen([sys.executable, "-c", code, sqlite.path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(LogError, match=str(process.pid)):
            sqlite.run(nothing)
        process.kill()
    sqlite.run(nothing)


async def nothing(log: Log) -> None:
    """Only opened and closed."""
