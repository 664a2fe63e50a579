"""Subscribing from a position: after, last, epoch, recovered."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import Server
from .peer import Peer, seqs, texts
from .raw import request_bytes

SEND = "/examples/chat/send"


def send(server: Server, room: str, *texts: str) -> list[int]:
    """Send messages in one go and return their seqs."""
    with server.raw() as raw:
        raw.send(b"".join(request_bytes("POST", SEND, {"roomId": room, "text": text}) for text in texts))
        return [raw.response().json["seq"] for _ in texts]


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def live(peer: Peer) -> int:
    found = peer.hear()
    assert found["type"] == "live", found
    position: int = found["seq"]
    return position


def test_without_a_position_only_what_is_new_comes(shared: Server, room: str) -> None:
    send(shared, room, "old")
    with shared.peer() as peer:
        answer = peer.subscribe(f"chat/{room}")
        assert answer["recovered"] is True
        assert answer["epoch"]
        (new,) = send(shared, room, "new")
        (found,) = peer.events(1)
        assert (found["seq"], found["data"]["text"]) == (new, "new")


def test_after_replays_what_followed_then_says_live_then_goes_on(shared: Server, room: str) -> None:
    sent = send(shared, room, *numbers(1, 5))
    send(shared, f"{room}-other", "elsewhere")
    with shared.peer() as peer:
        answer = peer.subscribe(f"chat/{room}", after=sent[1])
        assert answer["recovered"] is True
        assert seqs(peer.events(3)) == sent[2:]
        assert live(peer) >= sent[-1]
        new = send(shared, room, *numbers(6, 7))
        assert seqs(peer.events(2)) == new


def test_after_nothing_is_everything(shared: Server, room: str) -> None:
    sent = send(shared, room, *numbers(1, 3))
    with shared.peer() as peer:
        assert peer.subscribe(f"chat/{room}", after=0)["recovered"] is True
        assert seqs(peer.events(3)) == sent


def test_a_position_that_is_level_is_live_at_once(shared: Server, room: str) -> None:
    send(shared, room, "old")
    with shared.peer() as peer:
        answer = peer.subscribe(f"chat/{room}")
        again = peer.subscribe(f"chat/{room}", after=answer["seq"], epoch=answer["epoch"])
        assert again["recovered"] is True
        assert live(peer) == again["seq"]
        assert peer.sync() == []


@pytest.mark.parametrize("count", [1, 299, 300, 301, 900, 5000])
def test_a_replay_of_any_length_has_every_event_once_and_in_order(
    make_server: Callable[..., Server], count: int
) -> None:
    server = make_server()
    sent = send(server, "a", *numbers(1, count))
    for again in (server, None):
        current = again or restarted(server, make_server)
        with current.peer() as peer:
            peer.subscribe("chat/a", after=0)
            assert seqs(peer.events(count)) == sent
            assert live(peer) == count


def restarted(server: Server, make_server: Callable[..., Server]) -> Server:
    """Whose log is on disk only, and not in memory."""
    server.stop()
    return make_server()


@pytest.mark.parametrize(
    ("last", "found"), [(1, ["5"]), (3, ["3", "4", "5"]), (5, numbers(1, 5)), (100, numbers(1, 5))]
)
def test_last_replays_the_newest(shared: Server, room: str, last: int, found: list[str]) -> None:
    send(shared, room, *numbers(1, 5))
    send(shared, f"{room}-other", *numbers(1, 20))
    with shared.peer() as peer:
        assert peer.subscribe(f"chat/{room}", last=last)["recovered"] is True
        assert texts(peer.events(len(found))) == found
        live(peer)
        send(shared, room, "new")
        assert texts(peer.events(1)) == ["new"]


@pytest.mark.parametrize("last", [0, 10])
def test_last_of_an_empty_channel_is_live(shared: Server, room: str, last: int) -> None:
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}", last=last)
        frames = peer.sync()
        assert [found["type"] for found in frames] in ([], ["live"])
        send(shared, room, "new")
        assert texts(peer.events(1)) == ["new"]


def test_last_through_a_pattern_is_the_newest_of_all_its_channels(shared: Server, room: str) -> None:
    for number in range(6):
        send(shared, f"{room}/{number % 2}", str(number))
    with shared.peer() as peer:
        peer.subscribe(f"chat/{room}/*", last=3)
        frames = peer.events(3)
        assert texts(frames) == ["3", "4", "5"]
        assert [found["channel"] for found in frames] == [f"chat/{room}/{number % 2}" for number in (3, 4, 5)]


def test_another_epoch_is_not_recovered(shared: Server, room: str) -> None:
    send(shared, room, "old")
    with shared.peer() as peer:
        answer = peer.subscribe(f"chat/{room}", after=0, epoch="another")
        assert answer["recovered"] is False
        assert answer["epoch"] != "another"
        assert all(found["type"] == "live" for found in peer.sync())
        send(shared, room, "new")
        assert texts(peer.events(1)) == ["new"]


def test_a_position_beyond_the_head_is_not_recovered(shared: Server, room: str) -> None:
    with shared.peer() as peer:
        for after in (10**9, 2**53 - 1, 2**70):
            answer = peer.subscribe(f"chat/{room}", after=after)
            assert answer["recovered"] is False
            assert answer["seq"] < 10**9
            peer.sync()


def test_a_position_older_than_what_is_kept_is_not_recovered(make_server: Callable[..., Server]) -> None:
    server = make_server()
    sent = send(server, "a", *numbers(1, 5))
    server.on_loop(lambda: setattr(server.context.log, "floor", 3))
    with server.peer() as peer:
        assert peer.subscribe("chat/a", after=2)["recovered"] is False
        peer.sync()
        assert peer.subscribe("chat/a", after=3)["recovered"] is True
        assert seqs(peer.events(2)) == sent[3:]


def test_a_reconnect_resumes_with_no_gap_and_no_duplicate(shared: Server, room: str) -> None:
    heard: list[str] = []
    position, epoch = 0, None
    for round_ in range(5):
        with shared.peer() as peer:
            answer = peer.subscribe(f"chat/{room}", after=position, epoch=epoch)
            assert answer["recovered"] is True
            epoch = answer["epoch"]
            send(shared, room, *numbers(round_ * 10, round_ * 10 + 9))
            while len(heard) < round_ * 10 + 5:  # and leaves in the middle
                found = peer.hear()
                if found["type"] == "event":
                    heard.append(found["data"]["text"])
                    position = found["seq"]
            peer.reset()
    assert heard == numbers(0, 44)
