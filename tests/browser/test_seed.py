"""What the seed's component does, in our page."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Route, expect

from .conftest import NewTab
from .serving import Serving

Contexts = Callable[..., BrowserContext]


def test_three_tabs_show_the_same(open_tab: NewTab, server: Serving, room: str) -> None:
    tabs = [open_tab("ada"), open_tab("grace"), open_tab("linus")]
    for n, tab in enumerate(tabs):
        tab.say(f"from tab {n}")
        for other in tabs:
            other.sees(f"from tab {n}")
    for tab in tabs:
        tab.shows(["from tab 0", "from tab 1", "from tab 2"])
    assert server.texts(room) == ["from tab 0", "from tab 1", "from tab 2"]


def test_mine_is_on_the_right_and_theirs_on_the_left_with_their_name(open_tab: NewTab) -> None:
    ada, grace = open_tab("ada"), open_tab("grace")
    ada.say("hello")
    for tab, mine in ((ada, True), (grace, False)):
        tab.sees("hello")
        bubble = tab.page.locator(".bubble").bounding_box()
        rows = tab.page.locator(".rows").bounding_box()
        assert bubble is not None
        assert rows is not None
        assert (bubble["x"] + bubble["width"] / 2 > rows["x"] + rows["width"] / 2) is mine
        author = tab.page.locator(".row .author")
        expect(author).to_have_text("You" if mine else "ada")
    assert "vh" not in str(grace.page.locator(".row .author").get_attribute("class"))


def test_what_i_send_is_there_at_once_and_merged_by_id(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    held: list[Route] = []
    tab.page.route("**/examples/chat/send", lambda route: held.append(route))  # noqa: PLW0108 - playwright wants a function
    tab.say("optimistic")
    tab.sees("optimistic")
    expect(tab.page.locator(".row.pending")).to_have_count(1)
    expect(tab.composer).to_have_value("")
    assert server.texts(room) == []
    element = tab.page.locator(".row").element_handle()
    held[0].continue_()
    expect(tab.page.locator(".row.mine.sent")).to_have_count(1)
    tab.shows(["optimistic"])
    assert element.evaluate("node => node.isConnected"), "the row was replaced instead of updated"


def test_a_broadcast_that_overtakes_the_answer_makes_no_second_message(open_tab: NewTab) -> None:
    tab = open_tab("ada")
    held: list[Route] = []
    tab.page.route("**/examples/chat/send", lambda route: held.append(route))  # noqa: PLW0108 - playwright wants a function
    tab.say("first the broadcast")
    tab.sees("first the broadcast")
    answer = held[0].fetch()  # the server has stored and broadcast it; its answer is held back
    expect(tab.page.locator(".row.mine.sent")).to_have_count(1)
    held[0].fulfill(response=answer)
    tab.page.unroute("**/examples/chat/send")
    tab.say("then the answer")
    tab.shows(["first the broadcast", "then the answer"])


def test_an_answer_that_overtakes_the_broadcast_makes_no_second_message(open_tab: NewTab) -> None:
    grace = open_tab("grace")
    tab = open_tab("ada")
    tab.page.route("**/examples/chat/send", lambda route: route.fulfill(response=route.fetch()))
    for n in range(5):
        tab.say(f"number {n}")
    wanted = [f"number {n}" for n in range(5)]
    tab.shows(wanted)
    grace.shows(wanted)


def test_empty_text_is_not_sent(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.composer.press("Enter")
    tab.say("   \n ")
    expect(tab.page.get_by_role("button", name="Send")).to_be_disabled()
    tab.say("not empty")
    tab.shows(["not empty"])
    expect(tab.page.locator(".row.sent")).to_have_count(1)
    assert server.texts(room) == ["not empty"]


def test_enter_sends_and_shift_enter_breaks_the_line(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.composer.press_sequentially("two")
    tab.composer.press("Shift+Enter")
    tab.composer.press_sequentially("lines")
    tab.composer.press("Enter")
    expect(tab.page.locator(".row.sent")).to_have_count(1)
    assert server.texts(room) == ["two\nlines"]
    # The Enter that accepts a word of an input method is not the Enter that sends.
    tab.composer.fill("変換")
    tab.composer.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    expect(tab.composer).to_have_value("変換")


def test_a_new_tab_is_a_new_user_and_a_reload_is_not(open_tab: NewTab, contexts: Contexts) -> None:
    profile = contexts()
    first, second = open_tab(context=profile), open_tab(context=profile)
    names = [tab.page.locator(".me .name").inner_text() for tab in (first, second)]
    assert all(re.fullmatch(r"user-[a-z0-9]{6}", name) for name in names)
    assert names[0] != names[1]
    first.page.reload()
    expect(first.page.locator(".me .name")).to_have_text(names[0])


def test_a_name_is_chosen_for_the_tab_or_for_the_browser(open_tab: NewTab, contexts: Contexts, server: Serving) -> None:
    profile = contexts()
    first = open_tab(context=profile)
    first.say("before")
    first.page.locator(".me").click()
    first.page.get_by_label("Others see it").fill("  Ada Lovelace ")
    first.page.get_by_role("button", name="Save").click()
    expect(first.page.locator(".me .name")).to_have_text("Ada Lovelace")
    expect(first.page.locator(".people li .name")).to_have_text(["Ada Lovelace"])  # connected anew, as her
    first.say("after")
    second = open_tab(context=profile)
    expect(second.page.locator(".row .author")).to_have_text([re.compile("user-"), "Ada Lovelace"])
    second.page.locator(".me").click()
    second.page.get_by_label("Others see it").fill("grace")
    second.page.get_by_label("every new tab").check()
    second.page.get_by_role("button", name="Save").click()
    third = open_tab(context=profile)
    expect(third.page.locator(".me .name")).to_have_text("grace")
    first.page.reload()
    expect(first.page.locator(".me .name")).to_have_text("Ada Lovelace")


def test_it_follows_at_the_bottom_and_says_how_many_are_new_elsewhere(
    open_tab: NewTab, server: Serving, room: str
) -> None:
    server.fill(room, 40)
    tab = open_tab("ada")
    tab.sees("message 40")
    server.send(room, "followed", "grace")
    tab.sees("followed")
    expect(tab.page.locator(".newest")).to_have_count(0)
    tab.scroll_to("list.scrollTop - 300")
    expect(tab.page.get_by_role("button", name="Go to newest")).to_be_visible()
    before = tab.run("() => document.querySelector('.scroller').scrollTop")
    for n in range(3):
        server.send(room, f"below {n}", "grace")
    expect(tab.page.locator(".newest")).to_have_text("3 new")
    assert tab.run("() => document.querySelector('.scroller').scrollTop") == before
    tab.page.locator(".newest").click()
    tab.sees("below 2")
    expect(tab.page.locator(".newest")).to_have_count(0)
