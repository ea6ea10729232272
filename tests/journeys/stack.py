"""A whole site as `./run` starts it, a browser without JavaScript for it, and everything it stored as bytes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import redis

from ilt_site.launcher import binaries
from tests.running import Running, free_port, run, start

LOGIN = re.compile(r"^  (\w+) +(\w{4}(?:-\w{4})+)  (\w+)$", re.MULTILINE)
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
NEW_PASSWORD = "a new phrase only for this test"


@contextlib.contextmanager
def site(**environment: str) -> Iterator[Running]:
    """Yield a running site with demo data in a folder of its own, which goes with it."""
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:
        Path(made).chmod(0o711)  # the servers' account must pass through
        running = start(Path(made) / "data", free_port(), **environment)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.process.terminate()
                running.process.wait(60)
            run("reset", "--yes", "--data", str(running.folder))


def manage(running: Running, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a management command of the site as an operator does."""
    from tests.running import command, environment

    return subprocess.run(
        command("--data", str(running.folder), "manage", *arguments),
        env=environment(), cwd="/", input=stdin, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def passwords(running: Running) -> dict[str, str]:
    """Return the demo's one-time passwords by user name."""
    return {username: password for username, password, role in LOGIN.findall(running.output)}


class Browser:
    """A browser that keeps cookies, follows redirects and fills in forms."""

    def __init__(self, running: Running) -> None:
        self._site = running
        self.base = f"http://127.0.0.1:{running.port}"
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.url = ""
        self.page = ""

    def get(self, path: str) -> int:
        """Open a page and return its status."""
        return self._open(urllib.request.Request(urllib.parse.urljoin(self.url or self.base, path)))

    def post(self, path: str = "", **data: str) -> int:
        """Send the form of the page that is open and return the status of where it led."""
        token = CSRF.search(self.page)
        data["csrfmiddlewaretoken"] = token[1] if token else ""
        target = urllib.parse.urljoin(self.url or self.base, path)
        request = urllib.request.Request(target, urllib.parse.urlencode(data).encode(), {"Referer": self.url})
        return self._open(request)

    def _open(self, request: urllib.request.Request) -> int:
        try:
            with self._opener.open(request, timeout=60) as answer:
                status, self.url, body = answer.status, answer.url, answer.read()
        except urllib.error.HTTPError as error:
            status, self.url, body = error.code, error.url, error.read()
        self.page = body.decode(errors="replace")
        return int(status)

    def sign_in(self, username: str, one_time: str) -> None:
        """Sign in with a one-time password, staff with the code that an operator prints too, and change the
        password."""
        self.get("/accounts/login/")
        self.post(login=username, password=one_time)
        if "/2fa/authenticate/" in self.url:
            self.post(code=manage(self._site, "demo_code", username).stdout.strip())
        assert "password" in self.url, self.url
        self.post(oldpassword=one_time, password1=NEW_PASSWORD, password2=NEW_PASSWORD)


def stored(running: Running) -> dict[str, bytes]:
    """Return everything the site has stored, by where: both databases, the broker, every log and every file."""
    found: dict[str, bytes] = {}
    programs = binaries.embedded(lambda: running.folder)
    for database in ("ilt", "ilt_keystore"):
        environment = {**os.environ, "PGPASSWORD": running.secrets["superuser"]}
        command = [
            str(programs.postgres / "pg_dump"),
            "-h",
            "127.0.0.1",
            "-p",
            str(running.ports["postgres"]),
            "-U",
            "postgres",
            database,
        ]
        found[f"dump of {database}"] = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    client = redis.Redis(port=running.ports["valkey"], password=running.secrets["broker"])
    for key in client.scan_iter(count=1000):
        found[f"valkey {len(found)}"] = key + b"\n" + _value(client, key)
    for path in sorted(running.folder.rglob("*")):
        # The cluster's own files hold what the dumps hold, in pages; `secrets` holds no personal data.
        if (
            path.is_file()
            and "postgres" not in path.relative_to(running.folder).parts[:-1]
            and path.stat().st_size < 100 << 20
        ):
            found[f"file {path.relative_to(running.folder)}"] = path.read_bytes()
    return found


def _value(client: redis.Redis, key: bytes) -> bytes:
    match client.type(key):
        case b"string":
            parts = [client.get(key)]
        case b"list":
            parts = client.lrange(key, 0, -1)
        case b"hash":
            parts = [part for pair in client.hgetall(key).items() for part in pair]
        case b"set":
            parts = list(client.smembers(key))
        case b"zset":
            parts = client.zrange(key, 0, -1)
        case _:
            parts = []
    return b"\n".join(part for part in parts if part)


def report(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """Return what a command with --json printed."""
    return dict(json.loads(done.stdout))
