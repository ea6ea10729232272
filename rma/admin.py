"""Returns in the admin: the laboratory's work list. A state is never typed in, each step is taken."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.models import Company, Customer
from privacy import gate
from privacy.admin.records import ReadOnlyInline, RecordAdmin, Step
from rma import services, states
from rma.models import RMA, Certificate, RMAEvent, RMANote


class EventInline(ReadOnlyInline):
    model = RMAEvent
    verbose_name_plural = "history"
    fields = ("at", "from_state", "to_state", "actor_kind", "reason")


class NoteInline(ReadOnlyInline):
    model = RMANote
    verbose_name_plural = "messages"
    fields = ("written_at", "author", "text")


class CertificateInline(ReadOnlyInline):
    model = Certificate
    fields = ("number", "revision", "procedure", "calibrated_on", "issued_on")


class AddNote(Step):
    title = "Write a message"
    help = "The customer reads it in the portal. No payment data, please."
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 5}), max_length=4000)


class MoveOn(Step):
    """One step of the table of states; the subclass of each target state names it."""

    reason = forms.ChoiceField(choices=RMAEvent.Reason.choices, required=False)


class Quote(MoveOn):
    quote = forms.DecimalField(
        min_value=0, max_digits=14, decimal_places=2, label="Quote in USD",
        help_text="Within the limit approved in advance it counts as approved.",
    )  # fmt: skip


def _step_to(state: str) -> type[Step]:
    base = Quote if state == RMA.State.QUOTED else MoveOn
    is_end = state in (RMA.State.REJECTED, RMA.State.CANCELLED, RMA.State.CLOSED)
    return type(f"To{state}", (base,), {"title": f"→ {RMA.State(state).label}", "is_destructive": is_end})


STEPS = {state.value: _step_to(state.value) for state in RMA.State}


@admin.register(RMA)
class RMAAdmin(RecordAdmin):
    list_display = ("number", "state", "service", "instrument", "contact_name", "opened_on", "closed_on")
    list_filter = ("state", "service", "is_warranty")
    ordering = ("-opened_on", "-number")
    columns = ("number", "instrument__serial")
    through = (("customer", Customer), ("company", Company))
    refusals = (gate.Refused, ValidationError, services.TransitionRefused)
    inlines = (EventInline, NoteInline, CertificateInline)
    search_help = "RMA number, serial number, or name, e-mail, phone of the customer. What you type is not kept."
    fieldsets = (
        (None, {"fields": ("number", "state", "service", "channel", "instrument", "is_warranty", "cost_limit", "quote")}),
        ("Days", {"fields": ("opened_on", "received_on", "shipped_on", "closed_on")}),
        ("Wanted", {"fields": ("fault", "accessories")}),
        (
            "Contact and return address",
            {
                "fields": (
                    "contact_name", "contact_company", "phone", "email", "return_street", "return_street2", "return_city",
                    "return_region", "return_postal_code", "return_country", "customer_reference",
                )
            },
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_owner()

    def steps(self, request: HttpRequest, record: Any) -> dict[str, type[Step]]:
        if not request.user.roles & {"service", "sales"}:  # type: ignore[union-attr]
            return {}
        found: dict[str, type[Step]] = {to: STEPS[to] for to in states.next_states(record, states.STAFF)}
        if record.is_open:
            found["message"] = AddNote
        return found

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Any, now: Any) -> str:
        if name == "message":
            services.add_note(record, text=data["text"], actor=actor, now=now)
            return "The message is in the customer's portal."
        services.transition(record, name, actor=actor, now=now, reason=data["reason"], quote=data.get("quote"))
        return f"RMA {record.number}: {RMA.State(name).label.lower()}."
