"""A browser, the demo company behind a live server, and what the journeys found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Browser, sync_playwright

from accounts.models import User
from ilt_site import demo
from privacy import gate
from privacy.gate.system import system
from tests import databases, factories
from tests.browser.site import Site
from tests.browser.visitor import Dimension, Findings, Visitor
from tests.journeys.home import _house, house  # noqa: F401  everybody at their doors, without a browser


@pytest.fixture(scope="module")
def findings() -> Findings:
    """What the journeys of one file saw."""
    return Findings()


@pytest.fixture(scope="module")
def company() -> databases.Kept:
    """The demo company as the first test of a file loads it."""
    return {}


@pytest.fixture
def site(live_server: Any, settings: Any, tmp_path: Any, company: databases.Kept) -> Site:
    """The demo company behind a live server; copies in a folder of the test, nobody listens at the broker."""
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    settings.PORTAL_URL = live_server.url
    if company:
        databases.bring_back(company)
        return Site(live_server.url)
    with system("demo", kind="operator"):
        demo.load(actor=gate.current(), now=timezone.now())
    for user in User.objects.all():
        user.set_password(factories.PASSWORD)
        user.must_change_password = False
        user.save(update_fields=["password", "must_change_password"])
    company.update(databases.keep())
    return Site(live_server.url)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, once for a file; each visitor has a context of their own in it."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs a loop of its own in this thread; the tests' own queries are as synchronous as ever.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()
        # The loop's connections are others than the thread's. They would outlive it, and a test that restores a
        # database in between would end them.
        connections.close_all()


@pytest.fixture
def others() -> Sequence[Dimension]:
    """The dimensions in which each page is looked at besides the one in which the visitor goes about."""
    return ()


@pytest.fixture
def visitor(
    site: Site, browser: Browser, findings: Findings, dimension: Dimension, others: Sequence[Dimension]
) -> Iterator[Visitor]:
    """Somebody at the browser; at the end of the test nothing of what they saw may have been wrong."""
    made = Visitor(browser, site.url, dimension, findings, others)
    yield made
    made.context.close()
    assert made.wrong == [], "\n".join(["", *made.wrong])
