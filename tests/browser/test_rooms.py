"""Rooms: made by typing, switched, counted, linked to."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from .conftest import NewTab
from .serving import Serving
from .tab import Tab

Contexts = Callable[..., BrowserContext]


def find(tab: Tab, text: str) -> None:
    tab.page.get_by_label("Find or create a room").fill(text)


def unread(tab: Tab, name: str, count: str | None) -> None:
    link = tab.page.locator(".rooms a").filter(has=tab.page.get_by_text(name, exact=True))
    if count is None:
        expect(link.locator(".count")).to_have_count(0)
    else:
        expect(link.locator(".count")).to_have_text(f"{count} unread")


def test_a_room_is_made_by_typing_and_found_by_others(open_tab: NewTab, room: str) -> None:
    ada, grace = open_tab("ada"), open_tab("grace")
    find(ada, f"#{room} two")
    ada.page.get_by_role("button", name=re.compile("Create")).click()
    name = f"{room}-two"
    expect(ada.page.locator("h1 bdi")).to_have_text(name)
    expect(ada.page).to_have_url(re.compile(f"/#chat/{name}$"))
    ada.say("is anybody here?")
    unread(grace, name, "1")
    grace.open_room(name)
    grace.sees("is anybody here?")
    unread(grace, name, None)


def test_typing_filters_and_names_that_cannot_be_are_refused(open_tab: NewTab, room: str) -> None:
    tab = open_tab("ada")
    find(tab, room.upper())
    expect(tab.page.locator(".rooms a")).to_have_count(1)
    find(tab, "no/*/stars")
    expect(tab.page.get_by_role("alert").filter(has_text="Letters")).to_be_visible()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("h1 bdi")).to_have_text(room)
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_label("Find or create a room")).to_have_value("")


def test_rooms_in_any_script(open_tab: NewTab, room: str) -> None:
    ada, grace = open_tab("ada"), open_tab("grace")
    for name in ("日本語", "Ünïcode.room", "a/b/c"):
        find(ada, name)
        ada.page.keyboard.press("Enter")
        expect(ada.page.locator("h1 bdi")).to_have_text(name)
        ada.say(f"hello {room}")
        grace.open_room(name)
        grace.sees(f"hello {room}")


def test_unread_messages_are_counted_here_and_across_a_visit(
    open_tab: NewTab, contexts: Contexts, server: Serving, room: str
) -> None:
    profile = contexts()
    other = f"{room}-other"
    server.send(other, "from before the first visit", "grace")
    tab = open_tab("ada", context=profile)
    unread(tab, other, None)
    for n in range(3):
        server.send(other, f"new {n}", "grace")
    unread(tab, other, "3")
    expect(tab.page).to_have_title(re.compile(r"^\(\d+\) "))
    server.send(other, "my own, from elsewhere", "ada")
    server.post("/api/publish", {"topic": f"chat/{other}", "event": "tick", "data": 1, "persist": True})
    server.send(other, "new 3", "grace")
    unread(tab, other, "4")
    tab.page.close()
    server.send(other, "while away", "grace")
    again = open_tab("ada", context=profile)
    unread(again, other, "5")
    again.open_room(other)
    expect(again.page.locator(".unread-line")).to_have_count(1)
    first_unread = again.page.locator(".row").filter(has=again.page.locator(".unread-line"))
    expect(first_unread.locator(".text")).to_have_text("new 0")
    unread(again, other, None)


def test_reading_in_one_tab_is_reading_in_all_of_this_browser(
    open_tab: NewTab, contexts: Contexts, server: Serving, room: str
) -> None:
    profile = contexts()
    other = f"{room}-other"
    server.send(other, "old", "grace")
    first, second = open_tab("ada", context=profile), open_tab("ada", context=profile)
    server.send(other, "new", "grace")
    unread(first, other, "1")
    unread(second, other, "1")
    first.open_room(other)
    unread(second, other, None)


def test_a_hundred_unread_are_99_plus(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    other = f"{room}-other"
    server.fill(other, 130)
    unread(tab, other, "99+")
    tab.open_room(other)
    tab.sees("message 130")
    unread(tab, other, None)


def test_a_deep_link_opens_its_room_and_the_back_button_goes_back(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(f"{room}-b", "in b", "grace")
    tab = open_tab("ada", in_room=f"{room}-b")
    tab.sees("in b")
    tab.page.goto(f"{server.url}/#chat/{room}-a")
    expect(tab.page.locator("h1 bdi")).to_have_text(f"{room}-a")
    tab.page.go_back()
    tab.sees("in b")
    for broken in ("chat/%ZZ", "chat/", "table/x", "chat/<script>"):
        tab.run("hash => { location.hash = hash }", broken)
        expect(tab.page).to_have_url(re.compile(f"#chat/{room}-b$"))
    tab.sees("in b")


def test_a_room_is_where_it_was_left(open_tab: NewTab, server: Serving, room: str) -> None:
    server.fill(room, 80)
    server.send(f"{room}-other", "elsewhere", "grace")
    tab = open_tab("ada")
    tab.sees("message 80")
    tab.scroll_to("list.scrollTop - 900")
    before = tab.run("() => document.querySelector('.scroller').scrollTop")
    tab.open_room(f"{room}-other")
    tab.sees("elsewhere")
    server.send(room, "one more", "grace")
    tab.open_room(room)
    expect(tab.page.get_by_role("button", name=re.compile("newest"))).to_be_visible()
    assert abs(tab.run("() => document.querySelector('.scroller').scrollTop") - before) < 3


def test_drafts_stay_with_their_room(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(f"{room}-other", "elsewhere", "grace")
    tab = open_tab("ada")
    tab.composer.fill("for this room")
    tab.open_room(f"{room}-other")
    expect(tab.composer).to_have_value("")
    tab.open_room(room)
    expect(tab.composer).to_have_value("for this room")
