"""What history, audit or key store contradict in the row of a request: for an operator who judges it.

What must never happen: a row that somebody wrote into is sealed as it stands because nobody asked the lists that are
only ever appended to; or decisions and copies that somebody hung on it are sealed with it. What the keyed hash of a
request stands over (`bound`) is held against them here, part by part; its decisions against the plan in its sealed
file, its copies against the key store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from privacy import audit, vault
from privacy.calendar import undated
from privacy.requests import bound, clock, history, missed, planned, procedures, questions, tombstones
from privacy.requests.models import WORD, Export, Request, RequestEvent
from privacy.requests.procedure import Procedure, Step
from privacy.requests.states import BEGUN_STATES, OPEN_STATES, RESUMED_STATES, UNDONE_STATES, State
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.work.broken import require_own

FILED, MERGED = "request.filed", "request.merged"
PARKED, RESUMED = "request.parked", "request.resumed"
EXECUTED, NOTHING_HELD, RESTORED = "request.executed", "request.nothing_held", "restored"
Told = Mapping[str, list[str]]
# Each of these events has a line of the audit of its own; one of a state has one more where the request went on.
_TOLD_EACH_TIME = (
    (clock.Kind.RECEIVED, (FILED, MERGED), "it was received"),
    (State.IDENTITY, ("request.identified", RESUMED), "identity was proved"),
    ("second_decided", ("request.second_decided",), "a second person decided"),
    (history.SECOND_ENDED, ("request.second_ended",), "a question to a second person ended"),
    (history.REFUSAL_PROPOSED, ("request.refusal_proposed",), "its refusal was proposed"),
    (history.REFUSAL_DECIDED, ("request.refusal_decided",), "a second person decided about its refusal"),
    (clock.Kind.EXTENDED, ("request.extended",), "the deadline was extended"),
    (State.CONFIRMED, ("request.confirmed", RESUMED), "a plan was confirmed"),
    (State.PARKED, (PARKED,), "it was parked"),
    (State.REFUSED, ("request.refused",), "it was refused"),
    (State.WITHDRAWN, ("request.withdrawn",), "it was withdrawn"),
    (State.EXPIRED, ("request.expired",), "nobody acted on it in time"),
    (history.BREACH_ASSESSED, ("request.breach_assessed",), "what had gone out was assessed"),
)
# So has this one, of a right that ends data: the proof of it was written.
_TOLD_OF_REMOVALS = ((State.EXECUTED, (EXECUTED, RESUMED), "it was carried out"),)
#: After one of these a question to a second person ends undecided.
_ENDED = frozenset(one.value for one in State if one not in OPEN_STATES) | {RESTORED}
_HELD_AGAINST = frozenset(kind for kind, _, _ in _TOLD_EACH_TIME) | {history.STEP}


def of(pk: UUID) -> list[str]:
    """Return in words what is contradicted; [] where only the keyed hash does not fit."""
    row = bound.row_of(pk)
    return [] if row is None else _looked_at(lambda: _of(row))


def _of(row: Mapping[str, Any]) -> list[str]:
    events = _events(row)
    told = _told(row)
    found = [
        *_of_person(row),
        *_of_filing(row),
        *_of_stages(row, events),
        *_of_audit(row, events, told),
        *_of_parking(row, events, told),
        *_of_days(row),
    ]
    found += [*_of_steps(row, events), *_of_state(row, events, told), *_of_decisions(row, events), *_of_ends(row)]
    return [*found, *_of_files(row)]


def besides(pk: UUID) -> list[str]:
    """Return in words what of a request does not fit its keyed hash beside the row, and is signed when it is sealed;
    the steps of its history that it has not reached, which count as not done; and what is held against nothing."""
    row = bound.row_of(pk)
    return [] if row is None else _looked_at(lambda: _besides(row))


def _looked_at(look: Callable[[], list[str]]) -> list[str]:
    """Return what a look at one request finds; that it could not be looked at, where something there stops it: the
    others are named all the same."""
    try:
        with transaction.atomic():
            return look()
    except Exception as error:
        require_own(error)
        return [f"it could not be looked at ({type(error).__name__})"]


def _besides(row: Mapping[str, Any]) -> list[str]:
    pk = row["pk"]
    decisions = list(Decision.objects.filter(request=pk))
    unsigned = len(decisions) - len(decided.ours(decisions))
    copies = [one for one in Export.objects.filter(request=pk, deleted_at=None) if not bound.is_our_file(one)]
    found = [f"{unsigned} decision{'' if unsigned == 1 else 's'} that the site did not sign"] if unsigned else []
    if copies:
        found.append(f"{len(copies)} cop{'y' if len(copies) == 1 else 'ies'} that the site did not sign")
    found += [f"a step in its history that it has not reached: {name}" for name in _ahead(row)]
    if pk in tombstones.taken():
        found.append("in the place of its proof the key store's ledger has a line that the program did not write")
    request = Request.objects.only("pk").get(pk=pk)
    unanswered = sorted(questions.of(request).ended)
    found += [f"a question to a second person that ended and nobody answered: {why}" for why in unanswered]
    return [*found, *questions.findings(request), *_alone(row)]


def _alone(row: Mapping[str, Any]) -> Iterator[str]:
    """Say what only the row, or only the history, tells: who looks has to judge it."""
    of_removals = {kind for kind, _, _ in _TOLD_OF_REMOVALS} if procedures.of(row["kind"]).removes else set()
    known = [*_HELD_AGAINST, *of_removals]
    events = RequestEvent.objects.filter(request=row["pk"]).exclude(kind__in=known)
    days: dict[str, list[str]] = {}
    for kind, on in events.order_by("pk").values_list("kind", "on"):
        days.setdefault(kind if WORD.fullmatch(kind) else ascii(kind), []).append(f"{on:%-d %B %Y}")
    for kind, found in days.items():
        yield f"in its history, and in no line of the audit: {kind}, {', '.join(found)}"
    said = ", ".join(f"{name} {row[name] or 'none'}" for name in ("scope", "country", "region"))
    yield f"held against nothing: {said}"


def _ahead(row: Mapping[str, Any]) -> list[str]:
    ahead = procedures.of(row["kind"]).ahead(row["step"], of_a_person=row["scope"] == "whole")
    told = RequestEvent.objects.filter(request=row["pk"], kind=history.STEP, step__in=ahead)
    return sorted(told.values_list("step", flat=True))


def is_step_supported(row: Mapping[str, Any]) -> bool:
    """Say whether the history of a request has the steps that come before the one that its row names."""
    return not any(_of_steps(row, _events(row)))


def _events(row: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return kind, step and detail of each event; a detail that the site cannot have written says nothing."""
    events = RequestEvent.objects.filter(request=row["pk"]).order_by("pk").values_list("kind", "step", "detail")
    return [(kind, step, detail if isinstance(detail, dict) else {}) for kind, step, detail in events]


def _of_person(row: Mapping[str, Any]) -> Iterator[str]:
    if not bound.is_of_owner(row):
        gone = row["subject_id"] is None
        yield f"the row names {'nobody, and its owner is on file' if gone else 'another person than its owner'}"
    elif bound.is_cut_off(row):
        yield "the row names nobody, and by the key store its owner is on file"
    if bound.is_elsewhere(row):
        yield "by the key store its file is another person's than the row's"


def _of_filing(row: Mapping[str, Any]) -> Iterator[str]:
    """Hold the right and the way it came against the audit, as long as that goes back."""
    if not procedures.of(row["kind"]).is_known:
        yield "this program knows no such right"
    told = audit.told_of((FILED, MERGED), [(Request.vault_label, row["pk"])])
    if not told:  # what was planted there says nothing
        return
    filed = [(reason, reference) for _, _, reason, reference in told]
    kinds = [reason.partition(" by ")[0] for reason, _ in filed]
    channels = [reason.partition(" by ")[2] for reason, _ in filed]
    if row["kind"] not in kinds:
        yield f"by the audit it was filed as {' and '.join(dict.fromkeys(kinds))}"
    if row["channel"] not in channels:
        yield f"by the audit it came by {' and '.join(dict.fromkeys(channels))}"
    if row["reference"] not in {reference for _, reference in filed}:
        yield "by the audit it was filed under another reference"


def _of_stages(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    kinds, state = {kind for kind, _, _ in events}, bound.stopped_at(row)
    if state not in kinds and not (state == "closed" and "restored" in kinds):
        yield f"its history does not say that it was ever {state}"
    names = [kind for kind, _, _ in events]
    if history.SECOND_ENDED in names and not _ENDED & set(names[: names.index(history.SECOND_ENDED)]):
        yield "a question to a second person ended before the request did"
    proved = [detail.get("identity") for kind, _, detail in events if kind == "identity"]
    if row["identity"] != "pending" and not proved:
        yield "its history does not say that identity was proved"
    elif row["identity"] != "pending" and any(one is not None for one in proved) and row["identity"] not in proved:
        yield "its history says that identity was proved in another way"
    if row["plan_hash"] and "planned" not in kinds:
        yield "its history does not say that a plan was made"
    if row["confirmed_hash"] and "confirmed" not in kinds:
        yield "its history does not say that a plan was confirmed"


def _told(row: Mapping[str, Any]) -> Told:
    """Return the reasons of our lines of the audit about a request, by what they tell."""
    told: dict[str, list[str]] = {}
    for one in audit.ours(audit.history(reference=row["reference"])):
        told.setdefault(one.action, []).append(one.reason)
    return told


def _of_audit(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]], told: Told) -> Iterator[str]:
    """Hold proof, confirmation, decisions and deadline against the audit, as long as that goes back."""
    if FILED not in told:
        return
    if row["identity"] != "pending" and row["identity"] not in told.get("request.identified", ()):
        yield "the audit does not tell that identity was proved in this way"
    if row["confirmed_hash"] and row["confirmed_hash"] not in told.get("request.confirmed", ()):
        yield "the audit does not tell that this plan was confirmed"
    of_removals = _TOLD_OF_REMOVALS if procedures.of(row["kind"]).removes else ()
    yield from missed.words((kind for kind, _, _ in events), told)
    for kind, actions, words in (*_TOLD_EACH_TIME, *of_removals):
        if sum(kind == one for one, _, _ in events) > sum(len(told.get(action, ())) for action in actions):
            yield f"its history says more often than the audit that {words}"


def _of_parking(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]], told: Told) -> Iterator[str]:
    """Hold that it is parked, or not, against the audit, as long as that goes back: each time that one was parked, and
    each that it went on, has a line."""
    is_parked = row["state"] == State.PARKED
    if is_parked and row["parked_from"] not in RESUMED_STATES:
        yield "it is parked, and stopped where nothing goes on"
    if FILED not in told or RESTORED in {kind for kind, _, _ in events}:
        return
    # One whose row could not be read at all is parked without its reference.
    times = len(told.get(PARKED, ())) + len(audit.told_of((PARKED,), [(Request.vault_label, row["pk"])]))
    is_told = times > len(told.get(RESUMED, ()))
    if is_parked and not is_told:
        yield "it is parked, and the audit does not tell that"
    if is_told and not is_parked and row["state"] not in UNDONE_STATES:  # it may end where it stopped
        yield "the audit tells that it was parked, and not that it went on"


def _of_days(row: Mapping[str, Any]) -> Iterator[str]:
    """Hold when identity was proved, who asked and the due date against the history."""
    events, at = RequestEvent.objects.filter(request=row["pk"]), row["identity_at"]
    if (row["identity"] == "pending") != (row["identity_at"] is None):
        yield "the row says that identity was proved, and not when, or the other way round"
    elif at and (undated.is_none(at) or not events.filter(kind=State.IDENTITY, at=at).exists()):
        yield "its history says that identity was proved at another time"
    received = [detail.get("asked_by") for kind, _, detail in _events(row) if kind == clock.Kind.RECEIVED]
    asked_by = [one for one in received if isinstance(one, str)]
    if asked_by and row["asked_by"] not in asked_by:
        yield f"by its history it was asked by {' and '.join(map(ascii, dict.fromkeys(asked_by)))}"
    if bound.stopped_at(row) not in OPEN_STATES:
        return  # nothing is decided by its due date any more
    due_on = history.due_dates(Request.objects.only("kind", "country", "region").get(pk=row["pk"])).due_on
    if undated.is_none(row["due_on"]):
        yield f"by its history it is due on {due_on:%-d %B %Y}, and the date in its row cannot be read"
    elif row["due_on"] != due_on:
        yield f"by its history it is due on {due_on:%-d %B %Y}, by its row on {row['due_on']:%-d %B %Y}"


def _of_decisions(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    """Hold all decisions against the plan in the sealed file, in number and what they are about, and against the key
    store; those that do not fit their keyed hashes in all that the plan says."""
    decisions = list(Decision.objects.filter(request=row["pk"]).order_by("pk"))
    plan = planned.of(Request.objects.get(pk=row["pk"]))
    verdicts = plan.get("verdicts", []) if plan else []
    pairs = list(zip(decisions, verdicts, strict=False))
    if decided.said_too_early(decisions, {one.pk: planned.record_of(one, verdict) for one, verdict in pairs}):
        yield "a decision says that data has ended, and the key store has its key"
    fitted = {one.pk for one in decisions if decided.is_ours(one) or decided.was_ours(one)}
    kinds = {kind for kind, _, _ in events}
    # Of a file that has ended, and of a request that was made anew from the ledger, there is no plan.
    if len(fitted) == len(decisions) and (plan is None or (not plan and "restored" in kinds)):
        return
    if len(verdicts) != len(decisions):
        yield "there are not as many decisions as its plan in the sealed file has"
        return
    if plan and row["plan_hash"] not in ("", plan.get("hash")):
        yield "its plan in the sealed file is another than the row names"
    gives = procedures.of(row["kind"]).gives
    for place, (one, verdict) in enumerate(pairs):
        is_one = planned.is_about(one, verdict, place, gives=gives)
        if not decided.is_ours(one):
            is_one = is_one and planned.is_worded(one, verdict)
        if one.pk not in fitted:
            is_one = is_one and _is_planned(one, verdict, gives=gives, has_begun="executing" in kinds)
        if not is_one:
            yield f"a decision about {one.label}, {one.envelope}, is not as its plan in the sealed file has it"


def _is_planned(one: Decision, verdict: Mapping[str, Any], *, gives: bool, has_begun: bool) -> bool:
    is_kept = one.action == Decision.Action.KEEP
    if (
        record := planned.record_of(one, verdict)
    ) is None and not gives:  # of a file of before: which data ended nobody can tell
        return False
    says = [one.label, str(record), one.envelope, one.until.isoformat() if one.until else None]
    of = verdict.get("of", says)  # a file of before does not know
    return (
        one.action == (Decision.Action.GIVE if gives else verdict["action"])
        and one.pinned == (is_kept and has_begun)
        and says == of
    )


def _of_files(row: Mapping[str, Any]) -> Iterator[str]:
    for one in Export.objects.filter(request=row["pk"], deleted_at=None):
        if not bound.is_our_file(one) and not bound.is_file_of(one, row["owner_id"]):
            yield "a copy hangs on it that by the key store is another person's"


def _of_steps(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    right = procedures.of(row["kind"])
    following = right.named(row["step"])
    if following is None:
        if row["step"] and right.is_known:
            yield "this right has no such step"
        return
    done = {step for kind, step, _ in events if kind == history.STEP}
    for name in right.order(of_a_person=row["scope"] == "whole"):
        if name == following.name or following.waits:
            return
        one = right.named(name)
        if one is not None and one != procedures.PLAN and one.name not in done:
            yield f"it is at a step before which this had to be done, and was not: {one.words}"


def _of_state(row: Mapping[str, Any], events: list[tuple[str, str, dict[str, Any]]], told: Told) -> Iterator[str]:
    """Hold what a request that was begun says it reached against the steps in its history: an event of a state is
    written by the step that reaches it, or by what ends a request otherwise, which the audit tells of."""
    kinds, done = {kind for kind, _, _ in events}, {step for kind, step, _ in events if kind == history.STEP}
    goes_back = FILED in told
    is_restored = RESTORED in told.get(EXECUTED, ()) or (RESTORED in kinds and not goes_back)
    is_at_once = State.PLANNED not in kinds and (NOTHING_HELD in told or not goes_back)
    if row["step"]:  # those before it are asked already
        done |= set(_before(procedures.of(row["kind"]), row))
    elif is_restored or is_at_once:
        return
    state = bound.stopped_at(row)
    for one in _until(procedures.of(row["kind"]), state, of_a_person=row["scope"] == "whole"):
        if one != procedures.PLAN and one.name not in done:
            yield f"it is {State(state).label}, and what comes before that was not done: {one.words}"


def _before(right: Procedure, row: Mapping[str, Any]) -> tuple[str, ...]:
    is_whole = row["scope"] == "whole"
    ahead = right.ahead(row["step"], of_a_person=is_whole)
    return tuple(name for name in right.order(of_a_person=is_whole) if name not in ahead)


def _until(right: Procedure, state: str, *, of_a_person: bool) -> list[Step]:
    """Return the steps that have to be done before a request of this right can be in this state."""
    steps = [one for one in right.steps if one.name in right.order(of_a_person=of_a_person)]
    if state not in BEGUN_STATES:
        return []
    if state == State.REPLIED:  # while it waits to be closed
        return [one for one in steps if one.reaches != State.CLOSED]
    reached = [place for place, one in enumerate(steps) if one.reaches == state]
    if state == State.CLOSED:
        return steps
    return steps[: reached[0] + 1] if reached else []


def _of_ends(row: Mapping[str, Any]) -> Iterator[str]:
    """Hold a removal that by its row has ended what it was to end against the key store."""
    right = procedures.of(row["kind"])
    if not right.removes or bound.stopped_at(row) not in BEGUN_STATES or "erase" in right.ahead(row["step"]):
        return
    request = Request.objects.get(pk=row["pk"])
    decisions = list(Decision.objects.filter(request=row["pk"]).order_by("pk"))
    verdicts = (planned.of(request) or {}).get("verdicts", ())
    if len(verdicts) != len(decisions):
        verdicts = [{}] * len(decisions)
    ended = [
        (record, one.envelope)
        for one, verdict in zip(decisions, verdicts, strict=True)
        if one.action == Decision.Action.ERASE and (record := planned.record_of(one, verdict)) is not None
    ]
    if vault.keys.living(ended):
        yield "data that it was to end is there: the key store has its key"
