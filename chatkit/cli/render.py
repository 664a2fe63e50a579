"""An event as safe text for a terminal. Pure: the width is passed in.

What is shown was written by strangers. Control characters could clear the screen, set the title, or answer on the
user's behalf, and bidirectional controls could make text read as it is not: all are shown as escapes
(CVE-2021-25743, CVE-2021-42574).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import datetime

from rich.cells import cell_len, chop_cells

from ..client.events import Event

# C0 but tab and line feed, DEL, C1; bidirectional controls; line separators; invisible formats; lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)

# 256-colour numbers that can be read on a dark and on a light background.
_COLOURS = (33, 35, 37, 62, 67, 71, 98, 103, 125, 130, 131, 133, 136, 161, 166, 172)
_NAME_CELLS = 16
_TEXT_CELLS = 28


def escape(text: str) -> str:
    """``text`` with everything that a terminal might obey made visible; line breaks and tabs stay."""
    return _UNSAFE.sub(_visible, text.replace("\r\n", "\n"))


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def colour_of(user: str) -> int:
    """The colour of a user, the same in every run."""
    return _COLOURS[zlib.crc32(user.encode("utf-8", "replace")) % len(_COLOURS)]


def wrap(text: str, cells: int) -> Iterator[str]:
    """The lines of ``text``, broken to ``cells``, at spaces where there are any; a break in the text stays one."""
    for line in text.expandtabs(4).split("\n"):
        row = ""
        for piece in re.findall(r" *[^ ]+| +$", line):
            if cell_len(row) + cell_len(piece) <= cells:
                row += piece
                continue
            if row:
                yield row
            *full, row = chop_cells(piece.lstrip(" ") if row else piece, cells) or [""]
            yield from full
        yield row


class Renderer:
    """Shows events one below the other.

    Args:
        colour: whether to use colours.
        name_channels: whether to say which channel an event is from.
        today: local date; days other than the last one shown get a line of their own.
    """

    def __init__(self, *, colour: bool, name_channels: bool, today: str) -> None:
        self._colour, self._name_channels, self._day = colour, name_channels, today
        self._name_cells = self._where_cells = 0

    def show(self, event: Event, cells: int | None) -> str:
        """One event, without a line break at its end.

        Args:
            event: what to show.
            cells: the width of the terminal; ``None`` when it is not one: then nothing is wrapped, and the time has
                its date.
        """
        when = _local(event.timestamp)
        user = escape(event.user_id).replace("\n", "\\x0a")
        body = self._body(event)
        day, clock = (when.strftime("%Y-%m-%d"), when.strftime("%H:%M:%S")) if when else (self._day, "--:--:--")
        where = self._where(event)
        if cells is None:
            first, *more = body.split("\n")
            head = f"{self._paint(f'{day} {clock}', '2')}{where} {self._name(user)}  {first}"
            return "\n".join([head, *(f"  {line}" for line in more)])
        rule = ""
        if day != self._day:
            self._day = day
            rule = self._paint(f"-- {day} --", "2") + "\n"
        return rule + self._wrapped(clock, where, user, body, cells)

    def _wrapped(self, clock: str, where: str, user: str, body: str, cells: int) -> str:
        self._name_cells = min(max(self._name_cells, cell_len(user)), _NAME_CELLS)
        where_cells = cell_len(_plain(where))
        self._where_cells = min(max(self._where_cells, where_cells), _NAME_CELLS)
        padding = " " * (self._where_cells - where_cells)
        indent = len(clock) + where_cells + len(padding) + 1 + max(self._name_cells, cell_len(user)) + 2
        name = self._name(user) + " " * (self._name_cells - cell_len(user))
        if cells - indent >= _TEXT_CELLS:
            rows = list(wrap(body, cells - indent))
            head = f"{self._paint(clock, '2')}{where}{padding} {name}  {rows[0]}"
            return "\n".join([head, *((" " * indent + row).rstrip() for row in rows[1:])])
        head = f"{self._paint(clock[:5], '2')}{where} {self._name(user)}"
        return "\n".join([head, *(f"  {row}".rstrip() for row in wrap(body, max(cells - 2, 8)))])

    def _where(self, event: Event) -> str:
        if not self._name_channels:
            return ""
        room = event.room
        return " " + self._paint(escape(room if room == event.channel else f"#{room}"), "2")

    def _body(self, event: Event) -> str:
        text = event.text
        if text is not None:
            return escape(text)
        data = escape(event.raw.decode("utf-8", "replace"))
        return f"{escape(event.event)} {data}"  # without a style: the lines are broken after this, and so would its code be

    def _name(self, user: str) -> str:
        return self._paint(user, f"1;38;5;{colour_of(user)}")

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour else text


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _local(timestamp: int) -> datetime | None:
    """The local time; ``None`` for a number that is no time, since a sender may claim any."""
    try:
        return datetime.fromtimestamp(timestamp / 1000)
    except (ValueError, OverflowError, OSError):
        return None
