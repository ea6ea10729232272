"""The privacy centre: public where it must be, one's own data only, nothing done by merely looking."""

import io
import json
import re
import zipfile
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape, strip_tags

from accounts.models import Customer, User
from privacy import datamap, gate, letters, vault
from privacy.gate import log
from privacy.gate.system import system
from privacy.models import AccessEntry, Export, Letter, OneTimeLink, Request
from privacy.requests import codes, execute, filing, writing
from tests import factories, pages, roles
from tests.factories import an_order, an_rma

pytestmark = pytest.mark.django_db

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice)


@pytest.fixture
def bob() -> User:
    return factories.login("bob", "bob@example.com")


@pytest.fixture
def hers(alice: User, customer: Customer) -> Client:
    """Alice's browser: signed in, password entered again."""
    return pages.signed_in(alice, again=True)


def ask_for(browser: Client, kind: str) -> Request:
    """File a request on the page and return it."""
    answer = browser.post(f"/privacy/requests/new/{kind}/")
    assert answer.status_code == 302, answer.status_code
    return Request.objects.get(kind=kind)


def carry_out(request: Request) -> str:
    """Do what the worker does until the request waits or ends."""
    word = "ended"
    while word == "ended":  # a plan that needs no confirmation ends a round, not the request
        word = execute.run(request.pk, clock=timezone.now, pause=lambda: None)
    return word


# Public pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/privacy/", "/privacy/ask/", "/privacy/ask/sent/", "/privacy/outcome/"])
def test_rights_can_be_used_without_a_login(client: Client, path: str) -> None:
    pages.check(client.get(path))


@pytest.mark.parametrize(
    "path",
    ["/privacy/held/", "/privacy/held/orders.order/", "/privacy/openings/", "/privacy/requests/", "/privacy/requests/new/access/",
     f"/privacy/requests/{NOBODY}/", f"/privacy/requests/{NOBODY}/confirm/"],
)  # fmt: skip
def test_data_needs_a_login(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302 and answer.headers["Location"].startswith("/accounts/login/")


def test_the_public_page_lists_every_datum_of_the_data_map(client: Client) -> None:
    from django.utils.html import escape

    from privacy import datamap

    text = pages.check(client.get("/privacy/"))
    titles = {datum.title for declaration in datamap.declarations() for datum in declaration.data.values()}
    assert len(titles) > 50
    assert [title for title in titles if escape(title) not in text] == []


def test_the_public_page_tells_how_long_each_sealed_kind_is_kept(client: Client) -> None:
    text = pages.check(client.get("/privacy/"))
    assert (
        "We keep an account for 36 months after your last sign-in, order, return or message, or after you last told us to keep it."
        in text
    )


def test_the_contact_stands_on_the_page(client: Client) -> None:
    text = client.get("/privacy/").text
    assert "Peabody" in text and "mailto:" in text and "tel:" in text


# What we hold ---------------------------------------------------------------------------------------------------------


def test_everything_held_is_shown_with_reason_law_and_date(hers: Client, customer: Customer) -> None:
    order = an_order(customer, invoiced=factories.TODAY, shipped=factories.TODAY, paid=factories.TODAY)
    text = pages.check(hers.get("/privacy/held/"))
    for part in (
        "Archer",
        f"Order {order.number}",
        "14 Harbor View Road",
        "Kept until 31 December 2033",
        "That is our own rule: it covers the shorter times of tax law",
        "26 CFR 1.6001-1",
    ):
        assert part in text


def test_what_has_no_date_of_its_own_says_what_it_goes_together_with(hers: Client, customer: Customer) -> None:
    order = an_order(customer, invoiced=factories.TODAY, shipped=factories.TODAY, paid=factories.TODAY)
    text = pages.check(hers.get("/privacy/held/"))
    assert '<caption class="part">Line</caption>' in " ".join(text.split()), "it stands inside of its order"
    assert order.number in text and "Goes together with the login it belongs to" in " ".join(text.split())
    assert "three years after it was written" in pages.check(hers.get("/privacy/held/privacy.accessentry/"))
    assert "USD 1,495.00" in text and "1495.0000" not in text


def test_our_own_machinery_is_not_called_their_data(hers: Client, customer: Customer) -> None:
    ask_for(hers, "access")
    text = pages.check(hers.get("/privacy/held/"))
    for word in (
        "Mac",
        "Superuser status",
        "Staff status",
        "Tries",
        "Attempts",
        "Last error",
        "Next action at",
        "Plan at",
    ):
        assert f"<dt>{word}</dt>" not in text, word
    assert "<dt>User name</dt>" in text


def test_bob_sees_nothing_of_alice(bob: User, customer: Customer) -> None:
    an_order(customer)
    browser = pages.signed_in(bob, again=True)
    text = pages.check(browser.get("/privacy/held/"))
    assert "Archer" not in text and "Harbor View" not in text
    pages.check(browser.get("/privacy/held/orders.order/"), status=404)


def test_more_than_a_few_records_of_a_kind_stand_on_pages_of_their_own(hers: Client, customer: Customer) -> None:
    for _ in range(12):
        factories.address(customer)
    assert "All 12 addresses" in pages.check(hers.get("/privacy/held/"))
    assert "Page 1 of 2" in pages.check(hers.get("/privacy/held/accounts.address/"))
    pages.check(hers.get("/privacy/held/accounts.address/?page=2"))
    pages.check(hers.get("/privacy/held/no.such/"), status=404)


def test_a_value_that_was_removed_says_so(hers: Client, customer: Customer) -> None:
    order = an_order(customer)
    vault.keys.destroy([(order.pk, "fulfilment")], now=factories.NOW)
    text = pages.check(hers.get("/privacy/held/"))
    assert "erased on " in text and "Ring twice." not in text


def test_a_social_security_number_is_on_file_but_not_shown(hers: Client, customer: Customer) -> None:
    factories.ssn(customer)
    text = pages.check(hers.get("/privacy/held/"))
    assert "536-90" not in text and "On file" in text


def queries(browser: Client, path: str) -> int:
    browser.get(path)
    with CaptureQueriesContext(connections["default"]) as main, CaptureQueriesContext(connections["keystore"]) as keys:
        assert browser.get(path).status_code == 200
    return len(main) + len(keys)


def test_what_we_hold_costs_as_many_queries_with_30_orders_as_with_four(hers: Client, customer: Customer) -> None:
    for _ in range(4):  # one more than the page shows: the same number of kinds, and the count
        an_order(customer)
    for _ in range(3):  # looking leaves entries in the access log, which is held as well
        hers.get("/privacy/held/")
    few = queries(hers, "/privacy/held/")
    assert few <= 53, (
        "one look at which kinds there are, then each of these kinds; the names of the log are looked up where they are used"
    )
    for _ in range(26):
        an_order(customer)
    assert queries(hers, "/privacy/held/") == few


# Who looked -----------------------------------------------------------------------------------------------------------


def test_an_opening_by_staff_is_shown_with_role_and_reason(hers: Client, customer: Customer) -> None:
    carol = factories.staff(roles=("sales",))
    with gate.acting(carol.as_actor()):
        assert Customer.objects.get(pk=customer.pk).first_name == "Alice"
    text = pages.check(hers.get("/privacy/openings/"))
    assert "sales staff" in text and "daily work" in text
    assert "carol" not in text


def test_own_openings_are_folded(hers: Client, customer: Customer) -> None:
    hers.get("/account/details/")
    text = pages.check(hers.get("/privacy/openings/"))
    assert "You opened your own data" in text and "Nobody else has opened your data." in text
    assert "here are the last" not in text
    often = log.Opening(customer.user.as_actor(), customer.vault_owner(), {"accounts.customer/account": [customer.pk]})
    log.write([often] * 101, now=factories.NOW)
    assert "times; here are the last 100" in pages.check(hers.get("/privacy/openings/"))


def test_bob_does_not_see_who_looked_at_alice(bob: User, customer: Customer) -> None:
    carol = factories.staff(roles=("sales",))
    with gate.acting(carol.as_actor()):
        assert Customer.objects.get(pk=customer.pk).first_name == "Alice"
    assert AccessEntry.objects.filter(whose__subject_id=customer.subject_id).exists()
    assert "sales staff" not in pages.check(pages.signed_in(bob).get("/privacy/openings/"))


# Requests in the portal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_asking_needs_the_password_once_more(alice: User, customer: Customer, kind: str) -> None:
    browser = pages.signed_in(alice)
    for answer in (browser.get(f"/privacy/requests/new/{kind}/"), browser.post(f"/privacy/requests/new/{kind}/")):
        assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert not Request.objects.exists()


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_what_a_stranger_asked_with_an_address_keeps_nobody_from_asking(
    client: Client, hers: Client, customer: Customer, kind: str
) -> None:
    """Neither page calls it asked for, or under way, before it is shown who asks; it goes on as hers."""
    client.post("/privacy/ask/", {"kind": kind, "email": "alice@example.com"})
    (about,) = Request.objects.filter(kind=kind, subject=customer.subject)
    page = f"/privacy/requests/new/{kind}/"
    for path in (page, f"/privacy/requests/{about.pk}/"):
        text = pages.check(hers.get(path))
        assert "Nothing has been done yet" in text and about.reference in text
        assert "You have asked for" not in text and "under way" not in text and "is being made" not in text
    assert "ask for it here" in text
    with roles.otherwise("privacy_request", "mac", about.pk, "'somebody'"):
        assert "our staff have to look at it" in (text := pages.check(hers.get(page)))
        assert "that request goes on" not in text
    answer = hers.post(page, follow=True)
    about.refresh_from_db()
    assert about.is_identified and Request.objects.filter(kind=kind).count() == 1
    assert "Nothing has been done yet" not in pages.check(answer)
    assert "asked for this already" in (text := pages.check(hers.get(page))) or "asked for a copy already" in text


def test_an_unknown_kind_of_request_does_not_exist(hers: Client) -> None:
    pages.check(hers.get("/privacy/requests/new/everything/"), status=404)


def test_looking_files_nothing(hers: Client) -> None:
    pages.check(hers.get("/privacy/requests/new/access/"))
    pages.check(hers.get("/privacy/requests/new/erasure/"))
    assert not Request.objects.exists()


def test_a_copy_is_asked_for_made_and_fetched(hers: Client, customer: Customer) -> None:
    about = ask_for(hers, "access")
    text = pages.check(hers.get(f"/privacy/requests/{about.pk}/"))
    assert about.reference in text and "See whether it is ready" in text
    for answer, said in (
        (hers.post(f"/privacy/requests/{about.pk}/export/", follow=True), "There is no copy to fetch: it is not ready"),
        (hers.get(f"/privacy/requests/{about.pk}/export/destroy/", follow=True), "There is no copy to destroy."),
    ):
        assert said in pages.check(answer)
    again = pages.read(hers.get("/privacy/requests/new/access/"))
    assert "You have asked for a copy already" in again and "Ask for the copy" not in again
    carry_out(about)
    again = pages.read(hers.get("/privacy/requests/new/access/"))
    assert "Your copy is ready" in again and "already" not in again and "Ask for the copy" not in again
    text = pages.check(hers.get(f"/privacy/requests/{about.pk}/"))
    assert "Your copy is ready" in text
    assert "User name" in text and "Password" not in text, "no copy holds a password"
    assert hers.get(f"/privacy/requests/{about.pk}/export/").status_code == 405
    answer = hers.post(f"/privacy/requests/{about.pk}/export/")
    assert answer["Content-Type"] == "application/zip" and answer["Cache-Control"] == "no-store"
    assert about.reference in answer["Content-Disposition"] and "alice" not in answer["Content-Disposition"].lower()
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    whole = json.loads(archive.read("data.json"))
    assert any("Archer" in str(record["values"]) for record in whole["records"])
    with system("letter"):
        writing.send_due(now=timezone.now())
    carry_out(about)
    assert "Ask for the copy" in pages.read(hers.get("/privacy/requests/new/access/"))


def test_the_copy_needs_the_password_once_more(alice: User, hers: Client) -> None:
    about = ask_for(hers, "access")
    carry_out(about)
    answer = pages.signed_in(alice).post(f"/privacy/requests/{about.pk}/export/")
    assert answer.headers["Location"].startswith("/accounts/reauthenticate/")
    assert Export.objects.get().downloads == 0


def test_warnings_and_the_offer_of_a_copy_come_before_a_removal(hers: Client, customer: Customer) -> None:
    rma, order = an_rma(customer), an_order(customer, invoiced=factories.TODAY)
    text = pages.check(hers.get("/privacy/requests/new/erasure/"))
    assert rma.number in text and order.number in text
    assert "Take a copy first?" in text
    numbers = [an_rma(customer).number for _ in range(11)]
    asked = pages.read(hers.get("/privacy/requests/new/erasure/"))
    planned = pages.read(hers.get(f"/privacy/requests/{ask_for(hers, 'erasure').pk}/confirm/"))
    for text in (asked, planned):
        assert text.count(" is open.") == 0 and text.count("12 returns are open.") == 1
        folded = re.search(r"12 returns are open\..*?<details><summary>Which they are</summary><ul>(.*?)</ul>", text)
        assert folded and re.findall(r"<li>(.*?)</li>", folded[1]) == [rma.number, *numbers]


def test_the_plan_names_what_goes_what_stays_by_which_law_and_until_when(hers: Client, customer: Customer) -> None:
    order = an_order(customer, invoiced=factories.TODAY, shipped=factories.TODAY, paid=factories.TODAY)
    about = ask_for(hers, "erasure")
    text = pages.check(hers.get(f"/privacy/requests/{about.pk}/confirm/"))
    for part in (
        "What goes",
        "What stays, why and until when",
        f"Order {order.number}",
        "31 December 2033",
        "26 CFR 1.6001-1",
        "Street for delivery",
    ):
        assert part in text
    about.refresh_from_db()
    assert about.confirmed_hash == ""


def plan_hash(browser: Client, about: Request) -> str:
    found = re.search(
        r'name="plan_hash" value="([0-9a-f]{64})"', browser.get(f"/privacy/requests/{about.pk}/confirm/").text
    )
    assert found
    return found[1]


def test_confirming_shows_reference_date_and_code_once(hers: Client) -> None:
    about = ask_for(hers, "erasure")
    answer = hers.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": plan_hash(hers, about)})
    text = pages.check(answer)
    about.refresh_from_db()
    assert about.state == "confirmed" and about.reference in text
    code = re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)
    assert code and code[0] not in pages.check(hers.get(f"/privacy/requests/{about.pk}/"))
    assert codes.code_matches(code[0], about)


def test_who_confirms_in_another_browser_is_told_where_the_code_stands(alice: User, hers: Client) -> None:
    about = ask_for(hers, "erasure")
    browser = pages.signed_in(alice, again=True)
    text = pages.read(browser.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": plan_hash(browser, about)}))
    assert "Write the reference down now" in text and "stands in our acknowledgement of your request" in text
    with vault.internal():
        given = letters.given(about.letters.get(kind="acknowledgement"))[0]
    assert re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", given)


def test_another_plan_than_the_one_shown_is_not_confirmed(hers: Client, customer: Customer) -> None:
    about = ask_for(hers, "erasure")
    shown = plan_hash(hers, about)
    an_order(customer)
    text = pages.check(hers.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": shown}))
    assert "The plan has changed" in text and shown not in text
    about.refresh_from_db()
    assert about.state == "planned" and about.confirmed_hash == ""


def test_confirming_needs_the_password_once_more_and_a_post(alice: User, hers: Client) -> None:
    about = ask_for(hers, "erasure")
    shown = plan_hash(hers, about)
    browser = pages.signed_in(alice)
    assert (
        browser.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": shown})
        .headers["Location"]
        .startswith("/accounts/reauthenticate/")
    )
    hers.get(f"/privacy/requests/{about.pk}/confirm/?plan_hash={shown}")
    about.refresh_from_db()
    assert about.confirmed_hash == ""


def test_a_removal_can_be_taken_back_until_it_begins(hers: Client) -> None:
    about = ask_for(hers, "erasure")
    asked = pages.check(hers.get(f"/privacy/requests/{about.pk}/withdraw/"))
    assert "Take the request back?" in asked and f'href="/privacy/requests/{about.pk}/">Back' in asked
    about.refresh_from_db()
    assert about.is_open, "looking takes nothing back"
    text = pages.check(hers.post(f"/privacy/requests/{about.pk}/withdraw/", follow=True))
    assert "taken back" in text
    about.refresh_from_db()
    assert about.state == "withdrawn"
    for again in (hers.post, hers.get):
        assert "no longer be taken back" in pages.check(again(f"/privacy/requests/{about.pk}/withdraw/", follow=True))
    for again in (hers.post, hers.get):
        answer = again(f"/privacy/requests/{about.pk}/confirm/")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/privacy/requests/{about.pk}/")


def test_a_removal_ends_the_session_and_its_outcome_is_read_by_reference_and_code(
    hers: Client, client: Client, customer: Customer
) -> None:
    order = an_order(customer, invoiced=factories.TODAY, shipped=factories.TODAY, paid=factories.TODAY)
    about = ask_for(hers, "erasure")
    text = hers.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": plan_hash(hers, about)}).text
    code = re.search(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", text)
    assert code
    carry_out(about)
    assert hers.get("/account/").status_code == 302
    shown = pages.check(
        client.post("/privacy/outcome/", {"reference": about.reference.lower(), "code": code[0].lower()})
    )
    for part in ("What was removed", "What stays, why and until when", f"Order {order.number}", "31 December 2033"):
        assert part in shown
    assert "Archer" not in shown


def test_bob_gets_404_for_every_page_of_a_request_of_alice(hers: Client, bob: User) -> None:
    access, erasure = ask_for(hers, "access"), ask_for(hers, "erasure")
    carry_out(access)
    browser = pages.signed_in(bob, again=True)
    for about in (access, erasure):
        pages.check(browser.get(f"/privacy/requests/{about.pk}/"), status=404)
        pages.check(browser.get(f"/privacy/requests/{about.pk}/confirm/"), status=404)
        pages.check(browser.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": "x"}), status=404)
        pages.check(browser.post(f"/privacy/requests/{about.pk}/withdraw/"), status=404)
        pages.check(browser.post(f"/privacy/requests/{about.pk}/export/"), status=404)
    assert about.reference not in pages.check(browser.get("/privacy/requests/"))
    erasure.refresh_from_db()
    assert erasure.is_open


def test_a_request_that_lost_its_person_belongs_to_nobody_who_signs_in_without_one(client: Client) -> None:
    """subject NULL = subject NULL must never match."""
    filing.ask(kind="access", email="nobody@example.com", actor=gate.ANONYMOUS, now=timezone.now())
    about = Request.objects.get()
    assert about.subject_id is None
    erin = factories.login("erin", "erin@example.com", subject=None)
    browser = pages.signed_in(erin, again=True)
    pages.check(browser.get(f"/privacy/requests/{about.pk}/"), status=404)
    pages.check(browser.get("/privacy/requests/new/access/"), status=404)
    for path in ("/privacy/requests/", "/privacy/held/", "/privacy/openings/", "/account/"):
        assert about.reference not in pages.check(browser.get(path))


def test_a_list_of_a_dozen_requests_costs_as_many_queries_as_one(hers: Client) -> None:
    def filed() -> None:
        about = ask_for_new(hers)
        hers.post(f"/privacy/requests/{about.pk}/withdraw/")

    filed()
    one = queries(hers, "/privacy/requests/")
    for _ in range(11):
        filed()
    assert queries(hers, "/privacy/requests/") == one


def ask_for_new(browser: Client) -> Request:
    browser.post("/privacy/requests/new/access/")
    return Request.objects.order_by("-filed_at").first()  # type: ignore[return-value]


# Requests without a login ---------------------------------------------------------------------------------------------

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')


def mailed_token() -> str:
    """Read the last letter as its recipient does and return the token of its link."""
    letter = Letter.objects.filter(kind="link_identity").latest("queued_at")
    with vault.internal():
        found = re.search(r"/privacy/link/([\w-]+)/", letters.given(letter)[0])
    assert found
    return found[1]


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_asking_answers_the_same_for_a_known_and_an_unknown_address(
    client: Client, customer: Customer, kind: str
) -> None:
    answers = [
        Client().post("/privacy/ask/", {"kind": kind, "email": email})
        for email in ("alice@example.com", "nobody@example.com")
    ]
    assert {(one.status_code, one.headers["Location"]) for one in answers} == {(302, "/privacy/ask/sent/")}
    assert Request.objects.filter(subject=customer.subject).count() == 1


def test_asking_explains_what_is_missing(client: Client) -> None:
    text = pages.check(client.post("/privacy/ask/", {"email": "alice"}))
    assert "Choose what you would like." in text and "Enter an e-mail address like name@example.com." in text
    assert not Request.objects.exists()


def test_asking_too_often_is_refused(client: Client) -> None:
    codes = [
        client.post("/privacy/ask/", {"kind": "access", "email": f"n{n}@example.com"}).status_code for n in range(12)
    ]
    assert codes.count(302) == 10 and set(codes[10:]) == {429}


def linked(client: Client, kind: str) -> Request:
    client.post("/privacy/ask/", {"kind": kind, "email": "alice@example.com"})
    assert client.post(f"/privacy/link/{mailed_token()}/").status_code == 302
    return Request.objects.get(kind=kind)


def test_opening_a_link_does_nothing_pressing_its_button_does(client: Client, customer: Customer) -> None:
    client.post("/privacy/ask/", {"kind": "access", "email": "alice@example.com"})
    token = mailed_token()
    for _ in range(3):
        pages.check(client.get(f"/privacy/link/{token}/"))
    about = Request.objects.get()
    assert about.state == "received" and OneTimeLink.objects.get().used_at is None
    answer = client.post(f"/privacy/link/{token}/")
    about.refresh_from_db()
    assert about.identity == "link" and answer.headers["Location"] == f"/privacy/requests/{about.pk}/"
    pages.check(client.get(f"/privacy/link/{token}/"), status=403)
    pages.check(Client().post(f"/privacy/link/{token}/"), status=403)


def test_a_wrong_link_says_that_it_no_longer_works(client: Client) -> None:
    assert "no longer works" in pages.check(client.get("/privacy/link/wrong/"), status=403)
    assert "no longer works" in pages.check(client.post("/privacy/link/wrong/"), status=403)


def test_the_link_shows_its_own_request_to_its_own_browser_only(client: Client, customer: Customer, bob: User) -> None:
    about = linked(client, "erasure")
    text = pages.check(client.get(f"/privacy/requests/{about.pk}/confirm/"))
    assert "What goes" in text
    for browser in (Client(), pages.signed_in(bob, again=True)):
        assert browser.get(f"/privacy/requests/{about.pk}/confirm/").status_code in (302, 404)
        assert browser.post(f"/privacy/requests/{about.pk}/withdraw/").status_code in (302, 404)
    pages.check(client.get("/privacy/"))
    assert client.get("/privacy/held/").status_code == 302, "a link opens its request and nothing else"


def test_a_copy_is_fetched_through_the_link(client: Client, customer: Customer) -> None:
    about = linked(client, "access")
    carry_out(about)
    text = pages.check(client.get(f"/privacy/requests/{about.pk}/"))
    assert "Your copy is ready" in text
    answer = client.post(f"/privacy/requests/{about.pk}/export/")
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert "Archer" in archive.read("data.json").decode()


def test_a_removal_is_confirmed_through_the_link(client: Client, customer: Customer) -> None:
    about = linked(client, "erasure")
    text = pages.check(client.post(f"/privacy/requests/{about.pk}/confirm/", {"plan_hash": plan_hash(client, about)}))
    about.refresh_from_db()
    assert about.state == "confirmed" and about.reference in text


def test_the_proof_of_a_link_ends_after_an_hour(client: Client, customer: Customer) -> None:
    about = linked(client, "erasure")
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert client.get(f"/privacy/requests/{about.pk}/").headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    "typed", [{"reference": "PR-2026-0000-00", "code": "0000-0000-0000"}, {"reference": "nonsense", "code": "nonsense"}]
)
def test_a_wrong_reference_or_code_gets_one_answer(client: Client, typed: dict[str, str]) -> None:
    text = pages.check(client.post("/privacy/outcome/", typed), status=401)
    assert "There is no outcome for this reference and code." in text


def test_the_right_reference_with_a_wrong_code_gets_the_same_answer(client: Client, hers: Client) -> None:
    about = ask_for(hers, "access")
    right = TOKEN.sub(
        "", client.post("/privacy/outcome/", {"reference": about.reference, "code": "0000-0000-0000"}).text
    )
    wrong = TOKEN.sub(
        "", client.post("/privacy/outcome/", {"reference": "PR-2026-0000-00", "code": "0000-0000-0000"}).text
    )
    assert right.replace(about.reference, "") == wrong.replace("PR-2026-0000-00", "")


def test_a_post_without_the_token_of_its_form_has_no_effect(alice: User, hers: Client) -> None:
    about = ask_for(hers, "erasure")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    for path in (
        "/privacy/ask/",
        "/privacy/outcome/",
        "/privacy/requests/new/access/",
        f"/privacy/requests/{about.pk}/confirm/",
        f"/privacy/requests/{about.pk}/withdraw/",
        "/privacy/link/x/",
    ):
        pages.check(browser.post(path, {"kind": "access", "email": "alice@example.com"}), status=403)
    about.refresh_from_db()
    assert about.is_open and Request.objects.count() == 1


def test_titles_are_unique_and_name_nobody(client: Client, hers: Client, customer: Customer) -> None:
    an_order(customer)
    about = ask_for(hers, "erasure")
    paths = ["/privacy/held/", "/privacy/held/orders.order/", "/privacy/openings/", "/privacy/requests/", "/privacy/requests/new/access/",
             "/privacy/requests/new/erasure/", f"/privacy/requests/{about.pk}/", f"/privacy/requests/{about.pk}/confirm/"]  # fmt: skip
    titles = [
        pages.title(client.get(path))
        for path in ("/", "/privacy/", "/privacy/ask/", "/privacy/ask/sent/", "/privacy/outcome/")
    ]
    titles += [pages.title(hers.get(path)) for path in paths]
    assert len(set(titles)) == len(titles)
    assert not any("alice" in title.lower() or "archer" in title.lower() for title in titles)


def test_the_notice_tells_of_the_complaint_that_british_law_gives(client: Client) -> None:
    text = pages.read(client.get("/privacy/"))
    assert "complain to us (section 164A of the Data Protection Act 2018): by that law we have to confirm" in text


@pytest.mark.parametrize(
    ("switched_on", "said"),
    [
        ([], "within 15 or 30 days, as a rule"),
        (["CALIFORNIA"], "within 15 or 30 days, in California within 45, as a rule"),
        (["CALIFORNIA", "CONNECTICUT"], "30 days, in California within 45, in Connecticut within 45, as a rule"),
    ],
)
def test_the_notice_names_the_time_of_each_law_that_is_switched_on(
    client: Client, settings: Any, switched_on: list[str], said: str
) -> None:
    for one in switched_on:
        setattr(settings, one, True)
    text = pages.read(client.get("/privacy/"))
    assert said in text and "Where we need longer and your law allows it, we tell you why" in text


def test_the_notice_names_the_controller_as_rhode_island_asks(client: Client, settings: Any) -> None:
    settings.COMPANY = {**settings.COMPANY, "name": "Light & Sons"}
    text = pages.read(client.get("/privacy/"))
    assert (
        "The controller of the data that this website collects is Light &amp; Sons (for people in Rhode Island:" in text
    )


def test_the_notice_names_what_stands_outside_the_tables_and_claims_nothing_of_it(client: Client) -> None:
    text = " ".join(client.get("/privacy/").text.split())
    assert "What is not in it, the tables of this software do not hold." in text
    assert "What is not in it, we do not store" not in text
    assert "you; the company; you, or a colleague of yours who ordered" in text, (
        "phrases with commas are parted by semicolons"
    )
    about_people = [one for one in datamap.stores() if one.told]
    assert {one.name for one in about_people} >= {
        "program logs",
        "database logs",
        "broker",
        "backups",
        "mail",
        "export files",
    }
    assert all(escape(one.told) in text for one in about_people)


def test_what_is_due_is_not_called_removed_before_it_is(hers: Client, customer: Customer) -> None:
    day = date(2017, 5, 10)
    an_order(customer, day, invoiced=day, shipped=day, paid=day)
    an_order(customer)
    text = " ".join(strip_tags(hers.get("/privacy/held/").text).split())
    assert "Nothing keeps it any longer." in text and "Removed. Its key is destroyed" not in text
    assert "Kept while something is open, and for a set time after that" in text
    assert ", or earlier once what is open is finished" not in text, "seven years begin when the open order is finished"


def test_the_plan_says_of_what_has_no_key_that_it_is_deleted(hers: Client, customer: Customer) -> None:
    an_rma(customer)
    hers.post("/privacy/requests/new/erasure/")
    about = Request.objects.get()
    text = " ".join(strip_tags(hers.get(f"/privacy/requests/{about.pk}/confirm/").text).split())
    assert "Of all that tells who you are the key is destroyed." in text
    assert "The key of each of these is destroyed" not in text


def test_the_link_of_who_asks_without_a_login_goes_to_the_address_that_was_typed_and_to_no_other(db: None) -> None:
    known = factories.customer(user=factories.login("dora", "dora@example.com"), email="file@example.com")
    Client().post("/privacy/ask/", {"kind": "access", "email": "file@example.com"})
    request = Request.objects.get(subject=known.subject)
    with vault.internal():
        written = [(one.to, bool(one.credentials.get("link"))) for one in Letter.objects.filter(request=request)]
    assert {to for to, gives in written if gives} == {"file@example.com"} == {to for to, _ in written}
