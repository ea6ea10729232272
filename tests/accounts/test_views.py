"""Alice's account: what she sees, corrects and removes; bob reaches none of it; sign-in pages give nothing away."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import Address, Customer, FreightAccount, Joining, User
from privacy import gate, vault
from privacy.audit.models import AuditEvent
from privacy.letters.models import Letter
from privacy.requests import proving
from privacy.requests.history import NotAllowed
from privacy.retention import holds
from privacy.retention.models import Hold
from tests import factories, pages
from tests.asked import PRIVACY, taken_in
from tests.factories import TASK

pytestmark = pytest.mark.django_db

ADDRESS = {"purpose": "shipping", "street": "5 Pine Road", "city": "Salem", "country": "US"}


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def customer(alice: User) -> Customer:
    return factories.customer(user=alice)


@pytest.fixture
def bob() -> User:
    return factories.login("bob", "bob@example.com")


OWN_PAGES = ["/account/", "/account/details/", "/account/details/edit/", "/account/addresses/new/", "/account/claim/"]


def overview(user: User) -> str:
    return " ".join(strip_tags(pages.signed_in(user).get("/account/").text).split())


def test_the_account_says_of_the_second_proof_whether_there_is_one(alice: User, customer: Customer) -> None:
    assert "Off: the password alone signs you in" in overview(alice)
    Authenticator.objects.create(user=alice, type=Authenticator.Type.TOTP, data={})
    assert "An authenticator app beside the password" in overview(alice)


@pytest.mark.parametrize("path", OWN_PAGES)
def test_the_account_needs_a_login(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize(
    "path",
    [
        *OWN_PAGES,
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/2fa/",
        "/accounts/2fa/totp/activate/",
        "/accounts/logout/",
        "/accounts/reauthenticate/",
    ],
)
def test_each_page_of_the_account_keeps_the_rules_of_a_page(alice: User, customer: Customer, path: str) -> None:
    pages.check(pages.signed_in(alice, again=True).get(path))


PUBLIC = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/password/reset/key/1-wrong/",
    "/accounts/inactive/",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_the_pages_around_signing_in_are_public(client: Client, path: str) -> None:
    pages.check(client.get(path), status=403 if "wrong" in path else 200)


def test_titles_are_unique(client: Client, alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)
    titles = [pages.title(client.get(path)) for path in PUBLIC if "wrong" not in path] + [
        pages.title(browser.get(path)) for path in OWN_PAGES
    ]
    assert len(set(titles)) == len(titles)


def test_signing_up_asks_user_name_e_mail_and_password_only(client: Client) -> None:
    text = client.get("/accounts/signup/").text
    assert re.findall(r'<input[^>]* name="(\w+)"', text.split("<main", 1)[1]) == [
        "csrfmiddlewaretoken",
        "username",
        "email",
        "password1",
    ]


def test_no_message_names_the_address_it_is_about(client: Client) -> None:
    answer = client.post(
        "/accounts/signup/",
        {"username": "alice", "email": "alice@example.com", "password1": factories.PASSWORD},
        follow=True,
    )
    text = pages.check(answer)
    assert "Confirm your e-mail address" in text
    assert "alice@example.com" not in text


def test_a_wrong_password_is_explained_in_one_sentence(client: Client, alice: User) -> None:
    text = pages.check(client.post("/accounts/login/", {"login": "alice", "password": "wrong"}), status=401)
    assert 'role="alert"' in text and "alice@example.com" not in text


def test_details_show_contact_data_addresses_and_masked_numbers(alice: User, customer: Customer) -> None:
    factories.address(customer)
    factories.ssn(customer)
    factories.freight_account(customer)
    text = pages.check(pages.signed_in(alice, again=True).get("/account/details/"))
    for part in (
        "Alice",
        "Archer",
        "978-555-0123",
        "12 Elm Street",
        "United States",
        "On file; for your safety",
        "•••• 0676",
    ):
        assert part in text
    assert "536-90" not in text and "4399" not in text and "10-4020" not in text


def test_a_correction_changes_the_data_and_names_fields_only_in_the_audit(alice: User, customer: Customer) -> None:
    answer = pages.signed_in(alice, again=True).post(
        "/account/details/edit/",
        {
            "first_name": "Alicia",
            "last_name": "Archer",
            "email": "alice@example.com",
            "phone": "978-555-0123",
            "country": "US",
            "region": "MA",
        },
        follow=True,
    )
    text = pages.check(answer)
    assert "Corrected" in text and "Alicia" in text
    event = AuditEvent.objects.get(action="record.corrected")
    assert "Alicia" not in str(vars(event))


def test_looking_at_the_form_makes_no_customer_saving_it_does(alice: User) -> None:
    browser = pages.signed_in(alice, again=True)
    pages.check(browser.get("/account/details/edit/"))
    assert not Customer.objects.exists()
    browser.post("/account/details/edit/", {"first_name": "Alice"})
    assert "Alice" in pages.check(browser.get("/account/details/"))


def test_saving_without_a_change_says_so(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)
    form = browser.get("/account/details/edit/").context["form"]
    text = pages.check(
        browser.post("/account/details/edit/", {k: v for k, v in form.initial.items() if v}, follow=True)
    )
    assert "Nothing was changed." in text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("phone", "call me", "Enter a phone number"),
        ("email", "alice", "Enter an e-mail address like name@example.com."),
        ("first_name", "4111111111111111", "This looks like a card number."),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(
    alice: User, customer: Customer, field: str, value: str, sentence: str
) -> None:
    text = pages.check(pages.signed_in(alice, again=True).post("/account/details/edit/", {field: value}))
    assert sentence in text and f'<a href="#id_{field}">' in text
    assert not AuditEvent.objects.filter(action="record.corrected").exists()


def test_what_cannot_be_read_is_drawn_disabled_and_never_written_back(alice: User, customer: Customer) -> None:
    address = factories.address(customer)
    vault.keys.destroy([(address.pk, "account")], now=factories.NOW)
    browser = pages.signed_in(alice, again=True)
    text = pages.check(browser.get(f"/account/addresses/{address.pk}/"))
    assert text.count("disabled") >= 4 and "cannot be changed" in text
    assert "(erased)" not in text


def test_an_address_is_added_corrected_and_removed(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)
    assert "The address is added." in pages.check(browser.post("/account/addresses/new/", ADDRESS, follow=True))
    address = Address.objects.get()
    assert "6 Pine Road" in pages.check(
        browser.post(f"/account/addresses/{address.pk}/", {**ADDRESS, "street": "6 Pine Road"}, follow=True)
    )
    assert f'href="/account/addresses/{address.pk}/remove/"' in pages.check(browser.get("/account/details/"))
    asked = pages.check(browser.get(f"/account/addresses/{address.pk}/remove/"))
    assert "Remove the " in asked and "6 Pine Road" in asked and 'href="/account/details/">Back' in asked
    assert Address.objects.exists(), "looking removes nothing"
    assert "removed" in pages.check(browser.post(f"/account/addresses/{address.pk}/remove/", follow=True))
    assert not Address.objects.exists()


def test_a_freight_account_is_removed_by_its_owner(alice: User, customer: Customer) -> None:
    account = factories.freight_account(customer)
    browser, remove = pages.signed_in(alice, again=True), f"/account/freight/{account.pk}/remove/"
    with gate.acting(alice.as_actor()):
        number = str(account.number)
    asked = pages.check(browser.get(remove))
    assert number[-4:] in asked and number not in asked and FreightAccount.objects.exists()
    browser.post(remove)
    assert not FreightAccount.objects.exists()


@pytest.mark.parametrize("kind", ["addresses", "freight"])
def test_what_is_under_a_hold_is_not_removed_and_the_page_says_so(alice: User, customer: Customer, kind: str) -> None:
    record = factories.address(customer) if kind == "addresses" else factories.freight_account(customer)
    holds.place(record.vault_label, record.pk, reason="claim", actor=TASK, now=factories.NOW)
    browser, remove = pages.signed_in(alice, again=True), f"/account/{kind}/{record.pk}/remove/"
    for answer in (browser.get(remove, follow=True), browser.post(remove, follow=True)):
        assert "under a legal hold: it cannot be removed until the hold is lifted" in pages.check(answer)
    Hold.objects.update(record_id=uuid4())
    Hold.objects.create(label=record.vault_label, record_id=record.pk, reason="audit", placed_at=factories.NOW)
    for answer in (browser.get(remove, follow=True), browser.post(remove, follow=True)):
        assert "under a legal hold: it cannot be removed until the hold is lifted" in pages.check(answer), (
            "by the audit"
        )
    assert type(record).objects.filter(pk=record.pk).exists()


def test_beside_a_hold_that_somebody_planted_nothing_is_removed_and_nobody_told_of_a_claim(
    alice: User, customer: Customer
) -> None:
    record = factories.address(customer)
    Hold.objects.create(label=record.vault_label, record_id=record.pk, reason="audit", placed_at=factories.NOW)
    browser, remove = pages.signed_in(alice, again=True), f"/account/addresses/{record.pk}/remove/"
    for answer in (browser.get(remove, follow=True), browser.post(remove, follow=True)):
        said = pages.check(answer)
        assert "A member of our staff has to look at this before it can be removed" in said and "legal hold" not in said
    assert type(record).objects.filter(pk=record.pk).exists()


def test_a_freight_account_is_typed_in_on_no_page_of_the_account(alice: User, customer: Customer) -> None:
    freight = factories.freight_account(customer)
    browser = pages.signed_in(alice, again=True)
    assert "cannot be typed in here again" in pages.check(browser.get(f"/account/freight/{freight.pk}/remove/"))
    browser.post(f"/account/freight/{freight.pk}/remove/")
    for path in ("/account/freight/", "/account/freight/new/", f"/account/freight/{freight.pk}/"):
        assert {browser.get(path).status_code, browser.post(path, {"number": "123456"}).status_code} == {404}
    page = pages.check(browser.get("/account/details/"))
    assert "/account/addresses/new/" in page, "control: an address can be typed in"
    assert not re.search(r'(href|action)="[^"]*freight', page) and not FreightAccount.objects.exists()


def test_an_address_typed_in_again_gets_a_code_by_post_only_after_fourteen_days(
    alice: User, customer: Customer
) -> None:
    with time_machine.travel(factories.NOW, tick=False):
        address = factories.address(customer, came="person")
        browser = pages.signed_in(alice, again=True)
        remove = f"/account/addresses/{address.pk}/remove/"
        assert "a code by post goes to it only after it has been on file for 14 days" in pages.check(
            browser.get(remove)
        )
        browser.post(remove)
        browser.post("/account/addresses/new/", ADDRESS)
        assert Address.objects.filter(customer=customer).count() == 1
    request = taken_in("access", customer.subject_id, channel="phone", actor=PRIVACY)
    for days in (0, 13):
        with pytest.raises(NotAllowed, match="14 days"):
            proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=factories.NOW + timedelta(days))
    proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=factories.NOW + timedelta(15))


def test_a_borrowed_session_removes_nothing_without_the_password_and_every_e_mail_is_told(alice: User) -> None:
    customer = factories.customer(user=alice, email="file@example.com")
    paths = (
        f"/account/addresses/{factories.address(customer).pk}/remove/",
        f"/account/freight/{factories.freight_account(customer).pk}/remove/",
    )
    borrowed, own = pages.signed_in(alice), pages.signed_in(alice, again=True)
    for path in paths:
        assert borrowed.post(path).url.startswith("/accounts/reauthenticate/")
    assert (Address.objects.count(), FreightAccount.objects.count(), Letter.objects.count()) == (1, 1, 0)
    for path in paths:
        assert own.post(path).status_code == 302
    assert (Address.objects.count(), FreightAccount.objects.count()) == (0, 0)
    with vault.internal():
        told = [(one.to, "postal address" in one.text) for one in Letter.objects.filter(kind="contact_removed")]
    assert sorted(told) == sorted(
        (to, is_address) for to in ("alice@example.com", "file@example.com") for is_address in (True, False)
    )


def test_a_removal_is_sent_again_when_the_password_was_given(alice: User, customer: Customer) -> None:
    address = factories.address(customer)
    browser, remove = pages.signed_in(alice), f"/account/addresses/{address.pk}/remove/"
    asks = browser.post(remove, headers={"referer": "http://testserver/account/details/"}).url
    answer = browser.post(asks, {"password": factories.PASSWORD, "next": "/account/details/"})
    assert answer.url == "/account/details/" and Address.objects.exists()
    assert browser.post(remove).url == "/account/details/"
    assert not Address.objects.exists()


def test_bob_reaches_nothing_of_alice(bob: User, customer: Customer) -> None:
    address, freight = factories.address(customer), factories.freight_account(customer)
    browser = pages.signed_in(bob, again=True)
    pages.check(browser.get(f"/account/addresses/{address.pk}/"), status=404)
    pages.check(browser.post(f"/account/addresses/{address.pk}/", ADDRESS), status=404)
    pages.check(browser.post(f"/account/addresses/{address.pk}/remove/"), status=404)
    pages.check(browser.post(f"/account/freight/{freight.pk}/remove/"), status=404)
    assert "12 Elm Street" not in pages.check(browser.get("/account/details/"))
    assert Address.objects.exists() and FreightAccount.objects.exists()


def test_a_post_without_the_token_of_its_form_has_no_effect(alice: User, customer: Customer) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    address = factories.address(customer)
    for path in (
        f"/account/addresses/{address.pk}/remove/",
        "/account/addresses/new/",
        "/account/details/edit/",
        "/account/claim/",
    ):
        pages.check(browser.post(path, ADDRESS), status=403)
    assert Address.objects.count() == 1


def test_earlier_records_are_connected_when_exactly_one_private_person_has_the_address(alice: User) -> None:
    earlier = factories.customer(email="alice@example.com")
    browser = pages.signed_in(alice, again=True)
    assert "On file under your address: 1 customer record." in pages.check(browser.get("/account/claim/"))
    earlier.refresh_from_db()
    assert earlier.user_id is None
    text = pages.check(browser.post("/account/claim/", follow=True))
    earlier.refresh_from_db()
    assert earlier.user_id == alice.pk and "now under this account" in text


def test_who_has_confirmed_no_address_is_told_to_confirm_one_first() -> None:
    browser = pages.signed_in(factories.login("nina", "nina@example.com", verified=False), again=True)
    for answer in (browser.get("/account/claim/"), browser.post("/account/claim/")):
        text = pages.check(answer)
        assert "Confirm your e-mail address first" in text and "the address that you confirmed" not in text
        assert "We could not connect anything" not in text


def test_a_shared_address_gets_the_same_answer_as_an_unknown_one(alice: User, bob: User) -> None:
    factories.customer(email="alice@example.com")
    factories.customer("Anna", email="alice@example.com")
    strip = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    shared = strip.sub("", pages.check(pages.signed_in(alice, again=True).post("/account/claim/")))
    unknown = strip.sub("", pages.check(pages.signed_in(bob, again=True).post("/account/claim/")))
    assert shared == unknown


def test_asking_for_earlier_records_puts_what_carries_the_address_to_staff(alice: User) -> None:
    factories.communication(None, email="alice@example.com", heading="About a lamp", body="Please call.")
    with time_machine.travel(factories.NOW, tick=False):
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        browser = pages.signed_in(alice, again=True)
        assert not Joining.objects.exists()
        text = pages.check(browser.post("/account/claim/"))
        assert "Where something carries your address, our staff have been asked to look at it" in text
        look = Joining.objects.get()
        assert (look.subject_id, look.asked_by, look.outcome) == (alice.subject_id, "person", "open")
        assert f"/admin/accounts/joining/{look.pk}/" in carol.get("/admin/").text
        browser.post("/account/claim/")
        assert Joining.objects.count() == 1, "asked once"


def test_asking_where_nothing_carries_the_address_asks_nobody_and_reads_the_same(alice: User, bob: User) -> None:
    factories.communication(None, email="alice@example.com", heading="About a lamp", body="Please call.")
    strip = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    hers = strip.sub("", pages.check(pages.signed_in(alice, again=True).post("/account/claim/")))
    his = strip.sub("", pages.check(pages.signed_in(bob, again=True).post("/account/claim/")))
    assert hers == his and "nobody was asked" in his
    assert [one.subject_id for one in Joining.objects.all()] == [alice.subject_id]


def test_details_cost_as_many_queries_with_30_addresses_as_with_one(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)

    def queries() -> int:
        browser.get("/account/details/")
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            assert browser.get("/account/details/").status_code == 200
        return len(main) + len(keys)

    factories.address(customer)
    one = queries()
    for _ in range(29):
        factories.address(customer)
    assert queries() == one


@pytest.mark.parametrize("is_held", [False, True], ids=["free", "held"])
def test_who_corrects_something_reads_what_becomes_of_the_old_value_and_what_keeps_it(
    alice: User, customer: Customer, is_held: bool
) -> None:
    address = factories.address(customer)
    if is_held:
        holds.place(address.vault_label, address.pk, reason="claim", actor=TASK, now=factories.NOW)
    browser = pages.signed_in(alice, again=True)
    data = {"purpose": address.purpose, "country": "US", "street": "9 New Street", "city": "Salem", "region": "MA"}
    text = pages.check(browser.post(f"/account/addresses/{address.pk}/", data, follow=True))
    assert ("The old value can no longer be read in this record" in text) is not is_held
    assert ("the old value is kept until the hold ends" in text) is is_held
    assert "Orders and returns that are already placed keep what they were placed with." in text


def test_who_enters_another_e_mail_address_is_told_of_the_link_to_open(alice: User, customer: Customer) -> None:
    browser = pages.signed_in(alice, again=True)
    sent = "We have sent a link to the new e-mail address."
    for given, is_said in (("alice@elsewhere.example", True), ("", False)):
        data = {"first_name": "Alice", "last_name": "Whitfield", "country": "US", "email": given}
        text = pages.check(browser.post("/account/details/edit/", data, follow=True))
        assert "Corrected." in text and (sent in text) is is_said


def test_an_e_mail_address_is_called_so_on_every_page_that_asks_for_one(client: Client, alice: User) -> None:
    own = pages.signed_in(alice, again=True)
    for browser, path in (
        (client, "/accounts/password/reset/"),
        (client, "/accounts/signup/"),
        (client, "/privacy/ask/"),
        (own, "/accounts/email/"),
        (own, "/account/details/edit/"),
        (own, "/rma/new/"),
    ):
        labels = re.findall(r"<label[^>]*>\s*([^<]*?)\s*<", browser.get(path).text)
        named = [one for one in labels if "mail" in one.lower()]
        assert named and all("e-mail address" in one.lower() for one in named), (path, labels)
