"""The options and arguments of the commands, each declared once; plain data, so that reading it loads nothing."""

from __future__ import annotations

from typing import Any, Final


class Argument:
    """Something without a name of its own on the command line.

    Attributes:
        name: the parameter of the command's function.
        metavar: as help shows it.
        help: a sentence.
        many: any number; else exactly one.
        required: at least one.
    """

    __slots__ = ("help", "many", "metavar", "name", "required")

    def __init__(self, name: str, metavar: str, help_text: str, *, many: bool = False, required: bool = True) -> None:
        self.name, self.metavar, self.help, self.many, self.required = name, metavar, help_text, many, required


class Option:
    """Something that is asked for by name.

    Attributes:
        name: the parameter of the command's function.
        flags: ``("--last", "-n")``.
        kind: ``bool`` (a switch), ``str``, ``int``, ``float``, or any type that Typer knows.
        default: what the function gets when nothing is given.
        help: a sentence.
        metavar: as help shows the value.
        env: an environment variable that stands in for the option, when it is not empty.
    """

    __slots__ = ("default", "env", "flags", "help", "kind", "metavar", "name")

    def __init__(
        self,
        name: str,
        flags: tuple[str, ...],
        kind: Any,
        default: Any,
        help_text: str,
        *,
        metavar: str | None = None,
        env: str | None = None,
    ) -> None:
        self.name, self.flags, self.kind, self.default = name, flags, kind, default
        self.help, self.metavar, self.env = help_text, metavar, env


_URL: Final = Option(
    "url",
    ("--url",),
    str,
    None,
    "The server: http://host:port, https://host:port or unix:PATH; by default http://127.0.0.1:8787.",
    metavar="URL",
    env="CHATKIT_URL",
)

_TOKEN_FILE: Final = Option(
    "token_file",
    ("--token-file",),
    str,
    None,
    "A file with the token; by default CHATKIT_TOKEN, else what `chatkit login` was given.",
    metavar="PATH",
    env="CHATKIT_TOKEN_FILE",
)

_CA_FILE: Final = Option(
    "ca_file",
    ("--ca-file",),
    str,
    None,
    "Certificates to trust (PEM) instead of the system's, for https.",
    metavar="PATH",
    env="CHATKIT_CA_FILE",
)

SEND: Final[tuple[Argument | Option, ...]] = (
    Argument("where", "ROOM", "A room (general) or a channel (chat/general, game/7)."),
    Argument("words", "[TEXT]...", "The message; without it, standard input is.", many=True, required=False),
    Option(
        "lines", ("--lines",), bool, False, "Send each line of standard input as it arrives, in order; skip empty ones."
    ),
    Option(
        "user", ("--user",), str, None, "Who sends; by default your login name.", metavar="NAME", env="CHATKIT_USER"
    ),
    Option(
        "event_id",
        ("--id",),
        str,
        None,
        "The message's id: sending the same id again stores nothing new.",
        metavar="ID",
    ),
    _URL,
    _TOKEN_FILE,
    _CA_FILE,
    Option(
        "spool",
        ("--spool",),
        bool,
        False,
        "Where the server cannot take it now: keep it on this machine, to be sent later, and exit with 75.",
    ),
    Option("json_output", ("--json",), bool, False, "Print the acknowledgement, one JSON object a message."),
    Option("quiet", ("--quiet", "-q"), bool, False, "Print nothing on success."),
    Option(
        "timeout_s", ("--timeout",), float, 10.0, "Seconds to try before giving up on a message.", metavar="SECONDS"
    ),
)

TAIL: Final[tuple[Argument | Option, ...]] = (
    Argument(
        "channels", "CHANNEL...", "Rooms, channels or patterns: general, chat/general, 'chat/*', 'game/**'.", many=True
    ),
    Option("last", ("--last", "-n"), int, None, "Start with the newest N events of each; by default 10.", metavar="N"),
    Option(
        "after", ("--after",), int, None, "Start with every event after this seq; 0 is all there is.", metavar="SEQ"
    ),
    Option(
        "cursor",
        ("--cursor",),
        str,
        None,
        "Keep the position in this file, and go on from there; --last and --after are for the first time.",
        metavar="FILE",
    ),
    Option("json_output", ("--json",), bool, False, "Print one JSON object a line."),
    Option("no_follow", ("--no-follow",), bool, False, "Print what there is and exit."),
    Option(
        "events",
        ("--event",),
        list[str],
        None,
        "Only events of this name ('presence:*' works too), those that are not kept in the log included; repeatable.",
        metavar="NAME",
    ),
    Option("count", ("--count",), int, None, "Exit after N events.", metavar="N"),
    _URL,
    _TOKEN_FILE,
    _CA_FILE,
)

_DB: Final = Option(
    "db",
    ("--db",),
    str,
    None,
    "The database file; by default in your data directory.",
    metavar="PATH",
    env="CHATKIT_DB",
)

SETUP: Final[tuple[Argument | Option, ...]] = (_DB,)

TOKEN_CREATE: Final[tuple[Argument | Option, ...]] = (
    Argument("name", "NAME", "Whose it is: the user of all that is sent with it."),
    Option(
        "send",
        ("--send",),
        list[str],
        None,
        "Channels it may send to: a room, a channel or a pattern ('chat/*', '**'); repeatable.",
        metavar="PATTERN",
    ),
    Option("read", ("--read",), list[str], None, "Channels it may read, likewise; repeatable.", metavar="PATTERN"),
    Option("admin", ("--admin",), bool, False, "It may also see the metrics and hand out tokens."),
    Option("expires", ("--expires",), str, None, "When it ends: 30d, 12h, 45m, 90s.", metavar="TIME"),
    Option("json_output", ("--json",), bool, False, "Print one JSON object."),
    _DB,
)

TOKEN_LIST: Final[tuple[Argument | Option, ...]] = (
    Option("json_output", ("--json",), bool, False, "Print one JSON object a line."),
    _DB,
)

TOKEN_REVOKE: Final[tuple[Argument | Option, ...]] = (
    Argument("name", "NAME", "Whose token ends, on every open connection too."),
    _DB,
)

LOGIN: Final[tuple[Argument | Option, ...]] = (
    _URL,
    _CA_FILE,
    Option("forget", ("--forget",), bool, False, "Forget the token of this server instead."),
)

_FORCE: Final = Option("force", ("--force",), bool, False, "Replace what is there.")
_QUIET: Final = Option("quiet", ("--quiet", "-q"), bool, False, "Print nothing on success.")

BACKUP: Final[tuple[Argument | Option, ...]] = (
    Argument("file", "FILE", "Where the copy goes."),
    _DB,
    _FORCE,
    _QUIET,
)

RESTORE: Final[tuple[Argument | Option, ...]] = (
    Argument("file", "FILE", "The backup."),
    _DB,
    _FORCE,
    _QUIET,
)

DOCTOR: Final[tuple[Argument | Option, ...]] = (
    _DB,
    Option("full", ("--full",), bool, False, "Read every page, and check every event against its checksum."),
    Option("json_output", ("--json",), bool, False, "Print each finding as one JSON object."),
)

PRUNE: Final[tuple[Argument | Option, ...]] = (
    Option("older_than", ("--older-than",), str, None, "Remove events stored longer ago: 12h, 30d.", metavar="AGE"),
    Option("keep", ("--keep",), int, None, "Remove all but the newest N events.", metavar="N"),
    _DB,
    Option(  # not CHATKIT_URL: the owner of the database needs no token, and would be asked for one
        "url",
        ("--url",),
        str,
        None,
        "A server on another machine, which takes an admin token; by default the one that has the database here.",
        metavar="URL",
    ),
    _QUIET,
)

TOP: Final[tuple[Argument | Option, ...]] = (
    _URL,
    Option("interval_s", ("--interval",), float, 1.0, "Seconds between two looks.", metavar="SECONDS"),
)

FLUSH: Final[tuple[Argument | Option, ...]] = (
    _URL,
    _TOKEN_FILE,
    _CA_FILE,
    Option(
        "list_only",
        ("--list",),
        bool,
        False,
        "Show what is in the spool, without a URL that for every server; deliver nothing.",
    ),
    Option("json_output", ("--json",), bool, False, "With --list: print one JSON object a message."),
    Option("retry", ("--retry",), bool, False, "Try what was refused and set aside once more, too."),
    Option(
        "drop",
        ("--drop",),
        list[str],
        None,
        "Remove the message of this id from the spool for good, and deliver nothing; repeatable.",
        metavar="ID",
    ),
    Option("quiet", ("--quiet", "-q"), bool, False, "Print nothing on success."),
    Option(
        "timeout_s", ("--timeout",), float, 10.0, "Seconds to try before giving up on a message.", metavar="SECONDS"
    ),
)

BENCH: Final[tuple[Argument | Option, ...]] = (
    Option(
        "url",
        ("--url",),
        str,
        None,
        "Measure this server, in rooms of its own, whose messages stay there; by default one is started and removed.",
        metavar="URL",
    ),
    Option("subscribers", ("--subscribers",), int, 100, "Connections that listen.", metavar="N"),
    Option("senders", ("--senders",), int, 16, "Connections that send, one message at a time each.", metavar="N"),
    Option("messages", ("--messages",), int, None, "End after so many messages.", metavar="N"),
    Option("seconds", ("--seconds",), float, None, "End after so long; by default 5.", metavar="SECONDS"),
    Option(
        "rate", ("--rate",), float, None, "Messages a second in all; by default as many as are answered.", metavar="N"
    ),
    Option("size_bytes", ("--size",), int, 128, "Bytes of each text.", metavar="BYTES"),
    Option("channels", ("--channels",), int, 1, "Rooms that messages and subscribers are spread over.", metavar="N"),
    Option("durability", ("--durability",), str, None, "Of the server that is started: full or normal.", metavar="HOW"),
    Option("json_output", ("--json",), bool, False, "Print the result as one JSON object."),
    Option(
        "max_lost",
        ("--max-lost",),
        int,
        None,
        "Exit with 1 when more deliveries than this are lost, duplicated or out of order.",
        metavar="N",
    ),
    Option(
        "max_p99",
        ("--max-p99",),
        str,
        None,
        "Exit with 1 when the p99 of acknowledgements or deliveries is longer: 50ms, 0.5s.",
        metavar="TIME",
    ),
    Option("min_rate", ("--min-rate",), float, None, "Exit with 1 below so many sends a second.", metavar="N"),
)

READY_FILE: Final = Option(
    "ready_file",
    ("--ready-file",),
    str,
    None,
    "Write the URL to this file when the server is listening.",
    metavar="PATH",
)
