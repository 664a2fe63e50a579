"""Tokens that an application signs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chatkit.errors import ChatkitError, Refused
from chatkit.server.jwts import load_verifier

from .doors import Door, bearer, close_code

SECRET = b"0123456789abcdef0123456789abcdef"
OpenDoor = Callable[..., Door]


def claims(**changed: Any) -> dict[str, Any]:
    found = {"sub": "ada", "exp": int(time.time()) + 600, "send": ["chat/*"], "read": ["**"], **changed}
    return {name: value for name, value in found.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


@pytest.fixture
def door(open_door: OpenDoor, secret_file: Path) -> Door:
    return open_door("LAN", jwt_secret_file=secret_file)


def test_its_claims_are_its_rights(door: Door) -> None:
    token = signed()
    me = door.ask("GET", "/api/me", **bearer(token)).json
    assert (me["userId"], me["verified"], me["send"], me["read"], me["admin"]) == (
        "ada", True, ["chat/*"], ["*/**"], False,
    )  # fmt: skip
    sends = {"chat/general": 200, "game/7": 403}
    for topic, status in sends.items():
        assert door.ask("POST", "/api/publish", {"topic": topic, "event": "x"}, **bearer(token)).status == status
    for shown in (bearer(token), {"sec_websocket_protocol": f"aerostack-v1, aerostack-token.{token}"}):
        with door.peer("?userId=bob", **shown) as peer:
            peer.subscribe("chat/general")
            peer.say("chat", roomId="general", text="hi")
            assert peer.hear()["userId"] == "ada"
    assert door.ask("GET", "/metrics", **bearer(token)).status == 403
    assert door.ask("GET", "/api/tokens", **bearer(token)).status == 403


def test_a_claim_that_is_left_out_grants_nothing(door: Door) -> None:
    token = signed(send=None, read=None)
    assert door.ask("GET", "/api/me", **bearer(token)).json["send"] == []
    assert door.ask("GET", "/api/channels", **bearer(token)).status == 403
    with door.peer(**bearer(token)) as peer:
        peer.say("subscribe", topic="chat/a")
        assert peer.error()["code"] == "forbidden"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": 10**30},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 129},
        {"send": "table/x"},
        {"send": {"a": 1}},
        {"read": [5]},
        {"read": ["a b/c"]},
        {"nbf": 4102444800},
        {"aud": "another application"},
    ],
)
def test_wrong_claims_are_not_let_in(door: Door, changed: dict[str, Any]) -> None:
    try:
        token = signed(**changed)
    except TypeError:  # PyJWT does not sign some of them
        token = forged({"alg": "HS256", "typ": "JWT"}, claims(**changed), SECRET)
    answer = door.ask("GET", "/api/me", **bearer(token))
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert token not in answer.json["error"]


def forged(head: dict[str, Any], body: dict[str, Any], key: bytes | None) -> str:
    import hashlib
    import hmac

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = f"{part(json.dumps(head).encode())}.{part(json.dumps(body).encode())}"
    signature = b"" if key is None else hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{part(signature)}"


def test_wrong_signatures_are_not_let_in(door: Door) -> None:
    good = signed()
    head, body, signature = good.split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims(sub="root")).encode()).rstrip(b"=").decode()
    for token in (
        signed(b"another secret, as long as the other"),
        f"{head}.{other}.{signature}",
        f"{head}.{body}.",
        forged({"alg": "none", "typ": "JWT"}, claims(), None),
        forged({"alg": "None", "typ": "JWT"}, claims(), None),
        forged({"alg": "HS256", "typ": "JWT", "crit": ["x"], "x": 1}, claims(), SECRET),
        "eyJ.eyJ.eyJ",
    ):
        assert door.ask("GET", "/api/me", **bearer(token)).status == 401, token


def test_it_ends_on_a_live_connection_when_it_expires(door: Door) -> None:
    with door.peer(**bearer(signed(exp=int(time.time()) + 2))) as peer:
        peer.subscribe("chat/a")
        assert close_code(peer) == 4501


def test_a_fresh_one_keeps_the_connection(door: Door) -> None:
    with door.peer(**bearer(signed(exp=int(time.time()) + 2))) as peer:
        peer.subscribe("chat/a")
        expires_at = int(time.time()) + 3
        peer.say("auth", token=signed(exp=expires_at))
        assert peer.sync() == []
        assert close_code(peer) == 4501
        assert time.time() >= expires_at - 0.1


KEYS: dict[str, tuple[Any, list[str]]] = {
    "RSA": (rsa.generate_private_key(public_exponent=65537, key_size=2048), ["RS256", "PS256", "RS512"]),
    "P-256": (ec.generate_private_key(ec.SECP256R1()), ["ES256"]),
    "P-384": (ec.generate_private_key(ec.SECP384R1()), ["ES384"]),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate(), ["EdDSA"]),
}


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


@pytest.mark.parametrize("kind", KEYS)
def test_a_public_key_verifies_its_own_algorithms_and_no_other(kind: str, tmp_path: Path) -> None:
    key, algorithms = KEYS[kind]
    path = tmp_path / "key.pem"
    path.write_bytes(public_pem(key))
    verifier = load_verifier(None, path, None)
    assert verifier is not None
    for algorithm in algorithms:
        assert verifier.identity(signed(key, algorithm)).name == "ada"
    # The public key, which everybody has, taken for a secret (CVE-2015-9235).
    confused = forged({"alg": "HS256", "typ": "JWT"}, claims(), public_pem(key))
    for other, (other_key, other_algorithms) in KEYS.items():
        if other != kind:
            with pytest.raises(Refused):
                verifier.identity(signed(other_key, other_algorithms[0]))
    for token in (confused, signed(), forged({"alg": "none"}, claims(), None)):
        with pytest.raises(Refused):
            verifier.identity(token)


def test_an_audience_is_compared_where_one_is_set(secret_file: Path) -> None:
    verifier = load_verifier(secret_file, None, "chat")
    assert verifier is not None
    assert verifier.identity(signed(aud="chat")).name == "ada"
    for changed in ({"aud": "mail"}, {}):
        with pytest.raises(Refused):
            verifier.identity(signed(**changed))


def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    def file(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    key = KEYS["P-256"][0]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cases: list[tuple[Path | None, Path | None, str]] = [
        (tmp_path / "none", None, "cannot read"),
        (None, tmp_path / "none", "cannot read"),
        (file("short", b"hunter2"), None, "7 bytes; 32 random ones"),
        (file("pem", public_pem(key)), None, "--jwt-public-key-file"),
        (None, file("private", private), "private key"),
        (None, file("junk", b"junk"), "no public key"),
        (file("a", SECRET), file("b", public_pem(key)), "exclude"),
    ]
    for secret, public, why in cases:
        with pytest.raises(ChatkitError, match=why) as refused:
            load_verifier(secret, public, None)
        assert "\n" not in str(refused.value)
        assert "hunter2" not in str(refused.value)
    assert load_verifier(None, None, None) is None


def test_users_share_what_they_have_left_however_many_tokens_they_show(open_door: OpenDoor, secret_file: Path) -> None:
    door = open_door("LAN", jwt_secret_file=secret_file, send_rate=1, send_burst=3)
    body = {"roomId": "r", "text": "hi"}
    statuses = [
        door.ask("POST", "/examples/chat/send", body, **bearer(signed(exp=int(time.time()) + 600 + number))).status
        for number in range(6)
    ]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses[3:]
    assert door.ask("POST", "/examples/chat/send", body, **bearer(signed(sub="bob"))).status == 200
