"""``chatkit backup``: copy the database, while a server runs or not."""

from __future__ import annotations

from pathlib import Path

from ..log.maintenance.copying import backup
from ..log.setup import default_path
from .progress import bar, count, size


def run(file: str, db: str | None, force: bool, quiet: bool) -> int:
    """Back up; raises ChatkitError."""
    with bar("backup") as progress:
        copied = backup(Path(db) if db else default_path(), Path(file), force=force, progress=progress)
    if not quiet:
        print(f"{copied.path}: {count(copied.events, 'event')}, {size(copied.size_bytes)}, checked")
    return 0
