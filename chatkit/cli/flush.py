"""``chatkit flush``: deliver what waits in the spool, or show it."""

from __future__ import annotations

import json
import math
import os
import sys

from ..client.deliver import deliver, passes
from ..client.endpoint import DEFAULT_URL, Endpoint, checked_token, parse_url
from ..client.places import spool_path
from ..client.sending import Receipt
from ..client.spool import Spool, Spooled
from ..errors import ChatkitError, ExitCode, Refused
from .ending import UsageError, complain, failed, one_line
from .spooled import messages, refused_later


def run(
    *,
    url: str | None,
    list_only: bool,
    json_output: bool,
    retry: bool,
    drop: list[str] | None,
    quiet: bool,
    timeout_s: float,
) -> int:
    """Deliver, and return the exit code; raises ChatkitError."""
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise UsageError("--timeout should be more than 0 seconds")
    if drop and (list_only or retry):
        raise UsageError("--drop stands alone: first drop, then look or deliver")
    if json_output and not list_only:
        raise UsageError("--json goes with --list")
    endpoint = parse_url(url or DEFAULT_URL)
    token = checked_token(os.environ.get("CHATKIT_TOKEN"))
    path = spool_path()
    if not os.path.exists(path):  # nothing was ever spooled: do not make a file to say so
        return _nothing(drop, endpoint, quiet or list_only)
    with Spool(path) as spool:
        if drop:
            return _drop(spool, drop, endpoint.url if url else None, quiet)
        if list_only:
            return _list(spool, endpoint.url if url else None, json_output)
        if retry:
            spool.put_back(endpoint.url)
        return _Flush(spool, endpoint, quiet).run(token, timeout_s)


class _Flush:
    """One run."""

    def __init__(self, spool: Spool, endpoint: Endpoint, quiet: bool) -> None:
        self._spool, self._endpoint, self._quiet = spool, endpoint, quiet
        self._bar = sys.stderr.isatty() and not quiet
        self._delivered = self._refused = 0
        self._total = spool.count(endpoint.url).waiting

    def run(self, token: str | None, timeout_s: float) -> int:
        before = self._spool.count(self._endpoint.url)
        error: ChatkitError | None = None
        if before.waiting:
            try:
                deliver(
                    self._spool,
                    self._endpoint,
                    token=token,
                    timeout_s=timeout_s,
                    wait_s=timeout_s,
                    on_delivered=self._on_delivered,
                    on_refused=self._on_refused,
                )
            except ChatkitError as caught:
                error = caught
            finally:
                self._progress(over=True)
        after = self._spool.count(self._endpoint.url)
        if not self._quiet:
            print(self._summary(before.waiting == 0, after.waiting, after.refused))
            self._mention_others()
        if error:
            code = failed(error)
            return ExitCode.SPOOLED if isinstance(error, Refused) and passes(error) else code
        return ExitCode.REFUSED if self._refused else ExitCode.DONE

    def _summary(self, was_empty: bool, waiting: int, refused: int) -> str:
        url = self._endpoint.url
        parts = [f"nothing waits for {url}" if was_empty else f"delivered {messages(self._delivered)} to {url}"]
        if waiting:
            parts.append(f"{waiting} still wait{'s' if waiting == 1 else ''}")
        if refused:
            parts.append(f"{refused} refused and set aside, see `chatkit flush --list`")
        return "; ".join(parts)

    def _mention_others(self) -> None:
        for count in self._spool.counts():
            if count.url != self._endpoint.url and count.waiting:
                print(f"{messages(count.waiting)} for another server: `chatkit flush --url {one_line(count.url)}`")

    def _on_delivered(self, item: Spooled, receipt: Receipt) -> None:
        self._delivered += 1
        self._progress()

    def _on_refused(self, item: Spooled, error: Refused) -> bool:
        self._refused += 1
        self._progress(over=True)
        refused_later(item, error)
        return False

    def _progress(self, over: bool = False) -> None:
        if self._bar:
            done = self._delivered + self._refused
            line = "" if over else f"delivering {done} of {max(self._total, done)}"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _nothing(drop: list[str] | None, endpoint: Endpoint, quiet: bool) -> int:
    if drop:
        raise Refused("not_found", f"no message in the spool has the id {drop[0]!r}")
    if not quiet:
        print(f"nothing waits for {endpoint.url}")
    return ExitCode.DONE


def _drop(spool: Spool, ids: list[str], url: str | None, quiet: bool) -> int:
    code = ExitCode.DONE
    for event_id in ids:
        if not spool.drop(event_id, url):
            complain(f"no message in the spool has the id {event_id!r}")
            code = ExitCode.REFUSED
        elif not quiet:
            print(f"dropped {one_line(event_id)}")
    return code


def _list(spool: Spool, url: str | None, json_output: bool) -> int:
    shown = ""
    items = spool.all(url)
    if not items and not json_output:
        print("the spool is empty" if url is None else f"nothing is in the spool for {url}")
    for item in items:
        if json_output:
            print(_line(item))
            continue
        if item.url != shown:
            shown = item.url
            count = spool.count(item.url)
            aside = f", {count.refused} refused" if count.refused else ""
            print(f"{one_line(item.url)}: {count.waiting} waiting{aside}")
        text = one_line(item.text)
        text = text if len(text) <= 60 else f"{text[:59]}…"
        print(f"  {one_line(item.id)}  {item.channel}  {one_line(item.user or '')}: {text}")
        if item.code:
            print(
                f"    refused ({one_line(item.code)}): {one_line(item.why or '')}; `chatkit flush --drop {one_line(item.id)}`"
            )
    return ExitCode.DONE


def _line(item: Spooled) -> str:
    line: dict[str, object] = {"url": item.url, "id": item.id, "channel": item.channel, "userId": item.user}
    line["text"] = item.text
    if item.code:
        line |= {"refused": item.code, "why": item.why}
    return json.dumps(line, separators=(",", ":"))
