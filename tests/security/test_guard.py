"""The guard's decisions, as values."""

from __future__ import annotations

import contextlib
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkit import wire
from chatkit.errors import InvalidName, Refused
from chatkit.model import Pattern
from chatkit.server import guard
from chatkit.server.allowance import Allowance, Bucket
from chatkit.server.guard import Origin, Site
from chatkit.server.rights import ANYBODY, EVERYTHING, Grant, Identity, Right
from chatkit.server.routes import ROUTES
from chatkit.server.websocket import Link
from chatkit.web import assets

LOCAL = Site("http", is_local=True)
LAN = Site("http", is_local=False)
NAMED = Site("http", is_local=False, hosts=frozenset({"chat.example.com", ".lan.example"}))


def test_every_route_and_frame_asks_for_a_right() -> None:
    served = {(method, path) for path, methods in ROUTES.items() for method in methods if path not in assets()}
    assert served <= guard.ROUTES.keys()
    assert guard.COMMANDS.keys() == set(get_args(wire.AnyCommand)) == Link._handlers.keys()


def test_what_does_not_exist_is_answered_so_and_what_does_asks_for_something() -> None:
    files = assets()
    assert guard.right_of("GET", "/nothing", files) is Right.NONE
    assert guard.right_of("DELETE", "/api/tokens", files) is Right.MEMBER
    assert guard.right_of("HEAD", "/api/tokens", files) is Right.OWNER
    assert guard.right_of("GET", "/", files) is Right.NONE


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.7", False),
        ("2001:db8::7", False),
        ("localhost.example.com", False),
        ("::ffff:192.0.2.7", False),
    ],
)
def test_an_address_is_loopback_or_wants_tokens(host: str, local: bool) -> None:
    assert guard.is_loopback(host) is local


@pytest.mark.parametrize(
    ("host", "local", "lan"),
    [
        ("127.0.0.1:8787", 200, 200),
        ("127.0.0.1", 200, 200),
        ("127.9.9.9:1", 200, 200),
        ("[::1]:8787", 200, 200),
        ("[::ffff:127.0.0.1]:1", 200, 200),
        ("localhost:8787", 200, 200),
        ("LocalHost.:80", 200, 200),
        ("app.localhost:8787", 200, 200),
        ("192.0.2.7:8787", 403, 200),
        ("[2001:db8::7]:8787", 403, 200),
        ("0.0.0.0:8787", 403, 403),
        ("[::]:8787", 403, 403),
        ("evil.example", 403, 403),
        ("localhost.evil.example:8787", 403, 403),
        ("127.0.0.1.evil.example", 403, 403),
        ("127.1", 403, 403),
        ("2130706433", 403, 403),
        ("0x7f.0.0.1", 403, 403),
        ("chat.example.com", 403, 403),
        ("", 400, 400),
        (":8787", 400, 400),
        ("localhost:99999", 400, 400),
        ("localhost:", 400, 400),
        ("a b", 400, 400),
        ("user@localhost", 400, 400),
        ("localhost/", 400, 400),
        ("[::1", 400, 400),
        ("[zz]", 400, 400),
        ("localhost, localhost", 400, 400),
        ("http://localhost", 400, 400),
    ],
)
def test_the_name_that_a_client_calls_us_by(host: str, local: int, lan: int) -> None:
    assert host_status(LOCAL, host) == local
    assert host_status(LAN, host) == lan


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("chat.example.com", 200),
        ("CHAT.example.com:443", 200),
        ("x.chat.example.com", 403),
        ("a.lan.example", 200),
        ("a.b.lan.example", 200),
        ("lan.example", 403),
        ("evil-lan.example", 403),
    ],
)
def test_names_that_were_allowed(host: str, status: int) -> None:
    assert host_status(NAMED, host) == status


def host_status(site: Site, host: str) -> int:
    try:
        guard.check_host(site, host)
    except Refused as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("site", "host", "origin", "allowed"),
    [
        (LOCAL, "127.0.0.1:8787", "http://127.0.0.1:8787", True),
        (LOCAL, "localhost:8787", "http://localhost:8787", True),
        (LOCAL, "localhost:8787", "HTTP://LOCALHOST:8787", True),
        (LOCAL, "localhost", "http://localhost", True),
        (LOCAL, "localhost:80", "http://localhost", True),
        (LOCAL, "localhost:8787", "http://127.0.0.1:8787", False),  # [::1]:8787 may be another user's server
        (LOCAL, "localhost:8787", "http://localhost:5173", False),
        (LOCAL, "localhost:8787", "https://localhost:8787", False),
        (LOCAL, "localhost:8787", "http://localhost", False),
        (LOCAL, "localhost:8787", "null", False),
        (LOCAL, "localhost:8787", "", False),
        (LOCAL, "localhost:8787", "file://", False),
        (LOCAL, "localhost:8787", "http://localhost:8787/", False),
        (LOCAL, "localhost:8787", "http://localhost:8787.evil.example", False),
        (LOCAL, "localhost:8787", "http://localhost:8787@evil.example", False),
        (LOCAL, "localhost:8787", "http://localhost:8787, http://evil.example", False),
        (LOCAL, "localhost:8787", "chrome-extension://abc", False),
        (Site("https", is_local=False), "192.0.2.7", "https://192.0.2.7", True),
        (Site("https", is_local=False), "192.0.2.7", "http://192.0.2.7", False),
        (
            Site("http", is_local=True, origins=frozenset({guard.allowed_origin("http://localhost:5173/")})),
            "127.0.0.1:8787",
            "http://localhost:5173",
            True,
        ),
        (
            Site("http", is_local=True, origins=frozenset({guard.allowed_origin("https://app.example")})),
            "127.0.0.1:8787",
            "https://app.example:443",
            True,
        ),
    ],
)
def test_the_page_that_asks(site: Site, host: str, origin: str, allowed: bool) -> None:
    authority = guard.check_host(site, host)
    with contextlib.nullcontext() if allowed else pytest.raises(Refused, match="may not use this server"):
        guard.check_origin(site, origin, authority)


def test_a_refused_page_is_told_the_option_by_name() -> None:
    with pytest.raises(Refused, match="--allow-origin http://localhost:5173 lets them"):
        guard.check_origin(LOCAL, "http://localhost:5173", guard.parse_authority("localhost:8787"))
    with pytest.raises(Refused, match=r"--allow-host chat\.example makes it"):
        guard.check_host(LOCAL, "chat.example")


@pytest.mark.parametrize("text", ["*", "null", "localhost", "http://", "http://*", "http://a b", "http://a/path"])
def test_an_origin_to_allow_is_one_origin(text: str) -> None:
    with pytest.raises(InvalidName):
        guard.allowed_origin(text)


@pytest.mark.parametrize("text", ["*", "http://a", "a:80", "", "a/b", "[::1]"])
def test_a_host_to_allow_is_a_name(text: str) -> None:
    with pytest.raises(InvalidName):
        guard.allowed_host(text)


def test_an_ipv6_origin_is_shown_as_it_is_written() -> None:
    assert str(guard.parse_origin("http://[::1]:8787")) == "http://[::1]:8787"
    assert str(Origin("https", "a.example", 443)) == "https://a.example"


# --------------------------------------------------------------------------------------------------- the rights


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("*/**", "chat/general", True),
        ("*/**", "chat/**", True),
        ("*/**", "*/**", True),
        ("*/**", "a/b/c/*", True),
        ("chat/**", "chat/*", True),
        ("chat/**", "chat/a/**", True),
        ("chat/**", "*/a", False),
        ("chat/**", "*/**", False),
        ("chat/*", "chat/**", False),
        ("chat/*", "chat/a", True),
        ("chat/*", "chat/a/b", False),
        ("chat/a", "chat/*", False),
        ("chat/a", "chat/a", True),
        ("a/*/**", "a/**", False),
        ("a/**", "a/*/**", True),
        ("*/*", "a/**", False),
        ("*/a", "b/a", True),
        ("*/a", "b/*", False),
    ],
)
def test_one_pattern_covers_another(wide: str, narrow: str, covers: bool) -> None:
    assert Pattern.parse(wide).covers(Pattern.parse(narrow)) is covers


SEGMENTS = st.sampled_from(["a", "b", "c"])
CHANNELS = st.lists(SEGMENTS, min_size=2, max_size=5).map("/".join)
PATTERNS = st.builds(
    lambda parts, end: "/".join([*parts, end]),
    st.lists(SEGMENTS | st.just("*"), min_size=1, max_size=3),
    SEGMENTS | st.sampled_from(["*", "**"]),
)


@given(PATTERNS, PATTERNS, CHANNELS)
def test_what_covers_matches_all_that_is_covered(wide: str, narrow: str, channel: str) -> None:
    outer, inner = Pattern.parse(wide), Pattern.parse(narrow)
    if outer.covers(inner) and inner.matches(channel):
        assert outer.matches(channel)


@given(PATTERNS, PATTERNS)
def test_what_does_not_cover_misses_something(wide: str, narrow: str) -> None:
    outer, inner = Pattern.parse(wide), Pattern.parse(narrow)
    # A channel of the inner pattern with names that no pattern has: only a `*` or `**` can match them.
    for extra in range(4):
        parts = ["z" if part in ("*", "**") else part for part in inner.parts] + ["z"] * extra
        if inner.matches("/".join(parts)) and not outer.matches("/".join(parts)):
            assert not outer.covers(inner)
            return
    assert outer.covers(inner)


def test_a_grant_says_what_and_why_not() -> None:
    grant = Grant(Identity("ada", (Pattern.parse("chat/*"),), (Pattern.parse("chat/a"),), verified=True))
    assert [grant.may_send(channel) for channel in ("chat/a", "game/7", "chat/a")] == [True, False, True]
    assert [grant.may_read(channel) for channel in ("chat/a", "chat/b", "chat/a")] == [True, False, True]
    with pytest.raises(Refused, match="'ada' may not send to game/7"):
        grant.check_send("game/7")
    with pytest.raises(Refused, match=r"'ada' may not read chat/\*"):
        grant.check_read(Pattern.parse("chat/*"))
    with pytest.raises(Refused, match="you are 'ada' here and cannot send as 'bob'"):
        grant.check_user("bob")
    assert not grant.mask & (Right.ADMIN | Right.OWNER)
    assert Grant(ANYBODY).mask & Right.ADMIN
    assert not Grant(ANYBODY).mask & Right.OWNER
    assert Grant(Identity("ada", EVERYTHING, EVERYTHING, admin=True, verified=True)).mask & Right.OWNER


def test_a_grant_remembers_a_bounded_number_of_channels() -> None:
    grant = Grant(ANYBODY)
    for number in range(20_000):
        assert grant.may_send(f"chat/{number}")
    assert len(grant._may_send) <= 4096


# --------------------------------------------------------------------------------------------------- the limits


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    bucket = Bucket(50, 200)
    for _ in range(200):
        bucket.take(10.0)
    with pytest.raises(Refused) as refused:
        bucket.take(10.0)
    assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_s == pytest.approx(0.02)
    bucket.take(10.021)
    with pytest.raises(Refused):
        bucket.take(10.021)
    for _ in range(200):
        bucket.take(1000.0)
    with pytest.raises(Refused):
        bucket.take(1000.0)


@given(st.lists(st.floats(0, 10), max_size=300), st.integers(1, 100), st.integers(1, 50))
def test_no_more_than_the_burst_and_the_rate_ever_pass(gaps: list[float], rate: int, burst: int) -> None:
    bucket, now, passed = Bucket(rate, burst), 0.0, 0
    for gap in gaps:
        now += gap
        try:
            bucket.take(now)
        except Refused:
            continue
        passed += 1
        assert passed <= burst + rate * now + 1e-6


def test_an_allowance_without_limits_has_none() -> None:
    allowance = Allowance(0, 1, 0)
    assert allowance.bucket is None
    allowance.links = 10**6
    allowance.check_links()
