"""For everybody: by keyboard alone, by ear, in every light and at every width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import NewTab
from .serving import Serving
from .tab import Tab

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()


def findings(tab: Tab) -> list[str]:
    """What axe-core holds against the page as it is now, but for trifles."""
    tab.page.evaluate(AXE)
    result: dict[str, Any] = tab.run("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['impact']}: {violation['id']}: {node['html'][:120]} {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical", "moderate")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(open_tab: NewTab, server: Serving, room: str, scheme: str, width: int) -> None:
    server.fill(room, 3)
    server.send(room, "a link https://example.org/ and `code`\n```\nblock\n```", "grace")
    server.send(room, "word " * 600, "grace")
    server.send(f"{room}-other", "elsewhere", "grace")
    # Without motion: a colour on its way is measured as neither the one nor the other.
    tab = open_tab("ada", viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    tab.network_fails = True
    server.send(f"{room}-other", "unread", "linus")
    tab.say("mine, with https://example.org/mine and `code`")
    expect(tab.page.locator(".row.sent.mine")).to_have_count(1)
    tab.page.route("**/examples/chat/send", lambda route: route.abort())
    tab.say("failed")
    expect(tab.page.locator(".row.failed")).to_have_count(1)
    server.post("/api/publish", {"topic": f"chat/{room}", "event": "typing", "data": {}, "userId": "grace"})
    expect(tab.page.locator(".typing")).to_contain_text("grace")
    assert findings(tab) == []
    tab.page.get_by_role("button", name="Emoji").click()
    assert findings(tab) == []
    tab.page.keyboard.press("Escape")
    if width < 760:
        tab.page.get_by_role("button", name="Rooms").click()
        expect(tab.page.locator(".sidebar")).to_be_in_viewport()
        assert findings(tab) == []
    tab.page.get_by_label("Find or create a room").fill("not/*/valid")
    assert findings(tab) == []
    tab.page.locator(".me").click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert findings(tab) == []


def focused(tab: Tab) -> str:
    """The accessible name, or the text, of what has the focus."""
    return str(
        tab.run(
            "() => { const at = document.activeElement; return at.getAttribute('aria-label') ?? at.id ?? at.textContent }"
        )
    )


def test_everything_by_keyboard(open_tab: NewTab, server: Serving, room: str) -> None:
    server.fill(room, 60)
    server.send(f"{room}-other", "elsewhere", "grace")
    tab = open_tab("ada")
    tab.sees("message 60")
    keys = tab.page.keyboard
    expect(tab.composer).to_be_focused()
    keys.type("hello")
    keys.press("Enter")
    tab.sees("hello")
    # Another room, and back.
    keys.press("Control+k")
    keys.type(f"{room}-other")
    keys.press("Enter")
    expect(tab.page.locator("h1 bdi")).to_have_text(f"{room}-other")
    expect(tab.composer).to_be_focused()
    keys.press("Alt+ArrowUp")
    expect(tab.page.locator("h1 bdi")).to_have_text(room)
    tab.sees("hello")
    # The messages scroll with the arrow keys; Escape goes back to writing.
    tab.scroller.focus()
    keys.press("PageUp")
    expect(tab.page.get_by_role("button", name="Go to newest")).to_be_visible()
    keys.press("End")
    expect(tab.page.get_by_role("button", name="Go to newest")).to_have_count(0)
    keys.press("Escape")
    expect(tab.composer).to_be_focused()
    # An emoji.
    keys.press("Shift+Tab")
    keys.press("Enter")
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(tab.composer).to_have_value("😉")
    expect(tab.composer).to_be_focused()
    # The name.
    tab.page.locator(".me").focus()
    keys.press("Enter")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    keys.press("Control+a")
    keys.type("ada by keyboard")
    keys.press("Enter")
    expect(tab.page.locator(".me .name")).to_have_text("ada by keyboard")
    keys.press("Enter")
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    keys.press("Escape")
    expect(tab.page.get_by_role("dialog")).to_have_count(0)


def test_tab_reaches_everything_and_nothing_hidden(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(room, "hello", "grace")
    tab = open_tab("ada", viewport={"width": 390, "height": 800})
    tab.sees("hello")
    tab.run("() => document.activeElement.blur()")
    reached = []
    for _ in range(9):
        tab.page.keyboard.press("Tab")
        reached.append(focused(tab))
        where = tab.run(
            "() => { const box = document.activeElement.getBoundingClientRect(); return [box.left, box.right] }"
        )
        assert where[1] > 0, f"{reached[-1]} has the focus and cannot be seen"
        assert where[0] < 390, f"{reached[-1]} has the focus and cannot be seen"
        if reached[-1].startswith("Message to"):
            break
    assert reached[0] == "" or "Write" in reached[0]
    assert any(name.startswith("Rooms") for name in reached)
    assert "1 here" in reached
    assert "Messages" in reached
    assert "Emoji" in reached
    assert reached[-1].startswith("Message to")


def test_new_messages_are_announced_and_old_ones_are_not(open_tab: NewTab, server: Serving, room: str) -> None:
    server.fill(room, 5)
    tab = open_tab("ada")
    tab.sees("message 5")
    log = tab.page.get_by_role("log")
    expect(log).to_have_text("")
    server.send(room, "for your ears", "grace")
    expect(log).to_have_text("grace: for your ears")
    tab.say("mine is not announced")
    tab.sees("mine is not announced")
    expect(log).to_have_text("grace: for your ears")
    assert tab.scroller.get_attribute("aria-live") is None


def test_the_theme_follows_the_system_until_it_is_chosen(open_tab: NewTab) -> None:
    tab = open_tab("ada", color_scheme="dark")
    ground = "() => getComputedStyle(document.querySelector('.main')).backgroundColor"
    dark = tab.run(ground)
    tab.page.emulate_media(color_scheme="light")
    light = tab.run(ground)
    assert dark != light
    tab.page.get_by_role("button", name="Theme: system").click()
    tab.page.get_by_role("button", name="Theme: light").click()
    assert tab.run(ground) == dark
    tab.page.reload()
    expect(tab.page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert tab.run(ground) == dark


def test_no_width_makes_the_page_scroll_sideways(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(room, "averylongwordwithoutanybreak" * 20, "averylongname" * 9)
    server.send(room, "```\n" + "code " * 100 + "\n```", "grace")
    tab = open_tab("ada")
    expect(tab.page.locator(".row")).to_have_count(2)
    for width in (320, 390, 768, 1280, 2200):
        tab.page.set_viewport_size({"width": width, "height": 700})
        tab.until(f"innerWidth === {width}")
        for where in ("document.documentElement", "document.querySelector('.scroller')"):
            assert tab.run(f"() => {where}.scrollWidth <= {where}.clientWidth"), f"{where} at {width}"
        edges = "[...document.querySelectorAll('.bubble')].map(node => node.getBoundingClientRect().right)"
        assert tab.run(f"() => Math.max(...{edges})") <= width


def test_notifications_are_asked_for_and_shown_when_hidden(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada", permissions=["notifications"])
    tab.page.add_init_script(
        """
        window.shown = []
        const granted = { permission: 'granted', requestPermission: async () => 'granted' }
        window.Notification = Object.assign(function (title, options) { shown.push([title, options.body]) }, granted)
        Object.defineProperty(document, 'hidden', { get: () => window.away === true })
        """
    )
    tab.page.reload()
    tab.page.get_by_role("button", name="Notifications are off").click()
    expect(tab.page.get_by_role("button", name="Notifications are on")).to_be_visible()
    server.send(room, "seen anyway", "grace")
    tab.sees("seen anyway")
    tab.run("() => { window.away = true }")
    server.send(room, "come back", "grace")
    tab.until("window.shown.length === 1")
    assert tab.run("() => window.shown") == [[f"grace in #{room}", "come back"]]
    tab.until("/^\\(\\d+\\) /.test(document.title)")
    tab.run("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')) }")
    expect(tab.page.locator(".row")).to_have_count(2)
