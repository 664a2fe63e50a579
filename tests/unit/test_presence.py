"""Who is here, without connections."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatkit.server.presence import JOIN, LEAVE, UPDATE, Change, Presence


def told(change: Change | None) -> tuple[str, Any, int] | None:
    if change is None:
        return None
    data = json.loads(change.data)
    assert data["userId"] == change.user_id
    return change.event, data["state"], data["connections"]


def test_join_update_leave() -> None:
    presence = Presence()
    assert told(presence.track("a/b", "ada", 1, b"{}")) == (JOIN, {}, 1)
    assert told(presence.track("a/b", "ada", 1, b'{"n":1}')) == (UPDATE, {"n": 1}, 1)
    assert told(presence.track("a/b", "ada", 2, b"2")) == (UPDATE, 2, 2)
    assert told(presence.untrack("a/b", "ada", 1)) == (UPDATE, 2, 1)
    assert told(presence.untrack("a/b", "ada", 1)) is None
    assert told(presence.untrack("a/b", "ada", 2)) == (LEAVE, 2, 0)
    assert told(presence.untrack("a/b", "ada", 2)) is None
    assert presence.channels() == []


steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["a/a", "a/b"]), st.sampled_from(["ada", "bob"]), st.integers(1, 3)),
    max_size=40,
)


@given(steps)
def test_any_order_of_steps_leaves_exactly_those_who_track(taken: list[tuple[bool, str, str, int]]) -> None:
    presence, model = Presence(), dict[tuple[str, str], set[int]]()
    for place, (tracks, channel, user, connection) in enumerate(taken):
        here = model.setdefault((channel, user), set())
        before = len(here)
        if tracks:
            here.add(connection)
            change = presence.track(channel, user, connection, str(place).encode())
            assert told(change) == (UPDATE if before else JOIN, place, len(here))
        else:
            there = connection in here
            here.discard(connection)
            change_or_none = presence.untrack(channel, user, connection)
            assert (change_or_none is not None) == there
            if change_or_none is not None:
                assert change_or_none.event == (UPDATE if here else LEAVE)
    for channel in ("a/a", "a/b"):
        found = {user.userId: user.connections for user in presence.users(channel)}
        assert found == {user: len(here) for (name, user), here in model.items() if name == channel and here}
    assert set(presence.channels()) == {channel for (channel, _), here in model.items() if here}
