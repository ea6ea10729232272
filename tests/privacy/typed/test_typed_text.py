"""What somebody types to find a record does not stand in what the database shows of its statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg2
import pytest
from django.core.cache import cache
from django.db import connections

from accounts.models import Customer
from orders.models import Product
from privacy.admin import search
from privacy.retention import holds
from privacy.typed import numbers
from tests import factories, pages
from tests.factories import a_customer, an_order
from tests.privacy.admin.test_admin import ORDER, at_work, the_list

pytestmark = pytest.mark.django_db(databases="__all__")

PRODUCTS = "orders_product"


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield what another session reads in `pg_stat_activity` after each statement of ours, in both databases.

    And each statement as the driver sent it: the server shows no more than the first 1,024 bytes.
    """
    seen: list[str] = []
    with ExitStack() as stack:
        for alias in ("default", "keystore"):
            ours = connections[alias]
            ours.ensure_connection()
            known = ours.get_connection_params()
            other = psycopg2.connect(
                **{name: known[name] for name in ("dbname", "user", "password", "host", "port") if name in known}
            )
            stack.callback(other.close)
            other.autocommit = True
            number = ours.connection.info.backend_pid

            def watch(
                execute: Any, sql: Any, params: Any, many: Any, context: Any, other: Any = other, number: int = number
            ) -> Any:
                try:
                    return execute(sql, params, many, context)
                finally:
                    with other.cursor() as cursor:
                        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [number])
                        seen.append(str(cursor.fetchone()[0]).casefold())
                    seen.append(bytes(context["cursor"].query or b"").decode().casefold())

            stack.enter_context(ours.execute_wrapper(watch))
        yield seen


def test_what_the_database_shows_is_seen_here() -> None:
    """The positive control: a text that does go into a statement is found by the watch, in each database."""
    with watched() as seen:
        list(Product.objects.filter(name__icontains="Whitfield").values_list("pk"))
        with connections["keystore"].cursor() as cursor:
            cursor.execute("SELECT %s", ["Harborview"])
    assert ["whitfield" in one for one in seen] == [True, True, False, False]
    assert ["harborview" in one for one in seen] == [False, False, True, True]


def doors() -> dict[str, Any]:
    """Every page on which somebody types what a record is called: what is done there with a text."""
    sales, team, alice = (
        at_work("sales"),
        at_work("privacy"),
        pages.signed_in(factories.login("alice", "al@post.example")),
    )
    known = {"received_on": "2026-11-20", "channel": "phone", "kind": "access", "asked_by": "self"}
    return {
        "search of products": lambda text: sales.post(f"{the_list(PRODUCTS)}search/", {"q": text}, follow=True),
        "old search of products": lambda text: sales.get(the_list(PRODUCTS), {"q": text}),
        "products by URL": lambda text: sales.get(the_list(PRODUCTS), {"name__icontains": text}),
        "products by kind": lambda text: sales.get(the_list(PRODUCTS), {"kind__exact": text}),
        "orders by state": lambda text: sales.get(the_list(ORDER), {"state__exact": text}),
        "orders by payment": lambda text: sales.get(the_list(ORDER), {"payment": text}),
        "completion": lambda text: sales.get(
            "/admin/autocomplete/",
            {"term": text, "app_label": "orders", "model_name": "orderline", "field_name": "product"},
        ),
        "message": lambda text: sales.post("/admin/accounts/communication/add/", {**known, "customer_number": text}),
        "request": lambda text: team.post("/admin/privacy/request/add/", {**known, "customer_number": text}),
        "search of requests": lambda text: team.post("/admin/privacy/request/search/", {"q": text}, follow=True),
        "hold": lambda text: team.post("/admin/privacy/hold/add/", {"number": text, "reason": "claim"}),
        "joining": lambda text: team.post("/admin/accounts/joining/add/", {"person": text}),
        "certificate": lambda text: alice.get(f"/rma/certificates/{text.replace(' ', '-')}/"),
        "outcome": lambda text: alice.post("/privacy/outcome/", {"reference": text, "code": text}),
        "login": lambda text: pages.Browser().post("/accounts/login/", {"login": text, "password": text}),
        "reset": lambda text: pages.Browser().post(
            "/accounts/password/reset/", {"email": f"{text.split()[-1]}@post.example"}
        ),
    }


def test_what_was_typed_stands_in_no_statement() -> None:
    an_order(a_customer("T-ALICE"))
    by_name = doors()
    shown: dict[tuple[str, str], list[str]] = {}
    with watched() as seen:
        for text in ("Whitfield", "Alice Whitfield", "DE136695976", "9785550101"):
            cache.clear()  # limits count from zero
            for name, door in by_name.items():
                seen.clear()
                answer = door(text)
                assert answer.status_code < 500, (name, text)
                shown[name, text] = [part for part in text.split() if any(part.casefold() in one for one in seen)]
                assert seen, (name, text)
    assert {door: parts for door, parts in shown.items() if parts} == {}


def test_each_door_asks_the_database_for_a_number_of_ours() -> None:
    """The control of the test above: these doors do look for what is typed there."""
    a_customer("AW00029825")
    asking = {"message", "request", "search of requests", "hold", "joining", "certificate"}
    by_name = doors()
    with watched() as seen:
        for name in sorted(asking):
            seen.clear()
            by_name[name]("AW00029825")
            assert any("aw00029825" in one for one in seen), name


def test_a_product_is_found_by_parts_of_its_number_and_name() -> None:
    for sku, name in (("ILT2400", "Hand-held radiometer"), ("ILT950", "Spectroradiometer"), ("CAL-1", "Calibration")):
        Product.objects.create(sku=sku, name=name)
    carol = at_work("sales")

    def found(text: str) -> list[str]:
        page = carol.post(f"{the_list(PRODUCTS)}search/", {"q": text}, follow=True).text
        return [sku for sku in ("ILT2400", "ILT950", "CAL-1") if f">{sku}<" in page]

    assert found("radio hand") == ["ILT2400"]
    assert found("RADIOMETER") == ["ILT2400", "ILT950"]
    assert found("ilt9") == ["ILT950"]
    assert found("") == ["ILT2400", "ILT950", "CAL-1"]
    assert found("nothing like it") == []


def test_more_products_than_are_shown_are_said_to_be_more() -> None:
    Product.objects.bulk_create(Product(sku=f"P{n:04d}", name="Lamp") for n in range(search.CAP + 1))
    found = search.here(Product.objects.all(), "lamp", columns=("sku", "name"))
    assert (len(found.ids), found.is_all) == (search.CAP, False)


@pytest.mark.parametrize("lookup", ["kind__exact", "is_active__exact"])
def test_a_list_is_narrowed_by_the_choices_of_its_filters_and_nothing_else(lookup: str) -> None:
    Product.objects.create(sku="ILT2400", name="Hand-held radiometer")
    carol = at_work("sales")
    choice = "instrument" if lookup.startswith("kind") else "1"
    assert ">ILT2400<" in carol.get(the_list(PRODUCTS), {lookup: choice}).text
    assert carol.get(the_list(PRODUCTS), {lookup: "Whitfield"}).status_code == 400
    assert carol.get(the_list(PRODUCTS), {lookup.replace("exact", "contains"): choice}).status_code == 400


@pytest.mark.parametrize("reference", ["AW00029825", "T-ALICE", "20231234", "ACME", "A1"])
def test_a_record_is_found_by_its_number_whatever_its_form(reference: str) -> None:
    alice = a_customer(reference)
    a_customer(f"{reference}X")
    assert holds.find(reference).record_id == alice.pk
    assert list(numbers.equal(Customer.objects.all(), "reference", reference)) == [alice.pk]
    assert list(numbers.equal(Customer.objects.all(), "reference", f"{reference[:-1]}-")) == []


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("SO-2026-000003", "SO-2026-000003"), ("AW00029825", "AW00029825"), ("ILT2400-1", "ILT2400-1"),
        ("DE136695976", "DE13"), ("GB980780684", "GB98"), ("DE89370400440532013000", "DE89"),
        ("9785550101", "9785"), ("+19785550101", "+197"), ("Whitfield", "Wh"), ("Li", "L"), ("T-ALICE", "T-"),
        ("alice@post.example", ""), ("a\nb", ""), ("1" * 41, ""), ("", ""),
    ],
)  # fmt: skip
def test_of_what_is_no_number_of_ours_only_the_beginning_is_asked_for(text: str, asked: str) -> None:
    assert numbers.beginning(text) == asked


def test_a_search_that_could_not_compare_all_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_COMPARED", 2)
    for number in ("20231", "20232", "20233"):
        a_customer(number)
    assert search.find(Customer, "20233", columns=("reference",)).is_all is False
    monkeypatch.setattr(search, "MOST_COMPARED", 3)
    found = search.find(Customer, "20233", columns=("reference",))
    assert (len(found.ids), found.is_all) == (1, True)


@pytest.mark.parametrize("number", ["none", "0", "é", "1' OR '1'='1"])
def test_the_admins_door_by_kind_and_number_answers_what_is_no_number(number: str) -> None:
    carol = at_work("sales", "privacy")
    for kind in ("1", "x", "999999"):
        assert carol.get(f"/admin/r/{kind}/{number}/").status_code == 404
