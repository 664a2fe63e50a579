"""Who is here and who is typing: appears, and vanishes."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import NewTab
from .serving import Serving
from .tab import Tab


def people(tab: Tab, names: list[str]) -> None:
    expect(tab.page.locator(".people li .name")).to_have_text(names)


def test_presence_appears_and_vanishes(open_tab: NewTab, server: Serving, room: str) -> None:
    ada = open_tab("ada")
    people(ada, ["ada"])
    grace = open_tab("grace")
    people(ada, ["ada", "grace"])
    people(grace, ["ada", "grace"])
    same = open_tab("grace")
    people(same, ["ada", "grace"])
    same.page.close()
    people(ada, ["ada", "grace"])
    grace.page.goto(f"{server.url}/#chat/{room}-other")
    people(ada, ["ada"])
    people(grace, ["grace"])
    grace.page.go_back()
    people(ada, ["ada", "grace"])
    grace.page.close()
    people(ada, ["ada"])


def test_presence_is_right_after_the_server_was_restarted(open_tab: NewTab, own_server: Serving) -> None:
    ada, grace = open_tab("ada", at=own_server), open_tab("grace", at=own_server)
    ada.network_fails = grace.network_fails = True
    people(ada, ["ada", "grace"])
    own_server.kill()
    grace.page.close()
    own_server.start()
    people(ada, ["ada"])


def test_typing_appears_and_vanishes_with_the_message(open_tab: NewTab) -> None:
    ada, grace = open_tab("ada"), open_tab("grace")
    typing = ada.page.locator(".typing")
    grace.composer.press_sequentially("hel")
    expect(typing).to_have_text("grace is typing")
    expect(grace.page.locator(".typing")).to_have_text("")
    grace.composer.press("Enter")
    ada.sees("hel")
    expect(typing).to_have_text("")


def test_typing_vanishes_when_the_text_is_deleted_or_the_tab_closed(open_tab: NewTab) -> None:
    ada, grace, linus = open_tab("ada"), open_tab("grace"), open_tab("linus")
    typing = ada.page.locator(".typing")
    grace.composer.press_sequentially("hm")
    expect(typing).to_have_text("grace is typing")
    linus.composer.press_sequentially("well")
    expect(typing).to_have_text("grace and linus are typing")
    grace.composer.fill("")
    expect(typing).to_have_text("linus is typing")
    linus.page.close()
    expect(typing).to_have_text("")


def test_typing_vanishes_when_nothing_more_is_heard(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.page.clock.install()
    server.post("/api/publish", {"topic": f"chat/{room}", "event": "typing", "data": {}, "userId": "curl"})
    expect(tab.page.locator(".typing")).to_have_text("curl is typing")
    tab.page.clock.fast_forward(6_000)
    expect(tab.page.locator(".typing")).to_have_text("")
