"""``/chatkit.js``, the client that any page may import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from .serving import Serving
from .tab import until

Blank = Callable[..., Page]

#: A page's worth of helpers for the scripts below: `got` collects, `until` waits for a condition, looked at often.
HELPERS = """
const { connect, ChatkitError, uuid7 } = await import('/chatkit.js')
const got = []
const until = async condition => {
    const late = Date.now() + 10_000
    while (!condition()) {
        if (Date.now() > late) throw new Error(`never: ${condition}; got ${JSON.stringify(got)}`)
        await new Promise(resolve => setTimeout(resolve, 5))
    }
}
"""


@pytest.fixture
def blank(contexts: Callable[..., BrowserContext], server: Serving) -> Blank:
    """A page of the server's that is not the chat page: a licence."""

    def new(at: Serving | None = None) -> Page:
        page = contexts().new_page()
        page.goto(f"{(at or server).url}/vendor/htm.LICENSE.txt")
        return page

    return new


def run(tab: Page, script: str, argument: Any = None) -> Any:
    return tab.evaluate(f"async argument => {{ {HELPERS} {script} }}", argument)


def test_the_example_of_the_readme(blank: Blank, server: Serving, room: str) -> None:
    server.fill(room, 3)
    texts = run(
        blank(),
        """
        const chat = connect(location.origin, { userId: 'ada' })
        chat.channel(`chat/${argument}`).on('chat:message', ({ data }) => got.push(`${data.userId}: ${data.text}`)).subscribe({ last: 2 })
        await until(() => got.length === 2)
        const { id, seq } = await chat.send(argument, 'hello')
        await until(() => got.length === 3)
        chat.close()
        return [...got, typeof id, typeof seq, chat.status]
        """,
        room,
    )
    assert texts == ["user-2: message 2", "user-0: message 3", "ada: hello", "string", "number", "closed"]


def test_subscribing_after_a_position_from_the_newest_or_from_now(blank: Blank, server: Serving, room: str) -> None:
    server.fill(room, 5)
    first = server.get(f"/api/messages?channel=chat/{room}")["messages"][0]["seq"]
    found = run(
        blank(),
        """
        const chat = connect()
        const [room, first] = argument
        const all = {}
        for (const [name, options] of Object.entries({ after: { after: first }, last: { last: 1 }, now: {}, none: { last: 0 } })) {
            const other = connect()
            const seen = (all[name] = [])
            await new Promise(resolve => other.channel(`chat/${room}`)
                .on('chat:message', ({ data }) => seen.push(data.text)).onStatus(({ status }) => status === 'live' && resolve()).subscribe(options))
        }
        await chat.send(room, 'live')
        await until(() => Object.values(all).every(seen => seen.at(-1) === 'live'))
        return all
        """,
        [room, first],
    )
    assert found == {
        "after": ["message 2", "message 3", "message 4", "message 5", "live"],
        "last": ["message 5", "live"],
        "now": ["live"],
        "none": ["live"],
    }


def test_handlers_filters_and_leaving(blank: Blank, room: str) -> None:
    found = run(
        blank(),
        """
        const chat = connect(undefined, { userId: 'ada' })
        const channel = chat.channel(`game/${argument}`)
        const moves = event => got.push(['moves', event.data.x, event.userId, event.channel])
        channel.on('move', moves).on('*', event => got.push(['all', event.event])).subscribe()
        await until(() => channel.position)
        await channel.publish('move', { x: 1 })
        await channel.publish('jump')
        channel.off('move', moves)
        await channel.publish('move', { x: 2 })
        const kept = await channel.publish('score', { points: 3 }, { persist: true })
        await until(() => got.length === 5)
        channel.subscribe({ filter: { x: 7 } })
        await channel.publish('move', { x: 6 })
        await channel.publish('move', { x: 7 })
        await until(() => got.length === 6)
        channel.unsubscribe()
        await channel.publish('move', { x: 7 })
        const { messages } = await channel.history({ last: 10 })
        return [got, messages.map(message => [message.event, message.data, message.id === kept.id, message.seq === kept.seq])]
        """,
        room,
    )
    assert found[0] == [
        ["moves", 1, "ada", f"game/{room}"],
        ["all", "move"],
        ["all", "jump"],
        ["all", "move"],
        ["all", "score"],
        ["all", "move"],
    ]
    assert found[1] == [["score", {"points": 3}, True, True]]


def test_patterns_say_which_channel(blank: Blank, room: str) -> None:
    found = run(
        blank(),
        """
        const chat = connect()
        chat.channel(`${argument}/*`).on('*', ({ channel, topic }) => got.push([channel, topic])).subscribe()
        await until(() => chat.channel(`${argument}/*`).position)
        await chat.channel(`${argument}/a`).publish('x')
        await chat.channel(`${argument}/b`).publish('x')
        await until(() => got.length === 2)
        return got
        """,
        room,
    )
    assert found == [[f"{room}/a", f"{room}/*"], [f"{room}/b", f"{room}/*"]]


def test_presence(blank: Blank, room: str) -> None:
    found = run(
        blank(),
        """
        const name = `game/${argument}`
        const ada = connect(undefined, { userId: 'ada' }), grace = connect(undefined, { userId: 'grace' })
        const seen = event => got.push([event.event, event.data.userId ?? event.data.users.map(user => user.userId), event.data.state])
        ada.channel(name).on('*', seen).subscribe().track({ x: 1 })
        await until(() => got.length === 1)
        grace.channel(name).track()
        await until(() => got.length === 2)
        grace.channel(name).track({ y: 2 })
        await until(() => got.length === 3)
        grace.channel(name).untrack()
        await until(() => got.length === 4)
        return got
        """,
        room,
    )
    assert found == [
        ["presence:join", "ada", {"x": 1}],
        ["presence:join", "grace", {}],
        ["presence:update", "grace", {"y": 2}],
        ["presence:leave", "grace", {"y": 2}],
    ]


def test_errors_say_what_is_wrong(blank: Blank, room: str) -> None:
    tab = blank()
    found = run(
        tab,
        """
        const chat = connect()
        chat.on('error', error => got.push(error.code))
        const caught = async work => { try { await work } catch (error) { return [error instanceof ChatkitError, error.code, error.status, error.retryable] } }
        const early = await caught(chat.channel('chat/x').publish('x'))
        await until(() => chat.status === 'open')
        const refused = []
        chat.channel('nochannel').onStatus(({ status, error }) => refused.push([status, error.code])).subscribe()
        await until(() => refused.length)
        return [
            early, ...refused,
            await caught(chat.send('', 'no room')),
            await caught(chat.channel('chat/x').publish('')),
            await caught(chat.channel('game/x').send('not a room')),
            await caught(connect('http://127.0.0.1:9').send('x', 'nobody there')),
        ]
        """,
        room,
    )
    assert found[0] == [True, "not_connected", 0, False]
    assert found[1] == ["error", "invalid_topic"]
    assert found[2][1:] == ["invalid_field", 400, False] or found[2][2] == 400
    assert found[3][0] is True
    assert found[4] == [True, "invalid_topic", 0, False]
    assert found[5] == [True, "unreachable", 0, True]


def test_it_resumes_and_says_what_happens(blank: Blank, own_server: Serving, room: str) -> None:
    tab = blank(own_server)
    run(
        tab,
        """
        window.statuses = []
        window.texts = []
        window.chat = connect(undefined, { userId: 'module', random: () => 0.1 })
        chat.on('status', ({ status }) => statuses.at(-1) !== status && statuses.push(status))
        chat.channel(`chat/${argument}`).on('chat:message', ({ data }) => texts.push(data.text)).subscribe({ last: 10 })
        await until(() => chat.channel(`chat/${argument}`).position)
        """,
        room,
    )
    own_server.send(room, "before")
    until(tab, "window.texts.length === 1")
    own_server.kill()
    until(tab, "window.statuses.includes('waiting')")
    own_server.start()
    own_server.send(room, "while away")
    until(tab, "window.texts.length === 2")
    own_server.stop()
    own_server.start()
    own_server.send(room, "after a graceful stop")
    until(tab, "window.texts.length === 3")
    assert tab.evaluate("() => window.texts") == ["before", "while away", "after a graceful stop"]
    statuses = tab.evaluate("() => window.statuses")
    assert statuses[:3] == ["connecting", "open", "waiting"]
    assert statuses[-1] == "open"


@pytest.mark.parametrize("last", [None, 2])
def test_another_log_is_a_reset(blank: Blank, own_server: Serving, room: str, last: int | None) -> None:
    own_server.fill(room, 3)
    tab = blank(own_server)
    run(
        tab,
        """
        window.seen = []
        window.chat = connect(undefined, { random: () => 0.1 })
        const [room, last] = argument
        chat.channel(`chat/${room}`).on('chat:message', ({ data }) => seen.push(data.text))
            .onStatus(({ status }) => seen.push(status)).subscribe(last === null ? {} : { last })
        await until(() => seen.includes('live'))
        seen.length = 0
        """,
        [room, last],
    )
    own_server.kill()
    own_server.db = own_server.db.with_name("another.db")
    own_server.start()
    until(tab, "window.seen.includes('live')")
    own_server.send(room, "new")
    until(tab, "window.seen.includes('new')")
    assert tab.evaluate("() => window.seen") == ["reset", "subscribed", "live", "new"]
