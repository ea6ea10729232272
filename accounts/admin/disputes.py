"""Changed login addresses to which somebody objects: one proposes what becomes of it, a second person confirms it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst

from accounts import giving_back, in_hand, objections, reach
from accounts.models import ContactPoint, Customer
from accounts.reach import Came, Channel
from privacy import audit
from privacy.admin.proving import CalledBack
from privacy.admin.steps import Decision, Step
from privacy.admin.waiting import Task, WorkList
from privacy.admin.work import WorkAdmin
from privacy.gate import MANAGER, Actor
from privacy.requests import history, proof

LATE_AFTER_DAYS = 7  # a disputed login alarms: whoever has it may be a stranger


class EndOfDispute(Decision):
    """A page on which objections to contacts are ended, or that is proposed: it shows each of them."""

    def points(self) -> list[ContactPoint]:
        """Return the contacts to which somebody objects."""
        return [self.record]

    def shown(self) -> str:
        return objections.shown(self.points())

    def lines(self) -> list[str]:
        """Return the contacts as they stand, and each objection to one of them since the oldest that is open."""
        points, now = self.points(), timezone.now()
        first = min((one.disputed_at for one in points if one.disputed_at), default=now)
        told = [
            f"{timezone.localtime(at):%-d %B %Y, %H:%M %Z}" for _, at in objections.objections(points) if at >= first
        ]
        owners = [one.used_at for point in points if point.disputed_at for one in objections.owner_objects(point)]
        return [
            *(state_of(one, now) for one in points),
            *(line for one in points for line in _proposed(one, now)),
            *(f"“This was not me” was said on {at}" for at in told),
            *(
                f"On {timezone.localtime(at):%-d %B %Y, %H:%M %Z} it was the present address of the login that objected to giving it back"
                for at in owners
            ),
        ]


class ProposeEnd(EndOfDispute):
    title = "Propose to end the dispute"
    help = (
        "Somebody who was told of another login address said that it was not they who changed it. Propose the end only if you are sure "
        "that the address is the person's: call back on a number that was on file before. If the login was taken, propose to give it "
        "back instead, or nothing. As long as the dispute is open, copies and removals asked for by this login wait for "
        "a second person; the right person asks by a call-back, in person or in writing. Nothing ends yet: a second person "
        "of the privacy team, a manager or an operator confirms within 7 days. Who entered or changed a contact proposes nothing."
    )


class ConfirmEnd(EndOfDispute):
    title = "Confirm, and end the dispute"
    help = (
        "A colleague has proposed this; you are the second person. Let the colleague show you how we know that the login "
        "address is the person's. From then on what is asked by this login needs no second person. The mailbox that objected "
        "is told."
    )
    is_destructive = True


class PostCode(Step):
    title = "Post a code to the person"
    help = (
        "Where nobody can be called: leaves a letter with a code, to an address that was on file before the change, and that the login did not "
        "enter in the 30 days before it, under “Notices to post” with the customer. Who reads the code back is the person; who wrote the letter, opened it or marked it as posted does not "
        "propose by it. An earlier code works no more."
    )


class ProposeBack(EndOfDispute, CalledBack):
    title = "Propose to give the login back"
    help = (
        "The mailbox that the login had before the change says that it was not they. If the login was taken, call the person on a "
        "number that was on file before the change, and that the login did not enter in the 30 days before it, and ask for two facts from "
        "before the change; or take the code from our letter. "
        "Either way the person names the address, and you name nothing first: the login goes to no other. "
        "What you type is compared with what is on file and not kept; after five wrong tries nothing is compared for a day. Nothing "
        "is given back yet: the present address is told and can object, and after 72 hours and within 7 days a second person of the "
        "privacy team, a manager or an operator confirms. Who entered or changed a contact proposes nothing."
    )
    mailbox = forms.EmailField(
        label="Address that the person names", help_text="With which they signed in before the change.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    code = forms.CharField(
        required=False, max_length=20, label="Code from our letter", help_text="Instead of a call-back, and not by who wrote, opened or posted the letter.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class GiveBack(EndOfDispute):
    title = "Confirm, and give the login back"
    help = (
        "A colleague of the privacy team has proposed this; you are the second person. Below stands how the person was proved to the "
        "colleague: by a call-back, or by a code that we had posted. The login gets the address that it had "
        "before, whose mailbox has objected and which the person named. Its present address was told and had 72 hours to object; if it "
        "did before, its objection stands here. Contacts that the login entered or confirmed meanwhile are disputed, its open requests "
        "wait for a second person. Its password, its second factor and every session end, and a link to choose a new "
        "password goes to that mailbox. Every other address on file is told, and the one that loses the login can object. It can be "
        "undone by the same way within 14 days."
    )
    is_destructive = True


@admin.register(ContactPoint)
class LoginDisputeAdmin(WorkAdmin):
    """Changes of a login's address to which somebody objects: one proposes what becomes of it, a second person confirms
    it."""

    readers = frozenset({"privacy", MANAGER})  # a manager only confirms
    tells = (
        *("contact.disputed", "contact.settled"),
        *("contact.end_proposed", "contact.back_proposed", "contact.code_written"),
    )
    list_display = ("disputed_at", "customer", "since", "end_proposed_at", "gives_back")
    ordering = (F("disputed_at").desc(nulls_last=True), "-id")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("customer", "channel", "since", "disputed_at", "open_for"),
                    *("end_proposed_at", "gives_back", "confirms", "given_back_at", "taken_at"),
                )
            },
        ),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        in_hand.OwnEntry: "",
        objections.NotProposed: "",
        giving_back.CannotGiveBack: "",
        proof.BadRequest: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(channel=Channel.LOGIN).select_related("customer")

    @admin.display(description="Open for")
    def open_for(self, point: ContactPoint) -> str:
        """Return how long somebody has objected."""
        return _age(point, timezone.localdate()) if point.disputed_at else "–"

    @admin.display(description="Who confirms")
    def confirms(self, point: ContactPoint) -> str:
        """Return who is the second person for what is proposed."""
        if not objections.is_end_proposed(point, now=timezone.now()):
            return "–"
        return giving_back.OPERATOR_ENDS if giving_back.needs_operator(point) else "A second person, on this page"

    def whose(self, record: ContactPoint) -> dict[str, Any]:
        return in_hand.whose(record)

    def history_of(self, record: ContactPoint) -> QuerySet[audit.AuditEvent]:
        return audit.history(record=(Customer.vault_label, record.customer_id)).filter(action__startswith="contact.")

    def steps(self, record: ContactPoint, actor: Actor) -> dict[str, type[Step]]:
        now = timezone.now()
        if objections.may_end(record, actor, now=now) and not giving_back.needs_operator(record):
            return {"give": GiveBack} if record.gives_back else {"confirm": ConfirmEnd}
        if "privacy" not in actor.roles or not record.disputed_at or objections.is_end_proposed(record, now=now):
            return {}
        back: dict[str, type[Step]] = {"back": ProposeBack, "code": PostCode}
        if not giving_back.is_objected(record):
            back = {}
        return {"propose": ProposeEnd, **back}

    def take(self, name: str, record: ContactPoint, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "propose":
                objections.propose_end(record, seen=data["seen"], actor=actor, now=now)
                return "Proposed. The dispute stays open until a second person confirms its end on this page, within 7 days."
            case "back":
                giving_back.propose(
                    record,
                    data["callback"],
                    mailbox=data["mailbox"],
                    code=data["code"],
                    seen=data["seen"],
                    actor=actor,
                    now=now,
                )
                record.refresh_from_db()
                told = f"Proposed: it goes to {giving_back.goes_to(record)}. The present address of the login is told."
                if giving_back.needs_operator(record):
                    return f"{told} After 72 hours and within 7 days: {giving_back.OPERATOR_ENDS}"
                return f"{told} A second person confirms on this page, after 72 hours and within 7 days."
            case "code":
                giving_back.post_code(record, actor=actor, now=now)
                return "The letter stands with the customer, under “Mark the notice as posted”."
            case "give":
                giving_back.give_back(record, seen=data["seen"], actor=actor, now=now)
                return "The login is given back. A link to choose a new password goes to its earlier address, and everybody else is told."
            case "confirm":
                objections.settle(record, seen=data["seen"], actor=actor, now=now)
                return "The dispute is ended, and the mailbox that objected is told."
            case _:
                return super().take(name, record, data, actor=actor, now=now)

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        disputed = objections.disputed_logins()
        if "privacy" not in actor.roles:
            disputed = disputed.filter(end_proposed_at__gt=timezone.now() - in_hand.PROPOSAL_LIVES)

        def task(one: ContactPoint) -> Task:
            text = f"{capfirst(str(one.customer))}: somebody objects to the changed login address"
            since = f"since {timezone.localdate(one.disputed_at):%-d %B %Y}, {_age(one, today)}"
            return Task(self.url_of(one), text, since, _days(one, today) >= LATE_AFTER_DAYS)

        title = "Changed login addresses to which somebody objects"
        return [WorkList.of(title, self.url_of_list(), disputed, task)]


def _days(point: ContactPoint, today: date) -> int:
    return (today - timezone.localdate(point.disputed_at)).days


def _age(point: ContactPoint, today: date) -> str:
    days = _days(point, today)
    return "today" if days < 1 else f"{days} day{'' if days == 1 else 's'}"


def _proposed(point: ContactPoint, now: datetime) -> list[str]:
    """Return by whom what waits for the second person was proposed, and how the person was proved to them."""
    if not objections.is_end_proposed(point, now=now):
        return []
    who = history.named(*point.end_proposed_by.split("/", 1))
    day = f"{timezone.localtime(point.end_proposed_at):%-d %B %Y, %H:%M %Z}"
    if not point.gives_back:
        return [
            f"On {day} {who} proposed to end the dispute; how we know that the address is the person's is not written down here"
        ]
    how = giving_back.how_proved(point) or "how is not written down"
    return [
        f"On {day} {who} proposed to give the login back to {giving_back.goes_to(point) or 'a mailbox that cannot be read'}; "
        f"the person was proved {how}"
    ]


def state_of(point: ContactPoint, now: datetime) -> str:
    kind = f"{point.address.purpose} address" if point.address else point.get_channel_display()
    is_by = point.came not in (Came.EARLIER, Came.CLEARED)
    came = f"{kind}: {'by ' if is_by else ''}{point.get_came_display()}"
    since = f"{came}, since {timezone.localdate(point.since):%-d %B %Y}"
    counts_from = reach.counts_from(point)
    if point.disputed_at and point.confirmed_at:
        return f"{since}; said to be somebody else's, but confirmed with the password: requests by link {'or login ' if point.channel == 'login' else ''}need a second person"
    if point.disputed_at:
        return f"{since}; said to be somebody else's, proves nothing"
    if point.came == Came.CLEARED:
        return since
    if counts_from is None:
        confirmed = "until it is confirmed, or " if point.channel == "email" else ""
        return f"{since}; proves nothing {confirmed}until an older address could be told"
    return since if counts_from <= now else f"{since}; counts from {timezone.localdate(counts_from):%-d %B %Y}"
