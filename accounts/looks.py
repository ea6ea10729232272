"""The page on which the privacy team looks at what carries a person's address, joins it with a preview, and undoes it.

What must never happen: content of a candidate on this page, or something joined that was not seen in the preview. Who
may open a record opens it on its own page, at the gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst

from accounts import candidates, in_hand, joinable, joining, people, told_of_joinings
from accounts.candidates import Record
from accounts.models import Customer, Joined, Joining, User
from privacy import audit
from privacy.admin.filing import subject_of
from privacy.admin.steps import Decision, Step
from privacy.admin.waiting import Task, WorkList
from privacy.admin.work import WorkAdmin, acting
from privacy.gate import MANAGER, Actor
from privacy.subjects import Subject

WHY = {"email": "carries an e-mail address of the person", "phone": "carries a phone number of the person"}
NUMBER = forms.TextInput(attrs={"autocomplete": "off"})


def person_of(text: str) -> UUID:
    """Return whom staff mean: a customer, order, RMA or request number, or the address of a login. Raises
    ValidationError."""
    found = User.objects.filter(pk__in=people.logins_with(text)).values_list("subject_id", flat=True)
    subjects = {subject for subject in found if subject is not None}
    return subjects.pop() if len(subjects) == 1 else subject_of(text)


class Look(Step):
    title = "Look for a person's records"
    help = (
        "Lists what carries an e-mail address or phone number of the person and is not joined to them. Opens nothing."
    )
    person = forms.CharField(
        max_length=254, widget=NUMBER, label="Person",
        help_text="Customer, order, RMA or request number, or the e-mail address of the login.",
    )  # fmt: skip

    def clean_person(self) -> UUID:
        return person_of(self.cleaned_data["person"].strip())


class Join(Step):
    title = "Join records"
    help = (
        "Choose what is this person's. An address on a record proves nothing: be sure. You see what will move before "
        "anything does, and it can be undone. The person then reads it all, and it goes with a removal. To join somebody "
        "whole, or what stands under a customer or a login, takes a second person of the privacy team, or a manager, within 7 days."
    )
    template = "admin/join.html"
    records = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Records with the person's address or phone"
    )
    other = forms.CharField(
        required=False, max_length=40, widget=NUMBER, label="Everything of somebody else, who is the same person",
        help_text="Their customer, order or RMA number. Empty for nobody. Something of theirs has to carry an address or "
        "phone of this person, and only one of the two may have a login.",
    )  # fmt: skip
    reason = forms.ChoiceField(choices=Joining.Reason.choices, label="How we know")
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def prepare(self) -> None:
        self.preview: joining.Preview | None = None
        found = described(candidates.of(self.record.subject_id, now=timezone.now()))
        choices = [(f"{r.label}/{r.pk}", f"{n}. {title}: {why}") for n, (r, title, _, why) in enumerate(found, 1)]
        self.fields["records"].choices = choices  # type: ignore[attr-defined]

    def clean_records(self) -> list[tuple[str, UUID]]:
        return [(label, UUID(pk)) for label, _, pk in (one.partition("/") for one in self.cleaned_data["records"])]

    def clean_other(self) -> list[UUID]:
        number = self.cleaned_data["other"].strip()
        return [subject_of(number)] if number else []

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors:
            try:
                self.preview = joining.preview(self.record, data["records"], data["other"], now=timezone.now())
            except joinable.NotPossible as error:
                raise ValidationError(str(error)) from None
        return data

    def asks_again(self) -> bool:
        """Show what will move before it does."""
        return self.preview is not None and self.cleaned_data["seen"] != self.preview.fingerprint

    def button(self) -> str:
        return "Join exactly this" if self.preview is not None else "See what will move"

    def context(self) -> dict[str, Any]:
        return {"preview": self.preview, "is_second": False, "person": _numbers(self.record)}


class ConfirmJoining(Step):
    title = "Confirm, and join"
    help = (
        "A colleague has proposed to join somebody whole, or records that stand under somebody else; you are the second person. "
        "Every e-mail address on file of both is told. Be sure that they are one person."
    )
    template = "admin/join.html"
    is_destructive = True
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def prepare(self) -> None:
        self.preview: joining.Preview | None = None
        try:
            self.preview = joining.proposed(self.record, now=timezone.now())
        except joinable.NotPossible as error:
            self.why_not = str(error)

    def clean(self) -> dict[str, Any]:
        if self.preview is None:
            raise ValidationError(self.why_not)
        return self.cleaned_data

    def asks_again(self) -> bool:
        """Show what will move before it does."""
        return self.preview is not None and self.cleaned_data["seen"] != self.preview.fingerprint

    def context(self) -> dict[str, Any]:
        return {
            "preview": self.preview,
            "is_second": True,
            "person": _numbers(self.record),
            "others": _proposed_people(self.record),
            "reason": dict(Joining.Reason.choices).get(self.record.proposal.get("reason", "")),
        }


class CloseLook(Step):
    title = "Join nothing"
    help = "You looked, and could not tell that any of it is this person's. They read that on their page."


class SettleJoining(Decision):
    title = "End the objection"
    help = (
        "Somebody who was told of the joining said that it was not they. Be sure that all of it is this person's, for example by a "
        "call-back; if it is not, undo the joining instead. Who proposed it does not end the objection."
    )

    def shown(self) -> str:
        return told_of_joinings.shown_joined(self.record.subject_id)

    def lines(self) -> list[str]:
        """Return each objection to a joining of the person, the first one first."""
        return [
            f"{'Another person' if one.is_whole else 'Single records'} joined on {timezone.localtime(one.at):%-d %B %Y, %H:%M %Z}: "
            f"“This was not me” was said on {timezone.localtime(one.disputed_at):%-d %B %Y, %H:%M %Z}"
            for one in told_of_joinings.disputed_joinings(self.record.subject_id).order_by("disputed_at", "pk")
        ]


class UndoJoining(Step):
    title = "Undo the joining"
    help = "Everything goes back to whom it belonged before. This person no longer reads it."
    is_destructive = True


@admin.register(Joining)
class JoiningAdmin(WorkAdmin):
    """Records that carry a person's address without being joined to them: looked at, joined, undone."""

    readers = frozenset({"privacy", MANAGER})  # a manager only confirms
    adding = Look
    tells = ("joining.",)
    list_display = ("opened_at", "person", "asked_by", "outcome", "decided_at")
    list_filter = ("outcome", "asked_by")
    ordering = ("-opened_at", "-id")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "person",
                    "asked_by",
                    "opened_at",
                    "proposed_at",
                    "outcome",
                    "reason",
                    "decided_at",
                    "undone_at",
                )
            },
        ),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {joinable.NotPossible: ""}

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("subject__customers")

    @admin.display(description="Person")
    def person(self, record: Joining) -> str:
        """Return the customer numbers of the person; nothing is opened."""
        return _numbers(record)

    def whose(self, record: Joining) -> dict[str, Any]:
        return {"about": joinable.sides(record)}

    def history_of(self, record: Joining) -> QuerySet[audit.AuditEvent]:
        return audit.history(subject=record.subject_id).filter(action__startswith="joining.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and in_hand.TEAM in acting().roles

    def details(self, record: Joining, actor: Actor) -> dict[str, Any]:
        if in_hand.TEAM not in actor.roles:
            return {}
        found = described(candidates.of(record.subject_id, now=timezone.now()))
        table = {
            "title": "Carries an address or phone of this person, and is not joined",
            "headings": ["No.", "Record", "Date", "Why"],
            "rows": [
                [number, _link(record, title), f"{day:%-d %B %Y}" if day else "–", why]
                for number, (record, title, day, why) in enumerate(found, 1)
            ],
        }
        return {"tables": [table]}

    def steps(self, record: Joining, actor: Actor) -> dict[str, type[Step]]:
        if record.outcome == Joining.Outcome.OPEN:
            waits = joining.is_proposed(record, now=timezone.now()) and joining.may_confirm(record, actor)
            second: dict[str, type[Step]] = {"confirm": ConfirmJoining} if waits else {}
            return {**second, "join": Join, "close": CloseLook} if in_hand.TEAM in actor.roles else second
        if in_hand.TEAM not in actor.roles:
            return {}
        steps: dict[str, type[Step]] = {"undo": UndoJoining} if record.outcome == Joining.Outcome.JOINED else {}
        mine = f"{actor.kind}/{actor.id or ''}"[:64]
        if told_of_joinings.disputed_joinings(record.subject_id).exclude(proposed_by=mine).exists():
            steps["settle"] = SettleJoining
        return steps

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Joining, str]:
        return joining.ask(data["person"], actor=actor, now=now), "This is what was found."

    def take(self, name: str, record: Joining, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "join":
                done = joining.join(
                    record, data["records"], people=data["other"], reason=data["reason"], fingerprint=data["seen"],
                    actor=actor, now=now,
                )  # fmt: skip
                if done.outcome == Joining.Outcome.OPEN:
                    return "Proposed. Nothing has moved: a second person confirms it on this page, within 7 days."
                return "Joined. The person reads it from now on."
            case "confirm":
                joining.confirm(record, fingerprint=data["seen"], actor=actor, now=now)
                return "Joined. The person reads it from now on, and every e-mail address on file of both is told."
            case "settle":
                told_of_joinings.settle_joined(record.subject_id, seen=data["seen"], actor=actor, now=now)
                return "The objection is ended."
            case "undo":
                joining.undo(record, actor=actor, now=now)
                return "The joining is undone: everything is where it was before."
            case "close":
                joining.close(record, actor=actor, now=now)
                return "Nothing is joined."
            case _:
                return super().take(name, record, data, actor=actor, now=now)

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        waiting = Joining.objects.filter(outcome=Joining.Outcome.OPEN).prefetch_related("subject__customers")
        if in_hand.TEAM not in actor.roles:
            waiting = waiting.filter(proposed_at__gt=timezone.now() - in_hand.PROPOSAL_LIVES)
        url = self.url_of_list()
        lists = [WorkList.of("Joinings of records to look at", url, waiting.order_by("opened_at"), self._look)]
        if in_hand.TEAM in actor.roles:
            disputed = told_of_joinings.disputed_joinings().select_related("joining").order_by("disputed_at")
            disputed = disputed.prefetch_related("subject__customers")
            lists.append(WorkList.of("Joinings of records to which somebody objects", url, disputed, self._objection))
        return lists

    def _look(self, one: Joining) -> Task:
        text = f"{capfirst(_numbers(one))}: records with the same address"
        return Task(self.url_of(one), text, f"since {timezone.localdate(one.opened_at):%-d %B %Y}")

    def _objection(self, one: Joined) -> Task:
        text = f"{capfirst(_numbers(one))}: somebody objects to what was joined"
        return Task(self._url_of_objection(one), text, f"since {timezone.localdate(one.disputed_at):%-d %B %Y}")

    def _url_of_objection(self, disputed: Joined) -> str:
        """Return where the objection is ended: with the look, or with the customer whom a login was linked to."""
        if disputed.joining is not None:
            return self.url_of(disputed.joining)
        customer = next(iter(disputed.subject.customers.all()), None)
        return reverse("admin:accounts_customer_change", args=[customer.pk]) if customer else self.url_of_list()


def described(found: Iterable[Record]) -> list[tuple[Record, str, date | None, str]]:
    """Return each record with its title, its day and why it is a candidate; one query for each kind, nothing opened."""
    by_label: dict[str, list[Record]] = defaultdict(list)
    for one in found:
        by_label[one.label].append(one)
    lines = []
    for records in by_label.values():
        declaration = records[0].declaration
        rows = declaration.model._default_manager.select_related(*declaration.related) if declaration.related else None
        rows = declaration.model._default_manager.all() if rows is None else rows
        there = rows.in_bulk([one.pk for one in records])
        for one in records:
            if declaration.facts is not None and one.pk in there:
                facts = declaration.facts(there[one.pk])
                day = min((day for day in facts.events.values() if day), default=None)
                lines.append((one, facts.title, day, WHY[one.channel]))
    return sorted(lines, key=lambda line: (line[0].label, line[2] or date.min, line[1]))


def _proposed_people(joining: Joining) -> str:
    """Return the customer numbers of the people who are proposed to be joined whole, "" where only records are."""
    people_ = joining.proposal.get("people", [])
    numbers = Customer.objects.filter(subject_id__in=people_).order_by("reference")
    return ", ".join(str(one) for one in numbers)


def _link(record: Record, title: str) -> str:
    """Return the title of a record as a link to its page, where it has one; who may open it opens it there, at the
    gate."""
    meta = record.declaration.model._meta
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[record.pk])
    except NoReverseMatch:
        return title
    return format_html('<a href="{}">{}</a>', url, title)


def _numbers(record: Joining | Joined) -> str:
    subject: Subject = record.subject
    numbers: list[Customer] = sorted(subject.customers.all(), key=lambda one: one.reference)
    return ", ".join(str(one) for one in numbers) or "a person without a customer number"
