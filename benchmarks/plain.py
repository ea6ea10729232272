"""The same pages on plain columns: the product's queries and templates on models without a vault, with the same values.

Its models get their tables from `make_tables`; their URLs stand before the product's (`benchmarks.plain` is a URL map).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_safe

from accounts.admin import CustomerAdmin
from accounts.models import Customer
from orders.models import Invoice, Order, OrderLine, Payment
from orders.views import PER_PAGE
from privacy import vault
from privacy.vault import uuid7


def _plain(model: type[models.Model], **links: models.ForeignKey) -> Any:
    """Return a model with the columns of `model`, its encrypted fields as texts, and these links."""
    attributes: dict[str, Any] = {"__module__": __name__, "__str__": model.__str__, **links}
    for one in model._meta.concrete_fields:
        if one.primary_key:
            attributes["id"] = models.UUIDField(primary_key=True, default=uuid7)
        elif not one.is_relation and getattr(one, "envelope", None) is None:
            attributes[one.name] = copy = one.clone()
            copy.db_column = None  # a readable part may be stored under the name of the encrypted whole
    for one in model._meta.private_fields:
        attributes[one.name] = models.TextField(blank=True, default="", verbose_name=one.verbose_name)
    for name in ("is_open", "is_unpaid", "amount"):
        if name not in attributes and isinstance(vars(model).get(name), property):
            attributes[name] = vars(model)[name]
    attributes["State"] = getattr(model, "State", None)
    attributes["Meta"] = type("Meta", (), {"app_label": "benchmarks", "ordering": model._meta.ordering})
    return type(f"Plain{model.__name__}", (models.Model,), attributes)


def _of(model: Any, name: str) -> models.ForeignKey:
    return models.ForeignKey(model, models.CASCADE, related_name=name)


PlainCustomer = _plain(Customer)
PlainCustomer.add_to_class("subject_id", models.UUIDField(null=True, db_index=True))
PlainOrder = _plain(Order, customer=_of(PlainCustomer, "orders"))
PlainOrderLine = _plain(
    OrderLine,
    order=_of(PlainOrder, "lines"),
    product=models.ForeignKey("orders.Product", models.CASCADE, related_name="+"),
)
PlainInvoice = _plain(Invoice, order=_of(PlainOrder, "invoices"))
PlainPayment = _plain(Payment, order=_of(PlainOrder, "payments"))
MODELS = {
    Customer: PlainCustomer,
    Order: PlainOrder,
    OrderLine: PlainOrderLine,
    Invoice: PlainInvoice,
    Payment: PlainPayment,
}


def make_tables() -> None:
    """Make the tables of the plain models."""
    with connection.schema_editor() as editor:
        for model in MODELS.values():
            editor.create_model(model)


def copied(records: Iterable[Any]) -> None:
    """Write the records once more in plain columns, under the same ids."""
    made: dict[Any, list[Any]] = {}
    with vault.internal():
        for record in records:
            model = MODELS[type(record)]
            values = {one.attname: getattr(record, one.attname) for one in model._meta.concrete_fields}
            made.setdefault(model, []).append(model(**values))
    for model, rows in made.items():
        model.objects.bulk_create(rows, batch_size=2_000)


def copied_orders(orders: Sequence[Order]) -> None:
    """Write orders with their lines, invoices and payments once more in plain columns."""
    copied(orders)
    for model in (Invoice, Payment):
        copied(model._default_manager.filter(order__in=orders))
    lines = OrderLine.objects.filter(order__in=orders)
    PlainOrderLine.objects.bulk_create(
        PlainOrderLine(
            order_id=one.order_id,
            position=one.position,
            product_id=one.product_id,
            description=one.description,
            quantity=one.quantity,
            unit_price=one.unit_price,
        )
        for one in lines
    )


# The views, as in the product -----------------------------------------------------------------------------------------


@require_safe
def orders(request: HttpRequest) -> HttpResponse:
    found = PlainOrder.objects.filter(customer__subject_id=request.user.subject_id).order_by("-placed_on", "-number")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "orders/list.html", {"page": page})


@require_safe
def order(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = PlainOrder.objects.filter(customer__subject_id=request.user.subject_id)
    found = found.select_related("customer").prefetch_related("lines__product", "invoices", "payments")
    return render(request, "orders/detail.html", {"order": get_object_or_404(found, pk=pk)})


class PlainCustomerAdmin(admin.ModelAdmin):
    """The list of customers as the product has it, on Django's own admin."""

    list_display = CustomerAdmin.list_display
    list_filter = CustomerAdmin.list_filter
    ordering = CustomerAdmin.ordering
    list_per_page = CustomerAdmin.list_per_page
    show_full_result_count = False
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # not on the front page, which is measured too


admin.site.register(PlainCustomer, PlainCustomerAdmin)

from ilt_site.urls import (  # noqa: E402  the admin makes its URLs when they are asked for first
    handler400,
    handler403,
    handler404,
    handler500,
)
from ilt_site.urls import (  # noqa: E402
    urlpatterns as product,
)

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
urlpatterns = [path("plain/orders/", orders), path("plain/orders/<uuid:pk>/", order), *product]
