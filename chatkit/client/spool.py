"""The spool: messages that wait on this machine until their server takes them.

One SQLite file for each user. A message enters it before it is sent and leaves it when the server has answered, so
that whatever ends the process, a message that was said to be spooled is there, and one that was delivered twice has
the same id and is stored once.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Self

from ..errors import Refused, SpoolError
from .sending import Post

#: ``PRAGMA application_id``: "chks". sqlite.org/fileformat.html#application_id
APPLICATION_ID: Final = 0x63686B73
_VERSION: Final = 1

#: AUTOINCREMENT, so that a place is not given again while a sender still asks what became of it.
_SCHEMA: Final = f"""
CREATE TABLE spool (
    place   INTEGER PRIMARY KEY AUTOINCREMENT,
    url     TEXT NOT NULL,
    id      TEXT NOT NULL,
    channel TEXT NOT NULL,
    user_id TEXT,
    path    TEXT NOT NULL,
    body    TEXT NOT NULL,
    code    TEXT,
    why     TEXT,
    UNIQUE (url, id)
);
CREATE INDEX spool_waiting ON spool (url, place) WHERE code IS NULL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {_VERSION};
"""

_COLUMNS: Final = "place, url, id, channel, user_id, path, body, code, why"

#: Seconds to wait for another process that is writing; each of them writes for milliseconds.
_BUSY_S: Final = 10.0


class Spooled(NamedTuple):
    """One message of the spool.

    Attributes:
        place: its place in the order; greater is later.
        url: the server it is for.
        id: the message's id, the same in every attempt.
        channel: where it goes.
        user: who sends; ``None`` for whoever the server knows the sender to be.
        path: the route.
        body: what is posted: JSON with the text, the user, the time it was written and all else.
        code: the refusal for which it was set aside; ``None`` while it waits.
        why: the server's sentence to that.
    """

    place: int
    url: str
    id: str
    channel: str
    user: str | None
    path: str
    body: str
    code: str | None
    why: str | None

    @property
    def post(self) -> Post:
        """The request that delivers it."""
        return Post(self.channel, self.id, self.path, self.body.encode())

    @property
    def text(self) -> str:
        """What it says."""
        text = _content(self.body).get("text")
        return text if isinstance(text, str) else self.body


class Count(NamedTuple):
    """How many messages there are for a server: those that wait, and those that it refused."""

    url: str
    waiting: int
    refused: int


class Spool:
    """An open spool. Use it in one thread, with ``with``."""

    def __init__(self, path: str) -> None:
        """Open the spool, and make it where there is none.

        Raises:
            SpoolError: it cannot be used; the sentence says why.
        """
        self.path = path
        try:
            _make_private(path)
            _check_is_ours(path)
            # A rollback journal and not a WAL: many processes write, each for a moment. EXTRA is FULL and a sync of
            # the directory: without it a power cut could bring the journal back, and roll back what was committed.
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error

    def _prepare(self) -> None:
        version, application_id = self._versions()
        if version == application_id == 0:
            with self._transaction():
                if self._versions() == (0, 0):  # nobody else was faster
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)
            return
        if application_id != APPLICATION_ID:
            raise SpoolError(f"{self.path} is not a spool of chatkit; name another file with CHATKIT_SPOOL")
        if version != _VERSION:
            raise SpoolError(f"the spool {self.path} was made by a newer chatkit; upgrade chatkit to use it")

    def _versions(self) -> tuple[int, int]:
        version, application_id = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        return version, application_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    # ----------------------------------------------------------------------------------------------- writing

    def add(self, url: str, posts: Iterable[tuple[Post, str | None]]) -> list[int]:
        """Put messages at the end, all or none; when this returns they are on the disk.

        Args:
            url: the server.
            posts: each request, and who sends.

        Returns:
            Their places. A message that is there already with the same id and content keeps its own, and one that was
            set aside waits again.

        Raises:
            Refused: ``id_conflict``, an id is there with other content.
            SpoolError: they cannot be written.
        """
        with self._transaction():
            return [self._add(url, post, user) for post, user in posts]

    def _add(self, url: str, post: Post, user: str | None) -> int:
        body = post.body.decode()
        found = self._select("url = ? AND id = ?", url, post.id)
        if not found:
            row = (url, post.id, post.channel, user, post.path, body)
            place = self._connection.execute(
                "INSERT INTO spool (url, id, channel, user_id, path, body) VALUES (?, ?, ?, ?, ?, ?)", row
            ).lastrowid
            assert place is not None  # noqa: S101 - an insert has one
            return place
        (there,) = found
        if there.channel != post.channel or _content(there.body) != _content(body):
            raise Refused("id_conflict", f"the id {post.id!r} waits in the spool with other content")
        self._connection.execute("UPDATE spool SET code = NULL, why = NULL WHERE place = ?", (there.place,))
        return there.place

    def remove(self, places: Iterable[int]) -> None:
        """Take messages out; raises SpoolError."""
        with self._transaction():
            self._connection.executemany("DELETE FROM spool WHERE place = ?", [(place,) for place in places])

    def set_aside(self, place: int, error: Refused) -> None:
        """Let a message that its server will never take wait for a person instead; raises SpoolError."""
        with self._transaction():
            self._connection.execute(
                "UPDATE spool SET code = ?, why = ? WHERE place = ?", (error.code, error.message, place)
            )

    def put_back(self, url: str) -> int:
        """Let what was set aside wait again, in its old place; returns how many; raises SpoolError."""
        with self._transaction():
            return self._connection.execute(
                "UPDATE spool SET code = NULL, why = NULL WHERE url = ? AND code IS NOT NULL", (url,)
            ).rowcount

    def drop(self, event_id: str, url: str | None = None) -> int:
        """Remove a message for good, by its id; returns how many there were; raises SpoolError."""
        with self._transaction():
            return self._connection.execute(
                "DELETE FROM spool WHERE id = ? AND url = coalesce(?, url)", (event_id, url)
            ).rowcount

    # ----------------------------------------------------------------------------------------------- reading

    def waiting(self, url: str, limit: int, upto: int | None = None) -> list[Spooled]:
        """The oldest messages that wait for a server, at most ``limit``, none behind the place ``upto``."""
        return self._select(
            "url = ? AND code IS NULL AND place <= coalesce(?, place) ORDER BY place LIMIT ?", url, upto, limit
        )

    def find(self, place: int) -> Spooled | None:
        """The message at a place; ``None`` when it has left."""
        found = self._select("place = ?", place)
        return found[0] if found else None

    def all(self, url: str | None = None) -> list[Spooled]:
        """Every message, those that were set aside included, of one server or of all, in order."""
        return self._select("url = coalesce(?, url) ORDER BY url, place", url)

    def counts(self) -> list[Count]:
        """How many messages there are for each server that has any."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT url, sum(code IS NULL), sum(code IS NOT NULL) FROM spool GROUP BY url ORDER BY url"
            ).fetchall()
        return [Count(*row) for row in rows]

    def count(self, url: str) -> Count:
        """How many messages there are for one server."""
        return next((count for count in self.counts() if count.url == url), Count(url, 0, 0))

    def _select(self, where: str, *values: Any) -> list[Spooled]:
        with self._errors():
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM spool WHERE {where}", values).fetchall()
        return [Spooled(*row) for row in rows]

    # ------------------------------------------------------------------------------------------------ inside

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing; on the disk when it is over."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise


def _content(body: str) -> dict[str, Any]:
    """What a body says, without when it was written."""
    found: dict[str, Any] = json.loads(body)
    data = found.get("data")
    content = {**found, **data} if isinstance(data, dict) else found
    return {name: value for name, value in content.items() if name not in ("timestamp", "data")}


def _make_private(path: str) -> None:
    """An empty file that only its owner reads, in a directory of the same kind; both last through a power cut."""
    if os.path.exists(path):
        return
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if os.name != "nt":
        for directory in (folder, os.path.dirname(folder)):
            with suppress(PermissionError):  # one that may not be read, so not made here either
                entry = os.open(directory, os.O_RDONLY)
                try:
                    os.fsync(entry)
                finally:
                    os.close(entry)


def _check_is_ours(path: str) -> None:
    """Refuse another program's file before SQLite opens it: opening some kinds of database changes them.

    Raises:
        SpoolError: it is something else.
    """
    if os.path.exists(f"{path}-journal"):
        return  # a process died while it wrote: SQLite knows how to read that
    with open(path, "rb") as file:
        head = file.read(100)
    if head and (head[:16] != b"SQLite format 3\0" or head[68:72] != APPLICATION_ID.to_bytes(4, "big")):
        raise SpoolError(f"{path} is not a spool of chatkit; name another file with CHATKIT_SPOOL")


def _unusable(path: str, error: Exception) -> SpoolError:
    return SpoolError(f"cannot use the spool {path}: {getattr(error, 'strerror', None) or error}")
