"""Which requests, and which files, say what the site wrote: those whose keyed hash fits (privacy.vault.macs).

What must never happen: a file of another person's data made or given out, or a removal carried out, because
somebody wrote into the row of a request of his own whose it is, what it covers, that it was proved and confirmed,
how far it is, or when it is due; or wrote an event into its history, or changed one. So the row carries a keyed hash
over that, and over all that its events say: an earlier row of the same request does not fit, nor does a history with a
line more or less, or another word. What the audit tells of an end outlives row and history that are put back together
(`missed`). Whose the file of the request is, the key store says as well. A request that does not
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
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from privacy import audit, vault
from privacy.calendar import undated
from privacy.requests import hashed
from privacy.vault.compiled import Question
from privacy.vault.keystore.pseudonyms import ENVELOPE as NAME
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
COLUMNS = (
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
DATED = ("country", "region", "due_on")
#: What the keyed hash of a request stands over. Of the subject it is checked that it is the owner, or nobody once the
#: owner is on file no more.
DECIDING = frozenset({*COLUMNS, *DATED, "subject", "subject_id", "state", "parked_from"})
_ANSWERS = "_answers"  # what the tables have answered, at the object of the request


class NotOurs(Exception):
    """The row of a request, or what it covers, does not say what the site wrote: nothing is done for it."""


def is_ours(request: Row) -> bool:
    """Say whether the row of this request says what the site wrote, as it stands in the table now; within `asked_once`
    what it said when that was asked first."""
    return once(request, is_bound)


def once(request: Row, ask: Callable[[UUID], bool]) -> bool:
    """Return what `ask` says of a request; within `asked_once` what it said when it was asked first."""
    answers: dict[Any, bool] | None = request.__dict__.get(_ANSWERS)
    if answers is None:
        return ask(request.pk)
    if ask not in answers:
        answers[ask] = ask(request.pk)
    return answers[ask]


def require(request: Row) -> None:
    """Raise NotOurs unless the row of this request says what the site wrote."""
    if not is_ours(request):
        raise NotOurs


@contextmanager
def asked_once(request: Row) -> Iterator[None]:
    """Let the tables be asked once, when they are asked first, whether the row of this object says what the site wrote.

    For a caller whose transaction has locked the row FOR UPDATE and ends with this: until then nobody else changes
    the row, nor adds to its history, whose lines point to the locked row, and are append-only; and what the caller
    writes itself is signed by `kept`.
    """
    request.__dict__[_ANSWERS] = {}
    try:
        yield
    finally:
        del request.__dict__[_ANSWERS]


def is_bound(pk: UUID) -> bool:
    """Say whether the row fits its keyed hash, and is of whom the key store says its file is. Two queries; three where
    it names an owner who is on file no more."""
    row = row_of(pk)
    return row is not None and _fits(row) and not is_elsewhere(row) and not is_cut_off(row)


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
    fitted = request._state.adding or is_ours(request)
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
    sign_all(Q(pk__in=fitted))
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


def have_had_their_week(files: Collection[UUID]) -> bool:
    """Say whether by the key store one of these files ended a week or more after it was made."""
    keys = DataKey.objects.filter(record__in=files, envelope=FILE)
    return keys.filter(destroyed_at__gte=F("created_at") + LIVES).exists()


def files_living() -> list[UUID]:
    """Return the numbers of the files that have a key in the key store, whatever rows say: few stand at a time."""
    return list(DataKey.objects.filter(envelope=FILE, destroyed_at=None).values_list("record", flat=True))


def _file_says(export: FileRow) -> tuple[Any, ...]:
    return "request-file", export.pk, export.request_id, export.path, export.built_at, export.expires_at


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


def doubted(which: Q = Q()) -> Iterator[UUID]:  # noqa: B008  # it changes nowhere
    """Yield the requests whose row does not say what the site wrote, of all or of those that `which` finds, oldest
    first."""
    yield from (row["pk"] for row, is_ours in judged(which) if not is_ours)


def judged(which: Q) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the rows that `which` finds, as `row_of`, each with whether it says what the site wrote. Two queries for
    each CHUNK of them; one more where some name an owner who is on file no more."""
    for rows in _chunks(_rows().filter(which).order_by("pk")):
        wrong = _elsewhere(rows) | _cut_off(rows)
        yield from ((row, _fits(row) and row["pk"] not in wrong) for row in rows)


def files_of(owners: Collection[UUID]) -> dict[UUID, UUID]:
    """Return the requests whose files by the key store are these persons', with whose each is."""
    keys = DataKey.objects.filter(envelope=ENVELOPE, destroyed_at=None, owner_kind="subject", owner_id__in=owners)
    return {record: owner for record, owner in keys.values_list("record", "owner_id") if owner is not None}


def of_people(owners: Collection[UUID]) -> Q:
    """Find the requests that are these persons', by their rows or by the key store."""
    return Q(owner_id__in=owners) | Q(pk__in=files_of(owners))


def person_of(pk: UUID) -> UUID | None:
    """Return whose the file of a request is by the key store, on file or not; None where it is nobody's."""
    owners = {owner for kind, owner in _file_owners_of_one()(pk) if kind == "subject"}
    return owners.pop() if len(owners) == 1 else None


def seal(numbers: Collection[UUID]) -> int:
    """Sign these requests as they stand, with those of their files of which the key store says that they are their
    persons', and which end within their week: by the decision of an operator who looked. Return how many."""
    done = sign_all(Q(pk__in=numbers))
    owners = dict(_plain().filter(pk__in=numbers).values_list("pk", "owner_id"))
    for one in _files().filter(request__in=numbers):
        if is_in_its_week(one) and is_file_of(one, owners[one.request_id]):
            sign_files([one])
    return done


def sign_files(files: Iterable[Any]) -> int:
    """Sign these files as they stand; return how many. As `sign_all`."""
    done = 0
    for one in files:
        sign_file(one)
        done += _files().filter(pk=one.pk).update(mac=one.mac)
    return done


def sign_all(which: Q) -> int:
    """Sign the requests that `which` finds as they stand; return how many. In the transaction of a caller who
    knows that the site wrote them."""
    done, model = 0, _model()
    for some in _chunks(_rows().filter(which).order_by("pk")):
        made = [model(pk=row["pk"], mac=vault.mac_of(*_says(row))) for row in some]
        done += _plain().bulk_update(made, ["mac"])
    return done


def _chunks(rows: models.QuerySet[Any, dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    after: UUID | None = None
    while True:
        with undated.leniently():
            some = list((rows.filter(pk__gt=after) if after else rows)[:CHUNK])
        if some:
            yield some
        if len(some) < CHUNK:
            return
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


def is_cut_off(row: Mapping[str, Any]) -> bool:
    """Say whether a row names nobody, and its owner is on file all the same: whether somebody is, the key store knows
    by the name that the audit has for them, which ends with them; their own row can be taken away for a minute.

    Who is nobody has got another name, by which the audit tells nothing of the request.
    """
    return bool(_cut_off([row]))


@cache
def _rows() -> models.QuerySet[Any, dict[str, Any]]:
    """Return what the keyed hashes stand over, read with the history in one statement; to be narrowed, never read
    itself. Put together once."""
    history = hashed.histories().filter(request=OuterRef("pk"))
    columns = (*COLUMNS, *DATED, "subject_id", "state", "parked_from", "mac")
    found = _plain().annotate(history=Subquery(history))
    person = apps.get_model("privacy", "Subject").objects.filter(pk=OuterRef("owner_id"))
    return found.annotate(is_on_file=Exists(person)).values(*columns, "history", "is_on_file")


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
    columns = (row[name] for name in (*COLUMNS, *DATED, "state", "parked_from"))
    return "request", *columns, row["history"]


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


def _cut_off(rows: Iterable[Mapping[str, Any]]) -> set[UUID]:
    gone = {row["reference"]: row for row in rows if row["subject_id"] is None and row["owner_id"] is not None}
    if not gone:
        return set()
    names = DataKey.objects.filter(
        owner_id__in={row["owner_id"] for row in gone.values()}, envelope=NAME, destroyed_at=None
    )
    owners = dict(names.values_list("record", "owner_id"))  # who was joined from two has the names of both
    words = {(owners[one], word) for one, word in vault.pseudonyms(owners).items()} if owners else set()
    told = audit.people_told_of(gone) if words else ()
    return {gone[name]["pk"] for name, word in told if (gone[name]["owner_id"], word) in words}


@cache
def _file_owners() -> models.QuerySet[Any, Any]:
    """Return whose the files are by the key store; put together once, to be narrowed, never read itself."""
    keys = DataKey.objects.filter(envelope=ENVELOPE, destroyed_at=None)
    return keys.values_list("record", "owner_kind", "owner_id")


def _owners(owner: UUID | None) -> tuple[tuple[str, UUID | None], ...]:
    # When the last link to a person is cut the key store is committed first: a kill leaves the row with the person.
    return (("subject", owner), ("subject", nobody_of(owner))) if owner else (("none", None),)
