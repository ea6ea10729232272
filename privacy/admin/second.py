"""The page of the second person: what waits for a decision, and nothing that is held about anybody (design 9).

A manager sees this page and the three of the accounts where a proposal waits for a second person; it shows references,
dates and ways of proof, and opens no envelope.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import capfirst

from privacy import audit, gate
from privacy.admin import covers
from privacy.admin.steps import Decision, Step
from privacy.admin.waiting import Task, WorkList, due, unpaused
from privacy.admin.work import WorkAdmin
from privacy.calendar import company_day
from privacy.gate import MANAGER, Actor
from privacy.models import Request, SecondLook
from privacy.requests import excess, proof, second, sight
from privacy.requests.history import NotAllowed
from privacy.typed import cards
from privacy.vault import Unreadable

#: What had gone out before a second person decided, in a sentence.
GONE_OUT = {
    second.FETCHED: "The copy had been fetched",
    second.REMOVED: "The removal had been begun or carried out",
    second.CARRIED_OUT: "What was asked had been begun or carried out",
}


class Decide(Decision):
    title = "Decide as second person"
    template = "admin/step_second.html"
    help = (
        "Let the privacy team show you what shows who is asking: the paper, the note of the call, the answer of the other mailbox. "
        "What was written down of it stands below, for the privacy team. If you are sure that it is the person, it goes on. If you are not, it ends: nothing more is "
        "given or removed, a copy is destroyed, and the person is told why. If something stands below under “Already given or "
        "removed”, the person is told of that too, and the privacy team has to assess whether it is a breach."
    )
    outcome = forms.ChoiceField(
        choices=[(one.value, one.label) for one in (SecondLook.Outcome.GO_ON, SecondLook.Outcome.END)],
        widget=forms.RadioSelect, label="Decision",
    )  # fmt: skip
    words = forms.CharField(
        required=False, max_length=2000, label="If it ends: the reason, in words for the person",
        help_text="Empty: we could not make sure who is asking.", widget=forms.Textarea(attrs={"rows": 4}),
        validators=[cards.refuse],
    )  # fmt: skip

    def shown(self) -> str:
        """Return the fingerprint of the open questions, and of each time that one was put."""
        return second.shown(self.record.request)

    def lines(self) -> list[str]:
        """Return every question that one decision answers, and when it was put: one can be put by several events."""
        return [_question(look, times) for look, times in second.asked_when(self.record.request)]

    def context(self) -> dict[str, Any]:
        """Return what the page shows besides: how identity was proved, what had gone out, the due date; nothing that is
        held about the person (design 9)."""
        request = self.record.request
        return {
            **super().context(),
            "about": request,
            "how_proved": second.how_proved(request),
            "notes": _notes(request),
            "already": _already(request),
            "answer_due": due(request.due_on, _today())[0],
        }


class DecideRefusal(Decision):
    title = "Decide about a refusal"
    template = "admin/step_refusal.html"
    help = (
        "The request is refused only if the evidence shows that it is manifestly unfounded or excessive: we have to prove it. That "
        "somebody asks again, or gives no reason, shows nothing by itself. If it does not, the request goes on and is answered."
    )
    outcome = forms.ChoiceField(
        choices=[(one.value, one.label) for one in (SecondLook.Outcome.REFUSE, SecondLook.Outcome.ANSWER)],
        widget=forms.RadioSelect, label="Decision",
    )  # fmt: skip

    def shown(self) -> str:
        """Return the fingerprint of the proposed refusal."""
        return excess.shown(self.record.request)

    def context(self) -> dict[str, Any]:
        """Return the proposed refusal with its evidence, and the due date."""
        request = self.record.request
        answer_due = due(request.due_on, _today())[0]
        return {**super().context(), "about": request, "proposed": excess.proposed(request), "answer_due": answer_due}


class Open(admin.SimpleListFilter):
    """What waits, or what was decided."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "To decide"), ("decided", "Decided")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SecondLook]) -> QuerySet[SecondLook]:
        if self.value() not in ("open", "decided"):
            return queryset
        return queryset.filter(decided_at__isnull=self.value() == "open")


@admin.register(SecondLook)
class SecondLookAdmin(WorkAdmin):
    readers = frozenset({"privacy", MANAGER})
    # What its page says: the request as it was filed and proved, and the questions.
    tells = (
        *("request.filed", "request.merged", "request.identified", "request.confirmed", "request.not_me"),
        *("request.second_", "request.refusal_"),
    )
    list_display = ("reference", "what", "why", "answer_due", "decided")  # as many as a screen of 1280 px shows whole
    list_filter = (Open, "why")
    list_select_related = ("request",)
    ordering = ("decided_at", "request__due_on", "asked_at")
    fields = (
        "reference",
        "what",
        "reasons",
        "how",
        "already",
        "received",
        "asked_at",
        "answer_due",
        "decided_at",
        "decision",
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        proof.BadRequest: "",
        sight.NotYours: "",
        NotAllowed: "",
    }

    @admin.display(description="Request", ordering="request__reference")
    def reference(self, look: SecondLook) -> str:
        """Return the reference of the request."""
        return look.request.reference

    @admin.display(description="What is asked for")
    def what(self, look: SecondLook) -> str:
        """Return what is asked for."""
        return look.request.title

    @admin.display(description="Why a second person has to look")
    def reasons(self, look: SecondLook) -> str:
        """Return every reason that waits in this request, each in a line: one decision answers
        all; of a decided one its own, and of a refusal, which is decided alone."""
        if look.decided_at is not None or look.why == SecondLook.Why.EXCESSIVE:
            return capfirst(look.get_why_display())
        return "\n".join(capfirst(one.get_why_display()) for one in second.open_looks(look.request))

    @admin.display(description="How it was shown who asks")
    def how(self, look: SecondLook) -> str:
        """Return how identity was stated or proved, and by whom; and how the person agreed where staff confirmed for
        them."""
        agreed = second.agreed(look.request)
        return f"{second.how_proved(look.request)}\nThe plan: {agreed}" if agreed else second.how_proved(look.request)

    @admin.display(description="Already given or removed")
    def already(self, look: SecondLook) -> str:
        """Return what had gone out because of the request."""
        return _already(look.request)

    @admin.display(description="Decision", ordering="outcome")
    def decision(self, look: SecondLook) -> str:
        """Return what was decided; a question can end with its request, undecided."""
        if look.decided_at is not None and not look.outcome:
            return "None: it ended with the request"
        return look.get_outcome_display() or "–"

    @admin.display(description="Decided", ordering="decided_at")
    def decided(self, look: SecondLook) -> str:
        """Return on which day it was decided, and what."""
        if look.decided_at is None:
            return "–"
        return f"{company_day(look.decided_at):%-d %B %Y}: {self.decision(look)}"

    @admin.display(description="Received")
    def received(self, look: SecondLook) -> str:
        """Return the day of receipt."""
        return f"{look.request.received_on:%-d %B %Y}"

    @admin.display(description="Answer due", ordering="request__due_on")
    def answer_due(self, look: SecondLook) -> str:
        """Return the due date, and how late it is while the question is open."""
        day = look.request.due_on
        said = due(day, _today())[0] if look.decided_at is None else f"{day:%-d %B %Y}"
        return f"{said}{unpaused(look.request)}"

    def whose(self, record: SecondLook) -> dict[str, Any]:
        return {"about": sight.people_in(record.request)}

    def history_of(self, record: SecondLook) -> QuerySet[audit.AuditEvent]:
        return audit.history(reference=record.request.reference)

    def steps(self, record: SecondLook, actor: Actor) -> dict[str, type[Step]]:
        if record.why == SecondLook.Why.EXCESSIVE:
            is_open = record.decided_at is None and excess.may_decide(record.request, actor)
            return {"refusal": DecideRefusal} if is_open else {}
        is_possible = record.decided_at is None and second.may_decide(record.request, actor)
        return {"decide": Decide} if is_possible else {}

    def take(self, name: str, record: SecondLook, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name == "refusal":
            request = excess.decide(record.request, data["outcome"], seen=data["seen"], actor=actor, now=now)
            is_refused = data["outcome"] == SecondLook.Outcome.REFUSE
            return f"{request.reference} {'is refused; the person is told why' if is_refused else 'goes on'}."
        if name != "decide":
            return super().take(name, record, data, actor=actor, now=now)
        was_open = record.request.is_open
        request = second.decide(
            record.request, data["outcome"], seen=data["seen"], words=data["words"], actor=actor, now=now
        )
        out = second.gone_out(request)
        if data["outcome"] == SecondLook.Outcome.GO_ON:
            return f"{request.reference} {'goes on' if was_open else 'had ended before; your decision is noted'}."
        if out:
            what = GONE_OUT[out]
            return f"{request.reference}: {what} before. The person is told, and the privacy team assesses a possible breach."
        if not was_open:
            return (
                f"{request.reference} had ended before, and nothing had been given or removed; your decision is noted."
            )
        return f"{request.reference} has ended; nothing was given or removed."

    def ask_why(self, request: HttpRequest, record: SecondLook) -> HttpResponse | None:
        """Tell the access log that the question itself is why the file of its request is opened."""
        gate.because("open request", record.request.reference)
        return None

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        late = set(second.late(today).values_list("pk", flat=True))

        def task(one: SecondLook) -> Task:
            text = f"{one.request.reference}: {one.get_why_display()}"
            when = f"due {due(one.request.due_on, today)[0]}{unpaused(one.request)}"
            return Task(self.url_of(one), text, when, one.pk in late)

        return [WorkList.of("Questions to a second person", self.url_of_list(), second.waiting(), task)]


def _already(request: Request) -> str:
    """Say what had gone out because of a request."""
    match second.gone_out(request):
        case second.FETCHED:
            return f"The copy was fetched {second.how_often(request)}."
        case second.REMOVED:
            return "The removal was begun or carried out."
        case second.CARRIED_OUT:
            return "What was asked was begun or carried out."
        case _:
            return "Nothing"


def _notes(request: Request) -> str:
    """Return what staff and the person wrote down in the file: what somebody saw who asked in writing, for example; or
    why it is covered."""
    note = request.note
    return covers.reason(note, request.vault_label, "request_file") if isinstance(note, Unreadable) else str(note or "")


def _question(look: SecondLook, times: list[datetime]) -> str:
    said = [f"{timezone.localtime(at):%-d %B %Y, %H:%M %Z}" for at in times]
    why = capfirst(look.get_why_display())
    return f"{why} (asked on {'; again on '.join(said)})" if said else why


def _today() -> date:
    return company_day(timezone.now())
