"""The page of the privacy team, and the person's own: named, looked at, joined with a preview, undone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import joinable, joining
from accounts.models import Communication, Customer, Joining, User
from privacy import vault
from privacy.gate import AccessEntry
from privacy.models import Letter
from tests import factories, pages
from tests.asked import PRIVACY
from tests.factories import NOW, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

ADDRESS = "alice@example.com"
LIST = "/admin/accounts/joining/"


@pytest.fixture
def alice() -> User:
    return factories.login()


@pytest.fixture
def pat() -> Client:
    return pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))


def steps(look: Joining, name: str) -> str:
    return f"{LIST}{look.pk}/step/{name}/"


# The person's page ----------------------------------------------------------------------------------------------------


def test_a_person_asks_and_reads_what_became_of_it(alice: User) -> None:
    factories.communication(email=ADDRESS)
    hers = pages.signed_in(alice)
    assert "Ask us to look at it" in pages.check(hers.get("/privacy/held/"))
    answer = hers.post("/account/look/", follow=True)
    assert "privacy team looks at it" in answer.text
    assert "was asked on 20 November 2026" in answer.text and "Ask us to look at it" not in answer.text
    hers.post("/account/look/")
    look = Joining.objects.get()
    assert (look.subject_id, look.asked_by, look.outcome) == (alice.subject_id, "person", "open")
    joining.close(look, actor=PRIVACY, now=NOW)
    text = hers.get("/privacy/held/").text
    assert "could not tell that it is yours" in text and "Ask us to look at it" in text


def test_who_has_no_candidate_asks_for_nothing(alice: User) -> None:
    factories.communication(email="eve@example.com")
    answer = pages.signed_in(alice).post("/account/look/", follow=True)
    assert "Nothing carries your address" in answer.text
    assert not Joining.objects.exists()


def test_looking_at_the_page_asks_for_nothing(alice: User, client: Client) -> None:
    factories.communication(email=ADDRESS)
    assert pages.signed_in(alice).get("/account/look/").status_code == 405
    assert client.post("/account/look/").status_code == 302
    assert not Joining.objects.exists()


# The page of the privacy team -----------------------------------------------------------------------------------------


def test_what_a_person_asks_is_a_task_of_the_privacy_team_alone(alice: User, pat: Client) -> None:
    factories.communication(email=ADDRESS)
    pages.signed_in(alice).post("/account/look/")
    assert "A person without a customer number: records with the same address" in pat.get("/admin/").text
    sales = pages.signed_in(factories.staff())
    assert "Joinings of records to look at" not in sales.get("/admin/").text
    assert sales.get(LIST).status_code == 403


def test_staff_look_choose_see_what_will_move_join_and_undo(alice: User, pat: Client) -> None:
    """The order stands under a customer: a second person joins it. The message alone would be joined at once."""
    factories.customer(user=alice)
    bob = factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")
    message = factories.communication(email=ADDRESS, body="canary", contact_name="Canary Person")
    order = an_order(bob, email=ADDRESS, phone="")
    by_phone = an_order(bob, email="", phone="978-555-0123")
    answer = pat.post(f"{LIST}add/", {"person": ADDRESS}, follow=True)
    assert order.number in answer.text and by_phone.number in answer.text and "canary" not in answer.text.lower()
    assert "carries a phone number of the person" in answer.text
    look = Joining.objects.get()
    chosen = [f"accounts.communication/{message.pk}", f"orders.order/{order.pk}"]
    form = {"records": chosen, "other": "", "reason": "facts", "seen": ""}
    answer = pat.post(steps(look, "join"), form)
    assert answer.status_code == 200 and "<li>1 message</li>" in answer.text and "<li>1 order</li>" in answer.text
    assert Communication.objects.get().subject_id == message.subject_id, "nothing has moved yet"
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', answer.text)
    assert found
    answer = pat.post(steps(look, "join"), {**form, "seen": found[1]}, follow=True)
    assert "Proposed. Nothing has moved" in answer.text
    assert "Joined. The person reads it from now on" in confirm(
        pages.signed_in(factories.staff("pia", "pia@ilt.example", roles=("privacy",))), look
    )
    assert Communication.objects.get().subject_id == alice.subject_id
    text = pages.signed_in(alice).get("/privacy/held/").text
    assert "canary" in text and f"Order {order.number}" in text
    answer = pat.post(steps(look, "undo"), follow=True)
    assert "everything is where it was before" in answer.text
    assert Communication.objects.get().subject_id == message.subject_id
    assert "canary" not in pages.signed_in(alice).get("/privacy/held/").text


# Somebody whole: two people decide, and only where it may be ----------------------------------------------------------


@pytest.fixture
def mona() -> Client:
    return pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))


def whole(browser: Client, look: Joining, number: str) -> str:
    """Choose everything of somebody else, see what will move, and send it once more; return the last answer."""
    form = {"records": [], "other": number, "reason": "facts", "seen": ""}
    answer = browser.post(steps(look, "join"), form)
    if found := re.search(r'name="seen" value="([0-9a-f]{64})"', answer.text):
        answer = browser.post(steps(look, "join"), {**form, "seen": found[1]}, follow=True)
    return answer.text


def confirm(browser: Client, look: Joining) -> str:
    """Look at the proposal and send exactly it; return the last answer."""
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', browser.get(steps(look, "confirm"), follow=True).text)
    return browser.post(steps(look, "confirm"), {"seen": found[1] if found else ""}, follow=True).text


@pytest.mark.parametrize("second", ["mona", "pia"])
def test_somebody_whole_is_joined_by_two_and_every_address_on_file_of_both_is_told(
    alice: User, pat: Client, mona: Client, second: str
) -> None:
    pia = pages.signed_in(factories.staff("pia", "pia@ilt.example", roles=("privacy",)))
    factories.customer(user=alice)
    other = factories.customer("A.", "Archer", email="archer@example.com", phone="617-555-0199")
    an_order(other, email=ADDRESS)
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    assert "Proposed. Nothing has moved" in whole(pat, look, other.reference)
    assert "This step is not possible now." in confirm(pat, look)
    assert Customer.objects.get(pk=other.pk).subject_id == other.subject_id
    assert not Letter.objects.filter(kind="joined").exists()
    browser = mona if second == "mona" else pia
    page = browser.get(f"{LIST}{look.pk}/change/").text
    assert "Confirm, and join" in page and ("Join nothing" in page) is (second == "pia")
    assert "1 order" in browser.get(steps(look, "confirm")).text
    assert "every e-mail address on file of both is told" in confirm(browser, look)
    assert Customer.objects.get(pk=other.pk).subject_id == alice.subject_id
    with vault.internal():
        told = {one.to: one.text for one in Letter.objects.filter(kind="joined")}
    assert set(told) == {ADDRESS, "archer@example.com"}
    assert all(
        "open this link and press the button on the page" in text and "Archer" not in text for text in told.values()
    )
    assert Joining.objects.get().proposal == {}


def test_one_of_the_privacy_team_makes_no_login_the_owner_of_somebody_with_a_login_or_of_a_stranger(
    pat: Client,
) -> None:
    mallory = factories.login("mallory", "mallory@example.com")
    bob = factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")
    look = joining.ask(mallory.subject_id, actor=PRIVACY, now=NOW)
    assert "Nothing of the other person carries an address" in whole(pat, look, bob.reference)
    an_order(bob, email="mallory@example.com")
    assert "Proposed" in whole(pat, look, bob.reference), "one of his records carries it: it can be proposed"
    Joining.objects.update(proposal={}, proposed_at=None)
    bob.user = factories.login("bob", "bob@example.com", subject=bob.subject)
    bob.save(update_fields=["user"])
    assert "Both have a login" in whole(pat, look, bob.reference)
    assert Customer.objects.get().subject_id == bob.subject_id
    assert Joining.objects.get().proposal == {}


def test_a_manager_only_confirms(alice: User, pat: Client, mona: Client) -> None:
    factories.communication(email=ADDRESS)
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    assert mona.get(f"{LIST}add/").status_code in (403, 404)
    assert mona.post(f"{LIST}add/", {"person": ADDRESS}).status_code in (403, 404)
    text = mona.get(f"{LIST}{look.pk}/change/").text
    assert "Carries an address or phone" not in text and "Join records" not in text
    for name in ("join", "close", "confirm", "undo"):
        assert "This step is not possible now." in mona.post(steps(look, name), {}, follow=True).text
    assert Joining.objects.get().outcome == "open"
    assert "Carries an address or phone" in pat.get(f"{LIST}{look.pk}/change/").text


def test_only_what_the_second_person_saw_is_joined_and_only_for_seven_days(alice: User, pat: Client) -> None:
    factories.customer(user=alice)
    one, two = (factories.customer("A.", "Archer", email=ADDRESS, phone="") for _ in range(2))
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    whole(pat, look, one.reference)
    pia = pages.signed_in(factories.staff("pia", "pia@ilt.example", roles=("privacy",)))
    seen = joining.proposed(Joining.objects.get(), now=NOW).fingerprint
    whole(pat, look, two.reference)
    assert "What will move" in pia.post(steps(look, "confirm"), {"seen": seen}).text, "it is shown anew"
    with pytest.raises(joinable.NotPossible, match="changed since you looked"):
        joining.confirm(look, fingerprint=seen, actor=PRIVACY, now=NOW)
    seen = joining.proposed(Joining.objects.get(), now=NOW).fingerprint
    with pytest.raises(joinable.NotPossible, match="last 7 days"):
        joining.confirm(look, fingerprint=seen, actor=PRIVACY, now=NOW + timedelta(days=7))
    assert Customer.objects.get(pk=two.pk).subject_id == two.subject_id
    assert "Joined." in confirm(pia, look)
    assert Customer.objects.get(pk=two.pk).subject_id == alice.subject_id


def test_another_choice_than_the_one_seen_is_shown_once_more(alice: User, pat: Client) -> None:
    one, two = (factories.communication(email=ADDRESS) for _ in range(2))
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    key = "accounts.communication"
    seen = joining.preview(look, [(key, one.pk)], now=NOW).fingerprint
    form = {"records": [f"{key}/{one.pk}", f"{key}/{two.pk}"], "other": "", "reason": "facts", "seen": seen}
    assert "2 messages" in pat.post(steps(look, "join"), form).text
    assert Joining.objects.get().outcome == "open"


def test_the_page_opens_nothing(alice: User, pat: Client) -> None:
    factories.customer(user=alice)
    message = factories.communication(email=ADDRESS)
    look = joining.ask(alice.subject_id, actor=PRIVACY, now=NOW)
    for path in (LIST, f"{LIST}{look.pk}/change/", steps(look, "join"), f"{LIST}{look.pk}/history/"):
        assert pat.get(path).status_code == 200
    assert not AccessEntry.objects.filter(whose__subject_id__in=[alice.subject_id, message.subject_id]).exists()


@pytest.mark.parametrize("text", ["", "nobody@example.com", "C000", "' OR 1=1", "\x00", "x" * 300])
def test_a_person_that_cannot_be_found_is_no_error(text: str, pat: Client) -> None:
    assert pat.post(f"{LIST}add/", {"person": text}).status_code == 400
    assert not Joining.objects.exists()


def test_a_person_is_chosen_by_customer_order_or_request_number(alice: User, pat: Client) -> None:
    customer = factories.customer(user=alice)
    order = an_order(customer)
    for number in (customer.reference, order.number, "ALICE@example.com"):
        pat.post(f"{LIST}add/", {"person": number})
        assert Joining.objects.get().subject_id == alice.subject_id
        Joining.objects.all().delete()


def test_the_list_takes_the_same_queries_for_one_and_for_thirty(pat: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connections["default"]) as found:
            assert pat.get(LIST).status_code == 200
        return len(found)

    def look(number: int) -> None:
        customer: Customer = factories.customer(email=f"a{number}@example.com")
        joining.ask(customer.subject_id, actor=PRIVACY, now=NOW)

    look(0)
    queries()
    few = queries()
    for number in range(1, 30):
        look(number)
    assert queries() == few
