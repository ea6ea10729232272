"""Ending records: their envelopes, then the rows, then what only pointed at them (P9, Art. 17).

What must never happen: a record under a hold erased, a row that reads as data after its key is gone, an
erasure that is half done for good, a person forgotten of whom something is left. It cannot be undone: that is its
purpose.

The order inside one batch is the design. In one transaction on the main database the rows are locked, holds are
looked at again, sealed columns become NULL and rows end; *before* that transaction commits the keys are
destroyed and committed in the key store: destroying the key is the act. A process killed before it leaves
everything as it was; killed after it, rows whose data nobody can read any more, which the repeated step clears.
The sweep of retention ends records by the same function, and so does the task that follows the ledger. Either may find
what the other has ended: under the lock of the row it does what is left to do, and tells the audit of nothing twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models import Q

from privacy import audit, datamap, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.datamap import Declaration
from privacy.gate import log as access_log
from privacy.requests import bound, whose
from privacy.requests.models import Request
from privacy.retention import decided, in_force
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.subjects import Subject
from privacy.vault.keystore import pseudonyms
from privacy.work import checkpoints
from privacy.work.broken import NAMED, Findings

BATCH = 500


@dataclass
class Erased:
    """What one call ended: envelopes per label, rows that went or stay without a link, and what a hold kept back."""

    envelopes: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    on_hold: list[tuple[UUID, str]] = field(default_factory=list)


class StillSealed(Exception):
    """By its rows nothing is left of a person, and the key store has keys of these (label, record): nobody is
    forgotten."""

    def __init__(self, records: Sequence[tuple[str, UUID]]) -> None:
        super().__init__("The key store has keys of a person of whom no row is left.")
        self.records = records


def erase_records(
    verdicts: Sequence[Verdict],
    *,
    request: Request | None,
    actor: Actor | None,
    now: datetime,
    again: bool = False,
    findings: Findings | None = None,
) -> Erased:
    """End the envelopes that `verdicts` say, in one transaction; return what was done.

    Verdicts that keep are ignored; what is under a hold by now is left alone and named in `on_hold`. Raises
    bound.NotOurs where a hold says what the site did not write (retention/in_force.py). Safe to repeat. The caller
    keeps batches small (BATCH); the shells that nothing points at any more are ended by `end_shells` afterwards.
    `again`: these were erased before a backup was restored; their keys are gone, so no hold can keep them back. Where
    no row of a person is left and the key store has keys of theirs, these are noted in `findings`, in the log alone
    without them, and the person is not forgotten.
    """
    batch = _Batch(request, now, again)
    with transaction.atomic():
        for label, records in _wanted(verdicts).items():
            _end_kind(batch, label, records)
        audit.record_many(batch.events, actor=actor, now=now)
        vault.keys.destroy(batch.pairs, now=now)
        checkpoints.reach("between_commits", request.pk if request else None)
    # Of a request about a person that is a step of its own. Of the writers of single messages nothing may be left now;
    # where anything is, a request of theirs too, they stay.
    going = batch.subjects
    if request is not None:
        going = {one for one in going if request.is_about_records and not _has_asked(one)}
    noted = Findings() if findings is None else findings
    for subject in going:
        try:
            end_shells(subject, actor=actor, now=now, reference=request.reference if request else "")
        except StillSealed as error:
            for label, record in error.records[:NAMED]:
                noted.note("forget", label, record, error)
    return batch.done


@dataclass
class _Batch:
    """What is ended together: why, and what is written down of it before its keys end."""

    request: Request | None
    now: datetime
    again: bool
    done: Erased = field(default_factory=Erased)
    pairs: list[tuple[UUID, str]] = field(default_factory=list)
    events: list[audit.Happened] = field(default_factory=list)
    subjects: set[UUID] = field(default_factory=set)


def _wanted(verdicts: Iterable[Verdict]) -> dict[str, dict[UUID, set[str]]]:
    """Return the envelopes that are to end, by label and record."""
    wanted: dict[str, dict[UUID, set[str]]] = defaultdict(lambda: defaultdict(set))
    for verdict in verdicts:
        if verdict.action == Decision.Action.ERASE:
            wanted[verdict.label][verdict.record_id].add(verdict.envelope)
    return wanted


def _end_kind(batch: _Batch, label: str, records: Mapping[UUID, set[str]]) -> None:
    """Clear the rows of one kind, and note in the batch whose keys end and what the audit is told."""
    declaration = datamap.for_label(label)
    rows = {row.pk: row for row in _locked(declaration, records)}
    # After the lock: a hold that came first is seen, a later one finds the record gone.
    on_hold = set() if batch.again else _on_hold(label, records)
    batch.done.on_hold += [(pk, envelope) for pk in records if pk in on_hold for envelope in sorted(records[pk])]
    subject_of = _subjects_of(declaration, rows)
    sealed = sealed_envelopes(declaration.model)
    for envelopes, ids in _alike(records, but=on_hold).items():
        # Without a key too, so that the ledger knows the end of what is not sealed; of our own logs it need not.
        if sealed or not label.startswith("privacy."):
            batch.pairs += [(pk, envelope) for pk in ids for envelope in sorted(envelopes)]
        asked = _asked_by(label, ids, envelopes, batch.request, batch.now, again=batch.again)
        _mark_done(label, ids, envelopes, batch.now)
        found = [rows[pk] for pk in ids if pk in rows]  # in a repetition some went with the first run
        if not found:
            continue
        batch.done.envelopes[label] += len(envelopes) * len(found)
        untold = _untold(declaration, found, envelopes)  # before they are cleared
        batch.done.rows += _end(declaration, found, envelopes)
        batch.subjects.update(subject_of[row.pk] for row in found if row.pk in subject_of)
        batch.subjects.update(_owners_of(label, [row.pk for row in found if row.pk not in subject_of]))
        batch.events += [
            audit.Happened(
                "record.erased",
                subject=subject_of.get(record),
                record=(label, record),
                fields=names,
                reference=asked.get(record, ""),
            )
            for record, names in untold.items()
        ]


def _has_asked(subject: UUID) -> bool:
    return Request.objects.filter(bound.of_people([subject])).exists()


def _on_hold(label: str, records: Iterable[UUID]) -> set[UUID]:
    """Return which of these records are under a hold. Raises bound.NotOurs where one is in doubt."""
    on_hold, doubted = in_force.look((label, pk) for pk in records)
    if doubted:
        raise bound.NotOurs
    return on_hold


def _untold(declaration: Declaration, rows: Sequence[Any], envelopes: Collection[str]) -> dict[UUID, list[str]]:
    """Return, for each of these locked rows of which the audit does not tell yet, the names of the data that end now.

    An envelope that still stands in its row is told of. One that does not was empty, or was ended by another worker:
    what the audit tells of it, in the transaction that cleared it, decides.
    """
    names = {envelope: frozenset(declaration.envelopes().get(envelope, ())) for envelope in envelopes}
    standing = {row.pk: {one for one in envelopes if _stands(declaration, row, one)} for row in rows}
    unclear = [(declaration.label, pk) for pk, those in standing.items() if len(those) < len(names)]
    told = audit.told("record.erased", unclear)
    found: dict[UUID, list[str]] = {}
    for row in rows:
        before = told.get((declaration.label, row.pk))
        ends = {one for one in envelopes if one in standing[row.pk] or not _is_told(names[one], before)}
        if ends:
            found[row.pk] = sorted(frozenset().union(*(names[one] for one in ends)))
    return found


def _is_told(names: frozenset[str], before: set[str] | None) -> bool:
    # A datum is in one envelope only, so one name is enough; the declaration may have got more of them since.
    return before is not None and (not names or not names.isdisjoint(before))


def _stands(declaration: Declaration, row: Any, envelope: str) -> bool:
    """Whether the row still holds anything of the envelope, sealed or in columns of their own."""
    if envelope in sealed_envelopes(declaration.model):
        return getattr(row, f"sealed_{envelope}") is not None
    return any(
        getattr(row, one.attname) != _blank(one)
        for one in (declaration.model._meta.get_field(name) for name in declaration.envelopes().get(envelope, ()))
        if datamap.sealed_in(one) is None
    )


def _alike(records: Mapping[UUID, set[str]], *, but: Container[UUID]) -> dict[frozenset[str], list[UUID]]:
    """Return the records by what of them ends, so that those that end alike are ended by the same few statements."""
    found: dict[frozenset[str], list[UUID]] = defaultdict(list)
    for pk, envelopes in records.items():
        if pk not in but:
            found[frozenset(envelopes)].append(pk)
    return found


def _locked(declaration: Declaration, ids: Iterable[UUID]) -> models.QuerySet[Any]:
    # By primary key and in order, so that two batches never wait for each other crosswise.
    return declaration.model._default_manager.select_for_update().filter(pk__in=list(ids)).order_by("pk")


def _subjects_of(declaration: Declaration, rows: Iterable[UUID]) -> dict[UUID, UUID]:
    path: Any = declaration.subject_path  # what is decided about is about somebody
    pairs = declaration.model._default_manager.filter(pk__in=list(rows)).values_list("pk", path)
    return {pk: subject for pk, subject in pairs if subject is not None}


def _owners_of(label: str, unlinked: Sequence[UUID]) -> set[UUID]:
    """Return whose by the key store these records of an app are, whose rows lead to nobody any more."""
    owners = vault.keys.owners(unlinked) if unlinked and not label.startswith("privacy.") else {}
    return {of for kind, of in owners.values() if kind == "subject" and of is not None}


def _asked_by(
    label: str, ids: Sequence[UUID], envelopes: Collection[str], request: Request | None, now: datetime, *, again: bool
) -> Mapping[UUID, str]:
    """Return for these records the reference of the request that is the cause of their end, of those that have one.

    That is the request which is carried out; of what another kept, the one that asked, where the day that was told has
    not come: it only waited for something open. After a restore it is the one that had decided so before.
    """
    if request is not None:
        return dict.fromkeys(ids, request.reference)
    kept = Q(action=Decision.Action.KEEP, pinned=True) & (Q(until=None) | Q(until__gte=company_day(now)))
    cause = kept | Q(action=Decision.Action.ERASE) & ~Q(request__confirmed_hash="") if again else kept
    found = Decision.objects.filter(cause, label=label, record_id__in=ids, envelope__in=envelopes, done_at=None)
    pairs = found.order_by("-pk").values_list("record_id", "request__reference")
    return {record: reference for record, reference in pairs if record is not None}


def _mark_done(label: str, ids: Sequence[UUID], envelopes: Collection[str], now: datetime) -> None:
    """Say in every decision about these envelopes that the end has come; what another request kept is done as well."""
    open_ones = Decision.objects.filter(label=label, record_id__in=ids, envelope__in=envelopes, done_at=None)
    decided.done(open_ones.filter(Q(action=Decision.Action.ERASE) | Q(pinned=True)), now)


def _end(declaration: Declaration, rows: Sequence[Any], envelopes: Collection[str]) -> int:
    """Clear the same envelopes of locked rows, and end the rows whose last ones they were; return how many ended."""
    sealed = sealed_envelopes(declaration.model)
    columns: dict[str, Any] = {f"sealed_{envelope}": None for envelope in envelopes if envelope in sealed}
    for name, datum in declaration.data.items():
        if datum.envelope in envelopes and datamap.sealed_in(datamap.field_named(declaration.model, name)) is None:
            one = declaration.model._meta.get_field(name)
            columns[one.attname] = _blank(one)
    others = [envelope for envelope in sealed if envelope not in envelopes]
    stays = any(e not in sealed and e not in envelopes for e in declaration.envelopes())
    ending: list[UUID] = []
    staying: list[UUID] = []
    for row in rows:
        is_last = not stays and all(getattr(row, f"sealed_{other}") is None for other in others)
        (ending if is_last else staying).append(row.pk)
    if declaration.end == "delete":
        _update(declaration, ending + staying, columns)
        return len(_delete(declaration, ending))
    _update(declaration, staying, columns)
    links = {declaration.model._meta.get_field(name).attname: None for name in declaration.links}
    _update(declaration, ending, columns | links)
    # The file of the request must not lead back to what stays for statistics.
    decided.forget(declaration.label, ending)
    return len(ending)


def _update(declaration: Declaration, ids: Sequence[UUID], columns: dict[str, Any]) -> None:
    if columns and ids and declaration.model is Request:
        bound.write(Q(pk__in=ids), **columns)  # what is left of it says still what the site wrote
    elif columns and ids:
        # Around the sealing query set: only NULLs and blanks are written, nothing is opened or sealed.
        models.QuerySet(declaration.model).filter(pk__in=ids).update(**columns)


def _blank(one: Any) -> Any:
    if one.null:
        return None
    if one.has_default():
        return one.get_default()
    return ""


def sealed_envelopes(model: type[models.Model]) -> tuple[str, ...]:
    """Return the envelopes that are sealed in columns of `model`; others are blanked or end with the row."""
    return tuple(model.envelopes()) if issubclass(model, vault.SealedModel) else ()


def _delete(declaration: Declaration, ids: Sequence[UUID]) -> set[UUID]:
    """Delete rows with the rows that follow them, but those a record that is still kept needs; return which went.

    The keys of rows that go along are destroyed by the vault when the deletion has committed.
    """
    free = set(ids) - _needed(declaration.model, ids) if ids else set()
    if free:
        _delete_now(declaration.model, free)
    return free


def _needed(model: type[models.Model], ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the rows at which a record points that has reasons of its own."""
    needed: set[UUID] = set()
    for relation in model._meta.related_objects:
        related = relation.related_model
        declared = datamap.for_model(related)
        # A link that leads to the person must stay; any other that may be NULL becomes NULL.
        leads = (declared.subject_path or "").split("__")[0] == relation.field.name
        if declared.facts is None or (relation.on_delete is models.SET_NULL and not leads):
            continue
        pointing: models.QuerySet[Any] = models.QuerySet(related).filter(**{f"{relation.field.name}__in": ids})
        needed.update(pointing.values_list(relation.field.attname, flat=True))
    return needed


def _delete_now(model: type[models.Model], ids: Collection[UUID]) -> None:
    for follower in datamap.declarations():
        if follower.follows and datamap.field_named(follower.model, follower.follows).related_model is model:
            models.QuerySet(follower.model).filter(**{f"{follower.follows}__in": ids}).delete()
    models.QuerySet(model).filter(pk__in=ids).delete()


def end_shells(subject: UUID, *, actor: Actor | None, now: datetime, reference: str = "") -> bool:
    """Delete the emptied rows of `subject` that nothing kept points at any more; last of all the subject.

    A shell is a row whose every envelope was destroyed and which waited for a kept order or RMA. Returns whether the
    subject is gone: then the access log, files and pseudonym lead to nobody. Raises StillSealed, and does nothing,
    where the key store has a key of the subject that no row leads to. Safe to repeat.
    """
    with transaction.atomic():
        counts = datamap.counts_of(subject)
        while counts and _end_one_round(subject, counts):
            counts = datamap.counts_of(subject)  # each round may free the rows that pointed at the next
        remains = any(
            one.is_personal
            and one.label in counts
            and not one.label.startswith("privacy.")
            and not _ends_with_the_subject(one)
            for one in datamap.declarations()
        )
        if remains or _is_unlinked(subject, _still_sealed(subject)):
            return False
        # Another worker may be at the same: whoever locks the row ends the person, and tells of it.
        if not Subject.objects.select_for_update(no_key=True).filter(pk=subject).values_list("pk").first():
            return True
        audit.record("subject.erased", actor=actor, now=now, subject=subject, reference=reference)
        _forget(subject, now=now)
    return True


def _still_sealed(subject: UUID) -> list[tuple[str, UUID]]:
    """Return (label, record) of what the key store has of a subject, but for what ends with this transaction: a row can
    be hung on somebody else for a night, a key cannot."""
    found = vault.keys.still_sealed(("subject", subject))
    going = vault.deleted({record for _, record in found}) if found else set()
    return [(label, record) for label, record in found if record not in going]


def _is_unlinked(subject: UUID, found: Sequence[tuple[str, UUID]]) -> bool:
    """Say whether the rows of all of these lead to nobody by themselves, as that of a payment does whose order has
    ended: the person is gone when they are; False where there are none. Raises StillSealed where a row leads to
    somebody, has lost its link otherwise, or is away."""
    left = set(found) - whose.let_go(dict.fromkeys(found, subject))
    if left:
        raise StillSealed(sorted(left))
    return bool(found)


def _ends_with_the_subject(declaration: Declaration) -> bool:
    """Whether these rows are deleted with the subject itself: they are no reason to keep it."""
    link = declaration.follows
    return bool(link) and datamap.field_named(declaration.model, link).related_model is Subject


def _end_one_round(subject: UUID, counts: Mapping[str, int]) -> int:
    ended = 0
    for declaration, rows in datamap.records_of(subject, counts):
        sealed = sealed_envelopes(declaration.model)
        if not sealed or declaration.end != "delete" or declaration.label.startswith("privacy."):
            continue
        empty = list(rows.filter(**{f"sealed_{envelope}": None for envelope in sealed}).values_list("pk", flat=True))
        if not empty:
            continue
        # Empty is not enough: a row that never held anything has not been erased.
        erased = {pk for pk, _ in vault.keys.destroyed([(pk, envelope) for pk in empty for envelope in sealed])}
        ended += len(_delete(declaration, [pk for pk in empty if pk in erased]))
    return ended


def _forget(subject: UUID, *, now: datetime) -> None:
    """Cut the last links to a subject of whom nothing is left, and delete its row.

    The files of its requests stay, sealed; they get an owner number of their own that stands nowhere else.
    """
    # The same number in every repetition: the key store may have committed it when this process was killed.
    nobody = bound.nobody_of(subject)
    # Those with whom the subject was joined had names of their own in the audit.
    names = pseudonyms.joined_to(subject) | pseudonyms.joined_to(nobody)
    vault.keys.reowner(("subject", subject), ("subject", nobody))
    bound.carry(Request.objects.filter(owner_id=subject).values_list("pk", flat=True), nobody, subject=None)
    access_log.forget(subject)  # its rows stay as they are and lead to nobody
    vault.keys.destroy([(one, pseudonyms.ENVELOPE) for one in {subject, *names}], now=now)
    Subject.objects.filter(pk=subject).delete()
