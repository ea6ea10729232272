"""What every test gets: both databases, and an empty cache."""

import gc
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from _pytest import runner
from django.test import TransactionTestCase

from tests import cores, databases, debian, machine

pytest_plugins = ["tests.people", "tests.beginnings"]

#: Files that take longest, the longest first: they begin before the others, so that no process ends up with one of them
#: while the others are idle. Up to test_no_leaks what only `./test --all` runs, which waits half of its time; then what
#: takes from 20 seconds to 6.
LONG = (
    "test_errands.py",
    "test_running_site.py",
    "test_pages.py",
    "test_restore.py",
    "test_runbook.py",
    "test_forged_messages.py",
    "test_journeys.py",
    "test_no_leaks.py",
    "test_letters_of_places.py",
    "test_credentials.py",
    "test_admin.py",
    "test_views.py",
    "test_bound.py",
    "test_arguments.py",
    "test_requests.py",
    "test_second_person.py",
    "test_execute.py",
    "test_old_addresses.py",
    "test_due_day.py",
    "test_url_table.py",
    "test_written_past_the_site.py",
    "test_giving_back.py",
    "test_restriction.py",
    "test_house.py",
    "test_changed_records.py",
    "test_retention_oracle.py",
    "test_longer.py",
    "test_replay.py",
    "test_commands.py",
    "test_troubles.py",
    "test_scenarios.py",
    "test_undated.py",
    "test_result.py",
    "test_nightly.py",
    "test_log.py",
    "test_factor.py",
    "test_sign_up.py",
    "test_export.py",
    "test_broken.py",
    "test_machine.py",
    "test_masks.py",
    "test_services.py",
    "test_planted_copies.py",
    "test_login.py",
)
_place = {name: number for number, name in enumerate(LONG)}
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "client", "admin_client"}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw pages without collected static files, and hash passwords fast."""
    from django.conf import settings

    # Passwords of tests are no secrets: Argon2 would be most of the suite's time. It stays second, so that it is known.
    settings.PASSWORD_HASHERS.insert(0, "django.contrib.auth.hashers.MD5PasswordHasher")
    settings.EVEN_TIME_STEP = 0  # the stopwatch's test turns it on
    settings.MAINTENANCE_CHECK_SECONDS = 0  # no task follows the ledger here; the tests of the restore look themselves
    settings.STAFF_SECOND_FACTOR = False  # the tests of the login turn it on
    # Where Django's test client is, as it is for visitors: what differs only where the hosts are the same is seen.
    settings.PORTAL_URL, settings.PORTAL_HOST = "http://testserver", "testserver"
    cores.begin()
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop before the first test when the project does not pass its own checks: an undeclared field, an unsealed
    datum."""
    from django.core import checks

    errors = [error for error in checks.run_checks() if error.is_serious()]
    if errors:
        pytest.exit(
            "The project's own checks fail:\n" + "\n".join(map(str, errors)), returncode=pytest.ExitCode.TESTS_FAILED
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that uses a database both of them (a customer's keys live in the second), and the chosen
    `debian`."""
    items.sort(key=lambda item: _place.get(item.path.name, len(LONG)))
    chosen = {path: debian.is_chosen(path) for path in {item.path for item in items}}
    for item in items:
        if chosen[item.path] or debian.is_chosen(item.path, getattr(item, "originalname", "")):
            item.add_marker(pytest.mark.debian)
        marker = item.get_closest_marker("django_db")
        fixtures = DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        if marker is None and not fixtures - {"client"}:
            continue
        options: dict[str, Any] = {"databases": "__all__", **(marker.kwargs if marker else {})}
        if fixtures & {"transactional_db", "live_server"}:
            options["transaction"] = True
        item.add_marker(pytest.mark.django_db(**options), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector of garbage what lives as long as the process: 4 % of the CPU time of two heavy files."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


def _roomy(do: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return do(*args, **options)


# Python 3.11 keeps frames in chunks of 16 KiB, and where calls go up and down across the end of one it asks the kernel
# for the next one and gives it back, each time: ten times for each statement, a tenth of the CPU time of two files.
# What calls everything else asks for so much at once that half a megabyte is there for all that it calls.
_roomy.__code__ = _roomy.__code__.replace(co_stacksize=50_000)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run each test as pytest does, on its core and with room for its frames."""
    cores.of(item)
    where = {"nodeid": item.nodeid, "location": item.location}
    item.ihook.pytest_runtest_logstart(**where)
    _roomy(runner.runtestprotocol, item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(**where)
    return True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when a test was skipped where nothing may be: in CI everything a test needs has been installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the machine lacks, and what brings it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if told := machine.note(machine.lacking(one.longrepr[2] for one in skipped)):
        terminalreporter.section("skipped")
        for line in told:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """Both databases, as pytest-django's fixture of this name gives them: copied, and put back after a transactional
    test."""
    with django_db_blocker.unblock():
        databases.copy()

    def put_back(case: TransactionTestCase) -> None:
        for alias in case._databases_names(include_mirrors=False):
            databases.put_back(alias)

    flush, TransactionTestCase._fixture_teardown = TransactionTestCase._fixture_teardown, put_back
    yield
    TransactionTestCase._fixture_teardown = flush


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest) -> None:
    """Start each test that uses the databases with an empty cache, so that limits count from zero."""
    if request.node.get_closest_marker("django_db"):
        from django.core.cache import cache

        cache.clear()


@pytest.fixture
def now() -> datetime:
    """The fixed present of the tests, `factories.NOW`."""
    from tests import factories

    return factories.NOW


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; without one the browser tests skip, which CI does not accept."""
    return machine.needed("Chromium")
