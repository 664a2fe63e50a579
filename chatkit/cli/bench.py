"""``chatkit bench``: what a server can do, and whether it is enough."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import sys

from ..client.bench.plan import MIN_SIZE_BYTES, Plan
from ..client.bench.result import Bounds, Result
from ..client.bench.run import measure
from ..client.endpoint import Endpoint, find_token, parse_url
from ..errors import ExitCode
from .bench_report import rows
from .bench_server import room_for, throw_away
from .ending import UsageError, complain
from .progress import bar

_DEFAULT_SECONDS = 5.0
_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s)")


def run(
    *,
    url: str | None,
    subscribers: int,
    senders: int,
    messages: int | None,
    seconds: float | None,
    rate: float | None,
    size_bytes: int,
    channels: int,
    durability: str | None,
    json_output: bool,
    max_lost: int | None,
    max_p99: str | None,
    min_rate: float | None,
) -> int:
    """Measure, and return the exit code; raises ChatkitError."""
    _check("--subscribers", subscribers, 0)
    _check("--senders", senders, 1)
    _check("--messages", messages, 1)
    _check("--size", size_bytes, MIN_SIZE_BYTES)
    _check("--channels", channels, 1)
    _check("--max-lost", max_lost, 0)
    _positive("--seconds", seconds)
    _positive("--rate", rate)
    _positive("--min-rate", min_rate)
    if messages is not None and seconds is not None:
        raise UsageError("--messages and --seconds both say when to end; give one")
    if durability not in (None, "full", "normal"):
        raise UsageError("--durability should be full or normal")
    if url is not None and durability is not None:
        raise UsageError("--durability is for the server that bench starts; leave it out with --url")
    bounds = Bounds(max_lost, None if max_p99 is None else milliseconds("--max-p99", max_p99), min_rate)
    if messages is None and seconds is None:
        seconds = _DEFAULT_SECONDS
    plan = Plan(secrets.token_hex(4), subscribers, senders, messages, seconds, rate, size_bytes, channels)
    room_for(subscribers + senders)
    if url is not None:
        endpoint = parse_url(url, os.environ.get("CHATKIT_CA_FILE") or None)
        return _measure(endpoint, plan, bounds, token=find_token(endpoint), json_output=json_output, durability=None)
    durability = durability or "full"
    with throw_away(durability) as endpoint:
        return _measure(endpoint, plan, bounds, token=None, json_output=json_output, durability=durability)


def _measure(
    endpoint: Endpoint, plan: Plan, bounds: Bounds, *, token: str | None, json_output: bool, durability: str | None
) -> int:
    """Measure, print, and judge; ``durability`` is ``None`` for a server that was there before."""
    with bar("measuring") as progress:
        result = measure(endpoint, plan, token=token, progress=progress)
    if json_output:
        load = {"url": endpoint.url, "durability": durability, "room": plan.room(0)} | plan._asdict()
        load.pop("run")
        print(json.dumps({"load": load, **result.as_json()}), flush=True)
    else:
        for name, value in rows(endpoint.url, durability, plan, result):
            print(f"{name:<12}{value}")
        sys.stdout.flush()
    return _judge(result, bounds)


def _judge(result: Result, bounds: Bounds) -> int:
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.trouble:
        complain(result.trouble)
        return ExitCode.UNREACHABLE
    broken = bounds.broken(result)
    for sentence in broken:
        complain(sentence)
    return ExitCode.REFUSED if broken else ExitCode.DONE


def milliseconds(flag: str, text: str) -> float:
    """``50ms`` or ``0.5s`` in milliseconds.

    Raises:
        UsageError: it is no such time, or zero.
    """
    found = _TIME.fullmatch(text.strip())
    value = float(found[1]) * (1 if found[2] == "ms" else 1000) if found else 0.0
    if not value:
        raise UsageError(f"{flag} should be a time such as 50ms or 0.5s")
    return value


def _check(flag: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"{flag} should be {least} or more")


def _positive(flag: str, value: float | None) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise UsageError(f"{flag} should be more than 0")
