"""All declarations together, and which rows are about a person by them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connection, models
from django.utils.module_loading import autodiscover_modules
from psycopg2.extensions import AsIs

from privacy.datamap.declared import Declaration, Store
from privacy.datamap.fields import sealed_in

MODULE = "personal_data"


class DataMapError(Exception):
    """A declaration that cannot be registered: the same model or store twice."""


class Flagged(NamedTuple):
    """A record that keeps its person's account, by what its row says now: whose, which, and why."""

    subject: UUID
    label: str
    record: UUID
    flags: frozenset[str] = frozenset()


Flags = Callable[[Collection[UUID]], Iterable[Flagged]]

_declarations: dict[type[models.Model], Declaration] = {}
_by_label: dict[str, Declaration] = {}
_stores: dict[str, Store] = {}
_flags: list[Flags] = []


def register(*found: Declaration) -> None:
    """Add declarations to the map. Raises DataMapError when a model is declared twice."""
    for declaration in found:
        model = declaration.model._meta.concrete_model or declaration.model
        if model in _declarations:
            raise DataMapError(f"{model._meta.label} is declared twice in the data map.")
        _declarations[model] = declaration
        _by_label[declaration.label] = declaration


def store(*found: Store) -> None:
    """Add stores that are no tables. Raises DataMapError when a name is taken."""
    for one in found:
        if one.name in _stores:
            raise DataMapError(f"The store {one.name!r} is declared twice in the data map.")
        _stores[one.name] = one


def contribute_flags(found: Flags) -> None:
    """Add a function that tells which of an app's records give their people's accounts which flags ("open_order",
    "open_rma").

    So `accounts` knows that an account is still needed without importing the apps above it.
    """
    _flags.append(found)


def flags_of(subjects: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    """Return, for each of `subjects`, the flags that all apps together give; a constant number of queries."""
    flags: dict[UUID, frozenset[str]] = dict.fromkeys(subjects, frozenset())
    for one in flagging(subjects):
        flags[one.subject] |= one.flags
    return flags


def flagging(subjects: Collection[UUID]) -> list[Flagged]:
    """Return the records that give these people flags, by what their rows say; a constant number of queries."""
    return [one for contribution in _flags for one in contribution(subjects)]


def autodiscover() -> None:
    """Import `personal_data` of every installed app, like the admin imports `admin`."""
    autodiscover_modules(MODULE)


def declarations() -> list[Declaration]:
    """Return all declarations, sorted by label."""
    return sorted(_declarations.values(), key=lambda declaration: declaration.label)


def stores() -> list[Store]:
    """Return all stores that are no tables, sorted by name."""
    return [_stores[name] for name in sorted(_stores)]


def for_model(model: type[models.Model]) -> Declaration:
    """Return the declaration of `model`. Raises KeyError when there is none."""
    return _declarations[model._meta.concrete_model or model]


def for_label(label: str) -> Declaration:
    """Return the declaration with the stable `label` ("orders.order"). Raises KeyError when there is none."""
    return _by_label[label]


def person_of(row: models.Model) -> UUID | None:
    """Return the subject that a row is about, by the links that its declaration names; None where it is about nobody.

    Asks nothing of the database where the rows on the way were read with it. Raises KeyError for what is not declared.
    """
    *way, last = (for_model(type(row)).subject_path or "").split("__")
    here: Any = row
    for part in way:
        here = getattr(here, part, None)
        if here is None:
            return None
    return getattr(here, here._meta.get_field(last).attname) if last else None


def people_of(label: str, numbers: Collection[Any]) -> set[UUID]:
    """Return the subjects that these records of one kind are about, by their rows; none of a kind that is not known."""
    try:
        declaration = for_label(label)
    except KeyError:
        return set()
    if declaration.subject_path is None:
        return set()
    rows = declaration.model._default_manager.filter(pk__in=list(numbers)).order_by()
    return {found for found in rows.values_list(declaration.subject_path, flat=True) if found is not None}


def is_sealed(label: str, envelope: str) -> bool:
    """Whether an envelope of this kind of record is sealed under a key; of a kind of an earlier release too."""
    try:
        model = for_label(label).model
    except KeyError:
        return True
    return any(sealed_in(one) == envelope for one in model._meta.get_fields())


def records_of(
    subject: UUID, counts: Mapping[str, int] | None = None
) -> Iterator[tuple[Declaration, models.QuerySet[Any]]]:
    """Yield each declaration that has rows about `subject`, with these rows (Art. 15, 17).

    `counts` is what `counts_of` returned, for who has asked before.
    """
    found = counts_of(subject) if counts is None else counts
    for declaration in declarations():
        if declaration.is_personal and declaration.label in found:
            yield declaration, declaration.rows_of(subject)


def counts_of(subject: UUID) -> dict[str, int]:
    """Return how many rows about `subject` each label has, those that have any, impersonal ones too; one query."""
    connection.ensure_connection()
    name = _prepared.get(connection.connection)
    if name != f"counts_of_{len(_declarations)}":
        name = _prepare()
    with connection.cursor() as cursor:
        cursor.execute(f"EXECUTE {name} (%s)", [subject])
        return {label: count for label, count in cursor if count}


_SOMEBODY = UUID(int=0)
_prepared: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _prepare() -> str:
    """Prepare the statement of `counts_of` for the connection and return its name.

    Planning its two dozen joins takes many times as long as carrying them out, and the plan is the same for everybody:
    it is made once for each connection, and again by the database when it has counted a table anew.
    """
    raw = connection.connection
    name = f"counts_of_{len(_declarations)}"
    statement, values = _look(len(_declarations))
    # Past Django's cursor, so that the first page of a connection counts no more queries than the others.
    with connection.wrap_database_errors, raw.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(
            f"PREPARE {name} (uuid) AS {statement}", [AsIs("$1") if value == _SOMEBODY else value for value in values]
        )
    _prepared[raw] = name
    return name


@cache
def _look(count: int) -> tuple[str, tuple[Any, ...]]:
    """Return the statement of `counts_of` for somebody, made once for so many declarations: it is the same for
    everybody."""
    looks: list[str] = []
    values: list[Any] = []
    for declaration in declarations():
        if declaration.subject_path is None:
            continue
        sql, params = declaration.rows_of(_SOMEBODY).order_by().values("pk").query.sql_with_params()
        looks.append(f"SELECT %s, count(*) FROM ({sql}) AS found")  # noqa: S608  compiled by the ORM
        values += [declaration.label, *params]
    return " UNION ALL ".join(looks), tuple(values)
