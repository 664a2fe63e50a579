"""The Typer application: help, completion, and every command line that :mod:`~chatkit.cli.quick` leaves to it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..errors import ExitCode
from .commands import COMMANDS, GROUPS, Command
from .ending import MEANINGS, UsageError
from .options import Argument, Option

_EPILOG = "Exit codes: " + ", ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items()) + "."

_HELP = """A local realtime chat: send from the shell, keep every message, listen anywhere.

Start with `chatkit serve`; then, in other terminals, `chatkit tail general` and `chatkit send general hello`.
"""

_SETTINGS = {"help_option_names": ["--help", "-h"]}


def run(argv: list[str]) -> int:
    """Run the command line ``argv``; raises ChatkitError."""
    names = [command.name for command in COMMANDS]
    # Shell completion may ask about any command. Else only the one that runs needs its parameters.
    typed = [" ".join(argv[:words]) for words in (2, 1) if len(argv) >= words]
    chosen = None if "_CHATKIT_COMPLETE" in os.environ else next((name for name in typed if name in names), "")
    is_bare = not argv or (len(argv) == 1 and argv[0] in GROUPS)
    try:
        code = application(chosen)([*argv, "--help"] if is_bare else argv, prog_name="chatkit", standalone_mode=False)
    except typer.TyperException as error:  # the base of whatever Typer has to say about a command line
        raise UsageError(_sentence(error.format_message(), chosen)) from None
    except typer.Abort:
        return ExitCode.INTERRUPTED
    if is_bare:
        return ExitCode.USAGE
    return code if isinstance(code, int) else ExitCode.DONE


def application(chosen: str | None = None) -> typer.Typer:
    """The command line.

    Args:
        chosen: the one command whose parameters matter, ``""`` for none of them, ``None`` for all. The server's
            settings, for one, take a while to load.
    """
    app = typer.Typer(
        name="chatkit",
        help=_HELP,
        epilog=_EPILOG,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings=_SETTINGS,
    )
    app.callback()(_root)
    groups = {name: typer.Typer(help=text, epilog=_EPILOG, context_settings=_SETTINGS) for name, text in GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for command in COMMANDS:
        *group_name, name = command.name.split(" ")
        home = groups[group_name[0]] if group_name else app
        declare = home.command(name, help=command.help, epilog=_EPILOG, context_settings=_SETTINGS)
        declare(_function(command, chosen in (None, command.name)))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        import chatkit  # noqa: PLC0415 - the version is looked up on the disk

        print(f"chatkit {chatkit.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """What all commands share."""


def _function(command: Command, with_parameters: bool) -> Callable[..., int]:
    """A function with the signature that Typer reads the command's parameters from."""

    def call(**given: Any) -> int:
        return command.run(**given)

    parameters = command.parameters() if with_parameters else ()
    call.__signature__ = inspect.Signature([_parameter(item) for item in parameters])  # type: ignore[attr-defined]
    return call


def _parameter(item: Argument | Option) -> inspect.Parameter:
    kind: Any
    default: Any = inspect.Parameter.empty
    if isinstance(item, Argument):
        kind = Annotated[list[str] if item.many else str, typer.Argument(metavar=item.metavar, help=item.help)]
        if not item.required:
            kind, default = Annotated[list[str] | None, *kind.__metadata__], None
    else:
        default = item.default
        base = item.kind | None if default is None and item.kind is not bool else item.kind
        option = typer.Option(*item.flags, help=item.help, metavar=item.metavar, envvar=item.env)
        kind = Annotated[base, option]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _sentence(message: str, command: str | None) -> str:
    """Typer's message in one line, with where to read on."""
    text = " ".join(message.split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}{' See' if text.endswith('?') else '; see'} `chatkit {command + ' ' if command else ''}--help`"
