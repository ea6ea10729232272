"""A task that fails leaves one line that names it, and nothing of what it was given."""

import copy
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ilt_site.celery import app
from privacy import tasks
from tests.ilt_site.test_logs import lines, written  # noqa: F401


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("task", "arguments", "kind"),
    [
        (tasks.seal_audit, ("alice@example.com",), "TypeError"),
        (tasks.advance, ("alice@example.com", "x", 1), "ValueError"),
    ],
)
def test_a_task_that_fails_is_named_in_the_log(
    task: object,
    arguments: tuple[object, ...],
    kind: str,
    written: StringIO,  # noqa: F811  the fixture
) -> None:
    task.apply(args=arguments)  # type: ignore[attr-defined]
    (told,) = [line for line in lines(written) if line["event"] == "task_failed"]
    assert (told["task"], told["level"]) == (task.name, "error")  # type: ignore[attr-defined]
    assert told["exception"] == kind
    assert told["frames"]
    assert "alice" not in json.dumps(told)


@pytest.mark.parametrize("name", ["retention-sweep", "key-collector"])
@pytest.mark.parametrize("noon_before", [datetime(2028, 3, 10, 17, tzinfo=UTC), datetime(2028, 11, 3, 16, tzinfo=UTC)])
def test_a_nightly_task_runs_once_in_each_night_also_when_the_clocks_change(
    settings: Any, name: str, noon_before: datetime
) -> None:
    """In March the hour of the sweep does not exist on that night, in November it could come twice."""
    schedule = copy.copy(settings.CELERY_BEAT_SCHEDULE[name]["schedule"])
    schedule.app = app
    last = now = noon_before
    nights = []
    while now < noon_before + timedelta(days=4):
        schedule.nowfun = lambda: now  # noqa: B023  asked at once
        if schedule.is_due(last)[0]:
            nights.append(now.astimezone(ZoneInfo("America/New_York")).date())
            last = now
        now += timedelta(minutes=5)
    first = noon_before.date() + timedelta(days=1)
    assert nights == [first + timedelta(days=number) for number in range(4)]
