"""What happened to a request, in words: its history, its decisions, its second person and its
links, as a person reads them.

For the page of what we hold, the copy and the desk: one table of words, so that one thing has one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from privacy import actor, datamap, letters, vault
from privacy.requests import procedures, said
from privacy.requests.models import OneTimeLink, RequestEvent, SecondLook
from privacy.requests.states import State
from privacy.retention import decided, jurisdiction
from privacy.retention.models import Decision, HeldValue

SCOPES = {"whole": "everything about you", "records": "the records that carry exactly this address"}
#: Why a second person looks, to the person whose request it is.
WHYS: dict[str, str] = {
    "evidence": "it stands on written evidence",
    "entry": "the address that proved it was entered by our staff",
    "stated": "one member of our staff alone has stated who is asking",
    "late": "it was written down more than three working days after its receipt",
    "confirmed": "one member of our staff alone has confirmed the plan for you",
    "moved": (
        "the address that a link or code went to does not count as yours any more, or an address or name was changed on "
        "a record, or another record with the address names somebody else"
    ),
    "not_me": "the reader of another address of yours says that it was not them",
    "disputed": "somebody says of a contact of yours that it was not them who entered it",
    "joined": "our staff joined two entries lately, or somebody objects to what was joined",
    "excessive": "our staff propose to refuse it as manifestly unfounded or excessive",
}
DECIDED: dict[str, str] = {
    "go_on": "it is you: the request goes on",
    "end": "it was not shown to be you: the request ends",
    "refuse": "the excess is shown: the request is refused",
    "answer": "the excess is not shown: the request goes on",
}
#: What we do, whoever's act was the occasion of it: no person asks themselves who they are.
OURS = frozenset(
    {
        "identity_asked", "told_elsewhere", "second_asked", "second_asked_again", "second_ended", "paused", "extended",
        "day_came", "nobody_told", "code_written", "notice_written", "step", "planned", "executing", "executed", "replied",
        "closed", "parked", "expired",
    }
)  # fmt: skip

#: What the events of the clock and of the states are called.
EVENTS: dict[str, str] = {
    "received": "Received",
    "confirmed": "Confirmed",
    "step": "Step done",
    "extended": "Deadline extended",
    "identity_asked": "Asked to show who is asking",
    "identity_received": "Proof of identity received",
    "paused": "Clock paused",
    "told_elsewhere": "Every other address on file told, if there is one",
    "second_asked": "Second person asked",
    "second_asked_again": "Second person asked once more",
    "second_decided": "Second person decided",
    "refusal_proposed": "Refusal proposed to a second person",
    "refusal_decided": "Proposed refusal decided",
    "second_ended": "Question to the second person ended with the request, undecided",
    "notice_written": "Letter about a longer deadline written, to be posted",
    "code_written": "Letter with a code written",
    "code_shown": "Letter with a link or code opened to be printed",
    "code_posted": "Letter with the code posted",
    "copy_printed": "Copy opened to be printed",
    "copy_on_stick": "Copy taken for a USB stick",
    "copy_posted": "Copy posted, and destroyed here",
    "letter_returned": "Letter came back",
    "noted": "Note added to the file",
    "answered_anew": "Answer written once more: what it gives had lapsed before it went out",
    "address_changed": "Address changed on a record that it is about",
    "other_name": "Another record carries the address and points to somebody else",
    "name_changed": "Name changed on a record that it is about",
    "possible_breach": "Possible breach: it was not shown who asked, and something had gone out",
    "breach_assessed": "Possible breach assessed",
    "day_came": "A day that was told came while something was open: a letter says why",
    "nobody_told": "A day that was told came while something was open, and no address was there to write to",
    "not_me": "“This was not me” said from another address",
    "identity": "Identity proved",
    "planned": "Waits for confirmation of the plan",
    "restored": "Taken as carried out after a backup was brought back",
}
#: Of a right whose plan nobody confirms: it is carried out as it was made.
UNCONFIRMED: dict[str, str] = {
    "planned": "Worked out what it covers",
    "confirmed": "Begun; nothing has to be confirmed",
}


#: What the last step does where a demo sends no mail: its command prints the letters.
NOT_SENT = "Answer kept for the command outbox: this demo sends no mail"


def happened(event: RequestEvent) -> str:
    """Return what an event says: "Asked to show who is asking", "Carried out", "Answer written"."""
    if event.step:
        if event.step == procedures.CLOSE.name and letters.is_read_by_outbox():
            return "Answer posted, or kept for the command outbox: this demo sends no mail"
        for step in procedures.of(event.request.kind).steps:
            if step.name == event.step:
                return str(step.words)
    if event.kind in UNCONFIRMED and not event.request.procedure.is_confirmed:
        return UNCONFIRMED[event.kind]
    named = EVENTS.get(event.kind) or dict(State.choices).get(event.kind, event.kind.replace("_", " "))
    return f"{named[:1].upper()}{named[1:]}"


def sent(at: datetime) -> str:
    """Return when a letter went out; where a demo sends no mail, what that moment is."""
    if letters.is_read_by_outbox():
        return _("%(moment)s: posted, or kept for the command outbox; this demo sends no mail") % {
            "moment": said.moment(at)
        }
    return said.moment(at)


def done_by(event: RequestEvent, *, own: str = "you") -> str:
    """Return who did what an event says: the person as `own`; what we do is ours, also where the person gave occasion
    to it."""
    is_ours = event.kind in OURS or (event.kind in UNCONFIRMED and not event.request.procedure.is_confirmed)
    return by("task" if is_ours and event.actor_kind in ("customer", "anonymous") else event.actor_kind, own=own)


def by(kind: str, *, own: str = "you") -> str:
    """Return who acted, in the words of the access log; "one of our programs" where nobody is noted."""
    return actor.in_words(kind or "task", own=own)


# As records of a person: columns, and what each row says --------------------------------------------------------------

HISTORY = ("Request", "When", "What happened", "By")
# The day is that of the plan: what is kept until something is finished may go before it, and stays while it is open.
DECISIONS = ("Request", "Record", "Data", "What became of it", "Why", "Kept until, as planned", "Done")
LOOKS = ("Request", "Why a second person was asked", "Asked", "Decision", "Decided")
LINKS = ("Request", "What for", "Made", "Works until", "Used")
HELD_VALUES = ("When it was corrected", "Record", "What it said")


def history(rows: Sequence[RequestEvent]) -> list[dict[str, Any]]:
    """Return events of requests as lines of the copy, by the titles in HISTORY."""
    return _lines(HISTORY, ((one.request.reference, one.at, happened(one), done_by(one)) for one in rows))


def decisions(rows: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return decisions as lines of the copy, by the titles in DECISIONS; one query for each kind of record."""
    called = _called((one.label, one.record_id, one.request.subject_id) for one in rows)
    return _lines(
        DECISIONS,
        (
            (
                one.request.reference,
                called.get((one.label, one.record_id)) or _title(one.label),
                ", ".join(one.data),
                _became(one),
                jurisdiction.law(one.ground, one.authority) if one.action == Decision.Action.KEEP else "",
                one.until,
                decided.ended_at(one),
            )
            for one in rows
        ),
    )


def looks(rows: Sequence[SecondLook]) -> list[dict[str, Any]]:
    """Return questions to a second person as lines of the copy, by the titles in LOOKS; roles, not people."""
    return _lines(
        LOOKS,
        (
            (
                one.request.reference,
                WHYS.get(one.why, one.get_why_display()),
                one.asked_at,
                DECIDED.get(one.outcome, one.outcome),
                one.decided_at,
            )
            for one in rows
        ),
    )


def links(rows: Sequence[OneTimeLink]) -> list[dict[str, Any]]:
    """Return one-time links as lines of the copy, by the titles in LINKS; their secret and address are not kept."""
    return _lines(
        LINKS,
        (
            (
                one.request.reference,
                one.get_purpose_display(),
                one.created_at,
                one.expires_at,
                one.used_at,
            )
            for one in rows
        ),
    )


def held_values(rows: Sequence[HeldValue]) -> list[dict[str, Any]]:
    """Return what corrections replaced under a legal hold as lines of the copy, by the titles in HELD_VALUES: each
    datum by its title and in its own words, as much of it as a copy shows.

    What cannot be opened stays what it is: the reader of the line says so, or refuses it.
    """
    called = _called((one.label, one.record_id, one.subject_id) for one in rows)
    return _lines(
        HELD_VALUES,
        ((one.kept_at, called.get((one.label, one.record_id)) or _title(one.label), _was(one)) for one in rows),
    )


def _was(one: HeldValue) -> Any:
    if isinstance(one.was, vault.Unreadable):
        return one.was
    try:
        data = datamap.for_label(one.label).data
    except KeyError:  # a kind of record of an earlier release
        data = {}
    lines = []
    for name, value in (one.was or {}).items():
        datum = data.get(name)
        if value in (None, "") or (datum is not None and (datum.export == "no" or datum.plain)):
            continue  # a readable column stands there only for what is said by it
        title = datum.title if datum is not None else name.replace("_", " ").capitalize()
        if datum is not None and datum.export == "last4":
            value = f"•••• {str(value)[-4:]}"
        told = datum.said(value, (one.was or {}).get) if datum is not None and datum.words else said.value(value)
        lines.append(f"{title}: {told}")
    return "\n".join(lines)


def file_of_request(kept: Mapping[str, Any]) -> str:
    """Return what the sealed file of a request says beside its decisions, a line each: why it was refused, what the
    person was to know before, what the removal itself leaves. Whether it was carried out is said elsewhere, so each
    line says that it is of the plan.

    Record by record it stands in the decisions, which are shown with the request.
    """
    refusal, planned = kept.get("refusal") or {}, kept.get("plan") or {}
    lines = [_("Said with the plan: %s") % one for one in planned.get("warnings", ())]
    lines += [
        _("A removal by this plan leaves %(title)s: %(holds)s; until %(day)s.")
        % {"title": _lower(one["title"]), "holds": one["holds"], "day": said.day(date.fromisoformat(one["until"]))}
        for one in planned.get("leftovers", ())
    ]
    if planned.get("unjoined"):
        lines.append(str(planned["unjoined"]))
    if refusal:
        lines.append(_("Refused: %s") % ". ".join(filter(None, (refusal.get("ground"), refusal.get("authority")))))
    return "\n".join(lines)


def _lines(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _became(one: Decision) -> str:
    """Return what became of the data, as far as the request is: what would happen, is to happen, has happened, or was
    to happen and did not, because the request ended."""
    done, how_far = str(one.get_action_display()), one.request.stage
    if how_far == "ended":
        return _("was to be %(done)s; the request ended before") % {"done": done}
    if decided.ended_at(one) and one.action == Decision.Action.KEEP:
        return _("kept first, and erased since")
    if how_far in ("", "would"):
        return _("would be %(done)s") % {"done": done}
    is_to_come = how_far == "begun" if one.action == Decision.Action.GIVE else not decided.ended_at(one)
    if one.action != Decision.Action.KEEP and is_to_come:
        return _("to be %(done)s") % {"done": done}
    return done


def _lower(title: str) -> str:
    return f"{title[:1].lower()}{title[1:]}"


def _title(label: str) -> str:
    try:
        return datamap.for_label(label).title
    except KeyError:  # a kind of record of an earlier release
        return label


def _called(rows: Iterable[tuple[str, UUID | None, UUID | None]]) -> dict[tuple[str, UUID | None], str]:
    """Return the records of these (label, record, subject) with the numbers by which people call them: "Order
    SO-2026-000002"."""
    wanted: dict[str, set[UUID]] = {}
    subjects: set[UUID] = set()
    for label, record, subject in rows:
        if record is not None and subject is not None:
            wanted.setdefault(label, set()).add(record)
            subjects.add(subject)
    found: dict[tuple[str, UUID | None], str] = {}
    for label, ids in wanted.items():
        try:
            declaration = datamap.for_label(label)
        except KeyError:
            continue
        if declaration.reference is None or declaration.subject_path is None:
            continue
        theirs = declaration.model._default_manager.filter(
            pk__in=ids, **{f"{declaration.subject_path}__in": list(subjects)}
        )
        for pk, number in theirs.order_by().values_list("pk", declaration.reference):
            found[label, pk] = f"{declaration.title} {number}"
    return found
