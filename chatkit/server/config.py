"""Every option of ``chatkit serve``, declared once: flag, environment variable, default and help."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from ..log.setup import default_path as default_db
from .logs import LogFormat, LogLevel

__all__ = ["Config", "default_db"]

KIB = 1024


def _option(
    flag: str, default: Any, help_text: str, *, env: str | None = None, metavar: str | None = None, least: int = 1
) -> Any:
    metadata = {
        "flag": flag,
        "env": env or "CHATKIT_" + flag.removeprefix("--").replace("-", "_").upper(),
        "help": help_text,
        "metavar": metavar,
        "least": least,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The server's settings, parsed once at the edge. Sizes are in bytes, times in seconds."""

    host: str = _option("--host", "127.0.0.1", "Address to listen on.", metavar="ADDRESS")
    port: int = _option("--port", 8787, "Port to listen on; 0 picks a free one.", metavar="PORT")
    db: Path | None = _option(
        "--db", None, "The database file; made where there is none. Default: in your data directory.", metavar="PATH"
    )
    durability: Literal["full", "normal"] = _option(
        "--durability",
        "full",
        "full: acknowledged means synced to the disk. normal: survives a crash, may lose the last moments to a power cut.",
    )
    projects: tuple[str, ...] = _option(
        "--project",
        ("local",),
        "A project id that SDK clients append to their topics; repeatable.",
        env="CHATKIT_PROJECTS",
        metavar="ID",
    )
    unix: Path | None = _option(
        "--unix",
        None,
        "Listen on this Unix socket instead of a port: who connects is who the system says, and needs no token.",
        metavar="PATH",
    )
    unix_mode: str = _option(
        "--unix-mode", "600", "Who may connect to the Unix socket, as chmod takes it.", metavar="MODE"
    )
    open: bool = _option("--open", False, "Let everybody in who can reach the address, without tokens.")
    require_token: bool = _option(
        "--require-token", False, "Want tokens on a loopback address too, as behind a reverse proxy."
    )
    allow_hosts: tuple[str, ...] = _option(
        "--allow-host",
        (),
        "A name that clients call this server by; .example.com for all below it; repeatable.",
        env="CHATKIT_ALLOW_HOSTS",
        metavar="NAME",
    )
    allow_origins: tuple[str, ...] = _option(
        "--allow-origin",
        (),
        "A site whose pages may use this server, such as http://localhost:5173; repeatable.",
        env="CHATKIT_ALLOW_ORIGINS",
        metavar="ORIGIN",
    )
    tls_cert: Path | None = _option(
        "--tls-cert", None, "Speak TLS with this certificate chain (PEM); read again on SIGHUP.", metavar="PATH"
    )
    tls_key: Path | None = _option(
        "--tls-key", None, "The certificate's private key (PEM), if it is in another file.", metavar="PATH"
    )
    jwt_secret_file: Path | None = _option(
        "--jwt-secret-file", None, "Take JWTs signed with the secret in this file (HS256).", metavar="PATH"
    )
    jwt_public_key_file: Path | None = _option(
        "--jwt-public-key-file", None, "Take JWTs signed with this public key's pair (PEM).", metavar="PATH"
    )
    jwt_audience: str | None = _option(
        "--jwt-audience", None, "Take only JWTs whose `aud` is this.", metavar="AUDIENCE"
    )
    send_rate: int | None = _option(
        "--send-rate",
        None,
        "Sends a second of one user, or of one address without a token; 0: any. Default: 50, on loopback any.",
        least=0,
    )
    send_burst: int = _option("--send-burst", 200, "Sends at once beyond the rate.")
    max_user_connections: int | None = _option(
        "--max-user-connections",
        None,
        "WebSockets of one user, or of one address without a token; 0: any. Default: 100, on loopback any.",
        least=0,
    )
    max_message_bytes: int = _option("--max-message-bytes", 64 * KIB, "Largest body or frame a client may send.")
    max_head_bytes: int = _option("--max-head-bytes", 16 * KIB, "Largest request head.")
    max_head_fields: int = _option("--max-head-fields", 100, "Most header fields of a request.")
    max_connections: int = _option(
        "--max-connections", 10_000, "Most connections at once; never more than open files allow, less 64."
    )
    max_topics: int = _option("--max-topics", 128, "Most topics one connection subscribes to.")
    max_queued_bytes: int = _option(
        "--max-queued-bytes", 1024 * KIB, "Bytes queued for one connection past which it reads from the log instead."
    )
    max_journal_bytes: int = _option(
        "--max-journal-bytes", 64 * 1024 * KIB, "Bytes waiting to be committed past which sends are refused with 503."
    )
    replay_page: int = _option("--replay-page", 300, "Events read from the log at a time for a replay.")
    request_timeout_s: float = _option("--request-timeout", 10.0, "Seconds in which a request must arrive whole.")
    idle_timeout_s: float = _option("--idle-timeout", 75.0, "Seconds an HTTP connection may wait between requests.")
    ping_interval_s: float = _option("--ping-interval", 25.0, "Seconds between keepalive pings.")
    ping_timeout_s: float = _option("--ping-timeout", 10.0, "Seconds an answer to a ping may take.")
    stall_timeout_s: float = _option(
        "--stall-timeout", 60.0, "Seconds after which a subscriber that takes no byte is closed."
    )
    drain_timeout_s: float = _option("--drain-timeout", 10.0, "Seconds a graceful stop may take.")

    retention: str | None = _option(
        "--retention",
        None,
        "How long to keep events (12h, 30d), or how many of the newest (100000); the rest is removed. Default: all.",
        metavar="AGE_OR_COUNT",
    )
    log_level: LogLevel = _option("--log-level", "info", "The least that is logged, on stderr.")
    log_format: LogFormat = _option("--log-format", "text", "How it is logged: lines of text, or of JSON.")

    @property
    def database(self) -> Path:
        """The database file."""
        return self.db if self.db is not None else default_db()
