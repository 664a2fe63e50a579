"""Tokens that were given once to ``chatkit login``: one for each URL, in a file that only its owner reads."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from typing import Any

from ..errors import ChatkitError
from .endpoint import logins_path


def stored_token(url: str) -> str | None:
    """The token of a server, ``None`` where there is none.

    Raises:
        ChatkitError: the file is not what :func:`store` writes, or others can read it.
    """
    found = _read().get(url)
    return found if isinstance(found, str) and found else None


def store(url: str, token: str | None) -> None:
    """Keep the token of a server, or with ``None`` forget it.

    Raises:
        ChatkitError: the file cannot be written.
    """
    path = logins_path()
    logins = _read()
    if token is None:
        logins.pop(url, None)
    else:
        logins[url] = token
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump({"tokens": logins}, stream, indent=1)
        os.replace(draft, path)  # a reader sees the old file or the new one, never a half
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise ChatkitError(f"cannot write {path}: {error.strerror}") from error


def _read() -> dict[str, Any]:
    path = logins_path()
    try:
        with open(path, encoding="utf-8") as stream:
            if os.name == "posix" and os.fstat(stream.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ChatkitError(f"others can read the tokens in {path}; make it private: chmod 600")
            found = json.load(stream)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ChatkitError(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        raise ChatkitError(f"{path} is damaged; remove it and log in again") from None
    tokens = found.get("tokens") if isinstance(found, dict) else None
    return tokens if isinstance(tokens, dict) else {}
