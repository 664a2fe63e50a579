"""Calling what may refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from chatkit.errors import InvalidName, Refused

P = ParamSpec("P")
R = TypeVar("R")


def attempt(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | Refused | InvalidName:
    """What ``function`` returns, or how it refuses; anything else that it raises fails the test."""
    try:
        return function(*args, **kwargs)
    except (Refused, InvalidName) as error:
        return error
