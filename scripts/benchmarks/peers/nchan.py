"""Nchan, the nginx module, from Debian's packages."""

from __future__ import annotations

import os
import re
import resource
from typing import TYPE_CHECKING

from .. import cache
from ..generator import Role
from .base import Peer, answers, free_port

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM, MODULE = "usr/sbin/nginx", "usr/lib/nginx/modules/ngx_nchan_module.so"
COMPILED_IN, RELATIVE = b"/var/lib/nginx/", b"var_lib_nginx__"

# It passes the body of a POST on as it is, so the senders make the whole event.
EVENT = (
    '{"type":"event","topic":"chat/{c}","event":"chat:message","data":{"id":"01994ab3-5c5f-7cc0-b2b5-0123456789ab",'
    '"userId":"u1","text":"{m}","timestamp":1700000000000}}'
)

CONFIG = """
load_module {module};
daemon off; worker_processes 1; worker_rlimit_nofile {files}; pid {folder}/pid; error_log stderr error;
{user}
events {{ worker_connections {files}; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 120s; tcp_nodelay on;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location ~ ^/pub/(.+)$ {{
      nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 20000; nchan_message_timeout 5m;
    }}
    location ~ ^/sub/(.+)$ {{ nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }}
    location ~ ^/all/(.+)$ {{ nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message oldest; }}
  }}
}}
"""


class Nchan(Peer):
    name = "nchan"
    title = "Nchan (nginx)"
    keeps = "nothing; last 20,000 in memory"
    replays = True
    subscriber = Role("/sub/{c}")
    late = Role("/all/{c}")
    sender = Role("/pub/{c}", body=EVENT)

    def __init__(self) -> None:
        self._root: Path | None = None
        self._port = 0

    def install(self) -> None:
        self._root = cache.debian_files("nchan", "nginx", "libnginx-mod-nchan")
        # Debian compiles an absolute path in, and with Nchan loaded nginx makes that folder whatever the configuration
        # says. A relative one of the same length falls below its prefix: neither root nor an installation is needed.
        assert len(COMPILED_IN) == len(RELATIVE)
        for name in (PROGRAM, MODULE):
            binary = (self._root / name).read_bytes()
            if COMPILED_IN in binary:
                (self._root / name).write_bytes(binary.replace(COMPILED_IN, RELATIVE))

    def version(self) -> str:
        assert self._root is not None
        packages = sorted(path.name for path in self._root.glob("*.deb"))
        found = [re.sub(r"_[a-z0-9]+\.deb$", "", name).replace("%3a", ":").replace("_", " ") for name in packages]
        return ", ".join(found)

    def command(self, folder: Path) -> list[str]:
        assert self._root is not None
        self._port = free_port()
        files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)
        user = "user root;" if os.geteuid() == 0 else ""
        text = CONFIG.format(module=self._root / MODULE, folder=folder, port=self._port, files=files, user=user)
        (folder / "nginx.conf").write_text(text)
        return [str(self._root / PROGRAM), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]

    def ready(self, folder: Path, said: str) -> int | None:
        del folder, said
        return self._port if answers(self._port) else None
