"""uWebSockets.js. The author publishes binaries on GitHub only; npm has two repackagings, and libc decides which one loads."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .. import cache
from ..generator import Role
from .base import CHAT_BODY, HERE, Peer, node_versions

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    ("@btc-vision/uwebsockets.js", "20.57.0", ""),
    ("@trufflesuite/uws-js-unofficial", "20.30.0-unofficial.0", "binaries/"),
)
BINARY = "process.stdout.write(`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`)"


class Uws(Peer):
    name = "uws"
    title = "uWebSockets.js"
    keeps = "nothing"
    subscriber = Role("/sub/{c}", (("wait for", "subscribed"),))
    sender = Role("/send", body=CHAT_BODY)

    def __init__(self) -> None:
        self._binary: Path | None = None
        self._version = ""

    def install(self) -> None:
        reasons = []
        for package, version, folder in PACKAGES:
            modules = cache.node_modules(f"uws-{version}", f"{package}@{version}")
            # The binary itself: one of the packages falls back to plain JavaScript without a word.
            binary = modules / package / (folder + cache.run(["node", "-e", BINARY]))
            tried = subprocess.run(
                ["node", "-e", "require(process.argv[1]).App()", str(binary)],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            if not tried.returncode:
                self._binary, self._version = binary, node_versions(modules, package)
                return
            reasons.append(
                next((line for line in tried.stderr.splitlines() if "Error" in line), "does not load")[-110:]
            )
        raise cache.MissingError("no npm package of it loads here: " + "; ".join(reasons))

    def version(self) -> str:
        return self._version

    def command(self, folder: Path) -> list[str]:
        del folder
        return ["node", str(HERE / "uws_server.js"), str(self._binary)]
