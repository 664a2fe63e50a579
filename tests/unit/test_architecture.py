"""Imports point one way, and each library has one place on each side of the wire."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatkit

ROOT = Path(chatkit.__file__).parent

#: What each part may import of the others: errors <- model <- wire <- {log, client, server}; server and client never
#: meet; the page is only data.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "web": set(),
    "model": {"errors"},
    "wire": {"errors", "model"},
    "log": {"errors", "model", "wire"},
    "unixpath": set(),
    "client": {"errors", "model", "wire", "unixpath"},
    "server": {"errors", "model", "wire", "log", "web", "unixpath"},
    "cli": {"errors", "model", "wire", "client"},
    "__init__": {"errors", "client"},
}

#: Two commands run the server, and five look after its file; every other one talks to it.
MAY_ALSO: dict[str, set[str]] = {
    "cli/serve.py": {"server", "log"},
    "cli/setup.py": {"server", "log"},
    "cli/backup.py": {"log"},
    "cli/restore.py": {"log"},
    "cli/doctor.py": {"log"},
    "cli/prune.py": {"log"},
    "cli/token.py": {"log"},
}

#: Where each library is imported: one module, or one on either side of the wire. Everything that has values on the
#: wire speaks msgspec.
LIBRARIES: dict[str, set[str]] = {
    "aiosqlite": {"log/reader.py"},
    "httptools": {"server/request.py", "client/http1.py"},
    "jwt": {"server/jwts.py"},
    "platformdirs": {"client/places.py", "log/setup.py"},
    "prometheus_client": {"server/metrics.py"},
    "rich": {"cli/doctor.py", "cli/progress.py", "cli/render.py", "cli/serve.py", "cli/top.py"},
    "sqlite3": {
        "client/spool.py",
        "log/checkpoint.py",
        "log/maintenance/copying.py",
        "log/maintenance/doctor.py",
        "log/maintenance/pruning.py",
        "log/opening.py",
        "log/reader.py",
        "log/room.py",
        "log/schema.py",
        "log/setup.py",
        "log/sqlite.py",
        "log/tokens.py",
        "log/writer.py",
    },
    "typer": {"cli/app.py"},
    "uuid_utils": {"log/schema.py", "server/context.py"},
    "uvloop": {"server/app.py", "client/bench/run.py"},
    "websockets": {"server/frames.py", "server/handshake.py", "client/link.py"},
}
ANYWHERE = {"msgspec"}

#: The pure side of the server: no loop, no socket, no file, no clock but what is passed in.
PURE = {"allowance", "frames", "guard", "rights", "presence", "request", "session", "submissions", "subscription"}
IMPURE = {"asyncio", "os", "socket", "sqlite3", "threading", "time"}

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def imports(file: str) -> Iterator[str]:
    """Every module that ``file`` imports, by its whole name."""
    package = ["chatkit", *file.split("/")[:-1]]
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part(file: str) -> str:
    return file.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES)
def test_a_file_imports_only_what_is_below_it(file: str) -> None:
    own = part(file)
    found = {name.split(".")[1] for name in imports(file) if name.startswith("chatkit.")}
    allowed = {own, "__version__", *MAY_IMPORT[own], *MAY_ALSO.get(file, ())}
    assert found <= allowed, f"{file} imports {found - allowed}"


@pytest.mark.parametrize("file", FILES)
def test_a_library_is_imported_in_its_place_only(file: str) -> None:
    for name in imports(file):
        top = name.split(".")[0]
        if top in LIBRARIES:
            assert file in LIBRARIES[top], f"{top} has no place in {file}"
        else:
            assert top in {"chatkit", *ANYWHERE} or top in sys.stdlib_module_names, f"{file} imports {top}"


def test_the_table_of_libraries_holds_nothing_that_is_not_so() -> None:
    used = {(top, file) for file in FILES for top in {name.split(".")[0] for name in imports(file)}}
    assert {(library, file) for library, files in LIBRARIES.items() for file in files} <= used


@pytest.mark.parametrize("module", sorted(PURE))
def test_the_pure_side_of_the_server_touches_nothing(module: str) -> None:
    found = {name.split(".")[0] for name in imports(f"server/{module}.py")}
    assert not found & IMPURE


def test_the_parts_are_those_of_the_table() -> None:
    assert {part(file) for file in FILES} == set(MAY_IMPORT)
