"""The page's files as the package holds them and the server sends them. No browser needed."""

from __future__ import annotations

import gzip
import posixpath
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatkit.web import POLICY, assets

from .serving import Serving

ROOT = Path(__file__).parent.parent.parent
IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']""")
SCRIPTS = sorted(path for path in assets() if path.endswith(".js"))


def test_the_page_is_light() -> None:
    """At most 80 kB compressed, all of it: what a first visit loads."""
    weight = sum(len(asset.gzip or asset.body) for path, asset in assets().items() if not path.endswith(".txt"))
    assert weight <= 80_000


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_import_is_a_file_here(path: str) -> None:
    code = re.sub(r"^\s*(//|\*|/\*).*$", "", assets()[path].body.decode(), flags=re.MULTILINE)
    for name in IMPORT.findall(code):
        assert name.startswith("."), f"{path} imports {name!r}, which a browser cannot resolve"
        assert posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) in assets()


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = assets()["/"].body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    for address in re.findall(r"""(?:src|href)="([^"]+)\"""", page):
        assert address in assets()
    modules = set(re.findall(r'modulepreload" href="([^"]+)"', page))
    assert modules == set(SCRIPTS) - {"/page/theme.js"}


def test_the_policy_allows_no_inline_and_no_eval() -> None:
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")


def test_each_file_says_what_it_is() -> None:
    for path, asset in assets().items():
        assert asset.headers["Content-Security-Policy"] == POLICY
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert asset.headers["Referrer-Policy"] == "no-referrer"
        assert re.fullmatch(r'W/"[0-9a-f]{20}"', asset.etag)
        assert asset.gzip is None or gzip.decompress(asset.gzip) == asset.body
        if path.endswith(".js"):
            assert asset.content_type == "text/javascript; charset=utf-8"
    assert assets() is assets()


def test_the_server_sends_them_compressed_and_only_once(server: Serving) -> None:
    asset = assets()["/chatkit.js"]
    status, fields, body = server.request("GET", "/chatkit.js", headers={"Accept-Encoding": "gzip"})
    assert status == 200
    assert fields["Content-Encoding"] == "gzip"
    assert fields["Content-Type"] == asset.content_type
    assert fields["Content-Security-Policy"] == POLICY
    assert gzip.decompress(body) == asset.body
    assert server.request("GET", "/chatkit.js")[2] == asset.body
    status, _, body = server.request("GET", "/chatkit.js", headers={"If-None-Match": fields["ETag"]})
    assert (status, body) == (304, b"")


def test_what_is_vendored_is_what_was_published() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/vendor", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
