"""With the broker stopped or frozen a request is filed at once, with a reference, and proceeds afterwards."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ilt_site.test_launcher import Running, wait_for
from tests.journeys import stack

pytestmark = [pytest.mark.journey, pytest.mark.fault]
SECONDS_TO_FILE = 2.5
REFERENCE = re.compile(r"PR-\d{4}-[0-9A-Z]{4}-[0-9A-Z]{2}")


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with stack.site() as running:
        yield running


def valkey(site: Running) -> int:
    """Return the process id of the site's broker: a child of the launcher."""
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
    (found,) = [pid for pid in children if "valkey" in Path(f"/proc/{pid}/cmdline").read_text()]
    return int(found)


def file_a_copy(browser: stack.Browser) -> tuple[str, float]:
    """Ask for a copy in the portal; return the reference and how long the answer took, in seconds."""
    browser.get("/privacy/requests/new/access/")
    if "reauthenticate" in browser.url:
        browser.post(password=stack.NEW_PASSWORD)
    begin = time.monotonic()
    assert browser.post() == 200
    took = time.monotonic() - begin
    found = REFERENCE.search(browser.page)
    assert found, browser.url
    return found[0], took


def test_a_frozen_broker_delays_nothing_for_the_person(site: Running) -> None:
    alice = stack.Browser(site)
    alice.sign_in("alice", stack.passwords(site)["alice"])
    broker = valkey(site)
    os.kill(broker, signal.SIGSTOP)
    try:
        reference, took = file_a_copy(alice)
    finally:
        os.kill(broker, signal.SIGCONT)
    print(f"filed in {took:.2f} s")
    assert took <= SECONDS_TO_FILE
    assert wait_for(lambda: state(site, reference) in ("executed", "replied", "closed"), 120)


def test_a_stopped_broker_delays_nothing_for_the_person(site: Running) -> None:
    bob = stack.Browser(site)
    bob.sign_in("bob", stack.passwords(site)["bob"])
    launcher = site.process.pid
    os.kill(launcher, signal.SIGSTOP)  # so that it does not start the broker again at once
    try:
        os.kill(valkey(site), signal.SIGKILL)
        reference, took = file_a_copy(bob)
    finally:
        os.kill(launcher, signal.SIGCONT)
    print(f"filed in {took:.2f} s")
    assert took <= SECONDS_TO_FILE
    assert wait_for(lambda: state(site, reference) in ("executed", "replied", "closed"), 120)


def state(site: Running, reference: str) -> str:
    return str(stack.report(stack.manage(site, "request_show", reference, "--json"))["state"])
