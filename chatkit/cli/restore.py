"""``chatkit restore``: put a backup in the place of the database."""

from __future__ import annotations

from pathlib import Path

from ..errors import LogError
from ..log.lock import FileLock
from ..log.maintenance.copying import restore
from ..log.setup import default_path
from .progress import bar, count


def run(file: str, db: str | None, force: bool, quiet: bool) -> int:
    """Restore; raises ChatkitError."""
    path = Path(db) if db else default_path()
    try:
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise LogError(f"cannot make the directory {path.parent}: {error.strerror}") from error
    with FileLock(path), bar("restore") as progress:
        copied = restore(Path(file), path, force=force, progress=progress)
    if not quiet:
        print(
            f"{copied.path}: {count(copied.events, 'event')} restored, checked; the log has a new epoch {copied.epoch}"
        )
    return 0
