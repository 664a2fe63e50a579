"""The commands: name, help, parameters, and the module that runs each. Loads none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from . import options
from .options import Argument, Option

_SEND = """Send a message to a room.

The text comes from the arguments, or from standard input as a whole, or with --lines line by line.
It returns when the message is durable; a lost connection is tried again with the same id.

Examples:

  chatkit send general hello everybody

  git log -1 | chatkit send builds --user ci

  make 2>&1 | chatkit send builds --lines

  chatkit send ops "backup done" --spool
"""

_TAIL = """Follow one or more channels.

It starts with the newest 10 events, or where --last or --after say, and goes on with what is new.
A lost connection is opened again and resumes where it was: nothing is missed or shown twice.

Examples:

  chatkit tail general

  chatkit tail 'chat/*' --json | jq -r .data.text

  chatkit tail general --after 0 --no-follow

  chatkit tail builds --event build:done --count 1

  chatkit tail builds --after 0 --json --cursor builds.cursor | while read -r event; do ...; done
"""

_FLUSH = """Deliver what `chatkit send --spool` kept while the server was away.

Messages go out in the order they were sent, each once. The next successful `chatkit send` and a running `chatkit tail`
of the same server do so by themselves. A message that the server refuses for good is set aside, and does not hold up
the others.

Examples:

  chatkit flush

  chatkit flush --list
"""

_SETUP = """Create or migrate the database; does nothing to one that is up to date.

`chatkit serve` does the same by itself.
"""

_SERVE = """Run the server: HTTP and WebSocket on one port.

Creates the database where there is none yet. Ctrl-C stops it after the last batch is written.

Examples:

  chatkit serve

  chatkit serve --port 0 --ready-file url.txt --db ./chat.db
"""


_CREATE = """Make a token and print it, once.

Its name is its user: whatever is sent with it is theirs, and nothing can be sent as somebody else. Without --send and
--read it may send and read everything; with one of them only that. Works while the server runs, and before.

Examples:

  chatkit token create ada

  chatkit token create ci --send builds --expires 30d

  chatkit token create screen --read 'chat/*' > screen.token
"""

_LIST = """List the tokens, without the secrets, which are kept nowhere."""

_REVOKE = """End a token at once, on every open connection too."""

_LOGIN = """Keep a token for a server, so that `send` and `tail` need not be given it.

It is asked for, or read from standard input; never given on the command line, where others could see it.

Examples:

  chatkit login --url https://chat.example.com

  chatkit login < ada.token
"""

_BACKUP = """Copy the database to a new file, while a server runs or not.

The copy is one file, checked, and whole up to the moment the command began.

Examples:

  chatkit backup "chat-$(date +%F).db"
"""

_RESTORE = """Put a backup in the place of the database.

It is checked to the last event first. The log gets a new epoch: clients notice and reload. Stop the server before.

Examples:

  chatkit restore chat-2024-05-01.db --force
"""

_DOCTOR = """Look at the database and what it stands on, and say what to do about what is wrong.

Reads only, and may run beside a server. --full reads every page and checks every event. Exits with 1 for a problem,
65 for damage.
"""

_PRUNE = """Remove the oldest events, by age or down to a number of events in all.

A running server goes on sending and storing meanwhile. The file keeps its size; the room is used again.

Examples:

  chatkit prune --older-than 30d

  chatkit prune --keep 100000
"""

_TOP = """Show what the server is doing, from its /metrics; q or Ctrl-C ends it.

On a pipe it prints the totals once.
"""

_BENCH = """Measure a server: how many messages a second, how fast they arrive, and whether any is lost.

Without --url it starts a server of its own with a temporary database, and removes both. Senders wait for each answer
before they send again, or keep to --rate. Every subscriber is checked by count, and a few message by message.
With --max-lost, --max-p99 or --min-rate it is a gate: exit code 1 and a line for each bound that is broken.

Examples:

  chatkit bench

  chatkit bench --subscribers 1000 --rate 200 --seconds 10

  chatkit bench --url http://127.0.0.1:8787 --messages 1000 --json

  chatkit bench --rate 500 --max-lost 0 --max-p99 50ms
"""


#: Commands of two words: the first word, and what the family is for.
GROUPS: Final = {"token": "Make, list and revoke tokens, on the machine of the server."}


class Command:
    """One command.

    Attributes:
        name: as it is typed; also the module of this package whose ``run`` does it, or of two words the module and
            its function, ``create_token``.
        help: what it does, with examples, in Markdown.
    """

    __slots__ = ("_parameters", "help", "name")

    def __init__(self, name: str, help_text: str, parameters: Sequence[Argument | Option] | None) -> None:
        self.name, self.help, self._parameters = name, help_text, parameters

    def parameters(self) -> Sequence[Argument | Option]:
        """Its arguments and options."""
        if self._parameters is not None:
            return self._parameters
        declared: Callable[[], Sequence[Argument | Option]] = import_module(f"{__package__}.{self.name}").options
        return declared()

    def run(self, **given: Any) -> int:
        """Run it with one value for each parameter; returns the exit code."""
        module, _, function = self.name.partition(" ")
        code: int = getattr(import_module(f"{__package__}.{module}"), f"{function}_{module}" if function else "run")(
            **given
        )
        return code


COMMANDS: Final = (
    Command("setup", _SETUP, options.SETUP),
    Command("serve", _SERVE, None),  # the server's settings say what they are
    Command("send", _SEND, options.SEND),
    Command("tail", _TAIL, options.TAIL),
    Command("flush", _FLUSH, options.FLUSH),
    Command("login", _LOGIN, options.LOGIN),
    Command("token create", _CREATE, options.TOKEN_CREATE),
    Command("token list", _LIST, options.TOKEN_LIST),
    Command("token revoke", _REVOKE, options.TOKEN_REVOKE),
    Command("backup", _BACKUP, options.BACKUP),
    Command("restore", _RESTORE, options.RESTORE),
    Command("doctor", _DOCTOR, options.DOCTOR),
    Command("prune", _PRUNE, options.PRUNE),
    Command("top", _TOP, options.TOP),
    Command("bench", _BENCH, options.BENCH),
)
