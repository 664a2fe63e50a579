"""How long events are kept, as a person says it: ``30d``, or a number of events."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ...errors import InvalidName
from .pruning import Plan

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])")


class Retention(msgspec.Struct, frozen=True):
    """Keep events so many seconds, or so many of them."""

    age_s: float | None = None
    keep: int | None = None

    @classmethod
    def parse(cls, text: str) -> Retention:
        """Read ``30d`` (units: s, m, h, d, w) or ``100000``.

        Raises:
            InvalidName: neither.
        """
        if text.isascii() and text.isdigit() and len(text) < 16:
            return cls(keep=int(text))
        return cls(age_s=age_s(text))

    def plan(self, now_s: float) -> Plan:
        """What is to go at Unix time ``now_s``."""
        return Plan(self.keep, None if self.age_s is None else int((now_s - self.age_s) * 1000))


def age_s(text: str) -> float:
    """Seconds of an age such as ``30d``.

    Raises:
        InvalidName: it is none.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None or not float(found[1]):
        raise InvalidName("age", text, "write a number and s, m, h, d or w, such as 12h or 30d")
    return float(found[1]) * _UNITS[found[2]]
