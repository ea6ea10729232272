"""An erasure during an import: the import sees it, or it sees the import; nothing of the person comes back between
them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from accounts.models import Customer
from orders.imports import Report
from orders.models import Order, Product
from privacy.requests import execute
from privacy.requests.models import Request
from privacy.retention.models import Decision
from tests.asked import Clock, confirmed
from tests.factories import a_customer
from tests.orders.test_imports import LINE, ORDER, take  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.django_db(transaction=True)]
Take = Callable[..., Report]
LONGEST = 60


@pytest.fixture(autouse=True)
def _apart(settings: Any, tmp_path: Path) -> None:
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


class Other:
    """Something done at the same time, on connections of its own."""

    def __init__(self, do: Callable[[], Any]) -> None:
        self.end: Any = None
        self.thread = threading.Thread(target=self._run, args=(do,), daemon=True)
        self.thread.start()

    def _run(self, do: Callable[[], Any]) -> None:
        try:
            self.end = do()
        except Exception as error:
            self.end = error
        finally:
            connections.close_all()

    def result(self) -> Any:
        self.thread.join(LONGEST)
        assert not self.thread.is_alive(), "it hangs"
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


def until_somebody_waits(*others: Other) -> bool:
    """Look until as many backends as `others` wait for a lock, or one of the others has ended; return which."""
    while all(one.thread.is_alive() for one in others):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0] >= len(others):
                return True
    return False


@contextmanager
def held(rows: Any) -> Iterator[None]:
    """Hold rows, so that who wants them waits at exactly that place."""
    with transaction.atomic():
        list(rows.select_for_update())
        yield


def importing(take: Take) -> Other:  # noqa: F811
    return Other(lambda: take([ORDER], [LINE]))


def erasing(request: Request) -> Other:
    clock = Clock()
    return Other(lambda: execute.run(request.pk, clock=clock, pause=lambda: None, rounds=500))


def named(report: Report) -> tuple[int, int, int]:
    return report.created, report.lines, report.blocked


@pytest.fixture
def rosa() -> Customer:
    return a_customer(ORDER["customer_ref"], first_name="Rosa", last_name="Racekept", email="rosa@example.com")


def test_without_an_erasure_the_import_that_had_to_wait_writes_the_order(rosa: Customer, take: Take) -> None:  # noqa: F811
    with held(Customer.objects.filter(pk=rosa.pk)):
        other = importing(take)
        assert until_somebody_waits(other), "the import took no lock on its customers"
    assert named(other.result()) == (1, 1, 0)
    assert Order.objects.get().customer_id == rosa.pk


def test_who_is_erased_between_plan_and_write_gets_no_order(rosa: Customer, take: Take) -> None:  # noqa: F811
    request = confirmed(rosa)
    with held(Customer.objects.filter(pk=rosa.pk)):
        other = importing(take)  # has made its plan when it waits here
        until_somebody_waits(other)
        erasure = erasing(request)
        until_somebody_waits(other, erasure)
    assert named(other.result()) == (0, 0, 1)
    erasure.result()
    assert not Order.objects.exists()
    assert not Customer.objects.filter(pk=rosa.pk, sealed_account__isnull=False).exists()


def test_an_import_that_is_writing_is_seen_by_the_erasure_which_asks_again(rosa: Customer, take: Take) -> None:  # noqa: F811
    request = confirmed(rosa)
    sku = LINE["sku"]
    with transaction.atomic():
        Product.objects.create(sku=sku, name="Mountain-100", kind=Product.Kind.GOODS, price=1)
        first = importing(take)  # has locked its customers when it waits for the number of the product
        assert until_somebody_waits(first)
        second = erasing(request)
        assert until_somebody_waits(first, second), "the erasure did not wait for the import"
    assert named(first.result()) == (1, 1, 0)
    second.result()
    request = Request.objects.get(pk=request.pk)
    assert request.state == "planned"
    order = Order.objects.get()
    assert Decision.objects.filter(request=request, record_id=order.pk).exists()
    assert Customer.objects.filter(pk=rosa.pk, sealed_account__isnull=False).exists()


def test_nobody_elses_orders_are_left_out(rosa: Customer, take: Take) -> None:  # noqa: F811
    bob = a_customer("AW00000099", first_name="Bob")
    request = confirmed(rosa)
    orders = [ORDER, ORDER | {"order_number": "SO2", "customer_ref": bob.reference}]
    lines = [LINE, LINE | {"order_number": "SO2"}]
    with held(Customer.objects.filter(pk=rosa.pk)):
        other = Other(lambda: take(orders, lines))
        until_somebody_waits(other)
        erasure = erasing(request)
        until_somebody_waits(other, erasure)
    assert named(other.result()) == (1, 1, 1)
    erasure.result()
    assert Order.objects.get().customer_id == bob.pk
