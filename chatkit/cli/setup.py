"""``chatkit setup``: create or migrate the database."""

from __future__ import annotations

from pathlib import Path

from ..log.setup import Prepared, prepare
from ..server.config import default_db


def run(db: str | None) -> int:
    """Prepare the database and say what was done; raises ChatkitError."""
    print(described(prepare(Path(db) if db else default_db())))
    return 0


def described(prepared: Prepared) -> str:
    """What was done, in one line."""
    where, schema = prepared.path, prepared.schema
    if prepared.created:
        return f"created {where} (schema {schema})"
    events = f"{prepared.events} event{'' if prepared.events == 1 else 's'}"
    if prepared.migrated_from is not None:
        return f"migrated {where} from schema {prepared.migrated_from} to {schema} ({events})"
    return f"up to date: {where} (schema {schema}, {events})"
