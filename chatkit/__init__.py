"""A local realtime chat: messages are sent, kept in a log, and broadcast to everyone who listens.

::

    import asyncio, chatkit

    async def main():
        async with chatkit.connect("http://127.0.0.1:8787") as chat:
            await chat.send("general", "hi")
            async for event in chat.tail("general", last=10):
                print(event.user_id, event.text)

    asyncio.run(main())

The names below are loaded when they are first used, so that ``import chatkit`` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client.client import Chat, connect
    from .client.events import Event, Notice, Presence
    from .client.position import Cursor, Position
    from .client.sending import Receipt
    from .client.stream import Stream
    from .errors import ChatkitError, DeadlineExceeded, InvalidName, LogError, Refused, Unreachable

    __version__: str

__all__ = [
    "Chat",
    "ChatkitError",
    "Cursor",
    "DeadlineExceeded",
    "Event",
    "InvalidName",
    "LogError",
    "Notice",
    "Position",
    "Presence",
    "Receipt",
    "Refused",
    "Stream",
    "Unreachable",
    "__version__",
    "connect",
]

_HOMES = {
    "Chat": ".client.client",
    "ChatkitError": ".errors",
    "Cursor": ".client.position",
    "DeadlineExceeded": ".errors",
    "Event": ".client.events",
    "InvalidName": ".errors",
    "LogError": ".errors",
    "Notice": ".client.events",
    "Position": ".client.position",
    "Presence": ".client.events",
    "Receipt": ".client.sending",
    "Refused": ".errors",
    "Stream": ".client.stream",
    "Unreachable": ".errors",
    "connect": ".client.client",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - 30 ms, for a number that few ask for

        value: object = version("chatkit")
    elif name in _HOMES:
        from importlib import import_module  # noqa: PLC0415

        value = getattr(import_module(_HOMES[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
