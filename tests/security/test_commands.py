"""The commands around tokens, TLS and Unix sockets, as processes against a server that is one."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkit.cli import main
from chatkit.client import logins
from chatkit.client.endpoint import Endpoint, find_token, parse_url
from chatkit.errors import ChatkitError, InvalidName

from . import certificates

DEADLINE_S = 60


class Shell:
    """Runs commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "CHATKIT_DB": str(folder / "chat.db"),
            "CHATKIT_LOGINS": str(folder / "config" / "logins.json"),
            "CHATKIT_USER": "",
            "LOGNAME": "login-name",
        }
        self._servers: list[subprocess.Popen[str]] = []

    def run(self, *argv: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chatkit.cli", *argv],
            input=given,
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def ok(self, *argv: str, given: str = "", **environment: str) -> str:
        done = self.run(*argv, given=given, **environment)
        assert done.returncode == 0, done
        return done.stdout

    def serve(self, *options: str) -> str:
        """Start a server and return its URL."""
        process = subprocess.Popen(
            [sys.executable, "-m", "chatkit.cli", "serve", "--port", "0", *options],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._servers.append(process)
        self._said = ""
        assert process.stdout is not None
        for line in process.stdout:
            self._said += line
            if "listening on " in line:
                self.url = line.rpartition(" ")[2].strip()
                self.environment["CHATKIT_URL"] = self.url
                return self.url
        raise AssertionError(f"the server ended: {self._said}")

    @property
    def server(self) -> subprocess.Popen[str]:
        return self._servers[-1]

    @property
    def said(self) -> str:
        """What the server has said up to now, as far as it was read."""
        return self._said

    def hears(self, word: str) -> str:
        """The next line of the server's with ``word`` in it."""
        assert self.server.stdout is not None
        for line in self.server.stdout:
            if word in line:
                return line
        raise AssertionError("the server ended")

    def close(self) -> None:
        for process in self._servers:
            process.send_signal(signal.SIGTERM)
        for process in self._servers:
            assert process.wait(DEADLINE_S) == 0
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.close()


def test_a_server_that_others_can_reach_wants_tokens_or_a_word(shell: Shell) -> None:
    refused = shell.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert refused.stdout == ""
    line = refused.stderr.splitlines()[-1]  # the log may have said something before
    assert "chatkit token create NAME" in line
    assert "--open" in line
    shell.serve("--host", "0.0.0.0", "--open")
    assert "everybody who can reach 0.0.0.0 can read and send everything" in shell.said
    assert "in the clear" in shell.said
    shell.ok("send", "general", "hi")


def test_tokens_are_made_used_and_ended(shell: Shell) -> None:
    secret = shell.ok("token", "create", "ada").strip()
    assert secret.startswith("ck_")
    again = shell.run("token", "create", "ada")
    assert (again.returncode, again.stdout) == (1, "")
    shell.serve("--host", "0.0.0.0")
    listed = shell.ok("token", "list", "--json")  # by the server, which has the file
    assert json.loads(listed)["name"] == "ada"
    assert secret not in listed + shell.ok("token", "list")

    without = shell.run("send", "general", "hi")
    assert without.returncode == 77
    assert "token" in without.stderr
    shell.ok("send", "general", "by variable", CHATKIT_TOKEN=secret)
    (shell.folder / "token").write_text(secret + "\n")
    shell.ok("send", "general", "by file", "--token-file", "token")
    as_bob = shell.run("send", "general", "hi", "--user", "bob", "--token-file", "token")
    assert as_bob.returncode == 77

    wrong = shell.run("login", given="ck_wrong")
    assert wrong.returncode == 77
    assert "logged in" in shell.ok("login", given=secret)
    path = shell.folder / "config" / "logins.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    shell.ok("send", "general", "--lines", given="by login\n")
    tail = shell.ok("tail", "general", "--no-follow", "--json").splitlines()
    events = [json.loads(line) for line in tail]
    assert [(event["userId"], event["data"]["text"]) for event in events] == [
        ("ada", "by variable"),
        ("ada", "by file"),
        ("ada", "by login"),
    ]

    ci = shell.ok("token", "create", "ci", "--send", "builds", "--expires", "1h", "--json")
    (shell.folder / "ci").write_text(json.loads(ci)["token"])
    shell.ok("send", "builds", "done", "--token-file", "ci")
    assert shell.run("send", "general", "hi", "--token-file", "ci").returncode == 77
    assert shell.run("tail", "builds", "--no-follow", "--token-file", "ci").returncode == 77

    following = subprocess.Popen(
        [sys.executable, "-m", "chatkit.cli", "tail", "general", "--json", "--last", "1"],
        env=shell.environment,
        cwd=shell.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline()
    assert "revoked" in shell.ok("token", "revoke", "ada")
    _, complaint = following.communicate(timeout=DEADLINE_S)
    assert following.returncode == 77
    assert "4501" in complaint
    assert "forgotten" in shell.ok("login", "--forget")
    assert shell.run("token", "revoke", "ada").returncode == 1


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("token", "create", "x", "--expires", "soon"), "90s, 45m, 12h, 30d"),
        (("token", "create", "x", "--send", "a b"), "segment"),
        (("token", "create", ""), "empty"),
        (("token", "create"), "missing argument 'NAME'"),
        (("token", "bogus"), "no such command"),
        (("send", "general", "hi", "--token", "ck_x"), "no such option"),
        (("send", "general", "hi", "--token-file", "none"), "none"),
        (("login", "--token", "ck_x"), "no such option"),
        (("serve", "--allow-origin", "*"), "http://localhost:5173"),
        (("serve", "--allow-host", "http://a"), "without scheme"),
        (("serve", "--unix", "here", "--unix-mode", "rw"), "octal"),
        (("serve", "--unix", "here", "--tls-cert", "x"), "exclude"),
        (("serve", "--tls-key", "x"), "--tls-cert"),
        (("serve", "--tls-cert", "none.pem"), "cannot read none.pem"),
        (("serve", "--tls-cert", "chat.db"), "no certificate"),
        (("serve", "--jwt-secret-file", "none"), "cannot read none"),
        (("serve", "--send-rate", "-1"), "--send-rate should be 0 or more"),
        (("send", "general", "hi", "--url", "https://localhost:1", "--ca-file", "none.pem"), "--ca-file none.pem"),
        (("send", "general", "hi", "--url", "unix:nowhere"), "nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATKIT_DB", "chat.db")
    monkeypatch.setenv("COLUMNS", "200")
    code = main(list(argv))
    out, complaint = capsys.readouterr()
    assert code in (1, 2, 69)
    assert out == ""
    line = complaint.splitlines()[-1]  # the log may have said something before
    assert line.startswith("chatkit: ")
    assert why in line
    assert "ck_x" not in line


def test_a_certificate_is_verified_and_replaced_without_a_stop(shell: Shell) -> None:
    one, two = (certificates.make(shell.folder, name) for name in ("localhost", "second"))
    chain, key = shell.folder / "chain.pem", shell.folder / "key.pem"
    chain.write_bytes(one[0].read_bytes())
    key.write_bytes(one[1].read_bytes())
    url = shell.serve("--tls-cert", "chain.pem", "--tls-key", "key.pem")
    assert url.startswith("https://127.0.0.1:")
    untrusted = shell.run("send", "general", "hi")
    assert untrusted.returncode == 69
    assert "--ca-file" in untrusted.stderr
    shell.environment["CHATKIT_CA_FILE"] = str(one[0])
    shell.ok("send", "general", "hi")
    shell.ok("send", "general", "--lines", given="hi again\n")
    assert len(shell.ok("tail", "general", "--no-follow", "--json").splitlines()) == 2
    plain = shell.run("send", "general", "hi", "--url", url.replace("https", "http"), "--timeout", "0.5")
    assert plain.returncode == 124  # nobody says why
    assert shell.run("tail", "general", CHATKIT_CA_FILE=str(two[0])).returncode == 69

    def served() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as sock, context.wrap_socket(sock) as wrapped:
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
            return wrapped.getpeercert(binary_form=True) or b""

    def reload() -> str:
        shell.server.send_signal(signal.SIGHUP)
        return shell.hears("certificate")

    first = served()
    chain.write_bytes(two[0].read_bytes())  # half of the new pair: the old one stays
    assert "not replaced: the key in key.pem is not that of the certificate in chain.pem" in reload()
    assert served() == first
    key.write_bytes(two[1].read_bytes())
    assert "read again" in reload()
    assert served() != first
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), DEADLINE_S) as sock,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        old.wrap_socket(sock)


def test_a_unix_socket_says_who_one_is(shell: Shell) -> None:
    deep = shell.folder / ("d" * 60) / ("e" * 60)  # longer than a socket's address
    deep.mkdir(parents=True)
    url = shell.serve("--unix", str(deep / "door"))
    assert url == f"unix:{deep / 'door'}"
    shell.ok("send", "general", "hi")
    shell.ok("send", "general", "--lines", given="again\n")
    load = ("--subscribers", "2", "--senders", "2", "--messages", "20", "--max-lost", "0")
    shell.ok("bench", *load, "--url", url)
    events = [json.loads(line) for line in shell.ok("tail", "general", "--no-follow", "--json").splitlines()]
    import pwd

    assert {event["userId"] for event in events} == {pwd.getpwuid(os.getuid()).pw_name}
    assert len(events) == 2
    assert shell.run("send", "general", "hi", "--user", "bob").returncode == 77
    taken = shell.run("serve", "--unix", str(deep / "door"), CHATKIT_DB=str(shell.folder / "other.db"))
    assert taken.returncode == 1
    assert "another server" in taken.stderr


def test_a_socket_that_a_dead_server_left_is_taken_over(shell: Shell) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(shell.folder / "door"))
    shell.serve("--unix", "door", "--unix-mode", "660")
    assert stat.S_IMODE((shell.folder / "door").stat().st_mode) == 0o660
    shell.ok("send", "general", "hi")


# --------------------------------------------------------------------------------------------- without a process


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://chat.example", Endpoint("chat.example", 443, is_tls=True)),
        ("wss://chat.example:8443", Endpoint("chat.example", 8443, is_tls=True)),
        ("https://[::1]:8443", Endpoint("::1", 8443, is_tls=True)),
        ("unix:/run/chat", Endpoint("localhost", 80, path="/run/chat")),
        ("unix:///run/chat", Endpoint("localhost", 80, path="/run/chat")),
        ("unix:chat", Endpoint("localhost", 80, path="chat")),
    ],
)
def test_urls(text: str, endpoint: Endpoint) -> None:
    assert parse_url(text) == endpoint
    assert parse_url(endpoint.url) == endpoint


@pytest.mark.parametrize("text", ["unix:", "ftp://a", "https://a/b", "https://u:p@a"])
def test_urls_that_cannot_be(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_url(text)


def test_logins_are_kept_for_each_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = parse_url("http://127.0.0.1:8787"), parse_url("https://chat.example")
    logins.store(here.url, "ck_here")
    logins.store(there.url, "ck_there")
    assert (find_token(here), find_token(there)) == ("ck_here", "ck_there")
    assert find_token(parse_url("http://127.0.0.1:1")) is None
    monkeypatch.setenv("CHATKIT_TOKEN", "ck_variable")
    assert find_token(here) == "ck_variable"
    (tmp_path / "file").write_text(" ck_file \n")
    assert find_token(here, str(tmp_path / "file")) == "ck_file"
    monkeypatch.delenv("CHATKIT_TOKEN")
    logins.store(here.url, None)
    assert find_token(here) is None
    path = tmp_path / "logins.json"
    path.chmod(0o640)
    with pytest.raises(ChatkitError, match="chmod 600"):
        find_token(there)
    path.chmod(0o600)
    path.write_text("{")
    with pytest.raises(ChatkitError, match="damaged"):
        find_token(there)


@pytest.mark.parametrize("content", [b"", b"  \n", b"a b", b"\xff\xfe", "ck_ä".encode()])
def test_a_token_file_without_a_token_is_said_to_be_so_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ChatkitError) as refused:
        find_token(Endpoint("a", 1), str(path))
    assert "ck_ä" not in str(refused.value)
