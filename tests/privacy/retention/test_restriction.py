"""What is kept after an erasure, or by a legal hold alone, opens and is written only for what keeps it (design 10)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from typing import Any, NamedTuple

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import corrections
from accounts import services as accounts
from accounts.models import Address, Communication, Customer, LoginAddress
from orders import services as orders
from orders.models import Order
from privacy import gate, subjects, vault
from privacy.audit.models import AuditEvent
from privacy.facts import Facts
from privacy.gate import Actor, Refused, matrix
from privacy.gate.system import system, system_actor
from privacy.models import HeldValue
from privacy.requests import export, outcome, reading
from privacy.requests.models import Request
from privacy.retention import holds, restriction, rules
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly
from privacy.vault import RecordRestricted, Restricted
from privacy.work.broken import Findings
from tests import factories, pages, roles
from tests.asked import NOW, PRIVACY, TODAY, confirmed, run
from tests.factories import DAN, ERIN, TASK, a_customer, an_order, an_rma, as_customer, moved
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db
ROLES = ("sales", "service", "accounting", "privacy")
TAX = "locked: kept for our records of the sale until 31 December 2031; accounting opens it"
LONG_AGO = date(2024, 5, 10)


@pytest.fixture(autouse=True)
def _quiet(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with time_machine.travel(NOW, tick=False):
        yield


def role(*names: str) -> Actor:
    return Actor("staff", "-".join(names), None, frozenset(names), "admin")


def fresh(record: Any) -> Any:
    return type(record).objects.get(pk=record.pk)


def erased(customer: Customer) -> None:
    """Carry an erasure of everything out, as far as it goes."""
    run(confirmed(customer))


def old_order(customer: Customer) -> Order:
    return an_order(customer, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO, paid=LONG_AGO)


# One record for each reason to keep, with what each keeps: written down by hand ---------------------------------------


class Kept(NamedTuple):
    """What stays of a record: the field that tells, who opened it before, who opens it after the erasure, who of them
    writes it."""

    record: Any
    envelope: str
    field: str
    before: set[str]
    after: set[str]
    writing: set[str]


EVERY = set(ROLES)
INVOICE = {"sales", "accounting", "privacy"}
OFFICE = {"sales", "accounting"}


def kept_for_an_open_order(alice: Customer) -> list[Kept]:
    """It is still to be shipped and invoiced, and the buyer to be reached."""
    order = an_order(alice)
    return [
        Kept(order, "fulfilment", "ship_name", {"sales", "privacy"}, {"sales"}, {"sales"}),
        Kept(order, "order", "invoice_name", INVOICE, OFFICE, OFFICE),
        Kept(alice, "account", "first_name", EVERY, OFFICE, {"sales"}),
    ]


def kept_for_an_unpaid_invoice(alice: Customer) -> list[Kept]:
    order = an_order(alice, LONG_AGO, invoiced=LONG_AGO, shipped=LONG_AGO)
    return [Kept(order, "order", "invoice_name", INVOICE, OFFICE, OFFICE)]


def kept_for_an_open_return(alice: Customer) -> list[Kept]:
    """It is still to be worked on, and the sender to be reached."""
    both = {"sales", "service"}
    return [
        Kept(an_rma(alice), "rma", "contact_name", {*both, "privacy"}, both, {"service"}),
        Kept(alice, "account", "first_name", EVERY, both, {"sales"}),
    ]


def kept_for_tax_and_by_holds(alice: Customer) -> list[Kept]:
    """Records that keep each by itself: for tax, for an exemption, by a hold alone, for tax and by a hold."""
    own = {"accounting"}
    sale, claimed, message = old_order(alice), old_order(alice), factories.communication(alice)
    exempt = factories.tax_identifier(alice, has_certificate=True, last_used_on=TODAY)
    for record in (claimed, message):
        holds.place(record.vault_label, record.pk, reason="claim", actor=PRIVACY, now=NOW)
    return [
        Kept(sale, "order", "invoice_name", INVOICE, own, own),
        Kept(exempt, "tax_identifier", "value", {*own, "privacy"}, own, own),
        Kept(message, "support", "heading", EVERY, {"privacy"}, set()),
        Kept(claimed, "order", "invoice_name", INVOICE, {*own, "privacy"}, own),
    ]


CASES = (kept_for_an_open_order, kept_for_an_unpaid_invoice, kept_for_an_open_return, kept_for_tax_and_by_holds)


def readers(record: Any, name: str) -> set[str]:
    """Return the roles to whom a field opens now."""
    found = set()
    for one in ROLES:
        with gate.acting(role(one)):
            value = getattr(fresh(record), name)
            if not isinstance(value, vault.Unreadable):
                assert value
                found.add(one)
    return found


def writers(record: Any, envelope: str, name: str) -> set[str]:
    """Return the roles that can write a field: allowed by the gate beforehand, and let through by the vault."""
    found = set()
    for one in ROLES:
        row = fresh(record)
        with gate.acting(role(one)):
            allowed = gate.may(
                role(one), row.vault_label, envelope, "write", row.vault_owner(), row.restriction(envelope)
            )
            setattr(row, name, f"Written by {one}" if name != "value" else f"12-345678{ROLES.index(one)}")
            if not allowed:
                if matrix.may(role(one), row.vault_label, envelope, "write"):
                    with pytest.raises(RecordRestricted):
                        row.save(update_fields=[name])
                continue
            row.save(update_fields=[name])
        found.add(one)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_kept_opens_and_is_written_only_by_who_does_what_keeps_it(case: Any) -> None:
    alice, bob = a_customer(), a_customer()
    kept, theirs = case(alice), case(bob)
    assert [readers(one.record, one.field) for one in kept] == [one.before for one in kept]

    erased(alice)

    assert [readers(one.record, one.field) for one in kept] == [one.after for one in kept]
    assert [writers(one.record, one.envelope, one.field) for one in kept] == [one.writing for one in kept]
    # bob asked for nothing: positive control, on the same kinds of record.
    assert [readers(one.record, one.field) for one in theirs] == [one.before for one in theirs]


def test_the_mask_says_for_what_until_when_and_who_opens_it() -> None:
    alice = a_customer()
    order, rma, message = old_order(alice), an_rma(alice), factories.communication(alice)
    holds.place("accounts.communication", message.pk, reason="claim", actor=PRIVACY, now=NOW)
    erased(alice)

    with gate.acting(role("sales")):
        assert str(fresh(order).invoice_name) == TAX
        assert (
            str(fresh(message).heading) == "locked: kept for a legal hold until it is lifted; the privacy team opens it"
        )
    with gate.acting(role("privacy")):
        value = fresh(rma).contact_name
        assert isinstance(value, Restricted)
        assert str(value) == ("locked: kept for an open return until it is finished; sales and service open it")
    with gate.acting(role("service")):
        # Whose job never needed it sees dots as before: not even that it is kept.
        assert not isinstance(fresh(order).invoice_name, Restricted)


def test_the_person_and_the_programs_that_give_and_end_see_what_is_restricted() -> None:
    user = factories.login("alice", "alice@example.com")
    alice = factories.customer(user=user)
    order = an_order(alice)
    erased(alice)

    with gate.acting(as_customer(alice)):
        assert fresh(order).ship_name == "Alice Whitfield"
        assert fresh(alice).first_name == "Alice"
    for purpose, bound in (("export", True), ("erasure", True), ("sweep", False)):
        with system(purpose, subject=alice.subject_id if bound else None):
            assert fresh(order).ship_name == "Alice Whitfield", purpose
    with system("login"):
        assert LoginAddress.objects.get().email == "alice@example.com"
    for purpose in ("import", "demo"):
        with system(purpose):
            assert isinstance(fresh(order).ship_name, Restricted), purpose


def test_the_kept_login_may_still_correct_and_a_stranger_may_not() -> None:
    alice, bob = factories.customer(user=factories.login()), a_customer()
    an_order(alice)
    erased(alice)
    with gate.acting(as_customer(alice)):
        corrections.correct(fresh(alice), {"last_name": "Archer-Wells"}, actor=as_customer(alice), now=NOW)
        assert fresh(alice).last_name == "Archer-Wells"
    with gate.acting(as_customer(bob)), pytest.raises(Refused):
        corrections.correct(fresh(alice), {"last_name": "Baker"}, actor=as_customer(bob), now=NOW)
    # Corrected under a new key, it is as restricted as before.
    assert readers(alice, "last_name") == {"sales", "accounting"}


def test_an_open_order_still_ships_and_a_quote_is_still_accepted() -> None:
    alice = a_customer()
    order = an_order(alice)
    rma = moved(an_rma(alice), "authorised", "received", "in_service")
    erased(alice)
    with gate.acting(role("sales")):
        assert orders.ship(order, actor=role("sales"), now=NOW).shipped_on == TODAY
    with gate.acting(DAN):
        moved(rma, "quoted", quote=100)
    with gate.acting(as_customer(alice)):
        from rma import services as rmas

        assert rmas.transition(rma, "approved", actor=as_customer(alice), now=NOW).state == "approved"


def test_when_the_order_is_finished_it_closes_to_sales_at_once() -> None:
    alice = a_customer()
    order = an_order(alice)
    erased(alice)
    assert readers(order, "invoice_name") == {"sales", "accounting"}

    orders.invoice(order, actor=ERIN, now=NOW)
    orders.ship(order, actor=TASK, now=NOW)
    assert readers(order, "invoice_name") == {"sales", "accounting"}, "it is not paid"
    orders.mark_paid(order, actor=ERIN, now=NOW)

    assert readers(order, "invoice_name") == {"accounting"}
    # Nothing keeps the address any more; until the sweep of the night nobody uses it.
    assert readers(order, "ship_name") == {"privacy"}
    assert readers(alice, "first_name") == {"privacy"}


def test_plain_columns_of_a_restricted_record_are_not_changed_by_others_either() -> None:
    alice = a_customer()
    an_rma(alice)
    erased(alice)
    for one in ("accounting", "privacy"):
        with gate.acting(role(one)), pytest.raises(Refused):
            corrections.correct(fresh(alice), {"region": "NH"}, actor=role(one), now=NOW)
    with gate.acting(role("sales")):
        assert corrections.correct(fresh(alice), {"region": "NH"}, actor=role("sales"), now=NOW) == ("region",)


def test_a_restriction_that_comes_while_somebody_writes_stops_the_write() -> None:
    alice = a_customer()
    order = old_order(alice)
    with gate.acting(role("sales")):
        row = fresh(order)
        assert row.invoice_name == "Alice Whitfield"
        vault.keys.restrict({(order.pk, "order"): "order:2031-12-31"})
        row.invoice_name = "Alice Wells"
        with pytest.raises(RecordRestricted):
            row.save(update_fields=["invoice_name"])
    with gate.acting(role("accounting")):
        assert fresh(order).invoice_name == "Alice Whitfield"


# Lists, search, pages, copies -----------------------------------------------------------------------------------------


def at_work(*roles: str) -> Client:
    name = "-".join(roles)
    return pages.signed_in(factories.staff(name, f"{name}@ilt.example", roles=roles))


def found_by(browser: Client, names: str, text: str) -> int:
    answer = browser.post(reverse(f"admin:{names}_search"), {"q": text}, follow=True)
    return len(answer.context["cl"].result_list)


def test_lists_and_pages_of_the_back_office_say_why_and_show_nothing() -> None:
    alice, bob = a_customer(), a_customer(first_name="Bob", last_name="Baker")
    order = old_order(alice)
    old_order(bob)
    erased(alice)
    sales, accounting = at_work("sales"), at_work("accounting")
    listed = sales.get(reverse("admin:orders_order_changelist")).content.decode()
    assert listed.count(TAX) == 2  # name and company
    assert listed.count("Alice Whitfield") == 1, "bob's invoice, in the same name, is open to sales"
    page = sales.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    assert "Alice Whitfield" not in page and "14 Harbor View Road" not in page
    assert "Locked: kept for our records of the sale until 31 December 2031; accounting opens it." in page
    assert (
        "14 Harbor View Road" in accounting.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    )


def test_a_search_finds_what_is_restricted_only_for_whom_it_opens() -> None:
    alice, bob = a_customer(last_name="Quillfeather", email="quill@post.example"), a_customer(last_name="Plainfeather")
    order = an_order(alice, email="order@post.example", phone="+1 978 555 0177")
    an_order(bob)
    browsers, hers = {one: at_work(one) for one in ROLES}, ("Quillfeather", "quill@post.example")

    def found(names: str, text: str, roles: tuple[str, ...] = ROLES) -> dict[str, int]:
        return {one: found_by(browsers[one], names, text) for one in roles}

    everybody, opens = dict.fromkeys(ROLES, 1), {"sales": 1, "accounting": 1, "service": 0, "privacy": 0}
    for text in hers:
        assert found("accounts_customer", text) == everybody, text
    erased(alice)
    for text in hers:
        assert found("accounts_customer", text) == opens, text
    assert found("accounts_customer", "Plainfeather") == everybody
    with_orders = ("sales", "accounting", "privacy")  # service has no page of orders
    for text in hers:
        assert found("orders_order", text, with_orders) == {one: opens[one] for one in with_orders}, text
    # Its own address is in the envelope `fulfilment`, which only sales need.
    for text in ("order@post.example", "978 555 0177"):
        assert found("orders_order", text, with_orders) == {"sales": 1, "accounting": 0, "privacy": 0}, text
    assert found("orders_order", order.number, with_orders) == dict.fromkeys(with_orders, 1), "by its number"


def test_the_copy_holds_what_is_restricted(tmp_path: Any) -> None:
    alice = factories.customer(user=factories.login())
    an_order(alice)
    erased(alice)
    access = confirmed(alice, "access")
    run(access)
    _, chunks = export.fetch(access, actor=as_customer(alice), now=NOW)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(chunks)))
    table = archive.read(
        next(name for name in archive.namelist() if "order" in name and name.endswith(".csv"))
    ).decode()
    assert "Alice Whitfield" in table
    assert "locked" not in table


@pytest.mark.parametrize("count", [1, 10])
def test_a_list_with_restricted_records_needs_no_query_more(count: int) -> None:
    alice = a_customer()
    for _ in range(count):
        old_order(alice)
    orders_of_alice = Order.objects.filter(customer=alice)

    def queries() -> tuple[int, int]:
        with gate.acting(role("sales")):
            with (
                CaptureQueriesContext(connections["keystore"]) as keystore,
                CaptureQueriesContext(connections["default"]) as main,
            ):
                list(map(str, [one.invoice_name for one in orders_of_alice.all()]))
            return len(keystore), len(main)

    before = queries()
    erased(alice)
    assert Order.objects.filter(customer=alice).count() == count
    assert before == queries() == (1, 1)


# Holds ----------------------------------------------------------------------------------------------------------------


def test_a_hold_on_a_record_in_use_restricts_nothing_and_keeps_what_a_correction_replaces() -> None:
    alice = factories.customer(phone="978-555-0123")
    holds.place("accounts.customer", alice.pk, reason="claim", actor=PRIVACY, now=NOW)
    assert readers(alice, "phone") == set(ROLES)

    with gate.acting(role("sales")):
        corrections.correct(fresh(alice), {"phone": "617-555-0188"}, actor=role("sales"), now=NOW)
        corrections.correct(fresh(alice), {"phone": ""}, actor=role("sales"), now=NOW)

    assert readers(alice, "first_name") == set(ROLES)
    first, second = HeldValue.objects.order_by("kept_at", "pk")
    for one in ("sales", "service", "accounting"):
        with gate.acting(role(one)):
            assert isinstance(fresh(first).was, vault.Masked)
    with gate.acting(role("privacy")):
        assert {fresh(one).was["phone"] for one in (first, second)} == {"978-555-0123", "617-555-0188"}
    page = at_work("privacy").get(reverse("admin:privacy_hold_changelist"))
    assert page.status_code == 200
    hold = holds.Hold.objects.get()
    shown = at_work("privacy", "sales").get(reverse("admin:privacy_hold_change", args=[hold.pk])).content.decode()
    assert "978-555-0123" in shown and "617-555-0188" in shown


def test_a_correction_without_a_hold_keeps_nothing() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"phone": "617-555-0188"}, actor=role("sales"), now=NOW)
    assert not HeldValue.objects.exists()


def test_what_a_hold_kept_goes_with_the_last_hold(django_capture_on_commit_callbacks: Any) -> None:
    alice = factories.customer()
    for case in ("1", "2"):
        holds.place("accounts.customer", alice.pk, reason="claim", reference=case, actor=PRIVACY, now=NOW)
    corrections.correct(alice, {"phone": "617-555-0188"}, actor=role("sales"), now=NOW)
    kept = HeldValue.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        holds.lift("accounts.customer", alice.pk, reference="1", actor=PRIVACY, now=NOW)
    assert HeldValue.objects.filter(pk=kept.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        holds.lift("accounts.customer", alice.pk, reference="2", actor=PRIVACY, now=NOW)
    assert not HeldValue.objects.exists()
    assert vault.keys.is_destroyed(kept.pk, "held_value")
    assert vault.keys.restrictions([alice.pk]) == {}
    corrections.correct(fresh(alice), {"phone": "617-555-0199"}, actor=role("sales"), now=NOW)
    assert not HeldValue.objects.exists()


def test_what_a_hold_keeps_is_in_the_persons_copy() -> None:
    alice = factories.customer(user=factories.login(), phone="978-555-0123")
    holds.place("accounts.customer", alice.pk, reason="claim", actor=PRIVACY, now=NOW)
    corrections.correct(alice, {"phone": "617-555-0188"}, actor=role("sales"), now=NOW)
    access = confirmed(alice, "access")
    run(access)
    _, chunks = export.fetch(access, actor=as_customer(alice), now=NOW)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(chunks)))
    assert "978-555-0123" in archive.read("data.json").decode()
    assert "locked" not in archive.read("index.html").decode()


def test_a_held_address_cannot_be_removed_and_another_can() -> None:
    alice = factories.customer()
    held, other = factories.address(alice), factories.address(alice, street="4 Other Street")
    holds.place("accounts.address", held.pk, reason="claim", actor=PRIVACY, now=NOW)
    with pytest.raises(Exception, match="legal hold"):
        accounts.remove(held, actor=role("sales"), now=NOW)
    accounts.remove(other, actor=role("sales"), now=NOW)
    assert [one.pk for one in Address.objects.all()] == [held.pk]


def test_a_deleted_row_under_a_hold_leaves_what_it_said() -> None:
    user = factories.login()
    record = LoginAddress.objects.get()
    holds.place("accounts.login_address", record.pk, reason="claim", actor=PRIVACY, now=NOW)
    user.emailaddress_set.get().delete()
    assert not LoginAddress.objects.exists()
    with gate.acting(role("privacy")):
        assert HeldValue.objects.get().was == {"email": "alice@example.com"}


def test_a_record_that_only_a_hold_keeps_is_restricted_by_the_sweep_and_released_with_it(
    django_capture_on_commit_callbacks: Any,
) -> None:
    alice = a_customer()
    message = factories.communication(
        alice, received_on=date(2015, 1, 5), last_message_on=date(2015, 1, 5), closed_on=date(2015, 1, 6)
    )
    Communication.objects.filter(pk=message.pk).update(closed_on=TODAY)
    holds.place("accounts.communication", message.pk, reason="claim", actor=PRIVACY, now=NOW)
    assert readers(message, "heading") == set(ROLES)
    Communication.objects.filter(pk=message.pk).update(closed_on=date(2015, 1, 6))

    arming.arm(actor=PRIVACY)
    with system("sweep"):
        nightly.sweep(dry_run=False, actor=system_actor("sweep"))

    assert readers(message, "heading") == {"privacy"}
    with django_capture_on_commit_callbacks(execute=True):
        holds.lift("accounts.communication", message.pk, actor=PRIVACY, now=NOW)
    assert readers(message, "heading") == set(ROLES)
    told = AuditEvent.objects.filter(action__in=["record.restricted", "record.released"]).order_by("id")
    assert list(told.values_list("action", flat=True)) == ["record.released", "record.restricted", "record.released"]


# Upgrade, repair ------------------------------------------------------------------------------------------------------


def test_an_upgrade_restricts_what_earlier_erasures_kept() -> None:
    alice, bob = a_customer(), a_customer()
    order, theirs = old_order(alice), old_order(bob)
    erased(alice)
    vault.keys.restrict(dict.fromkeys(vault.keys.restrictions([order.pk, alice.pk]), ""))
    assert readers(order, "invoice_name") == {"sales", "accounting", "privacy"}, "as before the upgrade"

    assert restriction.settle_all(actor=PRIVACY, now=NOW) == 1
    assert readers(order, "invoice_name") == {"accounting"}
    assert readers(theirs, "invoice_name") == {"sales", "accounting", "privacy"}
    assert restriction.settle_all(actor=PRIVACY, now=NOW) == 0, "twice is once"


def test_a_restriction_that_nothing_asks_for_is_lifted(django_capture_on_commit_callbacks: Any) -> None:
    order = old_order(a_customer())
    vault.keys.restrict({(order.pk, "order"): "order:2031-12-31"})
    with django_capture_on_commit_callbacks(execute=True):
        assert restriction.settle_all(actor=PRIVACY, now=NOW) == 1
    assert readers(order, "invoice_name") == {"sales", "accounting", "privacy"}


UNREADABLE = ("order:9999-99-99;hold", "order:2031-02-30", "zzz", ";;", ":")


def test_a_restriction_that_cannot_be_read_opens_to_no_role_stops_no_list_and_is_put_right_by_night(
    django_capture_on_commit_callbacks: Any,
) -> None:
    alice, bob = a_customer(), a_customer()
    order, theirs = old_order(alice), old_order(bob)
    erased(alice)
    carol = pages.signed_in(factories.staff("carol", roles=ROLES))
    for code in UNREADABLE:
        with undone():
            for one in (order, theirs):
                roles.run(
                    f"UPDATE vault_datakey SET restriction = '{code}' WHERE record = '{one.pk}'", alias="keystore"
                )
            assert carol.get("/admin/orders/order/").status_code == 200, code
            page = carol.get(f"/admin/orders/order/{theirs.pk}/change/")
            assert page.status_code == 200 and "no role of staff opens it" in pages.read(page), code
            assert readers(order, "invoice_name") == readers(theirs, "invoice_name") == set(), code
            with gate.acting(as_customer(bob)):
                assert fresh(theirs).invoice_name, "the person reads what is theirs"
            findings = Findings()
            with django_capture_on_commit_callbacks(execute=True):
                restriction.settle_all(actor=PRIVACY, now=NOW, findings=findings)
            told = {(one.step, one.record, one.error) for one in findings}
            assert {("restriction", str(one.pk), "Unreadable") for one in (order, theirs)} == told, code
            assert readers(order, "invoice_name") == {"accounting"}, code
            assert readers(theirs, "invoice_name") == {"sales", "accounting", "privacy"}, code


WRITTEN = (
    "UPDATE privacy_decision SET done_at = now() WHERE action = 'keep'",
    "UPDATE privacy_decision SET pinned = false WHERE action = 'keep'",
    "UPDATE privacy_decision SET until = '2026-11-01' WHERE action = 'keep'",
    "UPDATE privacy_decision SET record_id = gen_random_uuid() WHERE action = 'keep'",
    "DELETE FROM privacy_decision WHERE action = 'keep'",
)


def test_a_decision_that_was_written_past_the_site_lifts_no_restriction(
    django_capture_on_commit_callbacks: Any,
) -> None:
    alice = a_customer()
    order = old_order(alice)
    erased(alice)
    before = vault.keys.restrictions([order.pk])
    assert before and readers(order, "invoice_name") == {"accounting"}
    request = Request.objects.get()
    for statement in WRITTEN:
        with undone():
            roles.run(statement)
            findings = Findings()
            with django_capture_on_commit_callbacks(execute=True):
                assert restriction.settle_all(actor=PRIVACY, now=NOW, findings=findings) == 0
            assert vault.keys.restrictions([order.pk]) == before, statement
            assert readers(order, "invoice_name") == {"accounting"}, statement
            assert [(one.step, one.record, one.error) for one in findings] == [("decision", str(order.pk), "NotOurs")]
            shown = [one for record in reading.show(request)["decisions"] for one in record["data"]]
            assert not [one for one in shown if one["action"] == "keep" and one["done_at"]], statement
            is_of_plan = not statement.startswith(("DELETE", "UPDATE privacy_decision SET record_id"))
            with vault.internal(), nullcontext() if is_of_plan else pytest.raises(outcome.NotAsPlanned):
                assert "order" not in {one["envelope"] for one in outcome.lines(request, today=TODAY)["erased"]}


def test_a_decision_that_was_planted_locks_nothing(django_capture_on_commit_callbacks: Any) -> None:
    alice, bob = a_customer(), a_customer()
    order, theirs = old_order(alice), old_order(bob)
    erased(alice)
    roles.run(
        "INSERT INTO privacy_decision (request_id, label, record_id, envelope, data, action, code, ground, authority,"
        f" until, overdue, pinned, mac) SELECT request_id, label, '{theirs.pk}', envelope, data, action, code, ground,"
        f" authority, until, overdue, pinned, mac FROM privacy_decision WHERE record_id = '{order.pk}'"
        " AND envelope = 'order'"
    )
    for label in ("accounts.joining", "rma.ownership"):  # of which no record has facts, or none is sealed
        roles.run(
            "INSERT INTO privacy_decision (request_id, label, record_id, envelope, data, action, code, ground, authority,"
            f" overdue, pinned, mac) SELECT request_id, '{label}', record_id, envelope, data, action, code, ground,"
            f" authority, overdue, pinned, mac FROM privacy_decision WHERE record_id = '{order.pk}' AND envelope = 'order'"
            " AND label = 'orders.order'"
        )
    with django_capture_on_commit_callbacks(execute=True):
        assert restriction.settle_all(actor=PRIVACY, now=NOW) == 0
    assert readers(theirs, "invoice_name") == {"sales", "accounting", "privacy"}


def test_each_kept_record_is_in_the_audit_once() -> None:
    alice = a_customer()
    old_order(alice)
    erased(alice)
    assert AuditEvent.objects.filter(action="record.restricted").count() == 1
    assert Decision.objects.filter(pinned=True, done_at=None).count() == 1


def test_the_text_of_a_mask_is_never_taken_for_a_value() -> None:
    order = old_order(a_customer())
    order.invoice_name = TAX
    with pytest.raises(vault.MaskNotAValue):
        order.save(update_fields=["invoice_name"])


def test_what_is_open_on_the_day_that_was_told_opens_to_those_who_finish_it_and_what_is_not_to_nobody() -> None:
    number = subjects.create(now=NOW).pk
    told = restriction.Sources({(number, name): date(2026, 11, 1) for name in ("order", "fulfilment")}, ())
    placed = {"placed": date(2019, 5, 2)}
    sold = {"order": ("Name on the invoice",), "fulfilment": ("Name for delivery",)}
    for flags, code in ((frozenset({"open_order"}), "open_order"), (frozenset(), restriction.ENDING)):
        facts = Facts("orders.order", number, "Order", None, sold, placed, flags)
        for envelope in sold:
            assert restriction.codes(facts, envelope, told, rules.load(), TODAY) == code
