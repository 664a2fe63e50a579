"""What may be read over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .harness import Server
from .raw import Raw, request_bytes

SEND = "/examples/chat/send"


@pytest.fixture
def filled(make_server: Callable[..., Server]) -> Server:
    """Ten messages m1..m10 with seq 1 to 10: the odd ones by ada in chat/a, the even ones by bob in chat/b."""
    server = make_server()
    with server.raw() as raw:
        for number in range(1, 11):
            odd = number % 2 == 1
            body = {"roomId": "a" if odd else "b", "id": f"m{number}", "userId": "ada" if odd else "bob"}
            raw.request("POST", SEND, {**body, "text": str(number), "timestamp": number * 100})
    return server


# query, seqs, next
PAGES: list[tuple[str, list[int], int | None]] = [
    ("", list(range(1, 11)), None),
    ("channel=chat/a", [1, 3, 5, 7, 9], None),
    ("channel=chat/a/local", [1, 3, 5, 7, 9], None),
    ("channel=chat/*", list(range(1, 11)), None),
    ("channel=chat/nobody", [], None),
    ("limit=3", [1, 2, 3], 3),
    ("limit=3&after=3", [4, 5, 6], 6),
    ("limit=3&after=9", [10], None),
    ("after=10", [], None),
    ("after=9007199254740991", [], None),
    ("channel=chat/a&limit=2", [1, 3], 3),
    ("before=4", [1, 2, 3], None),
    ("before=9&limit=3", [6, 7, 8], None),
    ("channel=chat/b&before=9&limit=2", [6, 8], None),
    ("before=0", [], None),
    ("before=8&after=4", [5, 6, 7], None),
    ("before=8&after=4&limit=2", [5, 6], 6),
    ("last=3", [8, 9, 10], None),
    ("last=0", [], None),
    ("channel=chat/a&last=2", [7, 9], None),
    ("since=800", [8, 9, 10], None),
    ("user=bob", [2, 4, 6, 8, 10], None),
    ("user=bob&since=700&limit=1", [8], 8),
    ("user=nobody", [], None),
    ("limit=5000", list(range(1, 11)), None),
    ("unknown=1", list(range(1, 11)), None),
]


def test_a_page_is_what_was_asked_for_and_says_where_the_next_begins(filled: Server) -> None:
    with filled.raw() as raw:
        for query, seqs, following in PAGES:
            answer = raw.request("GET", f"/api/messages?{query}").json
            assert [message["seq"] for message in answer["messages"]] == seqs, query
            assert answer["next"] == following, query
            assert answer["epoch"]


def test_pages_follow_each_other_to_the_end(filled: Server) -> None:
    found: list[int] = []
    after: int | None = 0
    with filled.raw() as raw:
        while after is not None:
            answer = raw.request("GET", f"/api/messages?channel=chat/a&limit=2&after={after}").json
            found += [message["seq"] for message in answer["messages"]]
            after = answer["next"]
    assert found == [1, 3, 5, 7, 9]


def test_at_most_a_thousand_come_in_one_page(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with server.raw() as raw:
        send_many(raw, 1100)
        for query in ("limit=5000", "last=5000"):
            answer = raw.request("GET", f"/api/messages?{query}").json
            assert len(answer["messages"]) == 1000
        assert len(raw.request("GET", "/api/messages").json["messages"]) == 50


def send_many(raw: Raw, count: int) -> None:
    raw.send(b"".join(request_bytes("POST", SEND, {"roomId": "a", "text": str(n)}) for n in range(count)))
    assert all(raw.response().status == 200 for _ in range(count))


def history(raw: Raw, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = raw.request("GET", f"/api/v1/public/realtime/history?{query}").json["messages"]
    return found


def test_the_history_of_the_sdks_is_the_newest_before_a_time(filled: Server) -> None:
    with filled.raw() as raw:
        assert [row["seq"] for row in history(raw, "room=chat/a")] == [1, 3, 5, 7, 9]
        assert [row["seq"] for row in history(raw, "room=chat/a&limit=2")] == [7, 9]
        assert [row["seq"] for row in history(raw, "room=chat/a&limit=2&before=700")] == [3, 5]
        assert history(raw, "room=chat/nobody") == []
        (row,) = history(raw, "room=chat/a/local&before=200")
    assert row == {
        "id": "m1",
        "room_id": "chat/a/local",
        "user_id": "ada",
        "event": "chat:message",
        "data": {"id": "m1", "userId": "ada", "text": "1", "timestamp": 100},
        "created_at": 100,
        "seq": 1,
    }


def test_the_channels_are_those_with_events_or_in_use(filled: Server) -> None:
    with filled.raw() as raw, filled.peer() as listener, filled.peer("?userId=eve") as present:
        listener.subscribe("game/empty")
        listener.subscribe("chat/a/local")
        present.say("track", topic="place/here")
        assert present.sync() == []
        found = raw.request("GET", "/api/channels").json["channels"]
    assert found == [
        {"name": "chat/a", "events": 5, "lastSeq": 9, "lastTime": 900, "subscribers": 1},
        {"name": "chat/b", "events": 5, "lastSeq": 10, "lastTime": 1000, "subscribers": 0},
        {"name": "game/empty", "events": 0, "lastSeq": None, "lastTime": None, "subscribers": 1},
        {"name": "place/here", "events": 0, "lastSeq": None, "lastTime": None, "subscribers": 0},
    ]


def test_a_subscriber_that_is_gone_is_not_counted(make_server: Callable[..., Server]) -> None:
    server = make_server()
    with server.raw() as raw, server.peer() as stays:
        stays.subscribe("chat/a")
        with server.peer("?userId=ada") as goes:
            goes.subscribe("chat/a")
            goes.subscribe("chat/*")
            goes.say("track", topic="chat/a")
            assert stays.hear()["event"] == "presence:join"
        assert stays.hear()["event"] == "presence:leave"
        (found,) = raw.request("GET", "/api/channels").json["channels"]
    assert found == {"name": "chat/a", "events": 0, "lastSeq": None, "lastTime": None, "subscribers": 1}


def test_health_is_one_word(shared: Server) -> None:
    with shared.raw() as raw:
        answer = raw.request("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"ok": True})


def test_a_server_that_is_started_again_goes_on_with_the_same_log(make_server: Callable[..., Server]) -> None:
    first = make_server()
    with first.raw() as raw:
        one = raw.request("POST", SEND, {"roomId": "a", "text": "hi", "id": "1"}).json
        epoch = raw.request("GET", "/api/messages").json["epoch"]
    first.stop()
    second = make_server()
    with second.raw() as raw:
        assert raw.request("POST", SEND, {"roomId": "a", "text": "hi", "id": "1"}).json == {**one, "duplicate": True}
        answer = raw.request("GET", "/api/messages").json
    assert (answer["epoch"], len(answer["messages"])) == (epoch, 1)
