"""People with an open session at a running site, and the processes and tables of that site."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any

from tests.faults.measuring import until
from tests.journeys import stack
from tests.running import Running

REFERENCE = re.compile(r"PR-\d{4}-[0-9A-Z]{4}-[0-9A-Z]{2}")
UNDER_WAY = ("executed", "replied", "closed")  # as far as the copy of somebody's data goes by itself

# Runs in the site. One password for all, so that it is hashed once; it counts as entered just now.
ARRIVE = """
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest
from django.test import Client
from tests import factories
hashed = make_password(factories.PASSWORD)
for number in range({first}, {first} + {count}):
    user = factories.login(f"patient{{number}}", f"patient{{number}}@example.com", password=None)
    user.password = hashed
    user.save()
    factories.customer("Patient", f"Person{{number}}", email=f"patient{{number}}@example.com", user=user, reference=f"P{{number:06d}}")
    user.refresh_from_db()
    client = Client()
    client.force_login(user)
    request = HttpRequest()
    request.session, request.user = client.session, user
    reauthenticate_by_password(request)
    request.session.save()
    print("SESSION", request.session.session_key)
"""


def arrive(site: Running, count: int, *, first: int) -> list[stack.Browser]:
    """Return the browsers of so many new customers, signed in, who entered their password just now."""
    said = stack.manage(site, "shell", "--no-imports", "-c", ARRIVE.format(first=first, count=count))
    keys = [line.split()[1] for line in said.stdout.splitlines() if line.startswith("SESSION ")]
    assert len(keys) == count, said.stderr[-2000:]
    return [signed_in(site, key) for key in keys]


def signed_in(site: Running, key: str) -> stack.Browser:
    """Return a browser with this session."""
    browser = stack.Browser(site)
    browser.cookies.set_cookie(
        Cookie(0, "session", key, None, False, "127.0.0.1", True, False, "/", True, False, None, False, None, None, {})
    )
    return browser


def file_a_copy(browser: stack.Browser) -> tuple[str, float]:
    """Ask for a copy in the portal; return the reference and how long the answer to the form took, in seconds."""
    browser.get("/privacy/requests/new/access/")
    assert browser.url.endswith("/privacy/requests/new/access/"), browser.url
    begin = time.monotonic()
    assert browser.post() == 200
    took = time.monotonic() - begin
    found = REFERENCE.search(browser.page)
    assert found, browser.url
    return found[0], took


def states(site: Running, references: Sequence[str]) -> dict[str, str]:
    """Return the states of requests as the table says."""
    rows = query(site, "SELECT reference, state FROM privacy_request WHERE reference = ANY(%s)", [list(references)])
    return dict(rows)


def query(site: Running, statement: str, values: Sequence[Any] = (), *, database: str = "ilt") -> list[tuple[Any, ...]]:
    """Return the rows of a statement on one of the site's databases."""
    connection = site.connect("postgres", "superuser", database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())
    finally:
        connection.close()


def until_answered(site: Running, references: Sequence[str], since: float) -> list[float]:
    """Wait until every request has been carried out; return after how many seconds each was first seen taken up."""
    taken: dict[str, float] = {}

    def is_done() -> bool:
        found = states(site, references)
        for reference, state in found.items():
            if state not in ("received", "identity"):
                taken.setdefault(reference, time.monotonic() - since)
        return len(found) == len(references) and all(state in UNDER_WAY for state in found.values())

    until(is_done, lambda: sorted(states(site, references).values()))
    return [*taken.values()]


# The processes of the site --------------------------------------------------------------------------------------------


def process(site: Running, word: str) -> int:
    """Return the one child of the launcher with `word` in its command line: "valkey",
    "bin/postgres", "worker", "beat"."""
    (found,) = _children(site.process.pid, word)
    return found


def _children(pid: int, word: str = "") -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if word.encode() in Path(f"/proc/{one}/cmdline").read_bytes()]


def pool(site: Running, word: str) -> list[int]:
    """Return the process with `word` in its command line and its children."""
    head = process(site, word)
    return [head, *_children(head)]


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Freeze processes until the end of the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen_worker(site: Running) -> Iterator[None]:
    """Freeze the worker with its pool, so that messages wait in the broker."""
    with frozen(*pool(site, "worker")):
        yield


@contextlib.contextmanager
def without_broker(site: Running) -> Iterator[None]:
    """Kill the broker (kill -9); the launcher starts it again after the block."""
    with frozen(site.process.pid):
        broker = process(site, "valkey")
        os.kill(broker, signal.SIGKILL)
        until(lambda: Path(f"/proc/{broker}/cmdline").read_bytes() == b"", lambda: "the broker lives")
        yield


def answers(site: Running) -> bool:
    """Say whether the broker answers."""
    import redis

    try:
        return bool(broker(site).ping())
    except redis.RedisError:
        return False


def broker(site: Running) -> Any:
    """Return a client of the site's broker."""
    import redis

    return redis.Redis(port=site.ports["valkey"], password=site.secrets["broker"], socket_timeout=1)
