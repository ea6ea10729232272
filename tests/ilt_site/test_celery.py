"""A task that fails leaves one line that names it, and nothing of what it was given."""

import json
from io import StringIO

import pytest

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
