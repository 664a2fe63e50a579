"""Reads a plain command line without Typer, which costs more to load than a send takes.

It accepts a part of what Typer accepts and means the same by it; of all the rest, help and mistakes included, it says
"not mine", and Typer reads it. A test holds the two to the same answers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .options import Argument, Option


def parse(declared: Sequence[Argument | Option], argv: list[str]) -> dict[str, Any] | None:
    """The parameters of the command's function, or ``None`` where Typer has to look.

    Args:
        declared: the command's arguments and options; what may be given more than once is left to Typer.
        argv: what follows the command's name.
    """
    options = {flag: item for item in declared if isinstance(item, Option) for flag in item.flags}
    given: dict[str, Any] = {}
    words: list[str] = []
    at = 0
    while at < len(argv):
        token = argv[at]
        at += 1
        if token == "--":  # noqa: S105 - the end of the options
            words += argv[at:]
            break
        if token[:1] != "-":
            words.append(token)
            continue
        flag, has_value, value = token.partition("=")
        option = options.get(flag)
        if option is None or option.name in given or option.kind not in (bool, str, int, float):
            return None
        if option.kind is bool:
            if has_value:
                return None
            given[option.name] = True
            continue
        if not has_value:
            if at == len(argv) or argv[at][:1] == "-":
                return None
            value = argv[at]
            at += 1
        elif not flag.startswith("--"):
            return None
        given[option.name] = value
    return _complete(declared, given, words)


def _complete(declared: Sequence[Argument | Option], given: dict[str, Any], words: list[str]) -> dict[str, Any] | None:
    for item in declared:
        if isinstance(item, Argument):
            if item.required and not words:
                return None
            if item.many:
                given[item.name], words = words, []
            else:
                given[item.name], words = words[0], words[1:]
            continue
        text = given.get(item.name) or (os.environ.get(item.env) if item.env else None)
        if item.name not in given and not text:
            given[item.name] = item.default
        elif item.kind in (int, float):
            try:
                given[item.name] = item.kind(text)
            except (TypeError, ValueError):
                return None
        elif item.name not in given:
            given[item.name] = text
    return None if words else given
