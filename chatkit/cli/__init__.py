"""The command line. ``chatkit.cli:main`` is the console script.

Start-up time is felt with every ``chatkit send``, so nothing here loads a library before the command that needs it is
known: Typer alone costs more than a send does. What a plain ``send`` or ``tail`` gives on its command line is read by
:mod:`~chatkit.cli.quick`; everything else, help, completion and every mistake included, is Typer's.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name, by default those of the process.
    """
    from .ending import ended  # noqa: PLC0415 - inside main, so that Ctrl-C while loading is less likely to be seen

    return ended(_dispatch, sys.argv[1:] if argv is None else argv)


def _dispatch(argv: list[str]) -> int | None:
    if argv and argv[0] in ("send", "tail") and "_CHATKIT_COMPLETE" not in os.environ:
        from . import options, quick  # noqa: PLC0415

        if argv[0] == "send":
            if (given := quick.parse(options.SEND, argv[1:])) is not None:
                from .send import run as send  # noqa: PLC0415

                return send(**given)
        elif (given := quick.parse(options.TAIL, argv[1:])) is not None:
            from .tail import run as tail  # noqa: PLC0415

            return tail(**given)
    from .app import run  # noqa: PLC0415 - Typer

    return run(argv)
