"""Which requests, and which files, say what the site wrote: those whose keyed hash fits (privacy.vault.macs).

What must never happen: a file of another person's data made or given out, or a removal carried out, because
somebody wrote into the row of a request of his own whose it is, what it covers, that it was proved and confirmed,
how far it is, or when it is due; or wrote an event into its history, or changed one. So the row carries a keyed hash
over that, and over all that its events say: an earlier row of the same request does not fit, nor does a history with a
line more or less, or another word. What the audit tells of an end outlives row and history that are put back together
(`contradictions.require_told`). Whose the file of the request is, the key store says as well. A request that does not
fit can only end; it is sealed again by an operator who looked (`seal_requests`).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.aggregates import StringAgg
from django.db import models
from django.db.models import Count, Exists, F, Func, Max, OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Now

from privacy import vault
from privacy.calendar import undated
from privacy.vault.compiled import Question
from privacy.vault.models import DataKey


class Row(Protocol):
    """What is asked here of the row of a request or of a file: the models ask this module when they are saved."""

    pk: Any
    mac: Any
    _state: Any


class FileRow(Row, Protocol):
    """The row of a file: of which request it is, where it lies, and from when until when."""

    request_id: Any
    path: Any
    built_at: Any
    expires_at: Any


CHUNK = 500
ENVELOPE = "request_file"
FILE = "export"
LIVES = timedelta(days=7)
PARKED = "parked"
_COLUMNS = (
    "pk",
    "reference",
    "kind",
    "scope",
    "owner_id",
    "channel",
    "asked_by",
    "identity",
    "identity_at",
    "plan_hash",
    "confirmed_hash",
    "step",
)
#: By these a day decides: until when others may object, whose law it is, how long a copy is waited for.
_DATED = ("country", "region", "due_on")
#: What the keyed hash of a request stands over. Of the subject it is checked that it is the owner, or nobody once the
#: owner is on file no more.
DECIDING = frozenset({*_COLUMNS, *_DATED, "subject", "subject_id", "state", "parked_from"})
# What the keyed hash stood over before all events did: these kinds, and in the first version the last of them alone.
_STAGES_FIRST = frozenset(
    {
        "received", "identity", "planned", "confirmed", "executing", "executed", "replied", "closed", "refused", "withdrawn",
        "expired", "restored", "second_asked", "second_asked_again", "second_decided", "second_ended", "refusal_proposed", "refusal_decided",
    }
)  # fmt: skip
_STAGES = _STAGES_FIRST | {"extended", "address_changed", "name_changed"}


class NotOurs(Exception):
    """The row of a request, or what it covers, does not say what the site wrote: nothing is done for it."""


def is_ours(request: Row) -> bool:
    """Say whether the row of this request says what the site wrote, as it stands in the table now."""
    return is_bound(request.pk)


def require(request: Row) -> None:
    """Raise NotOurs unless the row of this request says what the site wrote."""
    if not is_bound(request.pk):
        raise NotOurs


def is_bound(pk: UUID) -> bool:
    """Say whether the row fits its keyed hash, and is of whom the key store says its file is. Two queries."""
    row = row_of(pk)
    return row is not None and _fits(row) and not is_elsewhere(row)


@contextmanager
def kept(request: Row) -> Iterator[bool]:
    """Let the row be changed, and give it the keyed hash over what it says then, unless it did not fit before.

    Yields whether it did. In the caller's transaction, which holds the row; within another one it
    is the outer one that signs.
    """
    inside = request.__dict__.get("_is_kept")
    if inside is not None:
        yield inside
        return
    fitted = request._state.adding or is_bound(request.pk)
    request.__dict__["_is_kept"] = fitted
    try:
        yield fitted
    finally:
        del request.__dict__["_is_kept"]
    if fitted:
        request.mac = sign(request.pk)


def sign(pk: UUID) -> str:
    """Give the row the keyed hash over what it says, and return it. Raises DoesNotExist without such a request."""
    row = row_of(pk)
    if row is None:
        raise _model().DoesNotExist
    mac = vault.mac_of(*_says(row))
    if mac != row["mac"]:
        _plain().filter(pk=pk).update(mac=mac)
    return mac


def carry(rows: Iterable[UUID], to: UUID, **also: Any) -> int:
    """Make requests another person's, with their keyed hashes; return how many. One that did not fit still does not.

    In the caller's transaction; the keys follow. `also` are further columns to write."""
    return _write(list(rows), {"owner_id": to, **also}, subject=False)


def write(which: models.Q, **columns: Any) -> int:
    """Write columns into all requests that are found by `which`, with their keyed hashes; return how many. One that did
    not fit still does not. In the caller's transaction."""
    return _write(list(_plain().filter(which).values_list("pk", flat=True)), columns)


def _write(numbers: list[UUID], columns: Mapping[str, Any], *, subject: bool = True) -> int:
    list(_plain().filter(pk__in=numbers).order_by("pk").select_for_update().values_list("pk"))
    fitted = [row["pk"] for row in _rows().filter(pk__in=numbers) if _fits(row, subject=subject)]
    written = _plain().filter(pk__in=numbers).update(**columns)
    _sign_all(_rows().filter(pk__in=fitted))
    return written


def nobody_of(subject: UUID) -> UUID:
    """Return the owner that the files of a person's requests get when nothing else is left of the person; it stands
    nowhere else. The same number in every repetition, and nobody's guess: it is derived from the ring."""
    return UUID(bytes=hmac.digest(vault.ring.current().derive("nobody"), subject.bytes, "sha256")[:16])


# Files ----------------------------------------------------------------------------------------------------------------


def sign_file(export: FileRow) -> None:
    """Give the row of a file, not yet saved, the keyed hash over whose it is, and until when."""
    export.mac = vault.mac_of(*_file_says(export))


def is_our_file(export: FileRow) -> bool:
    """Say whether the site made this file, for this request, and until this day."""
    return vault.mac_fits(export.mac, *_file_says(export))


def is_file_of(export: FileRow, owner: UUID | None) -> bool:
    """Say whether by the key store the file is of this person: its key was made for whom the copy was.

    Whose a key is, is bound to it. A row that was hung on another request, and sealed there by mistake, is not theirs.
    """
    keys = list(DataKey.objects.filter(record=export.pk, destroyed_at=None).values_list("owner_kind", "owner_id"))
    return bool(keys) and all(one in _owners(owner) for one in keys)


def is_in_its_week(export: FileRow) -> bool:
    """Say whether the row of a file says that it ends a week after it was made."""
    return export.built_at is not None and export.expires_at <= export.built_at + LIVES


def files_over() -> list[UUID]:
    """Return the numbers of the files whose keys are alive and by the key store's own clock older than their week: no
    row says there when a file has to end, and none can be taken away."""
    keys = DataKey.objects.filter(envelope=FILE, destroyed_at=None, created_at__lte=Now() - LIVES)
    return list(keys.values_list("record", flat=True))


def have_ended(files: Collection[UUID]) -> bool:
    """Say whether by the key store each of these files has ended: none has a key any more."""
    return not DataKey.objects.filter(record__in=files, envelope=FILE, destroyed_at=None).exists()


def files_living() -> list[UUID]:
    """Return the numbers of the files that have a key in the key store, whatever rows say: few stand at a time."""
    return list(DataKey.objects.filter(envelope=FILE, destroyed_at=None).values_list("record", flat=True))


def _file_says(export: FileRow) -> tuple[Any, ...]:
    return "request-file", export.pk, export.request_id, export.path, export.built_at, export.expires_at


def _file_said(export: FileRow) -> tuple[Any, ...]:
    # What the keyed hash stood over until 0.1, which said nothing of its week.
    return "request-file", export.pk, export.request_id, export.path


# Records --------------------------------------------------------------------------------------------------------------


def require_owners(wanted: Mapping[UUID, tuple[str, UUID | None]]) -> None:
    """Raise NotOurs where the key store says of one of these records that it is another's than its row says. One
    query."""
    if vault.keys.strangers(wanted):
        raise NotOurs


def letters_elsewhere(owner: UUID | None, letters: Collection[UUID]) -> Iterator[UUID]:
    """Yield those of these letters that by the key store are of another person than this owner of a request. One
    query."""
    keys = DataKey.objects.filter(record__in=letters, destroyed_at=None, owner_kind="subject")
    for record, kind, of in keys.values_list("record", "owner_kind", "owner_id"):
        if (kind, of) not in _owners(owner):
            yield record


# Looking at all -------------------------------------------------------------------------------------------------------


def doubted() -> Iterator[UUID]:
    """Yield the requests whose row does not say what the site wrote, oldest first."""
    yield from _doubted(_rows())


def doubted_among(numbers: Collection[UUID]) -> Iterator[UUID]:
    """Yield those of these requests whose row does not say what the site wrote, oldest first."""
    yield from _doubted(_rows().filter(pk__in=numbers))


def doubted_of(owner: UUID) -> Iterator[UUID]:
    """Yield those of the requests that are a person's, by their rows or by the key store, whose row does not say what
    the site wrote."""
    keys = DataKey.objects.filter(envelope=ENVELOPE, destroyed_at=None, owner_kind="subject", owner_id=owner)
    yield from _doubted(_rows().filter(Q(owner_id=owner) | Q(pk__in=list(keys.values_list("record", flat=True)))))


def _doubted(found: models.QuerySet[Any, dict[str, Any]]) -> Iterator[UUID]:
    for rows in _chunks(found.order_by("pk")):
        elsewhere = _elsewhere(rows)
        yield from (row["pk"] for row in rows if not _fits(row) or row["pk"] in elsewhere)


def seal(numbers: Collection[UUID]) -> int:
    """Sign these requests as they stand, with those of their files of which the key store says that they are their
    persons', and which end within their week: by the decision of an operator who looked. Return how many."""
    done = _sign_all(_rows().filter(pk__in=numbers))
    owners = dict(_plain().filter(pk__in=numbers).values_list("pk", "owner_id"))
    for one in _files().filter(request__in=numbers):
        if is_in_its_week(one) and is_file_of(one, owners[one.request_id]):
            _sign_files([one])
    return done


def bind_all() -> int:
    """Sign requests and files of before; return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    return _sign_all(_rows().filter(mac="")) + _sign_files(_files().filter(mac=""))


def bind_weeks() -> int:
    """Put the week of files of before under their keyed hashes; return how many.

    As `bind_all`. A file that did not fit its keyed hash of before still does not, nor one that would end later.
    """
    live = _files().filter(deleted_at=None)
    return _sign_files([one for one in live if vault.mac_fits(one.mac, *_file_said(one)) and is_in_its_week(one)])


def bind_steps(is_supported: Callable[[Mapping[str, Any]], bool]) -> int:
    """Put the next step of requests of before under their keyed hashes; return how many.

    As `bind_all`. A row that did not fit its keyed hash of before still does not, nor one whose history does not
    support the step that it names (`is_supported`): until then anybody could have written it.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_without_step(row)) and is_supported(row))


def bind_histories(is_contradicted: Callable[[UUID], Any]) -> int:
    """Put the whole history of requests of before, and their due dates, under their keyed hashes; return how many.

    As `bind_all`. A row that did not fit its keyed hash of before still does not, nor one that history, audit or key
    store contradict: until then anybody could have written a due date or an event.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_of_stages(row)) and not is_contradicted(row["pk"]))


def bind_events(is_contradicted: Callable[[UUID], Any]) -> int:
    """Put what the events of requests of before say under their keyed hashes; return how many.

    As `bind_histories`: until then who could write past the triggers could have changed an event.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_of_count(row)) and not is_contradicted(row["pk"]))


def _bind(fits: Callable[[Mapping[str, Any]], bool]) -> int:
    fitted = [row["pk"] for rows in _chunks(_rows().order_by("pk")) for row in rows if fits(row)]
    return _sign_all(_rows().filter(pk__in=fitted))


def _sign_files(files: Iterable[Any]) -> int:
    done = 0
    for one in files:
        sign_file(one)
        done += _files().filter(pk=one.pk).update(mac=one.mac)
    return done


def _sign_all(rows: models.QuerySet[Any, dict[str, Any]]) -> int:
    done, model = 0, _model()
    for some in _chunks(rows.order_by("pk")):
        made = [model(pk=row["pk"], mac=vault.mac_of(*_says(row))) for row in some]
        done += _plain().bulk_update(made, ["mac"])
    return done


def _chunks(rows: models.QuerySet[Any, dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    after: UUID | None = None
    while True:
        with undated.leniently():
            some = list((rows.filter(pk__gt=after) if after else rows)[:CHUNK])
        if not some:
            return
        yield some
        after = some[-1]["pk"]


# Parts ----------------------------------------------------------------------------------------------------------------


def _model() -> Any:
    found: Any = apps.get_model("privacy", "Request")
    return found


def _files() -> models.QuerySet[Any]:
    return models.QuerySet(apps.get_model("privacy", "Export"))


def _plain() -> models.QuerySet[Any]:
    return models.QuerySet(_model())


def row_of(pk: UUID) -> dict[str, Any] | None:
    """Return what the keyed hash of a request stands over, as its row says it now; None without such a request."""
    names, question = _row_of_one()
    with undated.leniently():  # a day that no calendar has was not written by the site, and fits no hash
        found = question(pk)
    return dict(zip(names, found[0], strict=True)) if found else None


def is_of_owner(row: Mapping[str, Any]) -> bool:
    """Say whether a row leads to its owner, or to nobody where the owner is on file no more."""
    return row["subject_id"] == row["owner_id"] or (row["subject_id"] is None and not row["is_on_file"])


def is_elsewhere(row: Mapping[str, Any]) -> bool:
    """Say whether by the key store the file of the request is another person's than the row says."""
    return any((kind, owner) not in _owners(row["owner_id"]) for kind, owner in _file_owners_of_one()(row["pk"]))


@cache
def _rows() -> models.QuerySet[Any, dict[str, Any]]:
    """Return what the keyed hashes stand over, read with the history in one statement; to be narrowed, never read
    itself. Put together once.

    That it was parked is left out: it is said of one whose row does not fit, too, and decides nothing.
    """
    events = apps.get_model("privacy", "RequestEvent").objects.filter(request=OuterRef("pk")).exclude(kind=PARKED)
    history = events.order_by().values("request").annotate(said=_hashed(StringAgg(_line(), Value("\n"), order_by="pk")))
    columns = (*_COLUMNS, *_DATED, "subject_id", "state", "parked_from", "mac")
    found = _plain().annotate(history=Subquery(history.values("said")))
    person = apps.get_model("privacy", "Subject").objects.filter(pk=OuterRef("owner_id"))
    return found.annotate(is_on_file=Exists(person)).values(*columns, "history", "is_on_file")


def _line() -> Func:
    """Return all that an event says as one line of JSON, made by the database: days that no calendar has, too."""
    at = Func(F("at"), template="extract(epoch from %(expressions)s)", output_field=models.DecimalField())
    names = ("pk", "kind", "state", "step", "on", "actor_kind", "actor_id", "detail")
    line = Func(*map(F, names), at, function="jsonb_build_array", output_field=models.JSONField())
    return Cast(line, models.TextField())


def _hashed(text: Any) -> Func:
    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    return Func(text, template=template, output_field=models.TextField())


@cache
def _row_of_one() -> tuple[tuple[str, ...], Question]:
    # Compiled once: some forty of these are asked while one removal is carried out.
    rows = _rows().filter(pk=Question.NUMBER)
    return tuple(rows.query.selected or ()), Question(rows, Question.NUMBER)


@cache
def _file_owners_of_one() -> Question:
    keys = DataKey.objects.filter(envelope=ENVELOPE, destroyed_at=None, record=Question.NUMBER)
    return Question(keys.values_list("owner_kind", "owner_id"), Question.NUMBER)


def stopped_at(row: Mapping[str, Any]) -> str:
    """Return the state of a row; of a parked request that at which it stopped."""
    state: str = row["parked_from"] if row["state"] == PARKED else row["state"]
    return state


def _says(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # A parked request is where it stopped: it may be parked by a statement that knows no more of the row.
    columns = (row[name] for name in (*_COLUMNS, *_DATED))
    return "request", *columns, stopped_at(row), row["history"]


def _said_of_count(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # What the keyed hash stood over in the first days of 0.2: the last of the events and how many there were.
    events = apps.get_model("privacy", "RequestEvent").objects.filter(request=row["pk"]).exclude(kind=PARKED)
    found = events.aggregate(last=Max("pk"), count=Count("pk"))
    columns = (row[name] for name in (*_COLUMNS, *_DATED))
    return "request", *columns, stopped_at(row), found["last"], found["count"] or None


def _said_of_stages(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # What the keyed hash stood over until 0.1; such a row is signed anew once (accounts.upgrades).
    last, count = _stages(row, _STAGES)
    return "request", *(row[name] for name in _COLUMNS), stopped_at(row), last, count


def _said_without_step(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # The same of a version before.
    last, _ = _stages(row, _STAGES_FIRST)
    return "request", *(row[name] for name in _COLUMNS if name != "step"), stopped_at(row), last


def _stages(row: Mapping[str, Any], kinds: Collection[str]) -> tuple[int | None, int | None]:
    events = apps.get_model("privacy", "RequestEvent").objects.filter(request=row["pk"], kind__in=kinds)
    found = events.aggregate(last=Max("pk"), count=Count("pk"))
    return found["last"], found["count"] or None


def _fits(row: Mapping[str, Any], *, subject: bool = True) -> bool:
    return (not subject or is_of_owner(row)) and vault.mac_fits(row["mac"], *_says(row))


def _elsewhere(rows: Iterable[Mapping[str, Any]]) -> set[UUID]:
    """Return those of which the key store says that their file is somebody else's."""
    owners = {row["pk"]: row["owner_id"] for row in rows}
    return {
        record
        for record, kind, owner in _file_owners().filter(record__in=owners)
        if (kind, owner) not in _owners(owners[record])
    }


@cache
def _file_owners() -> models.QuerySet[Any, Any]:
    """Return whose the files are by the key store; put together once, to be narrowed, never read itself."""
    keys = DataKey.objects.filter(envelope=ENVELOPE, destroyed_at=None)
    return keys.values_list("record", "owner_kind", "owner_id")


def _owners(owner: UUID | None) -> tuple[tuple[str, UUID | None], ...]:
    # When the last link to a person is cut the key store is committed first: a kill leaves the row with the person.
    return (("subject", owner), ("subject", nobody_of(owner))) if owner else (("none", None),)
