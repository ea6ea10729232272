"""Orders in the admin: what was ordered, shipped, invoiced and paid; nothing of it is edited, each step is taken."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.models import Company, Customer
from orders import services
from orders.models import Invoice, Order, OrderLine, Payment, Product
from privacy import gate
from privacy.admin.records import ReadOnlyInline, RecordAdmin, Step


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """The price list: no personal data; kept by sales."""

    list_display = ("sku", "name", "kind", "price", "is_active")
    list_filter = ("kind", "is_active")
    search_fields = ("sku", "name")
    actions = None

    def _is_staff(self, request: HttpRequest, *roles: str) -> bool:
        user: Any = request.user
        return bool(user.is_active and user.is_staff and (not roles or user.roles & set(roles)))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_staff(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._is_staff(request, "sales")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_staff(request, "sales")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("position", "product", "description", "quantity", "unit_price")


class InvoiceInline(ReadOnlyInline):
    model = Invoice
    fields = ("number", "issued_on", "due_on", "paid_on", "total")


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ("method", "state", "brand", "last_four", "expiry", "amount", "charged_on")


class IssueInvoice(Step):
    title = "Issue the invoice"
    help = "An issued invoice is never changed."
    due_on = forms.DateField(
        required=False, label="Payment due on", help_text="Empty: in 30 days.", widget=forms.DateInput(attrs={"type": "date"})
    )


class RecordPayment(Step):
    title = "Record the payment"
    help = "Card payments arrive by themselves from the payment provider's page. Never write down a card number."
    method = forms.ChoiceField(
        choices=[choice for choice in Payment.Method.choices if choice[0] != Payment.Method.CARD], label="Paid by"
    )


class ShipOrder(Step):
    title = "Mark as shipped"
    help = "Today becomes the ship date."


class CancelOrder(Step):
    title = "Cancel the order"
    help = "A cancelled order cannot be opened again."
    is_destructive = True


@admin.register(Order)
class OrderAdmin(RecordAdmin):
    list_display = ("number", "state", "placed_on", "shipped_on", "invoice_name", "invoice_company", "total", "currency")
    list_filter = ("state", "channel", "ship_country")
    ordering = ("-placed_on", "-number")
    columns = ("number",)
    through = (("customer", Customer), ("company", Company))
    refusals = (gate.Refused, ValidationError, services.OrderRefused)
    inlines = (LineInline, InvoiceInline, PaymentInline)
    search_help = "Order number, or name, e-mail, phone of the customer or company. What you type is not kept."
    fieldsets = (
        (None, {"fields": ("number", "state", "channel", "placed_on", "invoiced_on", "paid_on", "shipped_on", "closed_on")}),
        ("Amounts", {"fields": ("currency", "subtotal", "tax", "freight", "total")}),
        (
            "Invoice",
            {
                "fields": (
                    "invoice_name", "invoice_company", "invoice_street", "invoice_street2", "invoice_city", "invoice_region",
                    "invoice_postal_code", "invoice_country", "invoice_vat_number", "customer_reference",
                )
            },
        ),
        (
            "Delivery",
            {
                "fields": (
                    "ship_name", "ship_company", "ship_street", "ship_street2", "ship_city", "ship_region",
                    "ship_postal_code", "ship_country", "phone", "email", "notes",
                )
            },
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_owner()

    def steps(self, request: HttpRequest, record: Any) -> dict[str, type[Step]]:
        roles = request.user.roles  # type: ignore[union-attr]
        found: dict[str, type[Step]] = {}
        if record.state != Order.State.CANCELLED and not record.invoiced_on and roles & {"accounting", "sales"}:
            found["invoice"] = IssueInvoice
        if record.is_unpaid and "accounting" in roles:
            found["pay"] = RecordPayment
        if record.is_open and roles & {"sales", "service"}:
            found["ship"] = ShipOrder
        if record.is_open and "sales" in roles:
            found["cancel"] = CancelOrder
        return found

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Any, now: Any) -> str:
        match name:
            case "invoice":
                made = services.invoice(record, actor=actor, now=now, due_on=data["due_on"])
                return f"Invoice {made.number} is issued."
            case "pay":
                services.mark_paid(record, actor=actor, now=now, method=data["method"])
                return f"Order {record.number} is paid."
            case "ship":
                services.ship(record, actor=actor, now=now)
                return f"Order {record.number} is shipped."
            case _:
                services.cancel(record, actor=actor, now=now)
                return f"Order {record.number} is cancelled."
