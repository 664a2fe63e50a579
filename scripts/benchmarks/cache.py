"""What the benchmark builds and installs, all of it below `.bench/` and made once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".bench"
LOAD_SOURCES = Path(__file__).parent / "load"
INSTALL_LIMIT_S = 600


class MissingError(Exception):
    """Something that is needed cannot be had here. The text is the reason, in a few words, as the table shows it."""


def say(text: str) -> None:
    """Print progress on stderr, so that stdout is the result alone."""
    print(text, file=sys.stderr, flush=True)


def alone() -> bool:
    """Tell whether this is the only benchmark here, for as long as the process lives; then clear what a killed one left."""
    CACHE.mkdir(exist_ok=True)
    lock = os.open(CACHE / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)  # never closed: that would give it up
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    for old in (CACHE / "data", *CACHE.glob("history-*"), *CACHE.glob("*.making*")):
        shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
    return True


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run an install step and return what it printed; MissingError with the last line of its complaint."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT_S
        )
    except FileNotFoundError:
        raise MissingError(f"needs `{command[0]}`") from None
    except subprocess.TimeoutExpired:
        raise MissingError(f"`{command[0]}` took longer than {INSTALL_LIMIT_S} s") from None
    if done.returncode:
        complaint = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        telling = [line for line in complaint if "error" in line.lower() or line.startswith("E:")]
        raise MissingError(f"`{' '.join(command[:2])}` failed: {(telling or complaint or ['no word why'])[0][:120]}")
    return done.stdout


def _fresh(folder: Path, wanted: str) -> bool:
    """Tell whether `folder` was completed for exactly this; otherwise empty it."""
    stamp = folder / ".complete"
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def _done(folder: Path, wanted: str) -> Path:
    (folder / ".complete").write_text(wanted)
    return folder


def compiled(name: str, sources: list[Path]) -> Path:
    """Return a C program, compiled where its sources have changed."""
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    folder = CACHE / name
    if not _fresh(folder, wanted):
        say(f"compiling {name} ...")
        flags = ["-std=gnu11", "-O3", "-march=native", "-Wall", "-Wextra"]
        files = [str(path) for path in sources if path.suffix == ".c"]
        run([os.environ.get("CC", "cc"), *flags, "-o", str(folder / name), *files])
        _done(folder, wanted)
    return folder / name


def load_generator() -> Path:
    """Return the load generator."""
    return compiled("load", sorted(LOAD_SOURCES.glob("*.[ch]")))


def yardstick() -> Path:
    """Return the program that says what the kernel can do."""
    return compiled("yardstick", [Path(__file__).with_name("yardstick.c")])


def python_with(name: str, *packages: str) -> Path:
    """Return the interpreter of a virtual environment that holds `packages` (pinned)."""
    folder = CACHE / f"python-{name}"
    wanted = " ".join([sys.version, *packages])
    if not _fresh(folder, wanted):
        say(f"installing {', '.join(packages)} ...")
        run([sys.executable, "-m", "venv", str(folder / "venv")])
        env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        run([str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", *packages], env=env)
        _done(folder, wanted)
    return folder / "venv/bin/python"


def node_modules(name: str, *packages: str) -> Path:
    """Return a `node_modules` folder that holds `packages` (pinned)."""
    folder = CACHE / f"node-{name}"
    wanted = " ".join(packages)
    if not _fresh(folder, wanted):
        say(f"installing {', '.join(packages)} ...")
        (folder / "package.json").write_text('{"private": true}')
        run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages], cwd=folder)
        _done(folder, wanted)
    return folder / "node_modules"


def debian_files(name: str, *packages: str) -> Path:
    """Return a folder with the unpacked files of Debian packages: nothing is installed and no root is needed."""
    folder = CACHE / f"debian-{name}"
    wanted = " ".join(packages)
    if not _fresh(folder, wanted):
        say(f"fetching {', '.join(packages)} ...")
        run(["apt-get", "download", *packages], cwd=folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", str(package), str(folder)])
        _done(folder, wanted)
    return folder
