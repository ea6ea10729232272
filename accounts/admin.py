"""People, companies and messages in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account import admin as _account_admin  # noqa: F401  registers what is unregistered here
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _mfa_admin  # noqa: F401
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth import admin as _auth_admin  # noqa: F401  registers what is unregistered here
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accounts import services
from accounts.models import (
    Address,
    Communication,
    Company,
    Customer,
    FreightAccount,
    TaxIdentifier,
)
from privacy import gate
from privacy.admin.records import ReadOnlyInline, RecordAdmin, Step

admin.site.unregister(Group)  # roles are given by `create_staff`, with an acknowledgement
# The login's own tables: an address here would be opened by whoever lists them, a second factor by whoever edits it.
admin.site.unregister([EmailAddress, Authenticator])


class CorrectableAdmin(RecordAdmin):
    """A record whose data staff may set right: the same function as in the portal."""

    refusals = (gate.Refused, ValidationError, services.AlreadyClosed)

    def write(self, record: Any, changes: dict[str, Any], *, actor: Any, now: Any) -> None:
        current = self.model._default_manager.get(pk=record.pk)
        try:
            services.correct(current, changes, actor=actor, now=now, reason="by staff")
        except services.NothingToCorrect:
            return


class AddressInline(ReadOnlyInline):
    model = Address
    fields = ("purpose", "street", "street2", "city", "region", "postal_code", "country")


class FreightAccountInline(ReadOnlyInline):
    model = FreightAccount
    fields = ("carrier", "number", "added_on", "last_shipment_on")


class TaxIdentifierInline(ReadOnlyInline):
    model = TaxIdentifier
    fields = ("kind", "country", "value", "last_used_on")


@admin.register(Customer)
class CustomerAdmin(CorrectableAdmin):
    list_display = ("reference", "last_name", "first_name", "kind", "country", "since", "last_active_on")
    list_filter = ("kind", "channel", "country")
    ordering = ("reference",)
    columns = ("reference",)
    editable = ("title", "first_name", "last_name", "email", "phone", "region", "country")
    search_help = "Name, e-mail, phone or customer number. What you type is not kept."
    fields = (
        "reference", "kind", "title", "first_name", "last_name", "email", "phone", "region", "country",
        "channel", "since", "last_active_on", "notice_given_on",
    )  # fmt: skip
    inlines = (AddressInline, FreightAccountInline, TaxIdentifierInline)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("company")


@admin.register(Company)
class CompanyAdmin(CorrectableAdmin):
    list_display = ("name", "city", "region", "country", "is_sole_trader")
    list_filter = ("is_sole_trader", "country")
    editable = ("name", "vat_number", "tax_id", "phone", "street", "street2", "city", "postal_code", "region", "country")
    search_help = "Company name or VAT number. What you type is not kept."
    fields = (*editable, "is_sole_trader")


class CloseMessage(Step):
    title = "Close this message"
    help = "The period for keeping it starts today."


@admin.register(Communication)
class CommunicationAdmin(CorrectableAdmin):
    list_display = ("received_on", "department", "channel", "topic", "contact_name", "closed_on")
    list_filter = ("department", "channel", "topic")
    date_hierarchy = None
    ordering = ("-received_on",)
    through = (("customer", Customer),)
    editable = ("contact_name", "company_name", "email", "phone", "address", "department", "topic")
    search_help = "E-mail of the message, or name, e-mail, phone of the customer. What you type is not kept."
    fields = (
        "department", "topic", "channel", "direction", "received_on", "closed_on", "contact_name", "company_name",
        "email", "phone", "address", "heading", "body", "is_order_related", "notice_given_on",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._has_right(request, "write")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else (*[name for name in self.fields if name != "closed_on"], "customer_number")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["fields"] = [name for name in self.fields if name != "closed_on"]
            return forms.modelform_factory(Communication, form=NewCommunicationForm, fields=kwargs["fields"])
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        data = dict(form.cleaned_data)
        data.pop("customer_number", None)
        user: Any = request.user
        made = services.record_communication(
            customer=form.customer, taken_by=user, actor=gate.current(), now=timezone.now(), **data
        )
        obj.pk, obj._state.adding = made.pk, False

    def steps(self, request: HttpRequest, record: Any) -> dict[str, type[Step]]:
        return {} if record.closed_on else {"close": CloseMessage}

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Any, now: Any) -> str:
        services.close_communication(record, closed_on=timezone.localdate(now), actor=actor, now=now)
        return "The message is closed."


class NewCommunicationForm(forms.ModelForm):
    """A message by phone, fax, e-mail, mail or in person, written down by staff (P23, P27, P28)."""

    customer_number = forms.CharField(
        required=False, max_length=32, help_text="If the person is a customer. Leave empty otherwise."
    )
    customer: ClassVar[Customer | None] = None

    def clean_customer_number(self) -> str:
        number = self.cleaned_data["customer_number"].strip()
        if number:
            self.customer = Customer.objects.filter(reference=number).first()  # type: ignore[misc]
            if self.customer is None:
                raise ValidationError("No customer has this number: look it up under Customers, or leave this empty.")
        return number
