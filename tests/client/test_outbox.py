"""The order of what is not answered yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatkit.client.outbox import Outbox, Parcel


def parcel(number: int, deadline: float = 10.0, size: int = 10) -> Parcel[int]:
    return Parcel(str(number).encode().rjust(size, b"."), str(number), deadline, 10.0, number)


def numbers(chunks: list[bytes]) -> list[int]:
    return [int(chunk.strip(b".")) for chunk in chunks]


def test_a_lost_connection_repeats_what_was_not_answered_in_order() -> None:
    outbox: Outbox[int] = Outbox()
    for number in range(4):
        outbox.add(parcel(number))
    assert numbers(outbox.take()) == [0, 1, 2, 3]
    assert outbox.answered().waiter == 0
    outbox.lost()
    outbox.add(parcel(4))
    assert numbers(outbox.take()) == [1, 2, 3, 4]


def test_no_more_is_in_flight_than_the_window_and_one_parcel_always_fits() -> None:
    outbox: Outbox[int] = Outbox(window_bytes=25)
    for number in range(3):
        outbox.add(parcel(number))
    outbox.add(parcel(3, size=100))
    assert numbers(outbox.take()) == [0, 1]
    outbox.answered()
    assert numbers(outbox.take()) == [2]
    outbox.answered(), outbox.answered()
    assert numbers(outbox.take()) == [3]


def test_one_that_was_given_up_keeps_its_place_until_its_answer_has_come() -> None:
    outbox: Outbox[int] = Outbox()
    outbox.add(parcel(0, deadline=1.0))
    outbox.add(parcel(1))
    outbox.take()
    assert [late.waiter for late in outbox.expire(1.0)] == [0]
    assert outbox.expire(2.0) == []
    assert outbox.next_deadline() == 10.0
    assert outbox.answered().waiter == 0
    assert outbox.answered().waiter == 1


def test_one_that_was_given_up_is_not_written_again() -> None:
    outbox: Outbox[int] = Outbox()
    outbox.add(parcel(0, deadline=1.0))
    outbox.add(parcel(1))
    outbox.take()
    outbox.expire(1.0)
    outbox.lost()
    assert numbers(outbox.take()) == [1]


@given(st.lists(st.sampled_from(["add", "take", "answer", "lose", "expire"]), max_size=60))
def test_answers_meet_their_own_requests_whatever_happens(steps: list[str]) -> None:
    outbox: Outbox[int] = Outbox(window_bytes=35)
    on_the_wire: list[int] = []
    answered: list[int] = []
    added = 0
    for now, step in enumerate(steps):
        if step == "add":
            outbox.add(parcel(added, deadline=now + 8.0))
            added += 1
        elif step == "take":
            on_the_wire += numbers(outbox.take())
        elif step == "answer" and on_the_wire:
            one = outbox.answered()
            assert one.waiter == on_the_wire.pop(0)
            answered.append(one.waiter)
        elif step == "lose":
            outbox.lost()
            on_the_wire = []
        elif step == "expire":
            outbox.expire(now)
        assert outbox.written == len(on_the_wire)
        assert outbox.in_flight_bytes == 10 * len(on_the_wire)
        assert outbox.queued_bytes == 10 * len(outbox)
    assert answered == sorted(set(answered))
