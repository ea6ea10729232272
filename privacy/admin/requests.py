"""The work list of the privacy team: what was asked, until when, what was decided, what is to be done next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from privacy import audit, letters
from privacy.admin import agenda, correspondence, filing, handling, holding, proving, search
from privacy.admin.letterpages import LetterPages
from privacy.admin.steps import Step
from privacy.admin.waiting import WorkList, due, unpaused
from privacy.calendar import company_day
from privacy.gate import Actor
from privacy.models import Hold, Letter, Request
from privacy.requests import (
    answer,
    codes,
    deadline,
    doubt,
    excess,
    export,
    grounds,
    history,
    in_words,
    listing,
    nothing,
    paper,
    posting,
    procedures,
    proof,
    reading,
    second,
    services,
    sight,
    waits,
    writing,
)
from privacy.requests.filing import Receipt, file
from privacy.requests.history import NotAllowed
from privacy.requests.outcome import FileUnreadable, NotAsPlanned
from privacy.requests.proving import identify, post_code
from privacy.requests.states import DONE_STATES, State
from privacy.retention import holds, in_force
from privacy.views import words

#: Of each record of a request that ended before anything was done for it.
NOTHING_DONE = "Nothing was done: the request had ended before."


@admin.register(Request)
class RequestAdmin(LetterPages):
    list_display = ("reference", "asked_for", "stands", "received_on", "due", "how_identified", "channel")
    list_filter = (agenda.Work, "kind", ("state", agenda.StateInWords), "channel")
    ordering = ("due_on", "reference")
    columns = ("reference",)
    named_by = ("requester_name",)
    adding = filing.FileRequest
    tells = ("request.", "letter.", "copy.")
    change_form_template = "admin/request.html"
    labels: ClassVar[Mapping[str, str]] = {
        "legal_due_on": "Due by law",
        "channel": "How it reached us",
        "identity": "How identity was proved",
        "identity_at": "Proved",
        "scope": "What it covers",
        "plan_at": "Plan made",
        "plan_hash": "Fingerprint of the plan",
        "last_error": "Last failure",
        "closed_at": "Ended",
    }
    search_help = "Reference, or the e-mail address the answer goes to. What you type is not kept."
    fieldsets = (
        (None, {"fields": ("asked_for", "stands", "next_step", "received_on", "due", "latest", "channel", "asked_by")}),
        (
            "Who asks",
            {
                "fields": (
                    "identity",
                    "identity_at",
                    "scope",
                    "requester_name",
                    "requester_email",
                    "requester_postal",
                    "note",
                )
            },
        ),
        ("Progress", {"fields": ("plan_at", "plan_hash", "last_error", "closed_at")}),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        proof.BadRequest: "",
        sight.NotYours: "Only the privacy team may do this, under a current confidentiality acknowledgement.",
        services.NotIdentified: "",
        services.PlanChanged: "The plan has changed since you saw it. Nothing was done. Look at it once more and confirm it again.",
        NotAllowed: "",
        letters.LinkLost: "",
        letters.CannotSendAgain: "This letter was sent or stopped in the meantime.",
        holds.RecordNotFound: "",
        holds.NothingOnHold: "",
        holds.BadHold: "",
    }

    # Columns and fields ------------------------------------------------------------------------------------------

    @admin.display(description="What is asked for", ordering="kind")
    def asked_for(self, record: Request) -> str:
        """Return what is asked for; of a kind that this version does not know its name, and that it is not known."""
        return record.title

    @admin.display(description="State", ordering="state")
    def stands(self, record: Request) -> str:
        """Return how the request stands in words: while identity is the matter, whether it is proved yet; for whom it
        waits; of one in doubt that somebody has to look."""
        return record.get_state_display()

    def look_at(self, rows: Iterable[Any]) -> None:
        listing.tell(rows)

    @admin.display(description="Answer due", ordering="due_on")
    def due(self, record: Request) -> str:
        """Return the due date, and in words how late it is while the request is not answered."""
        waits = record.is_open and not record.is_answered
        day = due(record.due_on, _today())[0] if waits else f"{record.due_on:%-d %B %Y}"
        return f"{day}{unpaused(record)}"

    @admin.display(description="At the latest", ordering="legal_due_on")
    def latest(self, record: Request) -> str:
        """Return the law's last day, and by when receipt is confirmed where the law asks for that, with the law's
        name."""
        dates = history.due_dates(record)
        without = dates.unpaused_legal_due_on if record.unpaused_due_on else None
        parts = [
            f"{record.legal_due_on:%-d %B %Y}",
            f" ({without:%-d %B %Y} without the pause)" if without else "",
            f", receipt to be confirmed by {dates.confirm_by:%-d %B %Y}" if dates.confirm_by else "",
        ]
        return f"{''.join(parts)}, by {dates.regime.law}"

    @admin.display(description="Identity", ordering="identity")
    def how_identified(self, record: Request) -> str:
        """Return in words whether identity is proved, and how."""
        return record.get_identity_display() if record.is_identified else Request.Identity.PENDING.label

    @admin.display(description="Next")
    def next_step(self, record: Request) -> str:
        """Return what the request waits for."""
        if not record.procedure.is_known:
            return f"Nothing: this version of the site does not know a request of the kind “{record.kind}”. Tell who runs the site."
        if record.is_in_doubt:
            return _("Somebody has to look at it: it is not as the site wrote it")
        if record.state == State.PARKED:
            return "It failed ten times and waits for you."
        if not record.step:
            return "Nothing"
        step = record.procedure.named(record.step)
        needs_second = record.is_open and waits.is_undecided(record)
        if step is not None and step.waits:
            return f"Waits for {'a second person, and for ' if needs_second else ''}{step.waits}"
        if needs_second:
            return "Waits for a second person"
        if record.step == procedures.CLOSE.name and answer.is_to_post(record):
            return "Waits for the answer to be posted: open it under Letters, print it, post it and mark it as posted"
        return words.step(record, record.step)

    def find(self, text: str) -> search.Found:
        """Return the requests found by address, or by reference in whatever spelling."""
        return search.find(Request, codes.read_reference(text) or text, columns=self.columns)

    def rows_of(self, owner: Any) -> QuerySet[Request] | None:
        person = getattr(owner, "subject_id", None)
        return Request.objects.filter(subject_id=person).order_by("-received_on", "-reference") if person else None

    def line_of(self, record: Request) -> tuple[str, str]:
        what = f"{record.reference}: {record.title}"
        if not record.is_open or record.is_answered:
            return what, record.get_state_display()
        return what, _("%(state)s; answer due %(when)s") % {
            "state": record.get_state_display(),
            "when": self.due(record),
        }

    def whose(self, record: Request) -> dict[str, Any]:
        return {"about": sight.people_in(record)}

    def history_of(self, record: Request) -> QuerySet[audit.AuditEvent]:
        return audit.history(reference=record.reference)

    def details(self, record: Request, actor: Actor) -> dict[str, Any]:
        """Return decisions with reasons, history, letters, copies and holds."""
        events = [
            {
                "at": event.at,
                "on": event.on,
                "what": _what(record, event),
                "by": in_words.done_by(event, own="the person"),
            }
            for event in record.events.all()
        ]
        on_hold = _holds(record)
        holding.name_records(on_hold)
        is_yourself, damaged = self.is_own(record), export.damaged(record)
        return {
            "about": record,
            "is_late": record.is_open and not record.is_answered and record.due_on < _today(),
            "events": events,
            "letters": [
                (
                    one,
                    correspondence.letter_title(one),
                    _way(one),
                    letters.sent_at(one),
                    _fate(one),
                    one.is_to_post and not is_yourself,
                )
                for one in record.letters.all()
            ],
            "copies": [(one, one == damaged) for one in record.exports.all()],
            "holds": on_hold,
            **self._decisions(record, actor),
        }

    def _decisions(self, record: Request, actor: Actor) -> dict[str, Any]:
        is_ours = doubt.is_clear(record)
        if not record.plan_hash:
            return {"is_doubted": not is_ours}
        try:
            found = reading.lines(record, actor=actor, now=timezone.now())
        except NotAsPlanned:
            return {"is_doubted": not is_ours, "is_not_as_planned": is_ours}
        except (FileUnreadable, sight.NotYours):
            return {"is_doubted": not is_ours, "is_covered": True}
        how_far = record.stage
        if how_far == "ended":
            for line in (*found["erased"], *found["kept"], *found["given"]):
                line |= {"sentence": NOTHING_DONE, "until": None}
        begin = {"ended": "Was to be ", "would": "To be "}.get(how_far, "")
        is_erased = all(line["done_at"] for line in found["erased"])
        said = {
            "erased": begin or ("" if is_erased else "To be "),
            "kept": begin,
            "given": begin or ("" if how_far == "done" else "To be "),
        }
        done = {"erased": "erased", "kept": "kept", "given": "given in the copy"}
        titles = {name: f"{said[name]}{word}" for name, word in done.items()}
        return {
            "is_doubted": not is_ours,
            "decisions": [
                {"title": f"{title[:1].upper()}{title[1:]}", "lines": found[name]}
                for name, title in titles.items()
                if found[name]
            ],
        }

    # Steps -------------------------------------------------------------------------------------------------------

    def steps(self, record: Request, actor: Actor) -> dict[str, type[Step]]:
        if "privacy" not in actor.roles:
            return {}
        state, right, now = record.state, record.procedure, timezone.now()
        is_unfinished = record.is_open and state not in DONE_STATES
        is_planning = state in (State.IDENTITY, State.PLANNED) and record.is_identified
        possible: list[tuple[bool, str, type[Step]]] = [
            (state == State.PARKED and right.is_known, "resume", handling.Resume),
            (state == State.RECEIVED, "identity", proving.StateIdentity),
            (state == State.RECEIVED, "code", proving.PostCode),
            (nothing.may_be(record), "nothing", handling.NothingHeld),
            (is_planning and right.is_confirmed, "confirm", handling.Confirm),
            (is_planning and right.is_known, "plan", handling.MakePlan),
            (correspondence.MarkPosted.letters(record).exists(), "posted", correspondence.MarkPosted),
            (record.is_open and correspondence.CameBack.letters(record).exists(), "returned", correspondence.CameBack),
            (paper.can_post(record, now=now), "copy", correspondence.PostCopy),
            (correspondence.Resend.letters(record).exists(), "resend", correspondence.Resend),
            (record.subject_id is not None and is_unfinished, "hold", holding.PlaceHold),
            (deadline.may_extend(record, now=now), "extend", handling.Extend),
            (deadline.is_too_late_to_extend(record, now=now), "extend", handling.ExtendTooLate),
            (deadline.may_pause(record, now=now), "pause", handling.Pause),
            (second.possible_breaches().filter(pk=record.pk).exists(), "breach", handling.AssessBreach),
            (record.can_withdraw, "withdraw", handling.Withdraw),
            (State.REFUSED in record.may_become, "refuse", handling.Refuse),
            (bool(getattr(record, "sealed_request_file", None)), "note", handling.AddNote),
        ]
        return {name: step for is_possible, name, step in possible if is_possible}

    def next_of(self, record: Request, steps: Mapping[str, type[Step]]) -> str:
        """Return what staff do next by the state of the request; "" while it waits for somebody else.

        Who can confirm on a page does it there: the team confirms for whom the plan was told by post.
        """
        of_state: dict[str, str] = {State.PARKED: "resume", State.RECEIVED: "identity", State.IDENTITY: "plan"}
        if record.state == State.PLANNED and history.was_told_by_post(record):
            of_state[State.PLANNED] = "confirm"
        urgent = () if record.state == State.PARKED else ("breach", "posted")
        return next((name for name in (*urgent, of_state.get(record.state, "")) if name in steps), "")

    def take(self, name: str, record: Request, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "resume":
                services.resume(record, actor=actor, now=now)
                return f"{record.reference} goes on."
            case "identity":
                _, code = identify(
                    record, data["how"], subject=data["subject"], note=data["note"].strip(), code=data["code"],
                    callback=data["callback"], actor=actor, now=now,
                )  # fmt: skip
                return f"The identity is proved.{_code(code)}"
            case "code":
                post_code(record, subject=data["subject"], actor=actor, now=now)
                return "The letter with the code is written: open it under Letters, print it, post it and mark it as posted."
            case "nothing":
                services.say_nothing_held(record, actor=actor, now=now)
                return f"{record.reference} is answered: nothing is held."
            case "plan":
                plan = services.make_plan(record, actor=actor, now=now)
                if not record.procedure.removes:
                    return "The plan is made."
                return f"The plan is made: {len(plan.erased)} to be erased, {len(plan.kept)} kept."
            case "confirm":
                services.confirm(
                    record, data["plan_hash"], actor=actor, now=now,
                    answered_on=data["answered_on"], agreed=data["agreed"], number=data["number"],
                )  # fmt: skip
                return "The plan is confirmed; a second person looks at it before it is carried out."
            case "posted":
                posting.mark_posted(data["letter"], actor=actor, now=now)
                return "The letter counts as posted today."
            case "returned":
                posting.came_back(data["letter"], actor=actor, now=now)
                return "It is written down that the letter came back."
            case "copy":
                paper.post(record, actor=actor, now=now)
                return "The letter is written: open it under Letters, and print the copy or take it for a stick from its page."
            case "resend":
                letters.resend(data["letter"], actor=actor, now=now)
                return "The letter goes out again."
            case "hold":
                number, reference = data["record_id"], data["reference"]
                holds.place(data["label"], number, reason=data["reason"], reference=reference, actor=actor, now=now)
                return "The record is under a hold. Refresh the plan to see what that changes."
            case "extend":
                deadline.extend(record, reason=data["reason"], words=data["words"], actor=actor, now=now)
                if deadline.is_notice_unposted(record):
                    return "The letter is written. The deadline is extended once you have posted it and marked it as posted."
                return f"The deadline is extended to {record.due_on:%-d %B %Y}{unpaused(record)}; the person is told."
            case "pause":
                deadline.pause(record, actor=actor, now=now)
                return "The clock stands still until the identity is proved."
            case "breach":
                second.assess_breach(record, is_breach=data["found"] == "breach", actor=actor, now=now)
                return f"What you found about {record.reference} is in the audit."
            case "note":
                services.add_note(record, text=data["text"], actor=actor, now=now)
                return "The note is added."
            case "withdraw":
                services.withdraw(record, actor=actor, now=now)
                return f"{record.reference} is taken back."
            case "refuse":
                if data["authority"] in grounds.NEED_SECOND:
                    excess.propose(record, ground=data["ground"], evidence=data["evidence"], actor=actor, now=now)
                    return f"A second person decides whether {record.reference} is refused; until then its deadline goes on."
                services.refuse(record, ground=data["ground"], authority=data["authority"], actor=actor, now=now)
                return f"{record.reference} is refused; the person is told why."
            case _:
                return super().take(name, record, data, actor=actor, now=now)

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Request, str]:
        given = {
            name: data[name]
            for name in ("kind", "channel", "received_on", "asked_by", "identity", "email", "name", "note", "postal")
        }
        filed, code = file(Receipt(subject=data["subject"], **given), actor=actor, now=now)
        said = f"{filed.reference}: answer due on {due(filed.due_on, company_day(now))[0]}{unpaused(filed)}."
        if filed.filed_at != now:
            said = f"The same was asked before and is still open; this receipt was added to it. {said}"
        return filed, f"{said}{_code(code)}"

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        return agenda.waiting_for(self, actor, today)


def _today() -> date:
    return company_day(timezone.now())


def _code(code: str) -> str:
    """Return where the outcome code is, in a sentence; "" when this step made none. With the code the copy is fetched:
    the person gets it, staff do not see it here.
    """
    return " The acknowledgement to the person gives the outcome code; it is not shown here." if code else ""


def _what(record: Request, event: Any) -> str:
    return words.step(record, event.step) if event.kind == history.STEP else in_words.happened(event)


def _way(letter: Letter) -> str:
    """Return how a letter goes, whatever has become of it."""
    return "post" if letter.by == Letter.By.POST else letter.get_by_display()


def _fate(letter: Letter) -> str:
    if letter.sent_at and writing.is_returned(letter):
        return "came back"
    if letter.sent_at:
        return letters.word_for_gone(letter)
    if letter.stopped_at:
        return "stopped"
    if letter.by == Letter.By.POST:
        return "to be printed and posted"
    if letter.next_attempt_at is None:
        return f"not sent: {letter.last_error or 'interrupted'}"
    return f"tried again: {letter.last_error}" if letter.last_error else "waits to be sent"


def _holds(record: Request) -> list[Hold]:
    """Return the holds in force on records the request has decided on; those last of which only the audit tells."""
    return in_force.listed({(one.label, one.record_id) for one in record.decisions.all() if one.record_id is not None})
