"""The back office: every page by role, masks that say why, nothing deleted, nothing personal in a URL or a log."""

from __future__ import annotations

import re
from datetime import date
from itertools import count
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Communication, Customer
from orders.models import Order, Product
from privacy import tasks, vault
from privacy.actor import WORDS
from privacy.admin.records import RecordAdmin
from privacy.admin.work import WorkAdmin
from privacy.audit import AuditEvent
from privacy.models import AccessEntry, SecondLook
from privacy.requests import waits
from privacy.retention import holds
from privacy.sweep import arming
from rma.models import RMA
from tests import factories, pages
from tests.asked import PRIVACY, confirmed, outlived, run, taken_in
from tests.factories import SHIP, an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

_number = count(1)
ERASED_HERE = "Erased on 20 November 2026, by period: its key was destroyed, so nobody can read this here any more."
ROLES = ("sales", "service", "accounting", "privacy")
CUSTOMER, COMPANY, MESSAGE = "accounts_customer", "accounts_company", "accounts_communication"
ORDER, RETURN, REQUEST, HOLD, SECOND, REVIEW, JOINING, LOGINS = (
    "orders_order",
    "rma_rma",
    "privacy_request",
    "privacy_hold",
    "privacy_secondlook",
    "accounts_claimreview",
    "accounts_joining",
    "accounts_contactpoint",
)
RECORDS = (CUSTOMER, COMPANY, MESSAGE, ORDER, RETURN, REQUEST)
# Who may come in: what follows from ilt_site/access.toml, written down once more by hand.
ALLOWED = {
    CUSTOMER: {"sales", "service", "accounting", "privacy"},
    COMPANY: {"sales", "service", "accounting", "privacy"},
    MESSAGE: {"sales", "service", "accounting", "privacy"},
    ORDER: {"sales", "accounting", "privacy"},
    RETURN: {"sales", "service", "privacy"},
    REQUEST: {"privacy"},
    HOLD: {"privacy"},
    SECOND: {"privacy"},  # and managers, who have no other page
    REVIEW: {"privacy"},  # and managers, as second person
    JOINING: {"privacy"},  # and managers, as second person
    LOGINS: {"privacy"},  # and managers, as second person
}


@pytest.fixture
def alice() -> Customer:
    return factories.customer()


def at_work(*roles: str, acknowledged: bool = True) -> Client:
    """Return the browser of a member of staff with these roles."""
    name = f"carol{next(_number)}"
    return pages.signed_in(factories.staff(name, f"{name}@ilt.example", roles=roles, acknowledged=acknowledged))


def the_list(names: str) -> str:
    return reverse(f"admin:{names}_changelist")


def page_of(record: Any, kind: str = "change") -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_{kind}", args=[record.pk])


def everything(alice: Customer) -> dict[str, Any]:
    """One record of each kind."""
    order = an_order(alice)
    filed = taken_in("erasure", alice.subject_id, channel="phone", actor=PRIVACY)
    return {
        CUSTOMER: alice,
        COMPANY: factories.company(),
        MESSAGE: factories.communication(alice),
        ORDER: order,
        RETURN: an_rma(alice),
        REQUEST: filed,
        HOLD: holds.place("orders.order", order.pk, reason="claim", actor=PRIVACY, now=factories.NOW),
        SECOND: waits.ask(filed, SecondLook.Why.NOT_ME, actor=PRIVACY, now=factories.NOW),
        REVIEW: alice.claim_reviews.create(
            user=factories.login("eve", "eve@example.com"), reason="contact", opened_at=factories.NOW
        ),
        JOINING: alice.subject.joinings.create(asked_by="person", opened_at=factories.NOW),
        LOGINS: alice.contact_points.create(
            channel="login", came="person", since=factories.NOW, confirmed_at=factories.NOW, disputed_at=factories.NOW
        ),
    }


# Doors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_each_role_comes_in_where_the_matrix_lets_it_and_nowhere_else_and_deletes_nothing(
    alice: Customer, role: str
) -> None:
    """And no page has a script or style of its own, or anything from elsewhere; nothing can be done in bulk."""
    carol = at_work(role)
    for names, record in everything(alice).items():
        may = role in ALLOWED[names]
        pages_of_it = {kind: carol.get(path) for kind, path in paths_of(names, record).items()}
        statuses = {kind: answer.status_code for kind, answer in pages_of_it.items()}
        assert statuses == (
            {"list": 200, "change": 200, "history": 200} if may else {"list": 403, "change": 403, "history": 404}
        ), names
        for answer in (carol.get(page_of(record, "delete")), carol.post(page_of(record, "delete"), {"post": "yes"})):
            assert answer.status_code == 403
        answer = carol.post(
            the_list(names), {"action": "delete_selected", "_selected_action": [str(record.pk)], "post": "yes"}
        )
        assert answer.status_code in (200, 302, 403)
        assert type(record).objects.filter(pk=record.pk).exists()
        if may:
            assert_is_bare(*pages_of_it.values())
            text = pages_of_it["list"].text
            assert "action-select" not in text and "delete_selected" not in text
    assert_is_bare(carol.get("/admin/"))


def paths_of(names: str, record: Any) -> dict[str, str]:
    return {"list": the_list(names), "change": page_of(record), "history": page_of(record, "history")}


def assert_is_bare(*answers: Any) -> None:
    """No script or style of its own, nothing from elsewhere, nothing to be kept by a browser."""
    for answer in answers:
        path = answer.request["PATH_INFO"]
        assert answer.status_code == 200, path
        inline = [
            tag
            for tag in re.findall(r"<script[^>]*>", answer.text)
            if "src=" not in tag and "application/json" not in tag
        ]
        assert inline == [] and not re.search(r"<style|\s(style|on[a-z]+)=\"", answer.text), path
        assert not pages.ELSEWHERE.search(answer.text), path
        assert "is written to the access log" in answer.text, path
        assert "no-store" in answer["Cache-Control"], path


def test_every_page_of_the_admin_is_in_this_file() -> None:
    ours = {
        f"{model._meta.app_label}_{model._meta.model_name}"
        for model, one in admin.site._registry.items()
        if isinstance(one, WorkAdmin)
    }
    assert ours == set(ALLOWED)
    others = {model._meta.label for model, one in admin.site._registry.items() if not isinstance(one, WorkAdmin)}
    assert others == {"orders.Product"}, "a model outside our base would bring back deletion and GET searches"


def test_for_a_customer_the_back_office_does_not_exist(alice: Customer) -> None:
    eve = pages.signed_in(factories.login("mallory", "mallory@example.com"))
    for record in everything(alice).values():
        for path in (page_of(record), page_of(record, "history"), page_of(record, "delete")):
            answer = eve.get(path, follow=True)
            assert answer.status_code == 404
            assert b"Archer" not in answer.content
        assert eve.post(page_of(record), {"first_name": "Mallory"}, follow=True).status_code == 404
    assert Customer.objects.get(pk=alice.pk)


def test_without_a_login_the_portals_own_login_page_asks(client: Client) -> None:
    answer = client.get("/admin/accounts/customer/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert client.get("/admin/login/").headers["Location"].startswith("/accounts/login/")


def test_password_and_sign_out_are_the_portals_own() -> None:
    carol = at_work("sales")
    assert carol.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"
    assert carol.get("/admin/logout/").headers["Location"] == "/accounts/logout/"
    text = carol.get("/admin/").text
    assert 'action="/accounts/logout/"' in text and "/admin/password_change/" not in text


def test_a_member_of_staff_who_left_sees_nothing(alice: Customer) -> None:
    user = factories.staff(roles=("sales",))
    carol = pages.signed_in(user)
    user.is_staff = False
    user.save()
    assert carol.get(page_of(alice), follow=True).status_code == 404


# Masks ----------------------------------------------------------------------------------------------------------------


def covered(text: str, name: str) -> str:
    """Return the disabled field `name` and the help below it."""
    found = re.search(rf'<(?:input|textarea)[^>]*name="{name}"[^>]*>', text)
    assert found, name
    assert "disabled" in found[0]
    help_text = re.search(rf'id="id_{name}_helptext">\s*<div>(.*?)</div>', text, re.S)
    assert help_text
    return help_text[1]


def test_what_a_role_may_not_read_is_a_disabled_field_that_says_why(alice: Customer) -> None:
    order = an_order(alice)
    text = at_work("accounting").get(page_of(order)).text
    assert "14 Harbor View Road" in text, "the invoice is accounting's work"
    assert "Ring twice." not in text and "01930" not in text
    assert covered(text, "ship_street") == "Covered: your role does not need this. It is open to privacy and sales."
    assert "Ring twice." in at_work("sales").get(page_of(order)).text


def test_a_reason_that_many_fields_share_is_read_once_and_heard_with_each(alice: Customer) -> None:
    order = an_order(alice)
    reason = "Covered: your role does not need this. It is open to privacy and sales."
    (summary,) = re.findall(r"<summary>(.*?)</summary>", at_work("accounting").get(page_of(order)).text, re.S)
    said = " ".join(re.sub("<[^>]*>", " ", summary).split())
    assert said.startswith(f"{reason} Name, Company, Street") and said.endswith("E-mail address, Notes")
    assert "<summary>" not in at_work("sales").get(page_of(order)).text, "who reads it has nothing to unfold"
    once = '<p class="help once">Your role may read this, not change it.</p>'
    assert at_work("service").get(page_of(alice)).text.count(once) == 1
    assert once not in at_work("sales").get(page_of(alice)).text
    outlived(order, "fulfilment")
    gone = at_work("sales").get(page_of(order)).text
    assert gone.count("<summary>") == 1 and ERASED_HERE in re.findall(r"<summary>(.*?)</summary>", gone, re.S)[0]
    assert covered(gone, "ship_street") == ERASED_HERE, "and each field says it to who hears the page"


def test_a_role_that_reads_but_does_not_write_gets_the_value_and_the_reason(alice: Customer) -> None:
    text = at_work("service").get(page_of(alice)).text
    assert 'value="Archer"' in text
    assert covered(text, "last_name") == "Your role may read this, not change it."
    assert covered(text, "region") == "Your role may read this, not change it."
    assert 'name="_save"' not in text


def test_without_an_acknowledgement_everything_is_covered_and_nothing_is_logged(alice: Customer) -> None:
    factories.address(alice)
    carol = at_work("sales", acknowledged=False)
    text = carol.get(page_of(alice)).text
    assert "Personal data stays covered" in text
    assert "Archer" not in text and "Elm Street" not in text
    assert "confidentiality acknowledgement is missing or has run out" in covered(text, "first_name")
    assert "Archer" not in carol.get(the_list(CUSTOMER)).text
    assert not AccessEntry.objects.filter(whose__subject_id=alice.subject_id).exists()


def test_without_an_acknowledgement_no_step_is_offered_or_taken(alice: Customer) -> None:
    order = an_order(alice)
    carol = at_work("sales", acknowledged=False)
    assert "record-steps" not in carol.get(page_of(order)).text
    assert carol.post(f"/admin/orders/order/{order.pk}/step/ship/", {}).status_code == 302
    order.refresh_from_db()
    assert order.state == Order.State.PLACED


def change(browser: Client, record: Any, **data: str) -> Any:
    return browser.post(page_of(record), data)


@pytest.mark.parametrize("value", ["Mallory", "••••", "", "(erased)"])
def test_a_value_posted_into_a_masked_field_is_not_written(alice: Customer, value: str) -> None:
    before = Customer.objects.get(pk=alice.pk).sealed_account
    answer = change(
        at_work("sales", acknowledged=False), alice, first_name=value, last_name=value, region="MA", country="US"
    )
    assert answer.status_code in (200, 302)
    assert bytes(Customer.objects.get(pk=alice.pk).sealed_account) == bytes(before)
    change(at_work("service"), alice, first_name=value, last_name=value, region="XX", country="FR")
    after = Customer.objects.get(pk=alice.pk)
    assert bytes(after.sealed_account) == bytes(before) and (after.region, after.country) == ("MA", "US")


def test_a_field_that_is_not_on_the_form_is_not_written(alice: Customer) -> None:
    change(at_work("sales"), alice, first_name="Alice", last_name="Archer", email="alice@example.com",
           country="US", reference="HACKED", kind="contact", user="1", subject="1", is_staff="1")  # fmt: skip
    after = Customer.objects.get(pk=alice.pk)
    assert (after.reference, after.kind, after.user_id, after.subject_id) == (
        alice.reference,
        "person",
        None,
        alice.subject_id,
    )


def test_a_mask_typed_as_a_value_is_refused(alice: Customer) -> None:
    answer = change(
        at_work("sales"), alice, first_name="••••", last_name="Archer", email="alice@example.com", country="US"
    )
    assert answer.status_code == 200 and "This is a mask, not a value." in answer.text


def test_a_correction_is_written_and_the_audit_names_fields_only(alice: Customer) -> None:
    answer = change(at_work("sales"), alice, first_name="Alicia", last_name="Archer", email="alice@example.com",
                    phone="978-555-0123", region="MA", country="US")  # fmt: skip
    assert answer.status_code == 302
    with vault.internal():
        assert Customer.objects.get(pk=alice.pk).first_name == "Alicia"
    event = AuditEvent.objects.get(action="record.corrected")
    assert event.fields == ["first_name"] and event.role == "sales"
    assert not LogEntry.objects.exists(), "the admin's own log would keep numbers of people who were erased"


def test_a_wrong_value_is_one_sentence_and_nothing_is_written(alice: Customer) -> None:
    answer = change(
        at_work("sales"),
        alice,
        first_name="Alice",
        last_name="4111 1111 1111 1111",
        email="alice@example.com",
        country="US",
    )
    assert answer.status_code == 200 and "card number" in answer.text
    assert not AuditEvent.objects.filter(action="record.corrected").exists()


def test_an_erased_record_is_listed_and_says_so(alice: Customer) -> None:
    carol = at_work("sales")
    an_order(alice)  # the row stays for it
    outlived(alice, "account")
    assert "erased on 20 November 2026, by period" in carol.get(the_list(CUSTOMER)).text
    text = carol.get(page_of(alice)).text
    assert covered(text, "last_name") == ERASED_HERE
    assert 'value="erased on 20 November 2026, by period"' in text
    change(carol, alice, first_name="Alice", last_name="Archer", email="a@example.com", country="US")
    assert vault.keys.is_destroyed(alice.pk, "account")


def test_the_page_of_an_erased_record_offers_nothing_to_type_or_save(alice: Customer) -> None:
    carol = at_work("sales")
    assert 'name="_save"' in carol.get(page_of(alice)).text
    vault.keys.destroy([(alice.pk, "account")], now=factories.NOW)
    text = carol.get(page_of(alice)).text
    assert 'name="_save"' not in text
    assert covered(text, "region") == "Not to be changed any more: the data of this record was erased."
    fields = re.findall(r'<(?:input|select|textarea)[^>]* name="(?!csrf)[^"]+"[^>]*>', text)
    assert fields and all("disabled" in one or "hidden" in one for one in fields)
    change(carol, alice, region="XX", country="FR")
    after = Customer.objects.get(pk=alice.pk)
    assert (after.region, after.country) == ("MA", "US")


def test_a_list_of_erased_people_costs_as_many_queries_with_ten_as_with_one(alice: Customer) -> None:
    carol = at_work("sales")
    vault.keys.destroy([(alice.pk, "account")], now=factories.NOW)
    carol.get(the_list(CUSTOMER))
    counts = []
    for more in (0, 9):
        made = [factories.customer("Bob", "Baker") for _ in range(more)]
        vault.keys.destroy([(one.pk, "account") for one in made], now=factories.NOW)
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            assert carol.get(the_list(CUSTOMER)).text.count("erased on 20 November 2026") >= 1 + more
        counts.append((len(main), len(keys)))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("role", ["sales", "accounting"])
def test_a_page_is_headed_by_the_person_whom_the_role_may_see_and_its_tab_by_the_number(
    alice: Customer, role: str
) -> None:
    order = an_order(alice)
    text = at_work(role).get(page_of(alice)).text
    assert f"<h1>Alice Archer, customer {alice.reference}</h1>" in text
    assert "Alice" not in text.partition("<title>")[2].partition("</title>")[0]
    unsigned = at_work(role, acknowledged=False).get(page_of(alice)).text
    assert f"<h1>Customer {alice.reference}</h1>" in unsigned and "Alice" not in unsigned
    assert f", order {order.number}</h1>" in at_work("sales").get(page_of(order)).text


def test_a_page_whose_person_asked_for_a_removal_says_so_and_why_it_is_still_there(alice: Customer) -> None:
    an_order(alice)  # not finished
    factories.address(alice)
    carol, pat, said = at_work("sales"), at_work("privacy"), "This person asked us to remove what we hold"
    for browser in (carol, pat):
        before = browser.get(page_of(alice)).text
        assert said not in before and 'name="_save"' in before and '<select name="change_reason"' in before
    request = confirmed(alice)
    run(request)
    text = " ".join(carol.get(page_of(alice)).text.split())
    assert f"{said} ({request.reference}). This record stays until what is open between us is finished" in text
    assert 'name="_save"' in text, "sales ships it, and may correct"
    locked = pat.get(page_of(alice)).text
    assert 'name="_save"' not in locked and '<select name="change_reason"' not in locked, "there is nothing to type"
    assert "<td>locked</td>" in locked and "<td>locked: kept" not in locked, "the sentence stands once, below"


def test_the_way_to_a_page_has_no_word_twice_and_no_number_of_a_row(alice: Customer) -> None:
    """A company has no number of its own: where its name is a person's, the tab says that it is a company."""
    firm, trader = factories.company("Ortega Lighting"), factories.company("Otto Ortega", is_sole_trader=True)
    order = an_order(alice, factories.TODAY, invoiced=factories.TODAY)
    carol = at_work("sales")
    way = re.sub(r"<[^>]+>", " ", carol.get(the_list(ORDER)).text.partition('class="breadcrumbs">')[2])
    assert way.split()[:3] == ["Home", "&rsaquo;", "Orders"] and way.split()[3] != "&rsaquo;"
    invoices = carol.get(page_of(order)).text.partition("Invoices")[2]
    assert re.search(r"<td>USD [\d,]+\.\d\d</td>", invoices), "amounts have their currency"
    for one, name, tab in ((firm, "Ortega Lighting", "Ortega Lighting"), (trader, "Otto Ortega", "Company")):
        text = carol.get(page_of(one)).text
        assert f"<title>{tab} | ILT back office</title>" in text and f"<h1>{name}</h1>" in text


def test_a_companys_page_is_headed_by_its_name(alice: Customer) -> None:
    company = factories.company()
    with vault.internal():
        name = company.name
    assert f"<h1>{name}</h1>" in at_work("sales").get(page_of(company)).text


def test_the_desk_reads_no_word_that_speaks_to_the_customer(alice: Customer) -> None:
    rma = an_rma(alice)
    RMA.objects.filter(pk=rma.pk).update(state=RMA.State.QUOTED)
    carol = at_work("service")
    for text in (carol.get(the_list(RETURN)).text, carol.get(page_of(rma)).text):
        assert "waiting for the customer&#x27;s approval" in text
        shown = re.sub(r"<(?:nav|ul|div)[^>]*changelist-filter.*", "", text, flags=re.S)
        assert "your approval" not in shown and "Your reference" not in shown


def test_products_are_called_products_and_have_a_price_of_two_decimals() -> None:
    product = Product.objects.create(sku="ILT-T", name="Test", kind="instrument", price="395.0000")
    carol = at_work("accounting")
    text = carol.get("/admin/orders/product/").text
    assert "<h1>Products</h1>" in text
    page = carol.get(f"/admin/orders/product/{product.pk}/change/").text
    assert "<h1>ILT-T Test</h1>" in page and "USD 395.00" in page and "395.0000" not in page
    history = carol.get(f"/admin/orders/product/{product.pk}/history/").text
    assert "No change of this product at the desk is on file." in history and "admin site" not in history
    # Columns, filters and forms are called by what they say, not by the names of fields.
    sales, companies = at_work("sales"), "/admin/accounts/company/"
    factories.company()
    edited = sales.get(f"/admin/orders/product/{product.pk}/change/").text
    for shown in (text, page, edited, sales.get(companies).text):
        assert not re.search(r"\bis (active|sole)", shown, re.I) and re.search(r"Active|Sole trader", shown)


def test_a_customers_page_shows_what_the_person_has_to_do_with_us_as_far_as_the_role_works_with_it(
    alice: Customer,
) -> None:
    bob = factories.customer("Bob", "Baker")
    one, bobs = everything(alice), an_order(bob)
    order, rma, message, request = one[ORDER], one[RETURN], one[MESSAGE], one[REQUEST]
    seen = at_work("privacy").get(page_of(alice)).text
    for record in (order, rma, message, request):
        assert f'href="{page_of(record)}"' in seen
    assert page_of(bobs) not in seen, "nothing of a stranger"
    sales = at_work("sales").get(page_of(alice)).text
    assert page_of(order) in sales and page_of(request) not in sales
    accounting = at_work("accounting").get(page_of(alice)).text
    assert page_of(order) in accounting and page_of(rma) not in accounting
    unsigned = at_work("sales", acknowledged=False).get(page_of(alice)).text
    assert page_of(order) not in unsigned


def test_a_customers_page_costs_as_many_queries_with_30_orders_as_with_one(alice: Customer) -> None:
    carol = at_work("sales")
    an_order(alice)
    carol.get(page_of(alice))
    counts = []
    for more in (0, 29):
        for _ in range(more):
            an_order(alice)
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            text = carol.get(page_of(alice)).text
        counts.append((len(main), len(keys)))
    assert counts[0] == counts[1]
    assert "30 in all" in text


def test_an_order_whose_delivery_was_erased_says_so_and_one_without_does_not(alice: Customer) -> None:
    order = an_order(alice)
    outlived(order, "fulfilment")
    bare = an_order(alice, **dict.fromkeys(SHIP, ""))
    carol = at_work("sales")
    text = carol.get(page_of(order)).text
    assert covered(text, "ship_name") == covered(text, "notes") == ERASED_HERE
    assert "its key was destroyed" not in carol.get(page_of(bare)).text


def test_rows_under_a_record_are_covered_with_their_reason(alice: Customer) -> None:
    taxed = factories.tax_identifier(alice)
    factories.ssn(alice)
    text = at_work("sales").get(page_of(alice)).text
    assert "12-3456789" not in text and "It is open to accounting and privacy." in text
    text = at_work("accounting").get(page_of(alice)).text
    assert "12-3456789" in text
    assert "536-90" not in text, "of a social security number only that it is there"
    vault.keys.destroy([(taxed.pk, "tax_identifier")], now=factories.NOW)
    text = at_work("accounting").get(page_of(alice)).text
    assert "12-3456789" not in text and "erased on 20 November 2026" in text


# Lists, and addresses typed by hand -----------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [CUSTOMER, COMPANY, MESSAGE, ORDER, RETURN, REQUEST])
def test_a_list_costs_as_many_queries_with_a_dozen_rows_as_with_one(names: str) -> None:
    """And the front page with a dozen requests."""

    def another() -> None:
        person = factories.customer("Person", "Example", email=f"p{Customer.objects.count()}@example.com")
        if names == REQUEST:
            taken_in("access", person.subject_id, channel="mail", actor=PRIVACY)
        else:
            {CUSTOMER: lambda _: None, COMPANY: lambda _: factories.company(), MESSAGE: factories.communication,
             ORDER: an_order, RETURN: an_rma}[names](person)  # fmt: skip

    carol = at_work("privacy")
    paths = [the_list(names), *(["/admin/"] if names == REQUEST else [])]
    another()
    one = [queries(carol, path) for path in paths]
    for _ in range(11):
        another()
    assert [queries(carol, path) for path in paths] == one
    assert one[0] <= 15, one  # the last two are the log of who looked: the names, and the rows


def queries(browser: Client, path: str) -> int:
    browser.get(path)
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        assert browser.get(path).status_code == 200
    return len(main) + len(keys)


def test_every_opening_of_a_list_is_in_the_access_log(alice: Customer) -> None:
    bob = factories.customer("Bob", "Baker", email="bob@example.com")
    at_work("sales").get(the_list(CUSTOMER))
    for person in (alice, bob):
        entry = AccessEntry.objects.get(whose__subject_id=person.subject_id)
        assert entry.role == "sales" and entry.envelopes == {"accounts.customer/account": 1}


def test_a_page_that_shows_a_mask_opens_and_logs_only_what_it_shows(alice: Customer) -> None:
    order = an_order(alice)
    at_work("accounting").get(page_of(order))
    assert AccessEntry.objects.get(whose__subject_id=alice.subject_id).envelopes == {"orders.order/order": 1}


def test_a_hand_made_order_is_no_error(alice: Customer) -> None:
    carol = at_work("privacy")
    for column in ("1", "2.-3", "-2", "99", "x", "2.3.-2.99", "%00"):
        for names in (*RECORDS, HOLD, SECOND, REVIEW):
            assert carol.get(f"{the_list(names)}?o={column}").status_code in (200, 302), (names, column)


QUESTIONS = (
    ["email__contains=alice", "email=alice@example.com", "first_name__startswith=A", "sealed_account__isnull=0", "user__username=alice",
     "subject__id=1", "subject__requests__reference=1", "reference__startswith=T", "user__password__startswith=a", "pk__in=1",
     "customer__email=alice@example.com", "customer__user__password__startswith=x", "no_such_field=1", "kind__regex=.*", "kind__in=person"]
)  # fmt: skip


def test_no_question_about_people_can_be_put_by_url(alice: Customer) -> None:
    carol = at_work("privacy")
    for names in (*RECORDS, HOLD, SECOND, REVIEW):
        for query in QUESTIONS:
            assert carol.get(f"{the_list(names)}?{query}").status_code == 400, (names, query)


def test_the_admins_own_parameters_are_no_error_and_what_would_reach_further_is_refused(alice: Customer) -> None:
    carol = at_work("privacy")
    for own in (
        "_popup=1", "_to_field=id", "all=", "p=99", "p=x", "q=Archer", "kind__exact=person&_popup=1", "e=1", "_facets=1",
    ):  # fmt: skip
        assert carol.get(f"{the_list(CUSTOMER)}?{own}").status_code in (200, 302), own
    for further in ("_to_field=email", "_to_field=reference", "_to_field=user__password", "kind__exact=%00"):
        assert carol.get(f"{the_list(CUSTOMER)}?{further}").status_code == 400, further


def test_no_model_offers_completion_of_names(alice: Customer) -> None:
    query = {"term": "Arch", "app_label": "orders", "model_name": "order", "field_name": "customer"}
    answer = at_work("privacy").get("/admin/autocomplete/", query)
    assert answer.status_code in (403, 404) and b"Archer" not in answer.content


def test_logins_second_factors_letters_and_logs_have_no_page() -> None:
    carol = at_work(*ROLES)
    for path in (
        "accounts/user/", "auth/group/", "account/emailaddress/", "mfa/authenticator/", "admin/logentry/",
        "privacy/letter/", "privacy/accessentry/", "privacy/auditevent/", "accounts/session/",
    ):  # fmt: skip
        assert carol.get(f"/admin/{path}").status_code == 404, path


def test_a_wrong_number_of_a_record_is_no_error() -> None:
    carol, led_to = at_work("privacy"), set()
    for names in (*RECORDS, HOLD, SECOND, REVIEW):
        base = the_list(names)
        for number in ("x", "01890000-0000-7000-8000-000000000000", "%00", "1", "../../x"):
            for path in (f"{base}{number}/change/", f"{base}{number}/history/", f"{base}{number}/step/close/"):
                answer = carol.get(path)
                if answer.status_code in (301, 302):
                    led_to.add(answer["Location"])
                else:
                    assert answer.status_code in (200, 404), path
    for path in led_to:  # the front page or a list, which need no second look for each record
        assert carol.get(path, follow=True).status_code in (200, 404), path


# Search ---------------------------------------------------------------------------------------------------------------


def found(browser: Client, names: str, text: str) -> str:
    answer = browser.post(f"{the_list(names)}search/", {"q": text}, follow=True)
    ((where, status),) = answer.redirect_chain
    assert status == 302
    assert re.fullmatch(re.escape(the_list(names)) + r"(\?found=[0-9a-f]{16})?", where), "nothing of what was typed"
    return answer.text


@pytest.mark.parametrize(
    "text", ["alice@example.com", " ALICE@example.com ", "(978) 555-0123", "arc", "Archer alice", "t"]
)
def test_a_customer_is_found_by_address_phone_name_and_number(alice: Customer, text: str) -> None:
    factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199", reference="B000077")
    shown = found(at_work("sales"), CUSTOMER, text)
    assert "Archer" in shown and "Baker" not in shown


def test_an_order_and_a_return_are_found_by_number_serial_and_customer(alice: Customer) -> None:
    order, rma = an_order(alice), an_rma(alice, serial="ILT2400-0042")
    other = an_order(factories.customer("Bob", "Baker", email="bob@example.com"))
    carol = at_work("sales", "service")
    for text in (order.number, order.number.lower(), "archer", "alice@example.com"):
        shown = found(carol, ORDER, text)
        assert order.number in shown and (text == "alice@example.com" or other.number not in shown)
    for text in ("ILT2400-0042", "ilt2400-00", rma.number, "Alice Archer"):
        assert rma.number in found(carol, RETURN, text)


@pytest.mark.parametrize("text", ["alice@xn--bcher-kva.example", "Alice@BÜCHER.example"])
def test_a_person_is_found_by_the_address_of_the_login_in_both_spellings(text: str) -> None:
    alice = factories.customer(user=factories.login(email="alice@bücher.example"), email="")
    order, rma = an_order(alice), an_rma(alice)
    message = factories.communication(alice, contact_name="Alice Archer")
    factories.customer("Bob", "Baker", user=factories.login("bob", text.replace("lice@", "l@"), verified=True))
    mallory = factories.login("mallory", "mallory@example.com")
    factories.customer("Mallory", "Moss", user=mallory, email="mallory@example.com")
    carol = at_work("privacy")
    shown = found(carol, CUSTOMER, text)
    assert "Archer" in shown and "Baker" not in shown and "Moss" not in shown
    assert order.number in found(carol, ORDER, text)
    assert rma.number in found(carol, RETURN, text)
    assert str(message.pk) in found(carol, MESSAGE, text)


def test_an_unverified_address_of_a_login_finds_nobody() -> None:
    factories.customer("Mallory", "Moss", user=factories.login("mallory", verified=False), email="mallory@example.com")
    assert "Moss" not in found(at_work("sales"), CUSTOMER, "alice@example.com")
    assert "Moss" in found(at_work("sales"), CUSTOMER, "mallory@example.com")


def test_what_finds_nothing_or_is_nonsense_is_no_error(alice: Customer) -> None:
    carol = at_work("privacy")
    for text in ("nobody@example.com", "%", "_", "' OR 1=1", "\x00", "x" * 5000, "🦄", "(((("):
        for names in RECORDS:
            shown = found(carol, names, text)
            assert "Nothing found" in shown or text == "\x00", (names, text[:20])


def test_a_search_by_get_is_refused(alice: Customer) -> None:
    assert at_work("sales").get(f"{the_list(CUSTOMER)}search/?q=alice@example.com").status_code == 405


def test_a_search_needs_the_role_and_the_form(alice: Customer) -> None:
    assert at_work("service").post(f"{the_list(ORDER)}search/", {"q": "Archer"}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(factories.staff(roles=("sales",)))
    assert strict.post(f"{the_list(CUSTOMER)}search/", {"q": "Archer"}).status_code == 403


def test_what_was_typed_is_kept_nowhere(alice: Customer, caplog: pytest.LogCaptureFixture) -> None:
    carol = at_work("sales")
    shown = found(carol, CUSTOMER, "alice@example.com")
    assert 'value="alice@example.com"' not in shown
    kept = dict(carol.session)
    assert str(alice.pk) in str(kept) and "alice@example" not in str(kept)
    assert "alice@example" not in caplog.text and "Archer" not in caplog.text
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT session_data FROM accounts_session")
        assert str(alice.pk) not in str(cursor.fetchall()), "the ids are sealed"


def test_show_all_ends_the_search(alice: Customer) -> None:
    factories.customer("Bob", "Baker", email="bob@example.com")
    carol = at_work("sales")
    assert "Baker" not in found(carol, CUSTOMER, "Archer")
    answer = carol.post(f"{the_list(CUSTOMER)}search/", {"clear": "1"}, follow=True)
    assert "Baker" in answer.text and "Archer" in answer.text


def test_a_search_opens_nothing_for_who_may_not_read(alice: Customer) -> None:
    shown = found(at_work("sales", acknowledged=False), CUSTOMER, "Archer")
    assert alice.reference in shown and "Archer" not in shown
    assert not AccessEntry.objects.filter(whose__subject_id=alice.subject_id).exists()


# Pages and steps ------------------------------------------------------------------------------------------------------


def test_the_history_is_the_audits_and_names_nobody(alice: Customer) -> None:
    carol = at_work("sales")
    change(
        carol,
        alice,
        first_name="Alicia",
        last_name="Archer",
        email="alice@example.com",
        phone="978-555-0123",
        region="MA",
        country="US",
    )
    text = carol.get(page_of(alice, "history")).text
    said = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert "Corrected" in said and "First name" in said and "sales" in said, said
    assert "Alicia" not in text and "Archer" not in text and "carol" not in text


def test_a_step_is_a_page_a_post_and_one_call(alice: Customer) -> None:
    order = an_order(alice)
    carol = at_work("sales")
    path = f"/admin/orders/order/{order.pk}/step/ship/"
    assert path in carol.get(page_of(order)).text
    assert "Mark as shipped" in carol.get(path).text
    order.refresh_from_db()
    assert order.state == Order.State.PLACED, "looking does nothing"
    answer = carol.post(path, {}, follow=True)
    assert f"Order {order.number} is shipped." in answer.text
    assert AuditEvent.objects.filter(action="order.shipped", role="sales").count() == 1
    assert "This step is not possible now." in carol.post(path, {}, follow=True).text


def test_a_step_that_asks_for_a_method_is_posted_like_every_other(alice: Customer) -> None:
    order = an_order(alice, invoiced=factories.TODAY)
    text = at_work("accounting").get(f"/admin/orders/order/{order.pk}/step/pay/").text
    assert '<form method="post" novalidate' in text and 'name="method"' in text


def test_a_step_of_another_role_is_not_offered_and_not_taken(alice: Customer) -> None:
    order = an_order(alice, invoiced=factories.TODAY)
    carol = at_work("sales")
    assert "step/pay/" not in carol.get(page_of(order)).text
    carol.post(f"/admin/orders/order/{order.pk}/step/pay/", {"method": "transfer"})
    order.refresh_from_db()
    assert order.paid_on is None
    at_work("accounting").post(f"/admin/orders/order/{order.pk}/step/pay/", {"method": "transfer"})
    order.refresh_from_db()
    assert order.paid_on == factories.TODAY


def test_a_return_goes_through_its_states_and_a_message_reaches_the_portal(alice: Customer) -> None:
    rma = an_rma(alice)
    dan = at_work("service")
    base = f"/admin/rma/rma/{rma.pk}/step"
    dan.post(f"{base}/authorised/", {"reason": ""})
    dan.post(f"{base}/received/", {"reason": ""})
    answer = dan.post(f"{base}/quoted/", {"reason": "", "quote": ""})
    assert answer.status_code == 400
    dan.post(f"{base}/quoted/", {"reason": "", "quote": "250.00"})
    rma.refresh_from_db()
    assert rma.state == RMA.State.QUOTED and rma.quote == 250
    refused = dan.post(f"{base}/message/", {"text": "Card 4111 1111 1111 1111"})
    assert refused.status_code == 400 and "card number" in refused.text
    dan.post(f"{base}/message/", {"text": "The lamp is old."})
    assert "The lamp is old." in dan.get(page_of(rma)).text


def test_a_message_is_written_down_with_its_channel(alice: Customer) -> None:
    carol = at_work("sales")
    data = {"customer_number": alice.reference, "department": "support", "topic": "other", "channel": "phone", "direction": "in",
            "received_on": "2026-11-19", "heading": "Filter", "body": "Which one?"}  # fmt: skip
    assert carol.get("/admin/accounts/communication/add/").status_code == 200
    assert carol.post("/admin/accounts/communication/add/", data).status_code == 302
    message = Communication.objects.get()
    assert message.subject_id == alice.subject_id and message.channel == "phone" and message.taken_by is not None
    assert carol.post("/admin/accounts/communication/add/", {**data, "customer_number": "X1"}).status_code == 400
    bad = carol.post("/admin/accounts/communication/add/", {**data, "body": "My card is 4111 1111 1111 1111"})
    assert bad.status_code == 400 and "card number" in bad.text
    assert Communication.objects.count() == 1
    assert "closed" in carol.post(f"/admin/accounts/communication/{message.pk}/step/close/", {}, follow=True).text


def test_who_may_only_read_messages_writes_none_down() -> None:
    assert at_work("privacy").get("/admin/accounts/communication/add/").status_code == 404


def test_the_price_list_is_kept_by_sales_and_deleted_by_nobody() -> None:
    from tests.factories import a_product

    product = a_product()
    assert at_work("sales").get(page_of(product)).status_code == 200
    assert at_work("sales").get(page_of(product, "delete")).status_code == 403
    assert at_work("service").post(page_of(product), {"name": "X"}).status_code == 403


def test_a_manager_sees_the_pages_of_the_second_person_and_nothing_else() -> None:
    from tests.factories import a_product

    product = a_product()
    mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))
    shown = {
        f"{model._meta.app_label}.{model._meta.model_name}"
        for model in admin.site._registry
        if mona.get(the_list(f"{model._meta.app_label}_{model._meta.model_name}")).status_code == 200
    }
    assert shown == {"privacy.secondlook", "accounts.claimreview", "accounts.joining", "accounts.contactpoint"}
    assert mona.get(page_of(product)).status_code in (403, 404)
    front = mona.get("/admin/").text
    assert "/admin/privacy/secondlook/" in front and "/admin/orders/product/" not in front


# The front page -------------------------------------------------------------------------------------------------------


def test_the_front_page_shows_each_role_its_own_work(alice: Customer) -> None:
    made = everything(alice)
    shown = {role: at_work(role).get("/admin/").text for role in ROLES}
    work = {
        "privacy": (made[REQUEST].reference, "Claimed addresses"),
        "sales": (made[ORDER].number,),
        "service": (made[RETURN].number,),
    }
    for role, parts in work.items():
        for part in parts:
            assert part in shown[role]
            if part != "Claimed addresses":
                assert not any(part in shown[other] for other in ROLES if other != role)
    assert "Archer" not in "".join(shown.values()) and not AccessEntry.objects.exists()
    assert "tasks" not in at_work("privacy", "sales", acknowledged=False).get("/admin/").text


UNARMED = "The nightly sweep is not armed: nothing goes by itself."


def test_the_privacy_team_reads_that_the_sweep_is_not_armed_and_what_is_due(alice: Customer) -> None:
    an_order(alice, date(2017, 5, 2), invoiced=date(2017, 5, 10), shipped=date(2017, 5, 10), paid=date(2017, 5, 10))
    carol = at_work("privacy")
    text = carol.get("/admin/").text
    assert UNARMED in text and "What is due to go now has not been counted." in text
    tasks.sweep()
    text = " ".join(carol.get("/admin/").text.split())
    assert "it counted 1 record of which something is due to go." in text
    assert UNARMED not in at_work("sales").get("/admin/").text
    arming.arm(actor=PRIVACY)
    assert UNARMED not in carol.get("/admin/").text


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/admin/accounts/joining/", 403, "This page needs another role than yours"),
        ("/admin/no/such/page/", 404, "There is no such page or record"),
        (
            "/admin/accounts/customer/00000000-0000-0000-0000-000000000000/history/",
            404,
            "There is no such page or record",
        ),
    ],
)
def test_what_is_refused_at_the_desk_looks_like_the_desk(alice: Customer, path: str, status: int, said: str) -> None:
    answer = at_work("sales").get(path)
    assert (answer.status_code, answer["Cache-Control"]) == (status, "no-store")
    assert said in answer.text and "Role: <strong>sales</strong>" in " ".join(answer.text.split())
    assert 'href="/admin/"' in answer.text and answer.text.count("<h1") == 1
    customer = pages.signed_in(factories.login("eve", "eve@example.com"))
    assert "ILT back office" not in customer.get(path).text, "for a customer it does not exist"


def test_a_letter_that_did_not_go_out_stands_on_the_front_page_until_it_is_sent_again(alice: Customer) -> None:
    filed = everything(alice)[REQUEST]
    carol = at_work("privacy")
    assert "Letters that did not go out" not in carol.get("/admin/").text
    filed.letters.update(next_attempt_at=None, last_error="SMTPServerDisconnected")
    assert "Letters that did not go out" in carol.get("/admin/").text
    letter = filed.letters.get()
    carol.post(f"{page_of(filed).removesuffix('change/')}step/resend/", {"letter": letter.pk})
    assert "Letters that did not go out" not in carol.get("/admin/").text


def test_who_did_something_reads_at_the_desk_as_the_person_reads_it(alice: Customer) -> None:
    change(at_work("sales"), alice, first_name="Alicia", last_name="Archer", email="alice@example.com",
           phone="978-555-0123", region="MA", country="US")  # fmt: skip
    text = at_work("sales").get(page_of(alice, "history")).text
    assert f"<td>{WORDS['sales']}</td>" in text and "<td>sales</td>" not in text
    rma = at_work("service").get(page_of(an_rma(alice))).text
    assert f"<td>{WORDS['customer']}</td>" in rma or f"<td>{WORDS['staff']}</td>" in rma


def test_whose_acknowledgement_is_missing_is_not_told_that_the_role_has_no_work() -> None:
    text = at_work("privacy", acknowledged=False).get("/admin/").text
    assert "once you have signed the confidentiality acknowledgement" in text
    assert "No work list belongs to your role" not in text


def test_accounting_sees_which_invoices_are_not_paid_and_how_late_they_are(alice: Customer) -> None:
    late = an_order(alice, date(2026, 9, 1), invoiced=date(2026, 9, 2), shipped=date(2026, 9, 3))
    for paid in (None, date(2026, 11, 10)):
        an_order(alice, date(2026, 11, 1), invoiced=date(2026, 11, 2), shipped=date(2026, 11, 3), paid=paid)
    erin = at_work("accounting")
    shown = erin.get("/admin/").text
    assert f"Invoice {late.invoices.get().number}" in shown and "due 2 October 2026, overdue by 49 days" in shown
    assert shown.count(">Invoice INV-") == 2 and "Nothing waits" not in shown
    assert "2 orders" in erin.get(f"{the_list(ORDER)}?payment=due").text
    assert "Unpaid invoices" not in at_work("service").get("/admin/").text
    assert "Nothing waits." in at_work("sales").get("/admin/").text


def test_what_is_overdue_is_said_in_words(alice: Customer) -> None:
    filed = taken_in(
        "access", alice.subject_id, channel="mail", received_on=factories.TODAY.replace(month=10, day=18), actor=PRIVACY
    )
    carol = at_work("privacy")
    assert "due 18 November 2026, overdue by 2 days" in carol.get("/admin/").text
    assert "18 November 2026, overdue by 2 days" in carol.get(the_list(REQUEST)).text
    assert filed.reference in carol.get(f"{the_list(REQUEST)}?work=overdue").text


def test_the_bases_offer_no_way_around() -> None:
    for one in admin.site._registry.values():
        assert not one.inlines and one.actions is None
        assert not getattr(one, "autocomplete_fields", ()) and not one.raw_id_fields and one.date_hierarchy is None
        if isinstance(one, RecordAdmin):
            assert not one.search_fields and not one.list_editable


def test_who_can_change_no_contact_is_asked_for_no_reason(alice: Customer) -> None:
    for role, is_asked in (("service", False), ("sales", True)):
        page = at_work(role).get(page_of(alice)).text
        row = re.search(r'<div class="form-row([^"]*field-change_reason[^"]*)"', page)
        assert row is not None and (" hidden" in row[1]) is not is_asked, role
        assert ('<select name="change_reason"' in page) is is_asked, role
