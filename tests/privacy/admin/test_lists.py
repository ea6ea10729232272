"""A list of the back office that takes too long is stopped, and says what to do."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections

from orders.admin import OrderAdmin
from privacy.admin import lists, search
from privacy.audit import AuditEvent
from privacy.models import Hold
from tests.factories import NOW, a_customer, an_order, an_rma
from tests.privacy.admin.test_admin import at_work

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "keystore"])


def timeout(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("alias", ["default", "keystore"])
def test_a_statement_that_takes_too_long_is_stopped_and_the_limit_ends_with_the_list(alias: str) -> None:
    before = timeout(alias)
    with pytest.raises(lists.TookTooLong), lists.within(50), connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    assert timeout(alias) == before != "50ms"


def test_another_fault_of_the_database_is_not_taken_for_a_slow_list() -> None:
    with pytest.raises(OperationalError), lists.within(1000), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 1")
        other = connection.copy()
        with other.cursor() as elsewhere:
            elsewhere.execute("BEGIN; LOCK TABLE orders_order")
            try:
                cursor.execute("SELECT * FROM orders_order")
            finally:
                elsewhere.execute("ROLLBACK")
                other.close()


def test_a_connection_that_broke_has_no_limit_to_give_back_and_its_own_fault_is_told() -> None:
    before = timeout("default")
    number = connection.connection.info.backend_pid
    other = connection.copy()
    try:
        with pytest.raises(OperationalError), lists.within(1000):
            with other.cursor() as elsewhere:
                elsewhere.execute("SELECT pg_terminate_backend(%s)", [number])
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")
    finally:
        other.close()
        connection.close()
    assert timeout("default") == before


def test_a_page_that_the_list_has_not_leads_to_its_first_and_blames_no_database() -> None:
    carol, here = at_work("privacy"), "/admin/privacy/hold/"
    Hold.objects.bulk_create(
        Hold(label="orders.order", record_id=uuid4(), reason="claim", placed_at=NOW) for _ in range(51)
    )
    for query in ("?p=99", "?p=99&e=1"):
        answer = carol.get(f"{here}{query}", follow=True)
        assert answer.redirect_chain[-1] == (here, 302) and "Something" not in answer.text
        assert answer.status_code == 200 and answer.context["cl"].page_num == 1


def test_a_slow_list_says_so_and_the_next_one_works(monkeypatch: Any) -> None:
    carol = at_work("sales")
    plain = OrderAdmin.get_queryset
    monkeypatch.setattr(lists, "LONGEST", 50)
    monkeypatch.setattr(OrderAdmin, "get_queryset", lambda self, request: plain(self, request).extra(where=["pg_sleep(60) IS NOT NULL"]))  # fmt: skip
    an_order(a_customer())
    answer = carol.get("/admin/orders/order/")
    assert answer.status_code == 503
    assert "This list took too long" in answer.content.decode()
    monkeypatch.undo()
    assert carol.get("/admin/orders/order/").status_code == 200


def test_a_slow_search_says_so_and_the_next_one_finds(monkeypatch: Any) -> None:
    carol = at_work("sales")
    an_order(a_customer("AW00029825"))
    plain = search.find

    def slow(*given: Any, **more: Any) -> search.Found:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        return plain(*given, **more)

    monkeypatch.setattr(lists, "LONGEST", 50)
    monkeypatch.setattr(search, "find", slow)
    page = carol.post("/admin/accounts/customer/search/", {"q": "AW00029825"}, follow=True)
    assert "The search was stopped after three seconds" in page.text and page.status_code == 200
    assert not AuditEvent.objects.filter(action="records.searched").exists()
    monkeypatch.undo()
    assert "1 found." in carol.post("/admin/accounts/customer/search/", {"q": "AW00029825"}, follow=True).text


def test_one_slow_work_list_leaves_the_others_on_the_front_page(monkeypatch: Any) -> None:
    carol = at_work("sales", "service")
    number = an_rma(a_customer("AW00029825")).number

    def slow(self: Any, actor: Any, today: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        return []

    monkeypatch.setattr(OrderAdmin, "work_lists", slow)
    before = timeout("default")
    monkeypatch.setattr(lists, "LONGEST", 500)
    page = carol.get("/admin/")
    assert page.status_code == 200
    assert "Looking took too long" in page.text and number in page.text
    assert timeout("default") == before

    def broken(self: Any, actor: Any, today: Any) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return []

    monkeypatch.setattr(OrderAdmin, "work_lists", broken)
    with pytest.raises(OperationalError):
        carol.get("/admin/")
    connection.close()
