"""TLS from the client's side: the server's certificate is verified, always."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import ChatkitError

if TYPE_CHECKING:
    from .endpoint import Endpoint


def context(endpoint: Endpoint) -> ssl.SSLContext:
    """The context for a server, with the authorities of the system or of its ``ca_file``.

    Raises:
        ChatkitError: the file holds no certificate.
    """
    return _context(endpoint.ca_file)


@lru_cache(maxsize=8)
def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ChatkitError(f"cannot use --ca-file {ca_file}: {why}") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
