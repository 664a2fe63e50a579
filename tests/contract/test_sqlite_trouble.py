"""The SQLite engine when the disk is full, fails, or when the process dies between a commit and its feed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from chatkit.errors import LogFailed, Refused
from chatkit.log.base import Appended, Log, Outcome, Query, Submission
from chatkit.log.inline import Inline
from chatkit.log.setup import prepare
from chatkit.log.sqlite import SqliteLog
from chatkit.model import Event

from .engines import InlineEngine, SqliteEngine, codes, event, everything, ids, message, messages


def run_sql(log: Log, statement: str) -> None:
    """On the connection that writes, between two appends."""
    assert isinstance(log, SqliteLog)
    assert log._writer is not None
    log._writer._run(statement)


def test_a_full_disk_refuses_the_batch_whole_and_later_writes_work(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        fed: list[str] = []
        log.listen(lambda events: fed.extend(event.id for event in events))
        await log.append(messages(3))
        run_sql(log, "PRAGMA max_page_count = 20")
        large = [message("x" * 60_000, id=f"large{n}") for n in range(10)]
        outcomes = await log.append([message("small", id="small"), event(id="e", persist=False), *large])
        assert codes(outcomes) == ["disk_full", "ok", *["disk_full"] * 10]
        assert isinstance(outcomes[0], Refused)
        assert outcomes[0].status == 507
        assert outcomes[0].retry_after_s
        assert log.head == 3
        assert ids(await everything(log)) == ["m0", "m1", "m2"]
        run_sql(log, "PRAGMA max_page_count = 100000")
        assert await log.append([message("small", id="small")]) == [Appended(4)]
        assert fed == ["m0", "m1", "m2", "e", "small"]

    sqlite.run(scenario)


def test_a_failed_write_is_the_last(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        fed: list[Event] = []
        await log.append(messages(2))
        log.listen(fed.extend)
        run_sql(log, "PRAGMA query_only = ON")  # an error that is neither a conflict nor a full disk
        with pytest.raises(LogFailed):
            await log.append([event(id="e", persist=False), message("lost", id="lost")])
        run_sql(log, "PRAGMA query_only = OFF")
        with pytest.raises(LogFailed):
            await log.append([message("late", id="late")])
        assert fed == []
        assert ids(await everything(log)) == ["m0", "m1"]

    sqlite.run(scenario)


def test_what_was_committed_and_not_fed_is_in_the_log_and_in_no_page_yet(tmp_path: Path) -> None:
    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        writer = log._writer
        assert writer is not None
        await log.append(messages(2, "a"))
        committed, go_on = asyncio.Event(), threading.Event()
        loop, append = asyncio.get_running_loop(), writer.append

        def held(batch: Sequence[Submission], *, wait: bool = True) -> list[Outcome]:
            outcomes = append(batch, wait=wait)
            loop.call_soon_threadsafe(committed.set)
            assert go_on.wait(10)
            return outcomes

        writer.append = held  # type: ignore[method-assign]
        task = asyncio.create_task(log.append(messages(3, "b")))
        await committed.wait()
        for query in (Query(), Query(limit=1, newest=True), Query(after=2)):
            page = await log.read(query)
            assert page.position <= 2
            assert not any(item.id.startswith("b") for item in page.events)
        go_on.set()
        await task
        assert len(await everything(log)) == 5

    SqliteEngine(tmp_path).run(scenario)


def test_a_write_lock_of_another_program_holds_up_the_batch_and_not_the_loop(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(2))
        with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(log.append(messages(3, "late")))
            assert len(await everything(log)) == 2  # a read, which takes several turns of the loop
            assert not task.done()
            other.execute("COMMIT")
        assert await task == [Appended(3), Appended(4), Appended(5)]
        assert await log.append(messages(1, "last")) == [Appended(6)]

    sqlite.run(scenario)


def test_a_batch_is_committed_on_the_loop_where_that_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatkit.log.inline._SLOW_S", 100.0)  # a busy machine is no slow disk

    async def in_one_step(log: Log, batch: list[Submission]) -> bool:
        task = asyncio.create_task(log.append(batch))
        await asyncio.sleep(0)
        at_once = task.done()
        await task
        return at_once

    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        assert log._writer is not None
        assert not await in_one_step(log, messages(10, "the first after opening, which may sync"))
        assert await in_one_step(log, messages(10, "a"))
        assert not await in_one_step(log, messages(10, "a"))  # to find what has these ids may take its time
        assert not await in_one_step(log, messages(1000, "many"))
        assert not await in_one_step(log, [message("x" * 300_000, id="long")])
        checkpoint = asyncio.create_task(log.with_writer(lambda connection: None))
        await asyncio.sleep(0)
        assert not await in_one_step(log, messages(10, "behind what the thread does"))
        await checkpoint
        assert await in_one_step(log, messages(10, "b"))
        log._writer.checkpoint()
        assert not await in_one_step(log, messages(10, "the first after a checkpoint, which may sync"))
        assert await in_one_step(log, messages(10, "c"))
        assert len(await everything(log)) == 1061

    InlineEngine(tmp_path).run(scenario)


def test_after_a_slow_commit_the_loop_is_kept_off_the_disk_for_a_while() -> None:
    inline, batch = Inline(), messages(3)
    assert inline.takes(batch, now_s=100.0)
    inline.took(0.005, now_s=100.0)
    assert inline.takes(batch, now_s=100.0)
    for rest_s in (1, 2, 4, 8, 16, 32, 64, 64):  # one that stays slow is tried less and less often
        inline.took(0.5, now_s=1000.0)
        assert not inline.takes(batch, now_s=1000.0 + rest_s - 0.1)
        assert inline.takes(batch, now_s=1000.0 + rest_s)
    inline.took(0.005, now_s=2000.0)
    inline.took(0.5, now_s=2000.0)
    assert inline.takes(batch, now_s=2001.0)


def large(name: str) -> list[Submission]:
    """Enough for the WAL to be written out."""
    return [message("x" * 60_000, id=f"{name}{n}") for n in range(20)]


def test_a_wal_that_grows_is_written_to_the_disk_beside_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the database is opened by a link, which SQLite follows before it looks for the WAL."""
    asked, go_on = threading.Semaphore(0), threading.Semaphore(0)
    files: list[str] = []

    def sync(file: int) -> None:
        files.append(os.readlink(f"/proc/self/fd/{file}") if sys.platform == "linux" else "chat.db-wal")
        asked.release()
        assert go_on.acquire(timeout=10)

    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        assert log._flusher is not None
        await log.append(messages(10))
        await log.append(large("a"))
        assert await asyncio.to_thread(asked.acquire, timeout=10)
        await log.append(large("b"))  # commits go on meanwhile
        assert len(await everything(log)) == 50
        go_on.release(2)
        assert await asyncio.to_thread(asked.acquire, timeout=10)  # what came meanwhile is written as well

    monkeypatch.setattr("chatkit.log.flusher._sync", sync)
    (tmp_path / "elsewhere").mkdir()
    engine = InlineEngine(tmp_path / "elsewhere")
    prepare(engine.path)
    link = tmp_path / "link.db"
    link.symlink_to(engine.path)
    engine.path = link
    engine.run(scenario)
    assert len(files) == 2
    assert all(file.endswith("chat.db-wal") for file in files)


def test_a_wal_that_cannot_be_opened_beside_the_log_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: object) -> int:
        raise OSError(24, "Too many open files")

    async def scenario(log: Log) -> None:
        assert isinstance(log, SqliteLog)
        assert log._flusher is not None
        await log.append(messages(1))
        with monkeypatch.context() as patched:
            patched.setattr("chatkit.log.flusher.os.open", refuse)
            await log.append(large("a"))
            assert log._flusher.flushing is not None
            await log._flusher.flushing
        await log.append(large("b"))
        assert len(await everything(log)) == 41

    InlineEngine(tmp_path).run(scenario)
    assert "Too many open files" in caplog.text


def test_a_disk_that_does_not_take_the_wal_ends_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(file: int) -> None:
        raise OSError(5, "Input/output error")

    async def scenario(log: Log) -> None:
        monkeypatch.setattr("chatkit.log.flusher._sync", sync)
        failed: asyncio.Future[LogFailed] = asyncio.get_running_loop().create_future()
        log.listen(lambda events: None, failed.set_result)
        await log.append(large("a"))
        assert "Input/output error" in str(await failed)
        with pytest.raises(LogFailed):
            await log.append(messages(1))

    InlineEngine(tmp_path).run(scenario)


def test_a_position_is_not_given_again_after_the_newest_events_are_removed(sqlite: SqliteEngine) -> None:
    async def first(log: Log) -> None:
        await log.append(messages(3))
        run_sql(log, "DELETE FROM messages WHERE seq > 1")

    async def second(log: Log) -> None:
        assert log.head == 3
        assert await log.append([message("new", id="new")]) == [Appended(4)]

    sqlite.run(first)
    sqlite.run(second)


def test_the_floor_is_read_from_the_file(sqlite: SqliteEngine) -> None:
    async def first(log: Log) -> None:
        await log.append(messages(3))
        run_sql(log, "UPDATE meta SET value = 2 WHERE key = 'floor'")

    async def second(log: Log) -> None:
        assert log.floor == 2

    sqlite.run(first)
    sqlite.run(second)


def test_closing_leaves_one_file_with_everything_in_it(sqlite: SqliteEngine) -> None:
    async def scenario(log: Log) -> None:
        await log.append(messages(1000))

    sqlite.run(scenario)
    assert not sqlite.path.with_name("chat.db-wal").exists()
    connection = sqlite3.connect(f"file:{sqlite.path}?mode=ro", uri=True)
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (1000,)
    connection.close()
