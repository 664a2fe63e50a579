"""One browser tab with the chat page, and what a person does and sees in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, expect

if TYPE_CHECKING:
    from .serving import Serving

#: Complaints of the browser about a network that a test has taken away.
_NETWORK = ("net::ERR_", "WebSocket connection to")


def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript expression holds, looked at once a frame.

    Not playwright's ``wait_for_function``, which evaluates strings and is stopped by the page's own policy.
    """
    page.evaluate(
        f"""() => new Promise((resolve, reject) => {{
            const late = performance.now() + 10_000
            const check = () => {{
                if ({condition}) resolve()
                else if (performance.now() > late) reject(new Error('never came true'))
                else requestAnimationFrame(check)
            }}
            check()
        }})"""
    )


class Tab:
    """A tab that notes every error on its console.

    Attributes:
        page: playwright's page.
        problems: console errors, exceptions and Content-Security-Policy violations so far.
        network_fails: set by a test that takes the network away, whose complaints are then expected.
    """

    def __init__(self, context: BrowserContext, server: Serving, room: str, user: str | None = None) -> None:
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.network_fails = False
        self.server = server
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        if user is not None:
            stored = json.dumps(json.dumps(user))
            self.page.add_init_script(
                f"sessionStorage.getItem('chatkit.name') ?? sessionStorage.setItem('chatkit.name', {stored})"
            )
        self.page.goto(f"{server.url}/#chat/{room}")
        expect(self.composer).to_be_visible()
        expect(self.page.locator(".scroller")).to_have_attribute("aria-busy", "false")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        if self.network_fails and any(word in message.text for word in _NETWORK):
            return
        self.problems.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _on_error(self, error: Error) -> None:
        self.problems.append(f"exception: {error.stack or error}")

    @property
    def composer(self) -> Locator:
        return self.page.locator("#composer")

    @property
    def scroller(self) -> Locator:
        return self.page.locator(".scroller")

    def row(self, text: str) -> Locator:
        """The message with exactly this text."""
        return self.page.locator(".row").filter(has=self.page.locator(".text", has_text=text)).filter(has_text=text)

    def say(self, text: str) -> None:
        """Type and press Enter."""
        self.composer.fill(text)
        self.composer.press("Enter")

    def sees(self, text: str) -> None:
        """Wait until a message is shown."""
        expect(self.page.get_by_text(text, exact=True)).to_be_visible()

    def texts(self) -> list[str]:
        """The texts in the document, top to bottom."""
        return self.page.locator(".row .text").all_inner_texts()

    def shows(self, texts: list[str]) -> None:
        """Wait until exactly these messages are in the document."""
        expect(self.page.locator(".row .text")).to_have_text(texts)

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds."""
        until(self.page, condition)

    def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function in the page."""
        return self.page.evaluate(script, argument)

    def scroll_to(self, top: str) -> None:
        """Scroll the messages, as a wheel would, and wait for the event to have been handled."""
        self.run(
            f"""async () => {{
                const list = document.querySelector('.scroller')
                const frame = () => new Promise(requestAnimationFrame)
                // A list that is being laid out right now does not listen: nobody scrolls in the frame that a page opens.
                for (let height = -1; height !== list.scrollHeight; await frame(), await frame()) height = list.scrollHeight
                list.scrollTop = {top}
                await frame()
                await frame()
            }}"""
        )

    def open_room(self, name: str) -> None:
        self.page.locator(".rooms a").filter(has=self.page.get_by_text(name, exact=True)).click()
        expect(self.page.locator("h1 bdi")).to_have_text(name)
        expect(self.scroller).to_have_attribute("aria-busy", "false")
