"""``chatkit send``: one message, or every line of standard input."""

from __future__ import annotations

import json
import math
import os
import sys
import time

from ..client.endpoint import DEFAULT_URL, Endpoint, find_token, parse_url, speaker
from ..client.oneshot import send
from ..client.places import spool_path
from ..client.sending import Receipt, channel_of, message
from ..errors import Refused
from .ending import UsageError, complain

#: No server takes a message of this size; reading on would only fill the memory.
MAX_TEXT_BYTES = 16 * 2**20


def run(
    *,
    where: str,
    words: list[str],
    lines: bool,
    user: str | None,
    event_id: str | None,
    url: str | None,
    token_file: str | None,
    ca_file: str | None,
    json_output: bool,
    quiet: bool,
    timeout_s: float,
    spool: bool = False,
) -> int:
    """Send, and return the exit code; raises ChatkitError."""
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise UsageError("--timeout should be more than 0 seconds")
    endpoint = parse_url(url or DEFAULT_URL, ca_file)
    token = find_token(endpoint, token_file)
    sender = speaker(endpoint, user, token)
    channel = channel_of(where)
    if lines:
        if words:
            raise UsageError("--lines reads standard input; leave out the text")
        if event_id is not None:
            raise UsageError("--id is the id of one message; leave it out with --lines")
        if spool:
            from .spool_lines import run as run_lines  # noqa: PLC0415
        else:
            from .send_lines import run as run_lines  # noqa: PLC0415 - asyncio, which one message does without
        code = run_lines(
            endpoint,
            channel,
            user=sender,
            token=token,
            timeout_s=timeout_s,
            json_output=json_output,
            quiet=quiet,
        )
        if code == 0 and not spool:
            _deliver_rest(endpoint, token, timeout_s)
        return code
    text = " ".join(words) if words else read_text()
    if spool:
        from .spool_one import run as spool_one  # noqa: PLC0415 - sqlite3

        return spool_one(
            endpoint, channel, text, event_id, user=sender, token=token, timeout_s=timeout_s, show=(json_output, quiet)
        )
    post = message(channel, text, user=sender, event_id=event_id)
    receipt = send(endpoint, post, token=token, timeout_s=timeout_s)
    show_receipt(receipt, json_output, quiet)
    _deliver_rest(endpoint, token, timeout_s)
    return 0


def _deliver_rest(endpoint: Endpoint, token: str | None, at_most_s: float) -> None:
    """The server is there: deliver what was spooled for it before, as far as the time allows."""
    path = spool_path()
    if not os.path.exists(path):
        return
    from .spool_rest import run as deliver_rest  # noqa: PLC0415 - sqlite3

    until = time.monotonic() + at_most_s
    rest = deliver_rest(path, endpoint, token, lambda: time.monotonic() < until)
    if rest.error:
        complain(f"what was spooled for {endpoint.url} before still waits: {rest.error}")


def show_receipt(receipt: Receipt, json_output: bool, quiet: bool) -> None:
    """Say that a message is there."""
    if json_output:
        print(receipt_json(receipt), flush=True)
    elif not quiet and sys.stdout.isatty():
        there = "already there" if receipt.duplicate else "sent"
        print(f"{there}: {receipt.channel} #{receipt.seq}")


def read_text() -> str:
    """Standard input as one message, without the line break at its end.

    Raises:
        UsageError: there is none, or it is not UTF-8.
        Refused: it is larger than any server takes.
    """
    hint("type the message, end it with Ctrl-D")
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise Refused("too_large", f"the text is larger than {MAX_TEXT_BYTES >> 20} MiB")
    return decoded(data.rstrip(b"\r\n"))


def decoded(data: bytes) -> str:
    """Text of standard input.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"the text is not UTF-8 (byte {error.start + 1})") from None


def hint(sentence: str) -> None:
    """Tell a person at a terminal what the command waits for."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        print(f"({sentence})", file=sys.stderr, flush=True)


def receipt_json(receipt: Receipt) -> str:
    """The acknowledgement as one line."""
    line: dict[str, object] = {"ok": True, "channel": receipt.channel, "id": receipt.id, "seq": receipt.seq}
    if receipt.duplicate:
        line["duplicate"] = True
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"))
