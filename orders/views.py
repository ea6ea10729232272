"""A person's orders. Nothing here can be changed: an issued order is corrected by sales."""

from __future__ import annotations

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from orders.models import Order
from privacy.requests import ended

PER_PAGE = 20


@require_safe
def orders(request: HttpRequest) -> HttpResponse:
    """List the signed-in person's orders, newest first; opens no envelope."""
    found = Order.objects.for_subject(request.user.subject_id).recent_first()
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    gone = ended.gone(request.user.subject_id, Order.objects.for_subject(request.user.subject_id))
    return render(request, "orders/list.html", {"page": page, "gone": gone})


@require_safe
def order(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one order with lines, invoices, payments (brand and last four) and delivery; 404 for anybody else's."""
    found = Order.objects.for_subject(request.user.subject_id).with_details()
    return render(request, "orders/detail.html", {"order": get_object_or_404(found, pk=pk)})
