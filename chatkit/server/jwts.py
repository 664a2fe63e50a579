"""Tokens that an application signs: JSON Web Tokens (RFC 7519), checked with the key that the server was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from jwt.algorithms import get_default_algorithms

from ..errors import ChatkitError, InvalidName, Refused
from ..log.tokens import right_pattern
from ..model import MAX_SEQ, MAX_USER_CHARS, Pattern, check_text
from .rights import Identity

#: What a shared secret may sign with. Never in one list with the others: a public key, which anybody has, would
#: then be a secret that verifies HMAC (RFC 8725, 3.1).
_SECRET_ALGORITHMS: Final = ["HS256", "HS384", "HS512"]
_KEY_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: as long as the hash


class Verifier:
    """Checks JWTs against one key."""

    def __init__(self, key: Any, algorithms: list[str], audience: str | None) -> None:
        self._key, self._algorithms, self._audience = key, algorithms, audience

    def identity(self, text: str) -> Identity:
        """Whom ``text`` speaks for.

        ``sub`` is the user, ``exp`` is required, ``send`` and ``read`` are lists of patterns; a claim that is left
        out grants nothing.

        Raises:
            Refused: ``unauthorized``.
        """
        try:
            claims = jwt.decode(
                text,
                self._key,
                algorithms=self._algorithms,
                audience=self._audience,
                options={"require": ["exp", "sub"]},
            )
            name = check_text("user", claims["sub"], MAX_USER_CHARS)
            send, read = _patterns(claims, "send"), _patterns(claims, "read")
            expires_at = int(claims["exp"]) * 1000
            if expires_at > MAX_SEQ:
                raise ValueError("`exp` should be Unix seconds")
        except (jwt.InvalidTokenError, InvalidName, TypeError, ValueError, OverflowError) as error:
            # PyJWT's sentences say which claim is wrong, never what is in the token.
            raise Refused("unauthorized", f"the token is not accepted: {str(error)[:200]}") from None
        return Identity(name, send, read, verified=True, expires_at=expires_at)


def _patterns(claims: dict[str, Any], claim: str) -> tuple[Pattern, ...]:
    given = claims.get(claim, [])
    texts: Sequence[Any] = given.split() if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts) or len(texts) > 256:
        raise TypeError(f"`{claim}` should be a list of patterns")
    return tuple(right_pattern(text) for text in texts)


def load_verifier(secret_file: Path | None, key_file: Path | None, audience: str | None) -> Verifier | None:
    """The verifier that the settings ask for, ``None`` for none.

    Raises:
        ChatkitError: a file cannot be used; the message says why and shows nothing of it.
    """
    if secret_file is not None and key_file is not None:
        raise ChatkitError("--jwt-secret-file and --jwt-public-key-file exclude each other")
    if secret_file is not None:
        secret = _read(secret_file).strip()
        if len(secret) < _MIN_SECRET_BYTES:
            raise ChatkitError(
                f"the JWT secret in {secret_file} has {len(secret)} bytes; {_MIN_SECRET_BYTES} random ones are safe"
            )
        if secret.startswith(b"-----BEGIN"):
            raise ChatkitError(f"{secret_file} holds a key pair's PEM; name it with --jwt-public-key-file")
        return Verifier(secret, _SECRET_ALGORITHMS, audience)
    if key_file is not None:
        return Verifier(*_public_key(key_file, _read(key_file)), audience)
    return None


def _public_key(path: Path, data: bytes) -> tuple[Any, list[str]]:
    """The key, and the algorithms that go with its kind."""
    if b"PRIVATE KEY" in data:
        raise ChatkitError(f"{path} holds a private key; the server needs the public one only")
    known = get_default_algorithms()
    key, names = None, []
    for name in _KEY_ALGORITHMS:
        try:
            key = known[name].prepare_key(data)
        except (KeyError, TypeError, ValueError, jwt.InvalidKeyError):
            continue
        names.append(name)
    if not names:
        raise ChatkitError(f"{path} is no public key in PEM that can verify JWTs (RSA, EC or Ed25519)")
    return key, names


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ChatkitError(f"cannot read {path}: {error.strerror}") from error


def looks_like_jwt(text: str) -> bool:
    """Whether a credential is meant as a JWT: three parts, the first a JSON object in base64."""
    return text.startswith("eyJ") and text.count(".") == 2
