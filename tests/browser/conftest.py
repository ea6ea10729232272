"""A browser, the demo company behind a live server, and what the journeys found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, sync_playwright

from accounts.models import Customer, User
from ilt_site import demo
from privacy import gate
from privacy.gate.system import system
from privacy.requests import execute, writing
from privacy.requests.models import Request
from tests import factories
from tests.browser.visitor import Dimension, Findings, Visitor
from tests.journeys.conftest import _house, house  # noqa: F401  everybody at their doors, without a browser


class Site(NamedTuple):
    """A running site with the demo company behind it, whose logins all have the password of the factories."""

    url: str

    def customer(self, name: str) -> Customer:
        """Return the customer of one of the demo's logins."""
        return Customer.objects.get(user=User.objects.named(name).get())

    def work(self) -> None:
        """Do what the workers would do by now: carry requests on and send letters."""
        for number in Request.objects.values_list("pk", flat=True):
            execute.run(number, clock=timezone.now, pause=lambda: None)
        with system("letter"):
            writing.send_due(now=timezone.now())


@pytest.fixture(scope="module")
def findings() -> Findings:
    """What the journeys of one file saw."""
    return Findings()


@pytest.fixture
def site(live_server: Any, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The demo company behind a live server; copies in a folder of the test, nobody listens at the broker."""
    # Playwright runs a loop of its own in this thread; the test's own queries are as synchronous as ever.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    settings.PORTAL_URL = live_server.url
    with system("demo", kind="operator"):
        demo.load(actor=gate.current(), now=timezone.now())
    for user in User.objects.all():
        user.set_password(factories.PASSWORD)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
    return Site(live_server.url)


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, once for a test."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()


@pytest.fixture
def visitor(site: Site, browser: Browser, findings: Findings, dimension: Dimension) -> Iterator[Visitor]:
    """Somebody at the browser; at the end of the test nothing of what they saw may have been wrong."""
    made = Visitor(browser, site.url, dimension, findings)
    yield made
    made.context.close()
    assert made.wrong == [], "\n".join(["", *made.wrong])
