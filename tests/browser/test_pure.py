"""The parts of the page that take values and return values, in the browser that will run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .serving import Serving


@pytest.fixture(scope="module")
def page(browser: Browser, server: Serving) -> Iterator[Page]:
    """One page for all: nothing here has a state."""
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(f"{server.url}/#chat/pure")
    yield opened
    context.close()


def call(page: Page, module: str, script: str, argument: Any = None) -> Any:
    return page.evaluate(f"async argument => {{ const module = await import('{module}'); {script} }}", argument)


TOKENS = [
    ("plain", [("text", "plain")]),
    ("a `b` c", [("text", "a "), ("code", "b"), ("text", " c")]),
    ("``", [("text", "``")]),
    ("`open", [("text", "`open")]),
    ("```\na\nb\n```", [("block", "a\nb")]),
    ("```js\nx = 1\n```y", [("block", "x = 1"), ("text", "y")]),
    ("```inline```", [("block", "inline")]),
    ("http://a.example/.", [("link", "http://a.example/"), ("text", ".")]),
    ("(http://a.example/b(c))", [("text", "("), ("link", "http://a.example/b(c)"), ("text", ")")]),
    ("HTTPS://A.example/?x=[1]!", [("link", "HTTPS://A.example/?x=[1]"), ("text", "!")]),
    ("xhttp://a.example", [("text", "xhttp://a.example")]),
    ("http://", [("text", "http://")]),
    ("http://u:p@a.example/", [("text", "http://u:p@a.example/")]),
    ("a http://[ b http://c.example", [("text", "a http://[ b "), ("link", "http://c.example")]),
]


@pytest.mark.parametrize(("text", "tokens"), TOKENS)
def test_tokens(page: Page, text: str, tokens: list[tuple[str, str]]) -> None:
    found = call(page, "/page/model/text.js", "return module.tokens(argument).map(t => [t.kind, t.text])", text)
    assert found == [list(token) for token in tokens]


@pytest.mark.parametrize(
    "text", ["`" * 60_000, "```" * 20_000, "`a\n" * 20_000, "http://" * 9_000, "http://a" + ")" * 60_000]
)
def test_hostile_text_costs_little_time(page: Page, text: str) -> None:
    took_ms = call(
        page,
        "/page/model/text.js",
        "const at = performance.now(); module.tokens(argument); return performance.now() - at",
        text,
    )
    assert took_ms < 500


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ("🎉", True),
        ("👍🏽 👩‍👩‍👧", True),
        ("🇸🇪", True),
        ("1", False),
        ("a🎉", False),
        ("", False),
        ("🎉" * 9, False),
        ("❤️", True),
    ],
)
def test_emoji_alone_are_large(page: Page, text: str, emoji: bool) -> None:
    assert call(page, "/page/model/text.js", "return module.isEmoji(argument)", text) is emoji


def test_long_texts_are_folded_and_no_character_is_cut(page: Page) -> None:
    fold = "return module.folded(argument)"
    assert call(page, "/page/model/text.js", fold, "short") is None
    assert call(page, "/page/model/text.js", fold, "x" * 1500) is None
    assert call(page, "/page/model/text.js", fold, "x" * 3000) == "x" * 1400
    assert call(page, "/page/model/text.js", fold, "x" * 1399 + "🎉" * 500) == "x" * 1399
    assert call(page, "/page/model/text.js", fold, "line\n" * 100) == ("line\n" * 18)[:-1]


def test_a_timeline_is_the_same_in_whatever_order_things_happen(page: Page) -> None:
    # Every message comes as several of: a broadcast, an answer, a page of history; in 300 random orders.
    wrong = call(
        page,
        "/page/model/timeline.js",
        """
        let seed = 1
        const random = n => (seed = (seed * 48271) % 2147483647) % n
        const wrong = []
        for (let round = 0; round < 300; round++) {
            const timeline = new module.Timeline(), steps = []
            const events = Array.from({ length: 12 }, (_, i) => ({
                event: 'chat:message', id: `id${i}`, seq: 10 + i * (1 + random(3)), userId: 'a', timestamp: i, data: { text: `text ${i}` },
            }))
            for (let i = 1; i < events.length; i++) events[i].seq = Math.max(events[i].seq, events[i - 1].seq + 1)
            for (const event of events) {
                const mine = random(2)
                if (mine) timeline.addPending({ id: event.id, userId: 'a', text: event.data.text, timestamp: 0, state: 'pending', error: null, height: 0 })
                for (let n = 1 + random(3); n > 0; n--) steps.push(() => timeline.merge([event]))
                if (mine && random(2)) steps.push(() => timeline.confirm(event.id, event.seq))
                if (mine && random(2)) steps.push(() => timeline.mark(event.id, 'failed', {}))
                if (mine && random(2)) steps.push(() => timeline.mark(event.id, 'pending'))
            }
            while (steps.length) steps.splice(random(steps.length), 1)[0]()
            const got = timeline.rows.map(row => `${row.id}:${row.seq}:${row.state}`).join()
            const want = events.map(event => `${event.id}:${event.seq}:sent`).join()
            if (got !== want || timeline.outgoing.length) wrong.push([got, want])
        }
        return wrong
        """,
    )
    assert wrong == []


def test_the_arithmetic_of_the_window(page: Page) -> None:
    found = call(
        page,
        "/page/model/layout.js",
        """
        const rows = [{ height: 10 }, { height: 0 }, { height: 30 }, { height: 5 }]
        const tops = module.tops(rows)
        return [[...tops], [-5, 0, 9, 10, 53, 54, 84, 1e9].map(y => module.rowAt(tops, y)),
            module.between(tops, 12, 20, 0), module.between(tops, 12, 20, 30), module.between(module.tops([]), 0, 100, 100)]
        """,
    )
    assert found == [[0, 10, 54, 84, 89], [0, 0, 0, 1, 1, 2, 3, 3], [1, 2], [0, 3], [0, 0]]


def test_backoff(page: Page) -> None:
    delays = call(
        page,
        "/client/backoff.js",
        "return [0, 1, 2, 5, 99].map(n => [module.fullJitter(n, () => 0), module.fullJitter(n, () => 0.999999)])",
    )
    assert delays == [[0, 249], [0, 499], [0, 999], [0, 7999], [0, 9999]]
    codes = [1000, 1001, 1002, 1006, 1007, 1008, 1009, 1012, 4000, 4408, 4499, 4500, 4501, 4999]
    may = call(page, "/client/backoff.js", "return argument.filter(module.mayReconnect)", codes)
    assert may == [1000, 1001, 1006, 1012, 4000, 4408, 4499]


def test_ids_are_uuid7_and_rise_with_time(page: Page) -> None:
    ids = call(
        page, "/client/id.js", "return [module.uuid7(0), module.uuid7(1), module.uuid7(2 ** 40), module.uuid7()]"
    )
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in ids)
    assert ids[2].startswith("01000000-0000-7")


@pytest.mark.parametrize(
    ("typed", "channel"),
    [
        ("general", "chat/general"),
        (" #Team Lunch ", "chat/Team-Lunch"),
        ("a/b", "chat/a/b"),
        ("日本語", "chat/日本語"),
        ("", None),
        ("a//b", None),
        ("*", None),
        ("x" * 65, None),
        ("/".join(["x" * 60] * 4), None),
        ("<b>", None),
    ],
)
def test_room_names(page: Page, typed: str, channel: str | None) -> None:
    assert call(page, "/page/model/rooms.js", "return module.channelOf(argument)", typed) == channel


def test_odd_times_are_no_errors(page: Page) -> None:
    found = call(
        page,
        "/page/model/time.js",
        "return [NaN, Infinity, 8.64e15, 9e15, -1, 'x', null].map(ms => [module.timeOf(ms), module.dayOf(ms), module.isoOf(ms), module.exactOf(ms)].every(text => typeof text === 'string'))",
    )
    assert found == [True] * 7
