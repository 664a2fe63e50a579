"""What was said before: loaded, scrolled, and never jumping."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import NewTab
from .serving import Serving

#: The top of the first message that shows, as {text, top}: what a reader's eye rests on.
EYE = """() => {
    const edge = document.querySelector('.scroller').getBoundingClientRect().top
    const row = [...document.querySelectorAll('.row')].find(row => row.getBoundingClientRect().bottom > edge + 1)
    return {text: row.querySelector('.text').textContent, top: row.getBoundingClientRect().top}
}"""


def test_history_is_there_on_load_and_further_back_on_scroll(open_tab: NewTab, server: Serving, room: str) -> None:
    server.fill(room, 250)
    tab = open_tab("ada")
    tab.sees("message 250")
    tab.until("document.querySelector('.row')")
    tab.scroll_to("0")
    for _ in range(20):
        if tab.page.get_by_text("This is where the room begins.").is_visible():
            break
        tab.until("!document.querySelector('.spinner')")
        tab.scroll_to("0")
    tab.scroll_to("0")
    expect(tab.page.get_by_text("This is where the room begins.")).to_be_in_viewport()
    tab.sees("message 1")
    texts = tab.texts()
    assert texts == [f"message {n + 1}" for n in range(len(texts))]


def test_loading_older_messages_moves_nothing(open_tab: NewTab, server: Serving, room: str) -> None:
    # Rows of very different heights, none of which is the height that is guessed for a row not yet seen.
    server.fill(room, 150, text="message {}")
    for n in range(151, 301):
        server.send(room, f"message {n} " + "word " * (n % 40), "grace")
    tab = open_tab("ada")
    tab.until("document.querySelectorAll('.row').length > 5")
    # Just under the place where history is asked for, then over it, while watching the row at the edge.
    for _ in range(8):
        before_rows = tab.run("() => document.querySelector('.scroller').scrollHeight")
        tab.scroll_to("400")
        eye = tab.run(EYE)
        tab.until(
            f"document.querySelector('.scroller').scrollHeight !== {before_rows} || !document.querySelector('.lead .loading')"
        )
        tab.until("!document.querySelector('.spinner')")
        after = tab.run(EYE)
        assert after["text"] == eye["text"]
        assert abs(after["top"] - eye["top"]) < 2
        if tab.page.get_by_text("This is where the room begins.").count():
            break


def test_a_message_above_that_grows_moves_nothing(open_tab: NewTab, server: Serving, room: str) -> None:
    for n in range(30):
        server.send(room, f"number {n} " + ("word " * 600 if n == 10 else ""), "grace")
    tab = open_tab("ada")
    tab.until("document.querySelectorAll('.row').length > 5")
    tab.scroll_to("list.scrollHeight / 2")
    button = tab.page.get_by_role("button", name="Show all")
    button.scroll_into_view_if_needed()
    row = tab.page.locator(".row").filter(has=button)
    top = row.bounding_box()
    button.click()
    expect(tab.page.get_by_role("button", name="Show less")).to_be_attached()
    after = tab.page.locator(".row").filter(has=tab.page.locator(".fold")).bounding_box()
    assert top is not None
    assert after is not None
    assert after["height"] > top["height"] + 100
    assert abs(after["y"] - top["y"]) < 2


def test_a_narrower_window_keeps_the_newest_in_sight(open_tab: NewTab, server: Serving, room: str) -> None:
    for n in range(30):
        server.send(room, f"number {n} " + "word " * 30, "grace")
    server.send(room, "the newest", "grace")
    tab = open_tab("ada")
    tab.sees("the newest")
    tab.page.set_viewport_size({"width": 380, "height": 600})
    expect(tab.page.get_by_text("the newest", exact=True)).to_be_in_viewport()
    tab.page.set_viewport_size({"width": 1200, "height": 300})
    expect(tab.page.get_by_text("the newest", exact=True)).to_be_in_viewport()


def test_five_thousand_messages_are_scrolled_with_a_small_document(
    open_tab: NewTab, server: Serving, room: str
) -> None:
    server.fill(room, 5_000)
    tab = open_tab("ada")
    tab.sees("message 5000")
    # From the newest to the first, as fast as history arrives; every row that is drawn is looked at.
    found = tab.run(
        """async () => {
            const list = document.querySelector('.scroller'), seen = new Set()
            let most = 0, wrong = 0
            const frame = () => new Promise(requestAnimationFrame)
            const look = () => {
                const numbers = [...document.querySelectorAll('.row .text')].map(node => Number(node.textContent.split(' ')[1]))
                numbers.forEach((number, i) => { seen.add(number); if (i && number !== numbers[i - 1] + 1) wrong++ })
                most = Math.max(most, numbers.length)
            }
            look()
            for (let i = 0; i < 4000 && !document.querySelector('.welcome'); i++) {
                list.scrollTop = Math.max(0, list.scrollTop - 1200)
                await frame()
                look()
            }
            for (let i = 0; i < 400; i++) {
                list.scrollTop = 0
                await frame()
                look()
                if (seen.has(1)) break
            }
            return {seen: seen.size, most, wrong, missing: Array.from({length: 5000}, (_, i) => i + 1).filter(n => !seen.has(n))}
        }"""
    )
    assert found["wrong"] == 0
    assert found["missing"] == []
    assert found["most"] < 120
    tab.page.get_by_role("button", name="Go to newest").click()
    tab.sees("message 5000")


def test_days_are_separated(open_tab: NewTab, server: Serving, room: str) -> None:
    day_ms = 24 * 3600 * 1000
    now = server.send(room, "today", "grace")
    assert now["ok"]
    tab = open_tab("ada")
    expect(tab.page.locator(".day")).to_have_text(["Today"])
    older = f"{room}-older"
    stamp = tab.run("() => Date.now()")
    server.send(older, "long ago", "grace", timestamp=stamp - 400 * day_ms)
    server.send(older, "yesterday", "grace", timestamp=stamp - day_ms)
    server.send(older, "yesterday too", "grace", timestamp=stamp - day_ms + 1)
    server.send(older, "today", "grace", timestamp=stamp)
    server.send(older, "no date at all", "grace", timestamp=2**53 - 1)
    tab.page.goto(f"{server.url}/#chat/{older}")
    expect(tab.page.locator(".day")).to_have_count(4)
    days = tab.page.locator(".day").all_inner_texts()
    assert days[1:] == ["Yesterday", "Today", ""]
    assert days[0].endswith(str(tab.run(f"() => new Date({stamp} - 400 * {day_ms}).getFullYear()")))
