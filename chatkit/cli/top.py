"""``chatkit top``: what the server is doing, live on a terminal, once on a pipe."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ..client.admin import metrics
from ..client.endpoint import DEFAULT_URL, Endpoint, find_token, parse_url
from ..errors import Unreachable
from .ending import UsageError
from .progress import size

if TYPE_CHECKING:
    from rich.console import RenderableType

Sample = dict[str, float]

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^}]*\})?) (\S+)")
_COMMIT: Final = "chatkit_commit_seconds"
_BATCH: Final = "chatkit_batch_events"


def run(url: str | None, interval_s: float) -> int:
    """Show the server's metrics; raises ChatkitError."""
    if not 0.1 <= interval_s <= 3600:
        raise UsageError("--interval should be 0.1 to 3600 seconds")
    endpoint = parse_url(url or DEFAULT_URL, os.environ.get("CHATKIT_CA_FILE") or None)
    token = find_token(endpoint)
    if sys.stdout.isatty():
        _live(endpoint, token, interval_s)
        return 0
    now = parse(metrics(endpoint, token=token))
    for name, value in table(now, None, 0.0):
        print(f"{name:<22}{value}")
    return 0


def parse(text: str) -> Sample:
    """The samples of Prometheus text, by name with labels."""
    found = {}
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line)) is not None:
            with contextlib.suppress(ValueError):
                found[match[1]] = float(match[2])
    return found


def table(now: Sample, before: Sample | None, seconds: float) -> list[tuple[str, str]]:
    """What to show, row by row.

    Args:
        now: the newest sample.
        before: the one before it, for rates; ``None`` shows totals.
        seconds: between the two.
    """

    def rate(name: str, unit: str = "") -> str:
        total = now.get(name, 0.0)
        if before is None or seconds <= 0:
            return f"{total:,.0f}{unit and ' ' + unit}"
        return f"{max(0.0, total - before.get(name, 0.0)) / seconds:,.0f}/s   ({total:,.0f})"

    def value(name: str) -> float:
        return now.get(name, 0.0)

    delivered = value("chatkit_delivered_bytes_total")
    if before is not None and seconds > 0:
        shown_bytes = f"{size(max(0.0, delivered - before.get('chatkit_delivered_bytes_total', 0.0)) / seconds)}/s"
    else:
        shown_bytes = size(delivered)
    refused = sum(count for name, count in now.items() if name.startswith("chatkit_refused_total"))
    kinds = ("websocket", "stream", "http")
    connections = ", ".join(f"{value(_labelled('chatkit_connections', 'kind', kind)):,.0f} {kind}" for kind in kinds)
    return [
        ("healthy", "yes" if value("chatkit_healthy") else "NO"),
        ("up", f"{value('chatkit_uptime_seconds'):,.0f} s"),
        ("connections", connections),
        (
            "subscriptions",
            (
                f"{value(_labelled('chatkit_subscriptions', 'state', 'live')):,.0f} live, "
                f"{value(_labelled('chatkit_subscriptions', 'state', 'behind')):,.0f} behind"
            ),
        ),
        ("stored", rate(_labelled("chatkit_events_total", "kind", "persisted"))),
        ("ephemeral", rate(_labelled("chatkit_events_total", "kind", "ephemeral"))),
        ("deliveries", rate("chatkit_deliveries_total")),
        ("delivered", shown_bytes),
        ("commit", f"{quantile(now, before, _COMMIT, 0.5)} median, {quantile(now, before, _COMMIT, 0.99)} p99"),
        ("batch", f"{mean(now, before, _BATCH):,.1f} events"),
        ("waiting", f"{value('chatkit_journal_events'):,.0f} events, {size(value('chatkit_journal_bytes'))}"),
        ("unsent", size(value("chatkit_unsent_bytes"))),
        ("log", f"{value('chatkit_log_floor') + 1:,.0f} to {value('chatkit_log_head'):,.0f}"),
        ("wal", size(value("chatkit_log_wal_held_bytes") + value("chatkit_log_wal_new_bytes"))),
        (
            "fell behind",
            (
                f"{value('chatkit_lagging_total'):,.0f}, {value('chatkit_caught_up_total'):,.0f} caught up, "
                f"{value('chatkit_stalled_total'):,.0f} closed"
            ),
        ),
        ("refused", f"{refused:,.0f}"),
        ("errors", f"{value('chatkit_errors_total'):,.0f}"),
    ]


def quantile(now: Sample, before: Sample | None, name: str, q: float) -> str:
    """The bucket of a histogram that holds a quantile of what came between two samples, as ``<= 0.8 ms``."""
    buckets: list[tuple[float, float]] = []
    for key, count in now.items():
        if key.startswith(f"{name}_bucket"):
            bound = float(key.partition('le="')[2].partition('"')[0])
            buckets.append((bound, count - (before or {}).get(key, 0.0)))
    buckets.sort()
    total = buckets[-1][1] if buckets else 0.0
    for bound, count in buckets:
        if total and count >= q * total:
            return f"<= {bound * 1000:g} ms" if bound != float("inf") else "longer"
    return "-"


def mean(now: Sample, before: Sample | None, name: str) -> float:
    """The mean of what a histogram counted between two samples."""
    total, count = (
        now.get(f"{name}_{part}", 0.0) - (before or {}).get(f"{name}_{part}", 0.0) for part in ("sum", "count")
    )
    return total / count if count else 0.0


def _labelled(name: str, label: str, value: str) -> str:
    return f'{name}{{{label}="{value}"}}'


def _live(endpoint: Endpoint, token: str | None, interval_s: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.live import Live  # noqa: PLC0415

    before, now, before_s, now_s = None, parse(metrics(endpoint, token=token)), 0.0, time.monotonic()
    with _keys() as pressed, Live(console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            live.update(_panel(endpoint, table(now, before, now_s - before_s), ""), refresh=True)
            if pressed(interval_s):
                return
            try:
                sample = parse(metrics(endpoint, token=token))
            except Unreachable as error:  # it may come back
                live.update(_panel(endpoint, [], str(error)), refresh=True)
                if pressed(interval_s):
                    return
                continue
            before, before_s, now, now_s = now, now_s, sample, time.monotonic()


def _panel(endpoint: Endpoint, rows: list[tuple[str, str]], trouble: str) -> RenderableType:
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        bad = (name, value) == ("healthy", "NO") or (name == "errors" and value != "0")
        grid.add_row(name, Text(value, style="bold red" if bad else ""))
    if trouble:
        grid.add_row("", Text(trouble, style="bold red"))
    return Panel(grid, title=f"chatkit top: {endpoint.url}", title_align="left", subtitle="q quits", expand=False)


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give a function that waits so many seconds, and says whether q was pressed."""
    if os.name != "posix" or not sys.stdin.isatty():
        yield _wait
        return
    import termios  # noqa: PLC0415 - they do not exist on Windows
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)

    def pressed(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 64)[:1] in b"qQ":
                return True
        return False

    try:
        tty.setcbreak(sys.stdin)
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False
