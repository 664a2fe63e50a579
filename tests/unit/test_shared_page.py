"""A page that cursors share costs what its events weigh, however many names their topic is given."""

from __future__ import annotations

from chatkit.model import Event, parse_topic
from chatkit.server.cursor import SharedPage


def test_it_forgets_the_spellings_of_clients_that_are_gone() -> None:
    page = SharedPage([Event("chat/a", "e", "1", "u", 1, b"{}", 1)], 1, is_last=False)
    for number in range(100):
        project = f"p{number}"
        topic = parse_topic(f"chat/a/{project}", frozenset({project}))
        assert f"chat/a/{project}".encode() in page.frames(topic)
    assert len(page._frames) <= 4


def test_it_is_encoded_once_for_all_that_call_it_the_same() -> None:
    page = SharedPage([Event("chat/a", "e", "1", "u", 1, b"{}", 1)], 1, is_last=False)
    topic = parse_topic("chat/a", frozenset())
    assert page.frames(topic) is page.frames(parse_topic("chat/a", frozenset()))
