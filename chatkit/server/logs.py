"""The server's log: one line a record on stderr, as text or JSON. Never the text of a message at INFO or above."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_ROOT: Final = "chatkit"


def configure(level: LogLevel, form: LogFormat) -> None:
    """Send everything that chatkit logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(level.upper())


def _when(created_s: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created_s))
    return f"{whole}.{int(created_s * 1000) % 1000:03d}Z"


class TextFormatter(logging.Formatter):
    """``2024-05-01T12:00:00.000Z info [c12] what happened``; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        number = getattr(record, "connection", None)
        where = "" if number is None else f" [c{number}]"
        line = f"{_when(record.created)} {record.levelname.lower()}{where} {_one_line(record.getMessage())}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(logging.Formatter):
    """One JSON object: ``time``, ``level``, ``logger``, ``message``, and ``connection`` and ``error`` where there are."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {
            "time": _when(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        number = getattr(record, "connection", None)
        if number is not None:
            found["connection"] = number
        if record.exc_info is not None:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)


def _one_line(text: str) -> str:
    """What a peer sent may be part of a record: it can neither end the line nor move the cursor."""
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
