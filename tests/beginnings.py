"""What several tests of a file begin with, made once for all of them that stand in a row.

    @beginning
    def erased() -> Erased:
        ...  # makes rows; its name is a fixture

    def test_something(erased: Erased) -> None: ...

The rows stand in a transaction around the tests' own: each test undoes what it did to them, and they are undone before
the first test that begins otherwise, with nothing or with a beginning of another name. A test gets what was returned
with its records read again, so that no object in memory carries anything from one test to the next. Tests that share a
beginning are run one after the other, whatever stands between them in the file. Nobody listens at the broker meanwhile;
the copies that a beginning makes are put into the folder of copies of each test.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from django.conf import settings
from django.db.models import Model

T = TypeVar("T")


class Begun(NamedTuple):
    """The beginning whose rows are there, what it returned, where its copies are, and what undoes it."""

    make: Callable[[], Any]
    made: Any
    copies: Path
    undo: ExitStack


_now: Begun | None = None
_MARK = "beginning"


def beginning(make: Callable[[], T]) -> Any:
    """Return the fixture that gives what `make` returns, its records read again, to each test that names it.

    `make` returns records, texts and days, or tuples of them.
    """

    def given(db: None) -> T:
        assert _now is not None and _now.make is make
        for copy in _now.copies.iterdir():
            folder = Path(settings.EXPORT_DIR)  # of this test: see the fixture `quiet`
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(copy, folder)
        made: T = _read_again(_now.made)
        return made

    given.__name__, given.__doc__ = make.__name__, make.__doc__
    setattr(given, _MARK, make)
    return pytest.fixture(given)


def _read_again(made: Any) -> Any:
    if isinstance(made, Model):
        return type(made)._base_manager.get(pk=made.pk)
    if isinstance(made, tuple):
        each = map(_read_again, made)
        return type(made)._make(each) if hasattr(made, "_make") else tuple(each)
    return made


def _of(item: Any) -> Callable[[], Any] | None:
    found = {
        getattr(definitions[-1].func, _MARK)
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        if hasattr(definitions[-1].func, _MARK)
    }
    assert len(found) < 2, f"{item.nodeid} begins with more than one thing"
    return found.pop() if found else None


def _end() -> None:
    global _now
    if _now is not None:
        undo, _now = _now.undo, None
        undo.close()


def _begin(make: Callable[[], Any], blocker: Any) -> None:
    global _now
    from django.core.cache import cache
    from django.db import connections
    from django.test import override_settings

    from tests.journeys.everybody import undone

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(blocker.unblock())
        stack.enter_context(undone())
        for connection in connections.all():  # a busy machine may leave the transaction idle for long
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cache.clear()
        with override_settings(EXPORT_DIR=str(folder), CELERY_BROKER_URL="redis://127.0.0.1:1/0"):
            made = make()
        _now = Begun(make, made, folder, stack.pop_all())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests of a file that share a beginning follow each other."""
    ordered: list[pytest.Item] = []
    for _, group in groupby(items, lambda item: item.path):
        by_beginning: dict[Any, list[pytest.Item]] = {}
        for item in group:
            by_beginning.setdefault(_of(item) if hasattr(item, "_fixtureinfo") else None, []).append(item)
        # Those without one come last: among them are those that commit, which pytest-django puts behind the others.
        rest = by_beginning.pop(None, [])
        ordered += [item for same in by_beginning.values() for item in same] + rest
    items[:] = ordered


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> None:
    """Begin when the databases are there and the transaction of the first test is not yet."""
    if fixturedef.argname == "_django_db_helper":
        make = _of(request.node)
        if _now is not None and _now.make is not make:
            _end()
        if make is not None and _now is None:
            _begin(make, request.getfixturevalue("django_db_blocker"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Undo the rows once the next test begins otherwise."""
    yield
    if _now is not None and (
        nextitem is None or not hasattr(nextitem, "_fixtureinfo") or _of(nextitem) is not _now.make
    ):
        _end()
