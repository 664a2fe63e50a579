"""Servers die, networks go away, sends fail: nothing is lost, nothing is there twice, and the page says so."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Route, expect

from .conftest import NewTab
from .serving import Serving
from .tab import Tab

Contexts = Callable[..., BrowserContext]

SEND = "**/examples/chat/send"


def banner(tab: Tab, text: str | None) -> None:
    """Wait until the banner says ``text``, or is gone."""
    shown = tab.page.locator(".banner")
    if text is None:
        expect(shown).to_be_hidden()
    else:
        expect(shown).to_contain_text(text)


def test_it_resumes_after_the_server_was_killed_and_restarted(open_tab: NewTab, own_server: Serving, room: str) -> None:
    own_server.fill(room, 3)
    tab, other = open_tab("ada", at=own_server), open_tab("grace", at=own_server)
    tab.network_fails = other.network_fails = True
    tab.shows(["message 1", "message 2", "message 3"])
    own_server.kill()
    banner(tab, "Reconnecting")
    tab.say("written while it was down")
    tab.sees("written while it was down")
    own_server.start()
    own_server.send(room, "before anybody was back", "linus")
    for each in (tab, other):
        banner(each, None)
        each.sees("before anybody was back")
        each.sees("written while it was down")
    expect(tab.page.locator(".row.sent")).to_have_count(5)
    assert sorted(own_server.texts(room)) == sorted(tab.texts())
    assert tab.texts() == other.texts()


def test_many_messages_missed_while_away_arrive_once_each(open_tab: NewTab, own_server: Serving, room: str) -> None:
    tab = open_tab("ada", at=own_server)
    tab.network_fails = True
    own_server.send(room, "before", "grace")
    tab.sees("before")
    own_server.kill()
    banner(tab, "Reconnecting")
    own_server.start()
    own_server.fill(room, 700)
    tab.sees("message 700")
    tab.scroll_to("0")
    texts = tab.run(
        """async () => {
            const list = document.querySelector('.scroller'), seen = []
            for (let last = -1; list.scrollTop !== last || seen.length < 701; ) {
                last = list.scrollTop
                for (const node of document.querySelectorAll('.row .text')) {
                    if (!seen.includes(node.textContent)) seen.push(node.textContent)
                }
                list.scrollTop += 500
                await new Promise(requestAnimationFrame)
            }
            return seen
        }"""
    )
    assert texts == ["before", *(f"message {n}" for n in range(1, 701))]


def test_another_log_behind_the_same_address_replaces_what_is_shown(
    open_tab: NewTab, own_server: Serving, room: str
) -> None:
    own_server.fill(room, 3)
    tab = open_tab("ada", at=own_server)
    tab.network_fails = True
    tab.sees("message 3")
    own_server.kill()
    own_server.db = own_server.db.with_name("another.db")
    own_server.start()
    own_server.send(room, "a new beginning", "grace")
    tab.shows(["a new beginning"])


def test_offline_and_back(open_tab: NewTab, contexts: Contexts, server: Serving, room: str) -> None:
    profile = contexts()
    tab, other = open_tab("ada", context=profile), open_tab("grace")
    tab.network_fails = True
    profile.set_offline(True)
    tab.say("written offline")
    expect(tab.page.locator(".row.failed")).to_have_count(1)
    expect(tab.page.locator(".state.failed")).to_contain_text("Not sent")
    server.send(room, "meanwhile", "grace")
    other.sees("meanwhile")
    profile.set_offline(False)
    tab.sees("meanwhile")
    expect(tab.page.locator(".row.sent.mine")).to_have_count(1, timeout=20_000)
    other.sees("written offline")
    assert server.texts(room) == ["meanwhile", "written offline"]


def test_a_failed_send_is_shown_and_retried_with_the_same_id(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.network_fails = True
    bodies: list[str | None] = []

    def refuse(route: Route) -> None:
        bodies.append(route.request.post_data)
        route.fulfill(status=500, json={"ok": False, "code": "internal", "error": "the log sneezed"})

    tab.page.route(SEND, refuse)
    tab.problems.clear()
    tab.say("persistent")
    expect(tab.page.locator(".state.failed")).to_contain_text("Not sent: the log sneezed")
    tab.page.unroute(SEND)
    with tab.page.expect_request(SEND) as sent:
        tab.page.get_by_role("button", name="Retry").click()
    assert sent.value.post_data == bodies[0], "a retry is the same message: id, text and timestamp"
    expect(tab.page.locator(".row.sent")).to_have_count(1)
    assert server.texts(room) == ["persistent"]
    tab.problems = [problem for problem in tab.problems if "500" not in problem]


def test_an_answer_that_is_lost_after_the_commit_makes_no_second_message(
    open_tab: NewTab, server: Serving, room: str
) -> None:
    tab = open_tab("ada")
    tab.network_fails = True

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    tab.page.route(SEND, lose)
    tab.say("once")
    expect(tab.page.locator(".row.sent")).to_have_count(1)  # the broadcast says that it is stored
    tab.shows(["once"])
    assert server.texts(room) == ["once"]


def test_a_refused_send_can_be_deleted(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.say("x" * 70_000)
    expect(tab.page.locator(".row.failed")).to_have_count(1)
    expect(tab.page.locator(".state.failed")).to_contain_text("Not sent")
    tab.page.get_by_role("button", name="Delete").click()
    expect(tab.page.locator(".row")).to_have_count(0)
    tab.say("small")
    expect(tab.page.locator(".row.sent")).to_have_count(1)
    assert server.texts(room) == ["small"]
    assert all("413" in problem for problem in tab.problems)
    tab.problems.clear()


def test_a_server_that_asks_for_patience_gets_it(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tries: list[str] = []

    def slow_down(route: Route) -> None:
        tries.append(json.loads(route.request.post_data or "{}")["id"])
        if len(tries) > 1:
            route.continue_()
        else:
            body = {"ok": False, "code": "rate_limited", "error": "slower"}
            route.fulfill(status=429, json=body, headers={"Retry-After": "1"})

    tab.page.route(SEND, slow_down)
    tab.say("one")
    tab.say("two")
    expect(tab.page.locator(".row.sent")).to_have_count(2)
    assert server.texts(room) == ["one", "two"]
    assert len(tries) == 3
    assert tries[0] == tries[1]
    tab.problems = [problem for problem in tab.problems if "429" not in problem]


def test_what_was_not_stored_survives_a_reload(open_tab: NewTab, server: Serving, room: str) -> None:
    tab = open_tab("ada")
    tab.network_fails = True
    tab.page.route(SEND, lambda route: route.abort())
    tab.say("unsent")
    expect(tab.page.locator(".row.failed")).to_have_count(1)
    tab.composer.fill("a draft")
    tab.page.unroute(SEND)
    tab.page.reload()
    tab.sees("unsent")
    expect(tab.page.locator(".row.sent")).to_have_count(1)
    expect(tab.composer).to_have_value("a draft")
    assert server.texts(room) == ["unsent"]


def test_a_server_that_wants_a_token_is_given_one(open_tab: NewTab, server: Serving, room: str) -> None:
    server.send(room, "secret", "grace")
    tab = open_tab("ada")
    tab.network_fails = True
    # No such server here yet, so one is played: without the token every answer is 401, and the socket is refused.
    refusal = {"ok": False, "code": "unauthorized", "error": "this server wants a token"}

    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer s3cret":
            route.continue_()
        else:
            route.fulfill(status=401, json=refusal)

    tab.page.add_init_script(
        """
        const Real = WebSocket
        window.WebSocket = class extends Real {
            constructor(url, protocols) {
                const known = protocols.includes('aerostack-token.s3cret')
                super(known ? url : url.replace('/api/realtime', '/nowhere'), known ? ['aerostack-v1'] : [])
                window.socketUrl = url
            }
        }
        """
    )
    tab.page.route("**/api/**", guard)
    tab.page.reload()
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a token")
    dialog.get_by_label("Whoever runs it").fill("wrong")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_contain_text("this server wants a token")
    dialog.get_by_label("Whoever runs it").fill("s3cret")
    dialog.get_by_role("button", name="Sign in").click()
    tab.sees("secret")
    # The name is the server's to say: found by our own presence, not by what this tab called itself before.
    expect(tab.page.locator(".me .name")).to_have_text("anonymous")
    assert "s3cret" not in tab.run("() => window.socketUrl"), "a token does not belong in a URL"
    assert tab.run("() => localStorage.getItem('chatkit.token')") is None
    tab.problems = [problem for problem in tab.problems if "401" not in problem]
