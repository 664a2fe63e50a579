"""TLS for the listener: one context for the life of the server, whose certificate can be replaced."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..errors import ChatkitError


class Certificate:
    """A certificate chain and its key, as files.

    Attributes:
        context: for the listener; TLS 1.2 and newer.
    """

    def __init__(self, chain: Path, key: Path | None) -> None:
        """Read the files.

        Raises:
            ChatkitError: they cannot be used; the message says which, and why.
        """
        self._chain, self._key = chain, key
        self._load(_new_context())
        self.context = _new_context()
        self._load(self.context)

    def reload(self) -> None:
        """Read the files again, for connections to come.

        They are tried on another context first: half a pair would leave the listener without any.

        Raises:
            ChatkitError: they cannot be used; the old ones stay.
        """
        self._load(_new_context())
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        for path in (self._chain, self._key):
            if path is not None:
                _check_readable(path)
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise ChatkitError(self._why(error)) from error
        except (OSError, ValueError) as error:
            raise ChatkitError(f"cannot use {self._chain}: {error}") from error

    def _why(self, error: ssl.SSLError) -> str:
        key = self._key or self._chain
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in {key} is not that of the certificate in {self._chain}"
        try:
            text = self._chain.read_text(errors="replace")
        except OSError:
            text = ""
        if "-----BEGIN CERTIFICATE-----" not in text:
            return f"{self._chain} holds no certificate in PEM"
        if "PRIVATE KEY-----" not in key.read_text(errors="replace"):
            more = "" if self._key else "; name its file with --tls-key"
            return f"{key} holds no private key in PEM{more}"
        return f"cannot use {self._chain} and {key}: {(error.reason or 'unknown').lower().replace('_', ' ')}"


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise ChatkitError(f"cannot read {path}: {error.strerror}") from error


def _no_password() -> str:
    raise ValueError("its key is encrypted, and a server has nobody to ask; decrypt it into a file of mode 0600")
