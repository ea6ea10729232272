"""The runbook, typed line by line: its drill blocks on Debian's PostgreSQL, its units' command lines, its nginx."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ilt_site.launcher import throwaway
from ilt_site.launcher.servers import dying_with, free_port
from tests import machine
from tests.figures import report

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DRILL = re.compile(r"<!-- drill: (.+?) -->\n```sh\n(.*?)```\n", re.DOTALL)
BLOCKS = dict(DRILL.findall((DOCS / "runbook.md").read_text()))


class Server:
    """A server as the runbook leaves it, in a folder and on ports of its own."""

    def __init__(self, folder: Path, made: throwaway.Servers, keys: throwaway.Servers, elsewhere: Path) -> None:
        self.folder = folder
        self.web, self.tls, self.plain = free_port(), free_port(), free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        commands = folder / "bin"
        commands.mkdir()
        for name in ("ilt", "ilt-backup"):
            shutil.copy(DOCS / "deploy" / name, commands / name)
        (commands / "curl").write_text(
            f'#!/bin/sh\nexec /usr/bin/curl --insecure --connect-to portal.example:443:127.0.0.1:{self.tls} "$@"\n'
        )
        (commands / "curl").chmod(0o755)
        self.env = {
            "PATH": f"{commands}:{made.binaries.postgres}:/usr/bin:/bin",
            "HOME": str(folder),
            "ILT": str(ROOT),
            "ETC": str(folder / "etc"),
            "SERVICE": "root",  # no other user reaches this clone; as another: tests/ilt_site/test_owner.py
            "STATE_DIR": str(folder / "state"),
            "BACKUP": str(folder / "backup"),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(made.postgres_port),
            "KEYPORT": str(keys.postgres_port),
            "PGUSER": "postgres",
            "PGPASSFILE": str(folder / "pgpass"),
            "REDIS": made.broker_url.replace("//:", "//default:"),  # redis-cli wants a name
            "PORTAL_URL": "https://portal.example",
            "RING_COPY": str(elsewhere / "ring.json"),
        }

        passwords = Path(self.env["PGPASSFILE"])
        passwords.touch(mode=0o600)
        passwords.write_text("".join(f"*:{one.postgres_port}:*:postgres:{one.password}\n" for one in (made, keys)))

    def drill(self, name: str, **more: str) -> str:
        """Run one block of the runbook and return what it printed."""
        done = self.shell(BLOCKS[name], **more)
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def shell(self, text: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            env={**self.env, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    def settings(self) -> dict[str, str]:
        lines = (self.folder / "etc" / "ilt.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def start(self) -> None:
        """Start what the three units start, by their ExecStart lines, and nginx by its site."""
        for unit in ("ilt-web", "ilt-worker", "ilt-beat"):
            text = (DOCS / "deploy" / f"{unit}.service").read_text()
            line = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
            assert line and "EnvironmentFile=/etc/ilt/ilt.env" in text
            env = {"PATH": "/usr/bin:/bin", "WEB_BIND": f"127.0.0.1:{self.web}", **self.settings()}
            self._launch(unit, shlex.split(line[1].replace("/srv/ilt", str(ROOT))), env)
        self._launch("nginx", [machine.needed("nginx"), "-c", str(self._nginx())], self.env)

    def _launch(self, name: str, command: list[str], env: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command, env=env, cwd=ROOT, stdout=log, stderr=log, preexec_fn=dying_with(signal.SIGKILL)
                )
            )

    def _nginx(self) -> Path:
        """Write the site of the runbook into a configuration of its own: other ports, a certificate of today."""
        tls = self.folder / "tls"
        tls.mkdir(exist_ok=True)
        self.shell(
            f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=portal.example "
            f"-keyout {tls}/privkey.pem -out {tls}/fullchain.pem"
        )
        site = (DOCS / "deploy" / "nginx.conf").read_text()
        site = re.sub(r"^ *listen \[::\].*\n", "", site, flags=re.MULTILINE)
        for old, new in {
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ": f"listen 127.0.0.1:{self.tls} ",
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self.web}",
            "/etc/ilt/tls": str(tls),
            "/var/log/nginx/ilt-error.log": f"{self.folder}/nginx-error.log",
            "/run/ilt-nginx/": f"{self.folder}/nginx-",
        }.items():
            assert old in site
            site = site.replace(old, new)
        # For the other server of the site, too: Debian's own folders are open to root alone.
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/nginx-http-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = self.folder / "nginx.conf"
        whole.write_text(
            f"daemon off;\npid {self.folder}/nginx.pid;\nerror_log {self.folder}/nginx-error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
        )
        return whole

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def wait_until_healthy(self) -> None:
        self.wait_for(lambda: self.shell('curl -fsS "$PORTAL_URL/health/"').stdout == "ok\n")

    def wait_for(self, condition: Callable[[], bool], seconds: float = 400) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(self.story())
            time.sleep(0.5)

    def story(self) -> str:
        """What the server's parts say of themselves: health by part, the ends of their logs, the broker's queue."""
        queue = subprocess.run(
            ["redis-cli", "-u", self.env["REDIS"], "--no-auth-warning", "llen", "celery"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        alive = [f"{process.args!s:.120}: {process.poll()}" for process in self.processes]
        logs = [f"{path.name}:\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log")]
        return "\n".join([self.get("/health/", token=True)[1], f"queue: {queue.stdout}", *alive, *logs])

    def get(self, path: str, *, token: bool = False) -> tuple[int, str]:
        headers = f'-H "Authorization: Bearer {self.settings()["METRICS_TOKEN"]}"' if token else ""
        done = self.shell(f'curl -sS -w "\\n%{{http_code}}" {headers} "$PORTAL_URL{path}"')
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body + done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    for name in ("nginx", "curl", "openssl"):
        machine.needed(name)
    machine.debian()
    before = os.environ.get("ILT_TEST_SERVERS")
    os.environ["ILT_TEST_SERVERS"] = "debian"
    try:
        with (
            throwaway.servers() as made,
            throwaway.servers() as keys,
            tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere,  # another disk
        ):
            folder = made.folder / "server"
            folder.mkdir()
            running = Server(folder, made, keys, Path(elsewhere))
            try:
                yield running
            finally:
                running.stop()
    finally:
        if before is None:
            del os.environ["ILT_TEST_SERVERS"]
        else:
            os.environ["ILT_TEST_SERVERS"] = before


def test_a_redis_that_refuses_a_line_stops_the_block_before_settings_are_written(server: Server) -> None:
    begin = BLOCKS["roles"].index("BROKER=$(secret)")
    block = "set -eu\numask 077\nsecret() { echo secret; }\n" + BLOCKS["roles"][begin:].replace(
        "+brpop", "+no-such-command"
    )
    with tempfile.TemporaryDirectory() as etc:
        done = server.shell("(" + block, ETC=etc, OWNER="x", APP="x", KEEPER="x")
        assert (done.returncode, list(Path(etc).iterdir())) == (1, [])
    assert "Redis says: ERR Error in ACL SETUSER modifier" in done.stderr
    done = server.shell(
        "(" + block, ETC="/nowhere", OWNER="x", APP="x", KEEPER="x", REDIS="redis://default@127.0.0.1:1/0"
    )
    assert (done.returncode, "Redis says: nothing" in done.stderr) == (1, True)


CUSTOMERS = """customer_ref,company,title,first_name,last_name,email,phone,street,street2,city,region,postal_code,country,marketing_opt_in,since
AW00000001,,,Alice,Archer,alice@example.com,978-555-0123,12 Elm Street,,Salem,MA,01970,US,no,2015-01-01
AW00000002,,,Bob,Barnes,bob@example.com,978-555-0124,13 Elm Street,,Salem,MA,01970,US,no,2026-01-01
"""


def test_the_runbook_holds_from_an_empty_machine_to_an_upgrade(server: Server) -> None:
    # Installation
    server.drill("roles")
    assert "one-time password" in server.drill("prepare").lower()
    assert Path(server.env["RING_COPY"]).read_bytes() == (server.folder / "etc" / "ring.json").read_bytes()
    server.start()
    server.wait_until_healthy()
    server.wait_for(
        lambda: server.shell(BLOCKS["look"]).stdout == "ok\n"
    )  # a worker of a loaded machine may miss a ping
    headers = server.shell('curl -sSI "$PORTAL_URL/accounts/login/"').stdout.lower()
    for name in ("strict-transport-security", "content-security-policy", "x-frame-options", "x-content-type-options"):
        assert headers.count(f"\n{name}:") == 1, name
    assert "__host-csrf=" in headers and "secure" in headers
    assert "server: nginx\n" in headers, "no version"
    redirect = server.shell(f"/usr/bin/curl -sSI -H 'Host: portal.example' http://127.0.0.1:{server.plain}/privacy/")
    assert "location: https://portal.example/privacy/" in redirect.stdout.lower()
    assert server.get("/metrics/", token=True)[0] == 404, "not through nginx"
    bearer = server.settings()["METRICS_TOKEN"]
    direct = f"http://127.0.0.1:{server.web}/metrics/"
    scraped = server.shell(f"/usr/bin/curl -fsS -H 'Host: portal.example' -H 'Authorization: Bearer {bearer}' {direct}")
    assert "ilt_maintenance 0.0" in scraped.stdout
    assert_redis_keeps_its_users_apart(server)
    assert limit_holds(server), "an address that a visitor makes up must not get round the limit"

    # Somebody is erased after the backup
    file = server.folder / "customers.csv"
    file.write_text(CUSTOMERS)
    assert server.shell(f"ilt import_customers {file}").returncode == 0
    made = server.drill("backup").split()
    main, keystore = made[:2]  # and the signed files, if anything is signed by now
    assert all(Path(one).stat().st_mode & 0o077 == 0 for one in made)
    filed = json.loads(
        server.shell(
            "ilt request_file --kind erasure --customer AW00000001 --channel phone --identity callback --json"
        ).stdout
    )
    assert "dry run" in server.shell(f"ilt request_run {filed['reference']} --dry-run").stdout
    ran = server.shell(f"ilt request_run {filed['reference']} --yes")
    assert "answered" in ran.stdout.lower() or "closed" in ran.stdout.lower() or "carried out" in ran.stdout.lower()
    the_row_of_an_answer_comes_back(server, filed["reference"], older=main)
    ledger = Path(server.env["STATE_DIR"], "checkpoints", "ledger.jsonl")
    server.wait_for(lambda: ledger.exists() and filed["reference"] in ledger.read_text())

    # Restore: first the main database, then the key store
    for what, dump in (("restore main", main), ("restore keystore", keystore)):
        server.stop()
        block, replay = BLOCKS[what].split("ilt replay_ledger --dry-run\n")
        done = server.shell(block, FROM=dump)
        assert done.returncode == 0, done.stderr
        refused = server.shell(f"ilt import_customers {file}")
        assert (refused.returncode, "Maintenance mode" in refused.stderr) == (3, True)
        server.start()
        server.wait_for(lambda: server.get("/health/live/")[0] == 200)
        assert server.get("/")[0] == 503
        assert "closed for the moment" in server.get("/privacy/")[1]
        assert "restored from a backup" in server.get("/health/", token=True)[1]
        server.stop()
        replayed = server.shell("ilt replay_ledger --dry-run\n" + replay)
        assert replayed.returncode == 0, replayed.stderr
        server.start()
        server.wait_until_healthy()
        assert server.get("/")[0] == 200
        again = server.shell(f"ilt import_customers {file} --json --dry-run")
        assert json.loads(again.stdout)["created"] == (what == "restore keystore"), "the runbook warns of the blocks"

    # The ring is lost and put back, then rotated
    (server.folder / "etc" / "ring.json").unlink()
    assert "cannot be read" in server.shell("ilt check --deploy").stderr
    assert "problems: none" in server.drill("ring")
    server.drill("rotation")
    assert "versions: 2\n" in server.drill("retire")
    assert "due: True" in server.drill("renewal"), "keys were destroyed above"
    assert Path(server.env["RING_COPY"]).read_bytes() == (server.folder / "etc" / "ring.json").read_bytes()
    server.stop()
    server.start()
    server.wait_until_healthy()
    assert "Roles taken away: privacy" in server.drill("leaving")
    server.drill("upgrade")
    for log in server.folder.glob("*.log"):
        assert b"alice@example.com" not in log.read_bytes(), log.name
    ran = len(BLOCKS)
    report("F15", "blocks of the runbook run word for word", f"{ran} of {ran}", n=1, goal=f"{ran} of {ran}")


def the_row_of_an_answer_comes_back(server: Server, reference: str, *, older: str) -> None:
    """Of an answer whose row was deleted, or replaced by another one, exactly the row of the backup stands again."""
    newer = server.drill("backup").split()[0]
    ours = f"key = 'answer:' || (SELECT id::text FROM privacy_request WHERE reference = '{reference}')"
    row = f'psql -XAtq -d ilt -c "SELECT md5(l::text) FROM privacy_letter l WHERE {ours}"'
    before = server.shell(row).stdout
    assert len(before) == 33
    for spoiled in ("DELETE FROM privacy_letter WHERE", "UPDATE privacy_letter SET id = gen_random_uuid() WHERE"):
        assert server.shell(f'psql -Xq -d ilt -c "{spoiled} {ours}"').returncode == 0
        spoilt = server.shell(row).stdout
        assert spoilt != before
        assert "does not have it" in server.drill("one letter", FROM=older, REFERENCE=reference)
        assert server.shell(row).stdout == spoilt
        server.drill("one letter", FROM=newer, REFERENCE=reference)
        assert server.shell(row).stdout == before


def assert_redis_keeps_its_users_apart(server: Server) -> None:
    """The cache's user reaches no message and the broker's no limit; neither lists names, runs a script or fills the
    memory."""
    cache = redis.Redis.from_url(server.settings()["CACHE_URL"])
    broker = redis.Redis.from_url(server.settings()["REDIS_URL"])
    assert (cache.set("cache:x", "1"), cache.delete("cache:x")) == (True, 1)
    assert broker.lpush("celery-of-nobody", "x") == 1
    assert broker.brpop(["celery-of-nobody"], 1) == (b"celery-of-nobody", b"x")
    for client, forbidden in (
        (cache, [("DEL", "celery"), ("GET", "celery"), ("LPUSH", "cache:x", "x"), ("SETRANGE", "cache:x", 10**8, "x")]),
        (broker, [("DEL", "celery"), ("GET", "cache:x"), ("SET", "celery", "x"), ("ZADD", "celery", 1, "x"),
                  ("LRANGE", "celery", 0, -1), ("SADD", "_kombu.binding.celery", "x"), ("PUBLISH", "x", "x")]),
    ):  # fmt: skip
        for command in (*forbidden, *EVERYBODYS):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
    admin = redis.Redis.from_url(server.env["REDIS"])
    assert admin.config_get("maxmemory")["maxmemory"] == str(256 * 2**20)
    with pytest.raises(redis.exceptions.RedisError):
        cache.set("cache:x", b"x" * 2**21)


# What no user of the site may do.
EVERYBODYS: list[tuple[Any, ...]] = [
    ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("SCAN", 0), ("RANDOMKEY",), ("ACL", "LIST"), ("CONFIG", "GET", "*"), ("INFO",),
    ("EVAL", "return 1", 0), ("FUNCTION", "LIST"), ("SCRIPT", "LOAD", "return 1"), ("CLIENT", "LIST"), ("MONITOR",),
    ("SUBSCRIBE", "x"), ("SHUTDOWN",), ("SAVE",), ("REPLICAOF", "127.0.0.1", 1),
]  # fmt: skip


def limit_holds(server: Server) -> bool:
    """Ask from one machine under a different made-up address each time, until the limit by address answers 429."""
    context = ssl._create_unverified_context()
    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(cookies)
    )
    base = f"https://127.0.0.1:{server.tls}/privacy/ask/"
    for number in range(15):
        headers = {"Host": "portal.example", "Referer": "https://portal.example/privacy/ask/",
                   "X-Forwarded-For": f"203.0.113.{number}"}  # fmt: skip
        page = opener.open(urllib.request.Request(base, headers=headers)).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        data = urllib.parse.urlencode(
            {"csrfmiddlewaretoken": token[1], "email": f"nobody{number}@example.com", "kind": "access"}
        )
        try:
            opener.open(urllib.request.Request(base, data.encode(), headers))
        except urllib.error.HTTPError as error:
            if error.code == 429:
                return True
            if error.code != 404:  # where the redirect leads, under the name of this machine
                raise
    return False


SLOW = 60


def test_slow_connections_from_other_addresses_do_not_keep_visitors_out(server: Server) -> None:
    """The site of the test before is still up, behind the nginx of the runbook."""
    server.wait_until_healthy()
    context = ssl._create_unverified_context()
    lines = []
    for number in range(SLOW):
        plain = socket.create_connection(("127.0.0.1", server.tls), 10, source_address=(f"127.0.1.{number + 1}", 0))
        line = context.wrap_socket(plain, server_hostname="portal.example")
        kind = number % 3
        if kind == 1:  # a request whose header never ends
            line.sendall(b"GET / HTTP/1.1\r\nHost: portal.example\r\nX-Slow: ")
        elif kind == 2:  # a form whose body never comes
            line.sendall(
                b"POST /accounts/login/ HTTP/1.1\r\nHost: portal.example\r\nCookie: __Host-csrf=" + b"a" * 32
                + b"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\na"
            )  # fmt: skip
        lines.append(line)
    answered = 0
    for _ in range(SLOW):
        done = server.shell('curl -sS -m 5 -o /dev/null -w "%{http_code}" "$PORTAL_URL/accounts/login/"')
        answered += done.stdout == "200"
    for line in lines:
        line.close()
    report(
        "B3", "visitors answered beside 60 slow connections", f"{answered} of {SLOW}", n=SLOW, goal=f"{SLOW} of {SLOW}"
    )
    assert answered == SLOW


def test_one_address_cannot_take_all_connections(server: Server) -> None:
    context = ssl._create_unverified_context()
    statuses = []
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            plain = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.tls), 10, source_address=("127.0.2.1", 0))
            )
            line = stack.enter_context(context.wrap_socket(plain, server_hostname="portal.example"))
            line.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: portal.example\r\nContent-Length: 9\r\n\r\na")
            line.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                statuses.append(line.recv(12))
        assert server.get("/health/live/")[0] == 200, "another address is let in"
    assert statuses and set(statuses) == {b"HTTP/1.1 429"}


def test_every_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    program = machine.needed("systemd-analyze")
    for unit in (DOCS / "deploy").glob("ilt-*.service"):
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name.replace("@", "@main")).write_text(text)
    shutil.copy(DOCS / "deploy" / "ilt-backup@.timer", tmp_path / "ilt-backup@main.timer")
    shutil.copy(DOCS / "deploy" / "ilt-renew.timer", tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 7
    done = subprocess.run(
        [program, "verify", *(f"./{name}" for name in names)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_program_the_units_name_is_one_the_runbook_installs() -> None:
    for unit in (DOCS / "deploy").glob("ilt-*.service"):
        line = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.MULTILINE)
        assert line
        assert (ROOT / ".venv" / "bin" / Path(line[1]).name).exists() or Path(line[1]).name in ("ilt-backup", "ilt")
        assert (DOCS / "deploy" / Path(line[1]).name).exists() or line[1].startswith("/srv/ilt/.venv/bin/")
