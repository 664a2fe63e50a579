"""One target: ``python -m fuzzing.target NAME CORPUS [libFuzzer option]...``.

A target takes any bytes. What it may raise is what the program handles; all else is a finding.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["chatkit", "httptools", "websockets", "jwt"]):
    import msgspec

    from chatkit import wire
    from chatkit.cli.render import Renderer
    from chatkit.client.events import Event as SeenEvent
    from chatkit.client.http1 import Responses
    from chatkit.client.sending import answer_of
    from chatkit.errors import ChatkitError, InvalidName, Refused
    from chatkit.log import tokens
    from chatkit.model import Pattern, strip_project
    from chatkit.server import guard
    from chatkit.server.frames import Receiver
    from chatkit.server.guard import Site
    from chatkit.server.handshake import accept
    from chatkit.server.jwts import Verifier
    from chatkit.server.request import HeadCache, RequestReader, parse_head
    from chatkit.server.rights import OPEN
    from chatkit.server.routes import _limit, _number, _pattern
    from chatkit.server.session import Session, error_for
    from chatkit.server.submissions import Author, Maker

PROJECTS = frozenset({"local"})
AUTHOR = Author(None, PROJECTS)
MAKER = Maker(lambda: 1, lambda: "id")
SITE = Site("http", is_local=True, hosts=frozenset({".example"}))
VERIFIER = Verifier(b"0123456789abcdef0123456789abcdef", ["HS256"], None)
RENDERER = Renderer(colour=True, name_channels=True, today="2026-01-01")
MAX_BODY = 1024


class _Context:
    """As much of a server as a handshake asks for."""

    projects = PROJECTS

    class config:  # noqa: N801
        max_topics = 128


def requests(data: bytes) -> None:
    """A connection's bytes, in two pieces cut where the first byte says, must be read as in one."""
    cut = data[0] if data else 0
    whole, parts = RequestReader(HeadCache(100), 512, MAX_BODY), RequestReader(HeadCache(100), 512, MAX_BODY)
    read = _read(whole, [data])
    pieces = _read(parts, [data[:cut], data[cut:]])
    assert len(whole.rest) <= len(data)
    if not isinstance(read[-1:][0] if read else None, str):
        assert read == pieces


def _read(reader: RequestReader, pieces: list[bytes]) -> list[object]:
    found: list[object] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (request := reader.next_request()) is not None:
                found.append((request.head.method, request.head.path, request.body))
        except Refused as error:
            found.append(error.code)
            break
    return found


def guarded(data: bytes) -> None:
    with contextlib.suppress(Refused):
        head = parse_head(data, 100)
        authority = guard.check_host(SITE, head.headers.get("host"))
        origin = guard.check_origin(SITE, head.headers.get("origin"), authority)
        assert origin is None
        guard.credential(head.headers)
        guard.right_of(head.method, head.path, ())
        guard.check_content(head)


def frames(data: bytes) -> None:
    """Bytes of a WebSocket, in one piece and byte by byte, must be the same messages."""
    whole = Receiver(256).receive(data)
    receiver, messages, code = Receiver(256), [], None
    for byte in data:
        received = receiver.receive(bytes([byte]))
        messages += received.messages
        assert len(receiver._pending) <= 256 + 14
        if received.close_code is not None:
            code = received.close_code
            break
    assert messages[: len(whole.messages)] == whole.messages
    if whole.close_code is not None:
        assert code is not None  # which of two faults is named depends on which is read first


def handshake(data: bytes) -> None:
    with contextlib.suppress(Refused):
        accepted = accept(_Context(), parse_head(data, 100), OPEN)  # type: ignore[arg-type]
        assert accepted.response.startswith(b"HTTP/1.1 101 ")
        assert accepted.response.count(b"\r\n\r\n") == 1


def bodies(data: bytes) -> None:
    with contextlib.suppress(Refused):
        body = wire.decode_with(wire.send_body, data, "body")
        _use(MAKER.message(AUTHOR, body.roomId, body.text, event_id=body.id, user_id=body.userId,
                           timestamp=body.timestamp, metadata=body.metadata))  # fmt: skip
    with contextlib.suppress(Refused):
        publish = wire.decode_with(wire.publish_body, data, "body")
        _use(MAKER.event(AUTHOR, publish.topic, publish.event, publish.data, persist=bool(publish.persist),
                         event_id=publish.id, user_id=publish.userId))  # fmt: skip
    with contextlib.suppress(Refused):
        rpc = wire.decode_with(wire.rpc_body, data, "body")
        for argument in rpc.args:
            with contextlib.suppress(Refused):
                wire.decode_with(wire.rpc_string, bytes(argument), "argument")
    with contextlib.suppress(Refused, InvalidName):
        token = wire.decode_with(wire.token_body, data, "body")
        tokens.make(token.name, token.send, token.read, admin=token.admin, now_ms=1, expires_at=token.expiresAt)


def _use(submission: object) -> None:
    """What is done with an accepted event: encoded for its subscribers, decoded for filters, written to the file."""
    event = submission.event  # type: ignore[attr-defined]
    frame = wire.encode_event(event, event.channel)
    assert b"\n" not in frame
    assert isinstance(wire.anything.decode(frame), dict)
    event.data.decode()
    (event.channel + event.id + event.user_id + event.event + submission.text).encode()  # type: ignore[attr-defined]


def commands(data: bytes) -> None:
    session = Session(AUTHOR, 128)
    try:
        command = session.decode(data)
        session.check_right(command)
        if isinstance(command, wire.Subscribe):
            session.check_subscribe(command, 0)
            OPEN.check_read(session.topic(command.topic).pattern)
        elif isinstance(command, wire.Publish):
            _use(MAKER.event(AUTHOR, command.topic, command.event, command.data, event_id=command.id))
        elif isinstance(command, wire.Chat):
            _use(MAKER.message(AUTHOR, command.roomId, command.text, event_id=command.id, metadata=command.metadata))
        elif isinstance(command, wire.Track):
            wire.checked_json(command.state, "state")
    except Refused as error:
        wire.encode(error_for(data, error))


def queries(data: bytes) -> None:
    with contextlib.suppress(Refused, InvalidName):
        query = b"GET /x?" + data.replace(b" ", b"+") + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        given = parse_head(query, 100).parameters()
        for field in ("after", "before", "last", "since"):
            _number(given, field)
        _limit(given)
        for field in ("channel", "room"):
            pattern = _pattern(field, given.get(field, "a/b"), PROJECTS)
            assert pattern.covers(pattern)
            assert Pattern.parse(strip_project(pattern.text, frozenset())) == pattern


def jwts(data: bytes) -> None:
    with contextlib.suppress(Refused):
        VERIFIER.identity(data.decode("latin-1"))
        raise AssertionError("nobody has signed this")


def responses(data: bytes) -> None:
    with contextlib.suppress(ChatkitError):
        for response in Responses("http://x").feed(data):
            with contextlib.suppress(ChatkitError):
                answer_of(response, "http://x")


def server(data: bytes) -> None:
    """What a hostile server says to our client, and what the terminal would get of it."""
    with contextlib.suppress(Refused):
        frame = wire.decode_with(wire.server_frame, data, "frame")
        if isinstance(frame, wire.EventFrame):
            seen = SeenEvent(
                frame.topic, frame.event, frame.id, frame.seq, frame.userId, frame.timestamp, bytes(frame.data)
            )
            with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                line = seen.to_json()
                shown = RENDERER.show(seen, 40) + RENDERER.show(seen, None)
                for text in (line, shown.replace("\x1b[", "")):
                    assert not any(
                        (ord(char) < 32 and char not in "\n\tm") or 0x7F <= ord(char) <= 0x9F for char in text
                    )
                    assert not any(char in text for char in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "requests": requests,
    "guard": guarded,
    "frames": frames,
    "handshake": handshake,
    "bodies": bodies,
    "commands": commands,
    "queries": queries,
    "jwt": jwts,
    "responses": responses,
    "server": server,
}

if __name__ == "__main__":
    chosen = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], chosen)
    atheris.Fuzz()
