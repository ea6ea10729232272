"""Orders in the admin: what was ordered, shipped, invoiced and paid; nothing of it is edited, each step is taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.admin.found import BY_LOGIN
from accounts.country_choice import CountryToChoose
from accounts.models import Company, Customer
from orders import services
from orders.models import Invoice, Order, Payment, Product
from privacy.admin import search
from privacy.admin.lists import SearchedList
from privacy.admin.records import RecordAdmin
from privacy.admin.steps import Step, date_input, to_choose
from privacy.admin.tables import Rows, amount, filter_called, yes_or_no
from privacy.admin.waiting import Task, WorkList, due
from privacy.calendar import days
from privacy.gate import STAFF_ROLES, Actor

PRICE = amount("price", "Price")
ACTIVE = yes_or_no("is_active", "Active")


@admin.register(Product)
class ProductAdmin(SearchedList):
    """The price list: no personal data; kept by sales."""

    list_display = ("sku", "name", "kind", PRICE, ACTIVE)
    fields = ("sku", "name", "kind", "price", "is_active")
    list_filter = ("kind", ("is_active", filter_called("active")))
    search_help = "SKU or name, or parts of them."
    object_history_template = "admin/product_history.html"
    actions = None
    show_full_result_count = False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Products"), **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = self.get_object(request, unquote(object_id))
        titles = {"title": str(record), "subtitle": None} if record is not None else {}
        return super().change_view(request, object_id, form_url, {**titles, **(extra_context or {})})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Show the price with its currency and two decimals, and "Yes" or "No", to who only reads them."""
        names = list(super().get_fields(request, obj))
        read: dict[Any, Any] = {"price": PRICE, "is_active": ACTIVE}
        return names if self.has_change_permission(request, obj) else [read.get(one, one) for one in names]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Call the fields as the columns of the list are called."""
        return super().get_form(request, obj, change=change, labels={"is_active": "Active"}, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [] if self.has_change_permission(request, obj) else [PRICE, ACTIVE]

    def find(self, text: str) -> search.Found:
        return search.here(Product.objects.all(), text, columns=("sku", "name"))

    def _works_as(self, request: HttpRequest, roles: Collection[str]) -> bool:
        user: Any = request.user
        return bool(user.is_active and user.is_staff and user.roles & set(roles))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._works_as(request, STAFF_ROLES)  # a manager works with none of it

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._works_as(request, STAFF_ROLES)  # a manager works with none of it

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._works_as(request, {"sales"})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._works_as(request, {"sales"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class IssueInvoice(Step):
    title = "Issue the invoice"
    help = "An order is invoiced once; the amount and the dates of its invoice are never changed after that."
    due_on = forms.DateField(
        required=False,
        label="Payment due on",
        help_text="Empty: in 30 days.",
        widget=date_input(),
        validators=[days.falls_due],
    )


class RecordPayment(Step):
    title = "Record the payment"
    help = "Of a card payment nothing is recorded here: it is taken on the payment provider's page. Never write down a card number."
    method = forms.ChoiceField(
        choices=to_choose(one for one in Payment.Method.choices if one[0] != Payment.Method.CARD), label="Paid by"
    )


class ShipOrder(Step):
    title = "Mark as shipped"
    help = "Today becomes the ship date."


class CancelOrder(Step):
    title = "Cancel the order"
    help = "A cancelled order cannot be opened again."
    is_destructive = True


TOTAL = amount("total", "Total")
PARTS = {
    "name": "Name",
    "company": "Company",
    "street": "Street",
    "street2": "Second address line",
    "city": "City",
    "region": "State or region",
    "postal_code": "Postal code",
    "country": "Country",
}
LABELS = {f"{group}_{part}": title for group in ("invoice", "ship") for part, title in PARTS.items()} | {
    "phone": "Phone number",
    "email": "E-mail address",
    "customer_reference": "Customer's reference",
}


class PaymentDue(admin.SimpleListFilter):
    """Orders whose invoice is not paid yet."""

    title = "payment"
    parameter_name = "payment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", "Not paid yet")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.unpaid() if self.value() == "due" else queryset


@admin.register(Order)
class OrderAdmin(RecordAdmin):
    acts: ClassVar[Mapping[str, str]] = {
        "order.cancelled": "Cancelled",
        "order.imported": "Imported",
        "order.invoiced": "Invoiced",
        "order.paid": "Paid",
        "order.placed": "Placed",
        "order.shipped": "Shipped",
    }
    list_display = ("number", "state", "placed_on", "shipped_on", "invoice_name", "invoice_company", TOTAL)
    list_filter = ("state", PaymentDue, "channel", CountryToChoose)
    ordering = ("-placed_on", "-number")
    columns = ("number",)
    named_by = ("invoice_name",)
    through = (("customer", Customer), ("company", Company), ("customer__subject__users", BY_LOGIN))
    refusals: ClassVar[dict[type[Exception], str]] = {services.OrderRefused: ""}
    rows = (
        Rows("lines", "Lines", ("position", "product", "description", "quantity", "unit_price"), ("product",)),
        Rows("invoices", "Invoices", ("number", "issued_on", "due_on", "paid_on", "total")),
        Rows("payments", "Payments", ("method", "state", "brand", "last_four", "expiry", "amount", "charged_on")),
    )
    search_help = "Order number, or name, e-mail, phone of the customer or company. What you type is not kept."
    labels = LABELS
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("state", "channel", "customer", "company")}),
        ("Days", {"fields": (("placed_on", "invoiced_on", "paid_on", "shipped_on", "closed_on"),)}),
        ("Amounts", {"fields": ((amount("subtotal", "Subtotal"), amount("tax", "Tax"), amount("freight", "Freight"), TOTAL),)}),
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
        return super().get_queryset(request).select_related("customer", "company")

    def rows_of(self, owner: Any) -> QuerySet[Order] | None:
        found = {Customer: "customer", Company: "company"}
        path = next((path for model, path in found.items() if isinstance(owner, model)), "")
        return Order.objects.filter(**{path: owner}).order_by("-placed_on", "-number") if path else None

    def line_of(self, record: Order) -> tuple[str, str]:
        placed = _("placed on %s") % f"{record.placed_on:%-d %B %Y}"
        return str(record), f"{placed}; {record.get_state_display().lower()}"

    def steps(self, record: Order, actor: Actor) -> dict[str, type[Step]]:
        roles = actor.roles
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

    def take(self, name: str, record: Order, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
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
            case "cancel":
                services.cancel(record, actor=actor, now=now)
                return f"Order {record.number} is cancelled."
            case _:
                return super().take(name, record, data, actor=actor, now=now)

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if "sales" in actor.roles:
            waiting = Order.objects.open().order_by("placed_on", "number")
            url = f"{self.url_of_list()}?state__exact={Order.State.PLACED}"
            yield WorkList.of("Orders to be shipped, oldest first", url, waiting, self._order)
        if "accounting" in actor.roles:

            def invoice(one: Invoice) -> Task:
                when, is_late = due(one.due_on, today)
                return Task(self.url_of(one.order), f"Invoice {one.number}", f"due {when}", is_late)

            unpaid = Invoice.objects.unpaid().select_related("order").order_by("due_on", "number")
            yield WorkList.of("Unpaid invoices, by due date", f"{self.url_of_list()}?payment=due", unpaid, invoice)

    def _order(self, one: Order) -> Task:
        return Task(self.url_of(one), f"Order {one.number}", f"placed {one.placed_on:%-d %B %Y}")
