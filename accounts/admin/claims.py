"""Logins that have proved an address on file of which it is not certain whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import capfirst

from accounts import claim, in_hand
from accounts.models import ClaimReview, Customer
from privacy import audit
from privacy.admin.covers import reason
from privacy.admin.steps import Step, to_choose
from privacy.admin.waiting import Task, WorkList
from privacy.admin.work import WorkAdmin, acting
from privacy.gate import MANAGER, Actor
from privacy.vault import Unreadable


class ProposeClaim(Step):
    title = "Propose to link the login"
    help = (
        "Nothing is linked yet: a second person of the privacy team, or a manager, confirms within 7 days. Then the login "
        "sees all that is on file about this customer, and both are one person. Be sure that they are."
    )
    how = forms.ChoiceField(choices=to_choose(ClaimReview.How.choices), label="How we know")


class AcceptClaim(Step):
    title = "Confirm, and link the login"
    help = (
        "A colleague has proposed this; you are the second person. The login sees from now on all that is on file about "
        "this customer, and both are one person. Every e-mail address on file of both is told. Be sure that they are."
    )
    is_destructive = True


class RefuseClaim(Step):
    title = "Refuse"
    help = "The login stays on its own and learns nothing of what is on file."


@admin.register(ClaimReview)
class ClaimReviewAdmin(WorkAdmin):
    """A login has proved an address that is on file, and it is not certain that it is the same person."""

    readers = frozenset({"privacy", MANAGER})
    tells = ("claim.",)
    list_display = ("opened_at", "customer", "reason", "proposed_at", "outcome", "decided_at")
    list_filter = ("outcome", "reason")
    ordering = ("-opened_at",)
    fieldsets = (
        (None, {"fields": ("reason", "opened_at", "how", "proposed_at", "outcome", "decided_at")}),
        ("On file", {"fields": ("customer", "name_on_file", "email_on_file")}),
        ("The login that proved this address", {"fields": ("login_since", "user_name")}),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        claim.NotOpen: (
            "This cannot be linked: it was decided before, the customer has a login already, or a privacy request of one "
            "of them is running."
        ),
        claim.NotNow: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer", "user")

    @admin.display(description="Name")
    def name_on_file(self, review: ClaimReview) -> str:
        """Return the customer's name, or why it is covered."""
        return self._shown(review.customer, "first_name", "last_name")

    @admin.display(description="E-mail address")
    def email_on_file(self, review: ClaimReview) -> str:
        """Return the customer's address, or why it is covered."""
        return self._shown(review.customer, "email")

    @admin.display(description="User name")
    def user_name(self, review: ClaimReview) -> str:
        """Return the login's name, or why it is covered."""
        return self._shown(review.user, "username")

    @admin.display(description="Since")
    def login_since(self, review: ClaimReview) -> str:
        """Return when the login was made."""
        return f"{timezone.localtime(review.user.created_at):%-d %B %Y}"

    def _shown(self, record: Any, *names: str) -> str:
        values = [getattr(record, name) for name in names]
        covered = next((one for one in values if isinstance(one, Unreadable)), None)
        if covered is not None:
            return f"{covered} {reason(covered, record.vault_label, 'account')}"
        return " ".join(one for one in values if one)

    def person_of(self, record: ClaimReview) -> UUID | None:
        return record.customer.subject_id

    def whose(self, record: ClaimReview) -> dict[str, Any]:
        return claim.sides(record)

    def history_of(self, record: ClaimReview) -> QuerySet[audit.AuditEvent]:
        return audit.history(record=(Customer.vault_label, record.customer_id)).filter(action__startswith="claim.")

    def ask_why(self, request: HttpRequest, record: ClaimReview) -> HttpResponse | None:
        """Ask nothing of who opens nothing: a manager reads no data here."""
        return super().ask_why(request, record) if "privacy" in acting().roles else None

    def steps(self, record: ClaimReview, actor: Actor) -> dict[str, type[Step]]:
        if record.outcome != ClaimReview.Outcome.OPEN:
            return {}
        is_proposed = claim.is_proposed(record, now=timezone.now())
        steps: dict[str, type[Step]] = {}
        if is_proposed and claim.may_confirm(record, actor):
            steps["accept"] = AcceptClaim
        if "privacy" in actor.roles:
            steps |= {"refuse": RefuseClaim} if is_proposed else {"propose": ProposeClaim, "refuse": RefuseClaim}
        return steps

    def take(self, name: str, record: ClaimReview, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "propose":
                claim.propose(record, how=data["how"], actor=actor, now=now)
                return "Proposed. Nothing is linked until a second person confirms it on this page, within 7 days."
            case "accept":
                claim.confirm(record, actor=actor, now=now)
                return "The login is linked to the customer."
            case "refuse":
                claim.refuse(record, actor=actor, now=now)
                return "The claim is refused."
            case _:
                return super().take(name, record, data, actor=actor, now=now)

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        waiting = ClaimReview.objects.filter(outcome=ClaimReview.Outcome.OPEN).select_related("customer")
        if "privacy" not in actor.roles:
            waiting = waiting.filter(proposed_at__gt=timezone.now() - in_hand.PROPOSAL_LIVES)
        return [WorkList.of("Claimed addresses", self.url_of_list(), waiting.order_by("opened_at"), self._task)]

    def _task(self, one: ClaimReview) -> Task:
        text = f"{capfirst(str(one.customer))}: {one.get_reason_display()}"
        return Task(self.url_of(one), text, f"since {timezone.localdate(one.opened_at):%-d %B %Y}")
