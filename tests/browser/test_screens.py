"""What it looks like. ``CHATKIT_SCREENSHOTS=1`` writes the pictures to ``tests/browser/screenshots``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from playwright.sync_api import expect

from .conftest import NewTab
from .serving import Serving
from .tab import Tab

FOLDER = Path(__file__).parent / "screenshots"
MINUTE_MS = 60_000
SIZES = {"desktop": (1200, 760, 1), "phone": (390, 780, 2)}

TALK = [
    ("grace", 62, "Import finished, 1.2 million rows, no conflicts. I am closing the window."),
    ("ada", 61, "🎉🎉"),
    ("linus", 48, "Morning! Anybody up for reviewing the new drain logic today? About 120 lines, half of it tests."),
    ("ada", 46, "Me. Give me twenty minutes."),
    ("linus", 45, "Deal. It is this one: https://example.org/review/(412)?tab=diff"),
    ("margaret", 31, "While you are at it: does the client resend with the same id after a lost connection?"),
    ("linus", 29, "Yes, the same id until the server says yes or no. The answer is then"),
    ("linus", 29, '```json\n{"ok": true, "id": "01a2…", "seq": 4117, "duplicate": true}\n```'),
    ("grace", 27, "That is exactly how it should be 👍"),
    ("ada", 2, "I'll start with `journal.py` then, the drain part depends on it."),
]


def test_screens(open_tab: NewTab, own_server: Serving, tmp_path: Path) -> None:
    now_ms = int(time.time() * 1000)
    for user, minutes, text in TALK:
        own_server.send("general", text, user, timestamp=now_ms - minutes * MINUTE_MS)
    for room in ("design", "deploys", "lunch", "random"):
        own_server.send(room, "hello", "grace")
    others = [open_tab(user, at=own_server, in_room="general") for user in ("grace", "linus", "margaret")]
    tabs: dict[str, Tab] = {}
    for name, (width, height, scale) in SIZES.items():
        view = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale}
        tabs[name] = open_tab("ada", at=own_server, in_room="general", reduced_motion="reduce", **view)
        expect(tabs[name].page.locator(".people li")).to_have_count(4)
    own_server.send("design", "The dark theme is in", "grace")
    own_server.send("design", "Have a look", "grace")
    own_server.send("lunch", "Ramen?", "linus")
    tabs["desktop"].say("Back in twenty.")
    folder = FOLDER if os.environ.get("CHATKIT_SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)
    for name, tab in tabs.items():
        tab.sees("Back in twenty.")
        others[0].composer.fill("")
        others[0].composer.press_sequentially("sounds")
        expect(tab.page.locator(".typing")).to_contain_text("grace is typing")
        for scheme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=scheme)
            picture = tab.page.screenshot(path=folder / f"{name}-{scheme}.png")
            assert 10_000 < len(picture) < 200_000
