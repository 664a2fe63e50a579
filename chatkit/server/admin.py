"""The routes about identities: who am I, and tokens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .. import wire
from ..errors import InvalidName, LogError, Refused
from ..log import tokens

if TYPE_CHECKING:
    from .exchange import Exchange


def me(exchange: Exchange) -> None:
    """Who the server takes the caller for, and what they may do."""
    identity = exchange.grant.identity
    answer = wire.Me(
        identity.name,
        identity.verified,
        [pattern.text for pattern in identity.send],
        [pattern.text for pattern in identity.read],
        identity.admin,
        identity.expires_at,
    )
    exchange.answer(200, wire.encode(answer))


def list_tokens(exchange: Exchange) -> None:
    """Every token that is not revoked, without the secrets, which nobody has."""
    found = [
        wire.TokenInfo(token.name, token.send, token.read, token.admin, token.created_at, token.expires_at)
        for token in exchange.context.access.tokens()
    ]
    exchange.answer(200, wire.encode(wire.TokenList(found)))


def create_token(exchange: Exchange) -> None:
    """A new token; the only time that its secret is seen."""
    body = wire.decode_with(wire.token_body, exchange.request.body, "body")
    try:
        token = tokens.make(
            body.name,
            body.send,
            body.read,
            admin=body.admin,
            now_ms=time.time_ns() // 1_000_000,
            expires_at=body.expiresAt,
        )
    except InvalidName as error:
        raise Refused("invalid_field", str(error)) from None
    exchange.run(_create(exchange, token))


async def _create(exchange: Exchange, token: tokens.Token) -> None:
    try:
        secret = await exchange.context.access.create(token)
    except LogError as error:
        raise Refused("unavailable", f"the token cannot be stored: {error}") from error
    exchange.answer(200, wire.encode(wire.NewToken(token=secret)))


def revoke_token(exchange: Exchange) -> None:
    """The end of a token, and of everything that was opened with it."""
    body = wire.decode_with(wire.revoke_body, exchange.request.body, "body")
    exchange.run(_revoke(exchange, body.name))


async def _revoke(exchange: Exchange, name: str) -> None:
    try:
        await exchange.context.access.revoke(name)
    except LogError as error:
        raise Refused("unavailable", f"the end of the token cannot be stored: {error}") from error
    exchange.answer(200, b'{"ok":true}')
