"""How a command ends: one line on stderr, and an exit code of the table."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable

from ..errors import ChatkitError, ExitCode, exit_code

#: Exit code -> when; shown by ``chatkit --help``.
MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.REFUSED: "the server, or the database, refused",
    ExitCode.USAGE: "wrong usage",
    ExitCode.DAMAGED: "the database, or the backup, is damaged",
    ExitCode.UNREACHABLE: "cannot reach the server",
    ExitCode.IO_ERROR: "the disk failed; the outcome of the last send is unknown",
    ExitCode.SPOOLED: "not delivered yet, waits in the spool",
    ExitCode.NOT_AUTHORIZED: "not authorised",
    ExitCode.TIMED_OUT: "timed out; the outcome is unknown",
    ExitCode.INTERRUPTED: "interrupted",
}


class UsageError(ChatkitError):
    """The command line asks for what cannot be."""


def ended(command: Callable[[list[str]], int | None], argv: list[str]) -> int:
    """Run ``command`` and return the exit code of the process."""
    try:
        code = command(argv) or ExitCode.DONE
        sys.stdout.flush()
    except ChatkitError as error:
        return failed(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return reader_gone()
    return code


def failed(error: ChatkitError, where: str = "") -> int:
    """Say what went wrong and return the exit code that goes with it.

    Args:
        error: what went wrong.
        where: which part of the input, ``"line 3: "``.
    """
    complain(f"{where}{error}")
    return ExitCode.USAGE if isinstance(error, UsageError) else exit_code(error)


def complain(sentence: str) -> None:
    """One line on stderr; nothing when nobody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(f"chatkit: {one_line(sentence)}", file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """``text`` in one line, harmless on a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in " ".join(text.split()))


def reader_gone() -> int:
    """Whoever read our output is gone: end as every Unix tool does, by SIGPIPE (the shell says 141)."""
    with contextlib.suppress(OSError, ValueError):
        # What is still buffered would be written at exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return ExitCode.REFUSED
