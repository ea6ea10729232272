"""One broken record is a finding; all others go on.

What must never happen: a row that cannot be read, judged or ended stops a night's work for everybody, or is
passed over in silence. So whatever walks over many records does so through `spared`: where a batch fails, its
halves are tried, down to the one record that fails by itself. That one is written down by its number and left as
it is, until a person mends it. What fails for everybody (no database, no key store, unreadable rules, a worker
told to stop) still stops the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, models

from privacy.calendar import undated

log = structlog.get_logger(__name__)

One = TypeVar("One")
Made = TypeVar("Made")
#: Another transaction holds this one row, or won the race for it: says nothing about the others.
OF_ONE_ROW = frozenset({"55P03", "40P01", "40001"})
NAMED = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One record that could not be handled: the step, its kind and number, and the class of what was raised."""

    step: str
    label: str
    record: str
    error: str


class Findings(list[Finding]):
    """What was found broken in one run, each record once for each step."""

    def note(self, step: str, label: str, record: object, error: BaseException | str) -> None:
        """Write down one record, here and in the log: never what stands in it."""
        name = error if isinstance(error, str) else type(error).__name__
        found = Finding(step, label, str(record), name)
        if found not in self:
            self.append(found)
            log.error("record.broken", step=step, label=label, record=str(record), error=name)

    def as_list(self) -> list[dict[str, str]]:
        """Return the first hundred for `--json`."""
        return [
            {"step": one.step, "label": one.label, "record": one.record, "error": one.error} for one in self[:NAMED]
        ]


def is_everybodys(error: Exception) -> bool:
    """Whether the failure says nothing about the record at hand: it would come with every other one too."""
    if isinstance(error, OperationalError):
        return getattr(error.__cause__, "pgcode", None) not in OF_ONE_ROW
    return isinstance(error, InterfaceError | MemoryError | SoftTimeLimitExceeded)


def require_own(error: Exception) -> None:
    """Raise the failure that is handled just now again, where it says nothing about the record at hand."""
    if is_everybodys(error):
        raise error


def spared(
    ones: Sequence[One],
    do: Callable[[Sequence[One]], Made],
    *,
    step: str,
    label: str,
    findings: Findings,
    number: Callable[[One], Any] = lambda one: one,
) -> Iterator[Made]:
    """Yield what `do` makes of all `ones`; where it fails of their halves, and so on; note the single ones that fail.

    `do` must leave nothing behind where it raises.
    """
    if not ones:
        return
    try:
        made = do(ones)
    except Exception as error:
        require_own(error)
        if len(ones) == 1:
            findings.note(step, label, number(ones[0]), error)
            return
    else:
        yield made
        return
    middle = len(ones) // 2
    for half in (ones[:middle], ones[middle:]):
        yield from spared(half, do, step=step, label=label, findings=findings, number=number)


def rows(queryset: models.QuerySet[Any], *, step: str, chunk: int | None = None) -> Iterator[Any]:
    """Yield the rows of a query; of those that cannot be read whole, the row without its days and moments.

    Such a row still opens its envelopes; a column left out is asked for when it is touched, and fails then. `chunk`: a
    cursor in the database, for very many rows.
    """
    done: set[Any] = set()
    try:
        for row in _strictly(queryset) if chunk is None else queryset.iterator(chunk_size=chunk):
            done.add(row.pk)
            yield row
        return
    except Exception as error:
        require_own(error)
    for pk in [pk for pk in queryset.values_list("pk", flat=True) if pk not in done]:
        yield _one(queryset.model, pk, step)


def readable(queryset: models.QuerySet[Any], *, chunk: int = 200) -> Iterator[Any]:
    """Yield those rows of a query that can be read whole, in its order; the others are left out, and not told of.

    For tables of which each row is held against a keyed hash: what cannot be read was written by another program.
    """
    numbers = queryset.values_list("pk", flat=True).iterator(chunk_size=chunk)
    while some := list(islice(numbers, chunk)):
        yield from _readable(queryset, some)


def _readable(queryset: models.QuerySet[Any], numbers: Sequence[Any]) -> list[Any]:
    try:
        return _strictly(queryset.filter(pk__in=numbers))
    except Exception as error:
        require_own(error)
    if len(numbers) == 1:
        return []
    middle = len(numbers) // 2
    return [*_readable(queryset, numbers[:middle]), *_readable(queryset, numbers[middle:])]


def linked(row: Any, name: str, *, step: str) -> Any:
    """Return the record that a link of a row leads to, None where there is none; one that cannot be read whole without
    its days and moments, as `rows` gives it."""
    try:
        return getattr(row, name, None)
    except Exception as error:
        require_own(error)
    link = row._meta.get_field(name)
    other = _one(link.related_model, getattr(row, link.attname), step)
    link.set_cached_value(row, other)
    return other


def _strictly(queryset: models.QuerySet[Any]) -> list[Any]:
    with undated.strictly():
        return list(queryset)


def _one(model: type[models.Model], pk: Any, step: str) -> Any:
    one = model._default_manager.filter(pk=pk)
    with undated.strictly():
        try:
            return one.get()
        except Exception as error:
            require_own(error)
            Findings().note(step, model._meta.label_lower, pk, error)
            return one.defer(
                *(each.name for each in model._meta.concrete_fields if isinstance(each, models.DateField))
            ).get()
