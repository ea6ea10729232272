"""Messages at the desk: written down, looked up, closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts import correspondence
from accounts.admin.correcting import CorrectableAdmin
from accounts.admin.found import BY_LOGIN
from accounts.models import Communication, Customer, User
from privacy.admin.steps import Step, date_input, to_choose
from privacy.admin.tables import yes_or_no
from privacy.gate import Actor
from privacy.typed import numbers


class CloseMessage(Step):
    title = "Close this message"
    help = "The period for keeping it starts today."


class WriteDown(Step):
    """A message by phone, fax, e-mail, mail or in person, written down by staff (P23, P27, P28)."""

    title = "Write down a message"
    help = "What a person told or sent us, by whatever way. Write down no payment data."
    customer_number = forms.CharField(
        required=False, max_length=32, help_text="If the person is a customer. Leave empty otherwise.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    _written = (
        "department", "topic", "channel", "direction", "received_on", "contact_name", "company_name", "email", "phone",
        "address", "heading", "body", "is_order_related", "notice_given_on",
    )  # fmt: skip
    field_order = ("customer_number", *_written)

    _labels: ClassVar[dict[str, str]] = {
        "contact_name": "Name",
        "company_name": "Company",
        "body": "What was said or written",
        "is_order_related": "About an order",
        "notice_given_on": "Privacy notice handed over on",
    }

    def prepare(self) -> None:
        self.fields |= forms.fields_for_model(Communication, fields=self._written, labels=self._labels)
        for name in ("department", "channel"):
            offered = cast(list[tuple[str, Any]], Communication._meta.get_field(name).choices)
            cast(forms.ChoiceField, self.fields[name]).choices = to_choose(offered)
        for name in ("received_on", "notice_given_on"):
            self.fields[name].widget = date_input()
        self.fields["received_on"].initial = timezone.localdate()

    def clean_customer_number(self) -> str:
        number: str = self.cleaned_data["customer_number"].strip()
        self.customer = Customer.objects.filter(
            pk__in=list(numbers.equal(Customer.objects.all(), "reference", number))
        ).first()
        if number and self.customer is None:
            raise ValidationError("No customer has this number: look it up under Customers, or leave this empty.")
        return number

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors:
            data["customer"] = self.customer
        data.pop("customer_number", None)
        return data


@admin.register(Communication)
class CommunicationAdmin(CorrectableAdmin):
    list_display = ("received_on", "department", "channel", "topic", "contact_name", "closed_on")
    list_filter = ("department", "channel", "topic")
    ordering = ("-received_on", "-id")
    through = (("customer", Customer), ("customer__subject__users", BY_LOGIN))
    named_by = ("contact_name",)
    adding = WriteDown
    editable = ("contact_name", "company_name", "email", "phone", "address", "department", "topic")
    search_help = "E-mail or phone of the message, or name, e-mail, phone of the customer. What you type is not kept."
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("department", "topic", "channel", "direction", "received_on", "closed_on", "customer")}),
        ("Who wrote", {"fields": ("contact_name", "company_name", "email", "phone", "address")}),
        ("What", {"fields": ("heading", "body", yes_or_no("is_order_related", "About an order"), "notice_given_on")}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer")

    def rows_of(self, owner: Any) -> QuerySet[Communication] | None:
        if not isinstance(owner, Customer):
            return None
        return Communication.objects.filter(customer=owner).order_by("-received_on", "-id")

    def line_of(self, record: Communication) -> tuple[str, str]:
        state = _("closed on %s") % f"{record.closed_on:%-d %B %Y}" if record.closed_on else _("open")
        return f"{capfirst(str(record))}: {record.get_topic_display()}", state

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Communication, str]:
        taker = User.objects.filter(pk=actor.id).first()
        return correspondence.record_communication(
            taken_by=taker, actor=actor, now=now, **data
        ), "The message is on file."

    def steps(self, record: Communication, actor: Actor) -> dict[str, type[Step]]:
        return {} if record.closed_on or not self.may_write(actor) else {"close": CloseMessage}

    def take(self, name: str, record: Communication, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name != "close":
            return super().take(name, record, data, actor=actor, now=now)
        correspondence.close_communication(record, closed_on=timezone.localdate(now), actor=actor, now=now)
        return "The message is closed."
