"""Everything that can go wrong, in one place: the exception tree and the tables of codes.

::

    ChatkitError                 base of every error chatkit raises on purpose
    ├── InvalidName              a channel, room, pattern, event, user or id that breaks the grammar
    ├── Refused                  the server said no: a stable code, a status, a sentence
    ├── Unreachable              no server answers at the URL
    ├── DeadlineExceeded         no answer in the time allowed; the outcome is unknown
    ├── SpoolError               the messages that wait on this machine cannot be read or written
    │   └── SpoolBusy            another process is delivering them
    └── LogError                 the log on disk cannot be used
        ├── NotALog              the file is something else
        ├── SchemaTooNew         made by a newer chatkit
        ├── LogInUse             another process owns it
        ├── LogDamaged           its content is not what was written
        ├── LogFull              no room on the disk; later writes may work
        ├── LogBusy              another program holds the write lock; later writes may work
        └── LogFailed            an I/O error; the outcome of the last commit is unknown

Peers see a code and a sentence that we wrote, never the text of an exception that we did not.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ChatkitError(Exception):
    """Base of every error that chatkit raises on purpose; ``str()`` is one sentence for a person."""


class InvalidName(ChatkitError):
    """A name that breaks the grammar of the protocol.

    Attributes:
        what: which kind of name, ``"channel"``, ``"room"``, ``"event"``...
        value: the offending text.
        why: what is wrong with it and what would be right.
    """

    def __init__(self, what: str, value: str, why: str) -> None:
        self.what, self.value, self.why = what, value, why
        shown = value if len(value) <= 80 else value[:77] + "..."
        super().__init__(f"{what} {shown!r}: {why}")


#: Stable error code -> HTTP status. Codes are part of the protocol: they are added, never renamed.
STATUS: Final[dict[str, int]] = {
    "bad_request": 400,  # not HTTP as RFC 9112 has it, or not a WebSocket handshake
    "invalid_json": 400,  # the body or frame is not JSON in UTF-8
    "invalid_field": 400,  # a field is missing, empty, or of the wrong type; the sentence names it
    "invalid_topic": 400,  # a topic, room or pattern that breaks the grammar
    "unknown_type": 400,  # a frame whose type is not in the protocol
    "too_many_topics": 400,  # one connection, more subscriptions or presences than the limit
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "id_conflict": 409,  # the id exists with other content
    "too_large": 413,
    "unsupported_media_type": 415,
    "upgrade_required": 426,
    "rate_limited": 429,
    "head_too_large": 431,
    "internal": 500,
    "unavailable": 503,  # not taking writes: starting, draining, overloaded, failed
    "version_not_supported": 505,
    "disk_full": 507,
}


class Refused(ChatkitError):
    """The server said no, or is about to.

    Attributes:
        code: a key of :data:`STATUS`.
        status: the HTTP status that goes with it.
        message: what is wrong and what would be right.
        retry_after_s: seconds after which a retry makes sense, ``None`` when a retry cannot help.
    """

    def __init__(
        self, code: str, message: str, *, retry_after_s: float | None = None, status: int | None = None
    ) -> None:
        self.code, self.message, self.retry_after_s = code, message, retry_after_s
        self.status = STATUS.get(code, 500) if status is None else status
        super().__init__(message)


class Unreachable(ChatkitError):
    """No server answers at the URL (refused, unknown host, not chatkit). Nothing was sent."""


class DeadlineExceeded(ChatkitError):
    """No answer in the time allowed. The outcome is unknown: retry with the same id."""


class SpoolError(ChatkitError):
    """The spool cannot be used as it is."""


class SpoolBusy(SpoolError):
    """Another process is delivering what waits for the server: one at a time, or the order would be lost."""


class LogError(ChatkitError):
    """The log on disk cannot be used as it is."""


class NotALog(LogError):
    """The file exists and is not a chatkit database; it was left untouched."""


class SchemaTooNew(LogError):
    """The database was made by a newer chatkit; it was left untouched."""


class LogInUse(LogError):
    """Another process owns the database.

    Attributes:
        holder: its process id, as far as it can be told.
    """

    def __init__(self, path: object, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"{path} is in use by another chatkit (process {holder}); stop it, or name another file with --db"
        )


class LogDamaged(LogError):
    """The content of the file is not what was written."""


class LogFull(LogError):
    """No room on the disk: the batch was rolled back whole, later writes may work."""


class LogBusy(LogError):
    """Another program holds the write lock: the batch was rolled back whole, later writes may work."""


class LogFailed(LogError):
    """An I/O error: the outcome of the last commit is unknown, the process must stop taking writes."""


class CloseCode(IntEnum):
    """WebSocket close codes this server sends: RFC 6455 section 7.4.1, and ours in 4000-4999.

    4000-4499 mean "come back, after a backoff", 4500-4999 "do not".
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    SERVICE_RESTART = 1012
    STALLED = 4408
    PING_TIMEOUT = 4409
    NOT_AUTHORIZED = 4501
    BAD_PROTOCOL = 4502


def may_reconnect(close_code: int) -> bool:
    """Whether a client that was closed with ``close_code`` should come back.

    1002, 1003, 1007, 1008 and 1009 are a fault of the client's own that would only repeat.
    """
    return close_code not in (1002, 1003, 1007, 1008, 1009) and not 4500 <= close_code <= 4999


class ExitCode(IntEnum):
    """Exit codes of every ``chatkit`` command; 64-78 are those of BSD's sysexits.h, 124 is timeout(1)'s."""

    DONE = 0
    REFUSED = 1  # the server (or the database) said no
    USAGE = 2
    DAMAGED = 65
    UNREACHABLE = 69
    IO_ERROR = 74
    SPOOLED = 75  # EX_TEMPFAIL: not delivered yet, and safe
    NOT_AUTHORIZED = 77
    TIMED_OUT = 124
    INTERRUPTED = 130


def exit_code(error: ChatkitError) -> ExitCode:
    """The exit code a command ends with on ``error``."""
    if isinstance(error, InvalidName):
        return ExitCode.USAGE
    if isinstance(error, LogDamaged):
        return ExitCode.DAMAGED
    if isinstance(error, LogFailed):
        return ExitCode.IO_ERROR
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    if isinstance(error, DeadlineExceeded):
        return ExitCode.TIMED_OUT
    if isinstance(error, SpoolBusy):
        return ExitCode.SPOOLED
    if isinstance(error, Refused) and error.status in (401, 403):
        return ExitCode.NOT_AUTHORIZED
    return ExitCode.REFUSED
