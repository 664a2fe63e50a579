"""A server that is killed in the middle: every acknowledged message is there, once, and retries are recognised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .harness import Server
from .raw import Closed, Raw, request_bytes

SEND = "/examples/chat/send"

PROGRAM = """
import pathlib, sys
from chatkit.server.app import run
from chatkit.server.config import Config
run(Config(db=pathlib.Path(sys.argv[1]), port=0), lambda running: print(running.url, flush=True))
"""


def body(number: int) -> dict[str, str]:
    return {"roomId": "a", "id": f"m{number}", "text": str(number)}


def test_every_acknowledged_message_survives_a_kill_and_no_retry_is_stored_twice(tmp_path: Path) -> None:
    db = tmp_path / "chat.db"
    acknowledged: dict[str, int] = {}
    sent = 2000
    with subprocess.Popen([sys.executable, "-c", PROGRAM, db], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with Raw(port) as raw:
            raw.send(b"".join(request_bytes("POST", SEND, body(number)) for number in range(sent)))
            try:
                while True:
                    answer = raw.response().json
                    acknowledged[answer["id"]] = answer["seq"]
                    if len(acknowledged) == 300:
                        process.kill()
            except Closed:
                pass
        process.wait(10)
    assert len(acknowledged) >= 300
    with Server(db) as server, server.raw() as raw:
        stored: dict[str, int] = {}
        after: int | None = 0
        while after is not None:
            page = raw.request("GET", f"/api/messages?limit=1000&after={after}").json
            stored |= {message["id"]: message["seq"] for message in page["messages"]}
            after = page["next"]
        assert acknowledged.items() <= stored.items()
        for number in range(sent):
            answer = raw.request("POST", SEND, body(number)).json
            assert answer.get("duplicate", False) == (f"m{number}" in stored)
        assert raw.request("GET", "/api/channels").json["channels"][0]["events"] == sent
