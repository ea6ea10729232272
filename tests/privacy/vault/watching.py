"""What the vault's tests watch: what the guard is asked, which statements are sent, what a fresh reader finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from django.db import transaction
from django.test.utils import CaptureQueriesContext

from privacy.vault import unit
from tests.privacy.vault.models import Person

Count = Callable[[], AbstractContextManager[CaptureQueriesContext]]


class Asked(list[unit.Opening]):
    """A guard that writes down what it is asked about what is there, and lets all be added.

    `refuse` makes it say no.
    """

    refuse = False

    def __call__(self, opening: unit.Opening) -> bool:
        if opening.mode == "add":
            return True
        self.append(opening)
        return not self.refuse


@contextmanager
def rolled_back() -> Iterator[None]:
    """Lose the data transaction of the block; what it committed in the key store stays, as after a crash."""

    class Undone(Exception):
        pass

    with suppress(Undone), transaction.atomic():
        yield
        raise Undone


def selects(captured: CaptureQueriesContext) -> list[str]:
    """Return the captured statements without transaction control."""
    control = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
    return [q["sql"] for q in captured.captured_queries if not q["sql"].startswith(control)]


def again(person: Person) -> Person:
    """Return the record as a fresh reader finds it."""
    return Person.objects.get(pk=person.pk)
