"""What the files say is what the records say, once, whatever is imported how often."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from accounts import corrections
from accounts.models import Customer
from orders.models import Order, OrderLine
from privacy import gate
from tests import files
from tests.journeys import asking, importing

pytestmark = pytest.mark.django_db

CAROL = gate.Actor(
    kind="staff", id="carol", subject=None, roles=frozenset({"sales", "accounting", "privacy"}), purpose="admin"
)


@pytest.fixture
def imported(db: None) -> None:
    assert importing.customers()[0] == 0
    assert importing.orders()[0] == 0


def test_the_counts_are_those_of_the_files() -> None:
    code, report = importing.customers()
    assert (code, report["created"], report["errors"]) == (0, 36, [])
    code, report = importing.orders()
    assert (code, report["created"], report["errors"]) == (0, 59, [])
    assert (Customer.objects.count(), Order.objects.count(), OrderLine.objects.count()) == (36, 59, 132)


def test_opened_by_the_gate_every_row_equals_the_file(imported: None) -> None:
    wrong: list[tuple[str, str]] = []
    with gate.acting(CAROL):
        found = {one.reference: one for one in Customer.objects.select_related("company").prefetch_related("addresses")}
        for row in files.rows(files.CUSTOMERS):
            customer = found[row["customer_ref"]]
            (address,) = customer.addresses.all()
            stored = {
                **{name: getattr(customer, name) for name in ("title", "first_name", "last_name", "email", "phone")},
                **{
                    name: getattr(address, name)
                    for name in ("street", "street2", "city", "region", "postal_code", "country")
                },
                "company": customer.company.name if customer.company else "",
                "since": customer.since.isoformat(),
            }
            wrong += [(row["customer_ref"], name) for name, value in stored.items() if row[name] != value]
        orders = {one.number: one for one in Order.objects.with_details()}
        lines = files.lines_by_order()
        for row in files.rows(files.ORDERS):
            order = orders[row["order_number"]]
            stored = {
                "customer_ref": order.customer.reference,
                "channel": order.channel,
                "placed_on": order.placed_on.isoformat(),
                "shipped_on": order.shipped_on.isoformat(),
                **{
                    f"ship_{part}": getattr(order, f"ship_{part}")
                    for part in ("street", "street2", "city", "region", "postal_code", "country")
                },
            }
            wrong += [(row["order_number"], name) for name, value in stored.items() if row[name] != value]
            wrong += [
                (row["order_number"], name)
                for name in ("subtotal", "tax", "freight", "total")
                if Decimal(row[name]) != getattr(order, name)
            ]
            assert (order.invoiced_on, order.paid_on) == (order.shipped_on, order.shipped_on)
            if row["card_number"]:
                (payment,) = order.payments.all()
                if payment.last_four != row["card_number"][-4:]:
                    wrong.append((row["order_number"], "card_number"))
            stored_lines = [
                (one.product.sku, one.description, one.quantity, one.unit_price) for one in order.lines.all()
            ]
            file_lines = [
                (one["sku"], one["product"], int(one["quantity"]), Decimal(one["unit_price"]))
                for one in lines[order.number]
            ]
            if stored_lines != file_lines:
                wrong.append((order.number, "lines"))
    assert wrong == []


def test_a_second_import_changes_no_byte(imported: None) -> None:
    before = importing.fingerprint()
    code, report = importing.customers()
    assert (code, report["created"], report["unchanged"], report["differs"]) == (0, 0, 36, 0)
    code, report = importing.orders()
    assert (code, report["created"], report["unchanged"], report["differs"]) == (0, 0, 59, 0)
    assert importing.fingerprint() == before


def test_a_correction_survives_a_third_import(imported: None) -> None:
    customer = Customer.objects.get(reference="C-1001")
    actor = gate.Actor(
        kind="customer", id="alice", subject=customer.subject_id, roles=frozenset({"customer"}), purpose="own data"
    )
    with gate.acting(actor):
        corrections.correct(customer, {"phone": "978-555-0199"}, actor=actor, now=timezone.now())
    code, report = importing.customers()
    assert (code, report["unchanged"], report["differs"]) == (0, 35, 1)
    with gate.acting(actor):
        assert Customer.objects.get(pk=customer.pk).phone == "978-555-0199"


@pytest.mark.parametrize(
    ("reference", "differs", "blocked"),
    [("C-1016", 0, 1), ("C-1001", 1, 0)],
    ids=["nothing is left of her", "her invoices of the last seven years are kept"],
)
def test_an_erasure_survives_a_third_import(imported: None, reference: str, differs: int, blocked: int) -> None:
    customer = Customer.objects.get(reference=reference)
    orders = Order.objects.filter(customer=customer).count()
    asking.erase(customer)
    before = importing.fingerprint()
    code, report = importing.customers()
    assert (code, report["created"], report["unchanged"]) == (0, 0, 35)
    assert (report["differs"], report["blocked"]) == (differs, blocked)
    code, report = importing.orders()
    assert (code, report["created"], report["blocked"]) == (0, 0, orders)
    assert importing.fingerprint() == before
