"""A headless Chromium, a server, and tabs that must not complain."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from .serving import Serving
from .tab import Tab

NewTab = Callable[..., Tab]

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CI"):
        pytest.fail("no Chromium on the PATH: install Debian's package chromium; CI must run these tests")
    pytest.skip("no Chromium on the PATH (Debian's package is called chromium)")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all; each test has its own contexts, which share nothing."""
    path = _chromium()
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to sandbox root
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, headless=True, args=[*FLAGS, *sandbox])
        expect.set_options(timeout=10_000)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that all tests share; each test has a room of its own."""
    serving = Serving(tmp_path_factory.mktemp("chat"))
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Serving]:
    """A server that this test may kill."""
    serving = Serving(tmp_path)
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room that no other test uses."""
    name = str(request.node.name)
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:40]}-{zlib.crc32(name.encode()) % 10_000}"


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """New browser profiles; tabs of one profile share local storage, tabs of two do not."""
    made: list[BrowserContext] = []

    def new(**options: object) -> BrowserContext:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        made.append(context)
        return context

    yield new
    for context in made:
        context.close()


@pytest.fixture
def open_tab(contexts: Callable[..., BrowserContext], server: Serving, room: str) -> Iterator[NewTab]:
    """Open the page. ``user`` names who is there, ``context`` shares a profile, ``at`` is another server.

    Afterwards no tab may have logged an error, an exception or a violation of the Content-Security-Policy.
    """
    tabs: list[Tab] = []

    def new(
        user: str | None = None,
        *,
        context: BrowserContext | None = None,
        at: Serving | None = None,
        in_room: str | None = None,
        **options: object,
    ) -> Tab:
        tab = Tab(context or contexts(**options), at or server, in_room or room, user)
        tabs.append(tab)
        return tab

    yield new
    problems = [problem for tab in tabs for problem in tab.problems]
    assert problems == []
