"""Any bytes at all: never a 500, never an error of ours, and the server lives."""

from __future__ import annotations

import contextlib
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .harness import Server
from .peer import frame, handshake_bytes
from .raw import request_bytes

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

fields = st.sampled_from(
    ["roomId", "text", "id", "userId", "timestamp", "metadata", "topic", "event", "data", "persist", "method", "args",
     "after", "last", "epoch", "filter", "state", "token", "type"]
)  # fmt: skip
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["chat/a", "a", "chat/*", "socket.emit", "subscribe", "chat", "publish", "track", "presence:x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(fields, values, max_size=7)
paths = st.sampled_from(
    ["/", "/setup", "/examples/chat/send", "/api/publish", "/internal/hooks/rpc", "/api/messages", "/api/channels",
     "/api/presence", "/api/v1/public/realtime/history", "/healthz", "/api/realtime", "/nothing"]
)  # fmt: skip
queries = st.lists(
    st.tuples(
        st.sampled_from(
            ["channel", "room", "after", "before", "last", "limit", "since", "user", "userId", "projectId"]
        ),
        st.text("0123456789abc/*%-", max_size=8),
    ),
    max_size=4,
).map(lambda pairs: "?" + "&".join(f"{name}={value}" for name, value in pairs))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS"]))
    body = draw(st.none() | objects | values | st.binary(max_size=60))
    return request_bytes(method, draw(paths) + draw(queries), body)


streams = st.lists(st.binary(max_size=80) | requests() | requests(), max_size=6).map(b"".join)


def all_of(server: Server, data: bytes) -> bytes:
    """What the server says to ``data`` until it closes."""
    with server.raw() as raw:
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            raw.send(data)
            raw.half_close()
        return raw.rest()


def lives(server: Server) -> bool:
    with server.raw() as raw:
        return raw.request("GET", "/healthz").status == 200


@quick
@given(streams)
def test_no_bytes_sent_as_http_are_an_error_of_ours(shared: Server, data: bytes) -> None:
    answer = all_of(shared, data)
    statuses = {int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", answer)}
    assert statuses <= {100, 101, 200, 304, 400, 404, 405, 408, 409, 413, 415, 426, 431, 505}
    assert lives(shared)


frames = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=140) | objects.map(lambda value: request_bytes("POST", "/", value).partition(b"\r\n\r\n")[2]),
    fin=st.booleans(),
    mask=st.sampled_from([True, True, True, False]),
)
commands = objects.map(lambda value: frame(1, request_bytes("POST", "/", value).partition(b"\r\n\r\n")[2]))


@quick
@given(st.lists(frames | commands | commands | st.binary(max_size=20), max_size=8).map(b"".join))
def test_no_bytes_sent_as_frames_are_an_error_of_ours(shared: Server, data: bytes) -> None:
    assert all_of(shared, handshake_bytes("?userId=ada") + data).startswith(b"HTTP/1.1 101 ")
    assert lives(shared)
