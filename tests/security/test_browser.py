"""What a real browser lets a page of another site do to a server on this machine.

The attacker's page comes from another port, and for DNS rebinding from a name that the browser resolves to
127.0.0.1, as the attacker's own name server would.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .doors import Door

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OpenDoor = Callable[..., Door]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REBOUND = "rebound.evil.example"

PAGE = b"<!doctype html><meta charset=utf-8><title>evil</title><p>free kittens"


def missing(what: str) -> None:
    """Skip, visibly; where there is nobody to see it, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if CHROMIUM is None:
        missing("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
            ],
        )
        yield started
        started.close()


class Evil:
    """The attacker's site, on a port of its own; a request to ``/<anything>`` is a page."""

    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.origin = f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nobody reads it."""


@pytest.fixture(scope="module")
def evil() -> Iterator[Evil]:
    site = Evil()
    yield site
    site.close()


@pytest.fixture
def page(browser: Browser, evil: Evil) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(evil.origin)
    yield opened
    context.close()


@pytest.fixture
def door(open_door: OpenDoor) -> Door:
    made = open_door()
    assert made.ask("POST", "/examples/chat/send", {"roomId": "private", "text": "a secret"}).status == 200
    return made


def stored(door: Door) -> list[str]:
    messages = door.ask("GET", "/api/messages").json["messages"]
    return [message["data"]["text"] for message in messages]


WEBSOCKET = """
(url) => new Promise((done) => {
  const socket = new WebSocket(url, ['aerostack-v1'])
  const heard = []
  socket.onopen = () => socket.send(JSON.stringify({type: 'subscribe', topic: 'chat/private', after: 0}))
  socket.onmessage = ({data}) => { heard.push(JSON.parse(data)); if (heard.length > 2) done({opened: true, heard}) }
  socket.onclose = ({code}) => done({opened: heard.length > 0, code, heard})
})
"""

FETCH = """
async ([url, options]) => {
  try {
    const answer = await fetch(url, options)
    return {status: answer.status, type: answer.type, text: await answer.text()}
  } catch (error) { return {failed: String(error)} }
}
"""


def test_a_websocket_of_another_site_does_not_open(page: Page, door: Door) -> None:
    for name in ("127.0.0.1", "localhost"):
        found = page.evaluate(WEBSOCKET, f"ws://{name}:{door.server.port}/api/realtime?userId=victim")
        assert (found["opened"], found["code"], found["heard"]) == (False, 1006, [])


def test_a_form_of_another_site_sends_nothing(page: Page, door: Door) -> None:
    send = f"http://127.0.0.1:{door.server.port}/examples/chat/send"
    # The trick that makes a form's text/plain body JSON: the `=` goes into a string.
    form = """
    ([action, enctype]) => {
      const form = document.createElement('form')
      Object.assign(form, {method: 'POST', action, enctype})
      const field = document.createElement('input')
      field.name = '{"roomId":"private","text":"forged","userId":"'
      field.value = '"}'
      form.append(field)
      document.body.append(form)
      form.submit()
    }
    """
    for enctype in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        with page.expect_navigation() as navigation:
            page.evaluate(form, [send, enctype])
        answer = navigation.value
        assert answer is not None
        assert answer.status == 403
        assert json.loads(answer.text())["code"] == "forbidden"
        page.go_back()
    assert stored(door) == ["a secret"]


def test_a_fetch_of_another_site_reads_and_sends_nothing(page: Page, door: Door) -> None:
    base = f"http://127.0.0.1:{door.server.port}"
    body = json.dumps({"roomId": "private", "text": "forged"})
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("/api/messages", {}),
        ("/api/messages", {"mode": "no-cors"}),
        ("/examples/chat/send", {"method": "POST", "body": body, "headers": {"Content-Type": "application/json"}}),
        ("/examples/chat/send", {"method": "POST", "body": body}),
        ("/examples/chat/send", {"method": "POST", "body": body, "mode": "no-cors"}),
        ("/setup", {"method": "POST", "mode": "no-cors"}),
    ]
    for path, options in attempts:
        found = page.evaluate(FETCH, [base + path, options])
        assert "failed" in found or (found["type"], found["text"]) == ("opaque", ""), (path, options, found)
    beacon = "([url, body]) => navigator.sendBeacon(url, new Blob([body], {type: 'text/plain'}))"
    assert page.evaluate(beacon, [f"{base}/examples/chat/send", body])
    assert page.evaluate(FETCH, [f"{base}/healthz", {}]).keys() == {"failed"}
    assert stored(door) == ["a secret"]


def test_our_page_cannot_be_framed_nor_our_module_imported(page: Page, door: Door) -> None:
    base = f"http://127.0.0.1:{door.server.port}"
    frame = """
    (url) => new Promise((done) => {
      const frame = document.createElement('iframe')
      frame.onload = () => { try { done(frame.contentDocument === null) } catch { done(true) } }
      frame.src = url
      document.body.append(frame)
    })
    """
    assert page.evaluate(frame, f"{base}/")
    framed = next(child for child in page.frames if child is not page.main_frame)
    framed.wait_for_url("chrome-error://chromewebdata/")
    assert "failed" in page.evaluate(
        "async (url) => { try { await import(url); return {} } catch (error) { return {failed: 1} } }",
        f"{base}/chatkit.js",
    )


def test_a_rebound_name_gets_nothing(browser: Browser, door: Door) -> None:
    context = browser.new_context()
    try:
        page = context.new_page()
        home = f"http://{REBOUND}:{door.server.port}"
        answer = page.goto(f"{home}/")  # from now on the page's own origin is this server, as far as the browser knows
        assert answer is not None
        assert answer.status == 403
        assert json.loads(answer.text())["code"] == "forbidden"
        send = {
            "method": "POST",
            "body": json.dumps({"roomId": "private", "text": "rebound"}),
            "headers": {"Content-Type": "application/json"},
        }
        for path, options in (("/api/messages", {}), ("/api/me", {}), ("/examples/chat/send", send)):
            found = page.evaluate(FETCH, [home + path, options])
            assert found["status"] == 403
            assert "a secret" not in found["text"]
        socket = page.evaluate(WEBSOCKET, f"ws://{REBOUND}:{door.server.port}/api/realtime")
        assert (socket["opened"], socket["heard"]) == (False, [])
    finally:
        context.close()
    assert stored(door) == ["a secret"]


def test_an_allowed_site_can_do_all_of_it(page: Page, evil: Evil, open_door: OpenDoor) -> None:
    """The same attempts, let in: so the refusals above are the server's, and not something else's."""
    door = open_door(allow_origins=(evil.origin,))
    base = f"http://127.0.0.1:{door.server.port}"
    send = {
        "method": "POST",
        "body": json.dumps({"roomId": "private", "text": "allowed"}),
        "headers": {"Content-Type": "application/json"},
    }
    assert page.evaluate(FETCH, [f"{base}/examples/chat/send", send])["status"] == 200
    assert "allowed" in page.evaluate(FETCH, [f"{base}/api/messages", {}])["text"]
    socket = page.evaluate(WEBSOCKET, f"ws://127.0.0.1:{door.server.port}/api/realtime")
    assert socket["opened"]
    assert page.evaluate("async (url) => typeof (await import(url)).connect", f"{base}/chatkit.js") == "function"
    refused = page.evaluate(FETCH, [f"{base}/api/tokens", {}])
    assert (refused["status"], json.loads(refused["text"])["code"]) == (401, "unauthorized")


def test_our_own_page_works_and_asks_for_nothing(browser: Browser, door: Door) -> None:
    context = browser.new_context()
    try:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        answer = page.goto(f"http://localhost:{door.server.port}/#chat/private")
        assert answer is not None
        assert answer.status == 200
        page.get_by_text("a secret").first.wait_for(timeout=20_000)
        assert complaints == []
    finally:
        context.close()
