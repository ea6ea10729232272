"""The privacy team's work: a request filed, identified, planned, confirmed, refused, parked;
letters, holds, claimed addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from django.utils.html import escape, strip_tags

from accounts import claim, corrections
from accounts.models import ClaimReview, ContactPoint, Customer
from orders.models import Order
from privacy import audit, letters, vault
from privacy.gate import Actor
from privacy.models import AccessEntry, Hold, Letter, OneTimeLink, Request
from privacy.requests import deadline, execute, history, posting, proving, reading, services
from privacy.requests.states import State
from tests import asked, factories, pages
from tests.asked import PRIVACY, taken_in
from tests.factories import an_order, an_rma, moved

pytestmark = pytest.mark.django_db

LIST = "/admin/privacy/request/"
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
CODE = re.compile(r"\b([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})\b")


@pytest.fixture(autouse=True)
def _fixed_clock(settings: Any) -> Iterator[None]:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    with time_machine.travel(factories.NOW, tick=False):
        yield


@pytest.fixture
def alice() -> Customer:
    return factories.customer(country="DE")


@pytest.fixture
def carol() -> Client:
    return pages.signed_in(factories.staff(roles=("privacy",)))


def filed(customer: Customer, kind: str = "erasure", **data: Any) -> Request:
    given = {"channel": "phone", "received_on": factories.TODAY, "identity": "in_person"} | data
    return taken_in(kind, customer.subject_id, **given, actor=PRIVACY)


def page_of(about: Request) -> str:
    return f"{LIST}{about.pk}/change/"


def take(browser: Client, about: Request, step: str, **data: Any) -> Any:
    return browser.post(f"{LIST}{about.pk}/step/{step}/", data, follow=True)


def steps(browser: Client, about: Request) -> set[str]:
    return set(re.findall(rf'href="{LIST}{about.pk}/step/(\w+)/"', browser.get(page_of(about)).text))


def weights(browser: Client, page: str) -> tuple[list[str], set[str]]:
    """Return of the buttons of a record's page which is next, and which stand apart as what cannot be undone."""
    text = pages.read(browser.get(page))
    buttons = re.findall(r'class="button([^"]*)" href="[^"]*/step/(\w+)/"', text)
    apart = re.search(r'<div class="final" role="group" aria-labelledby="final">.*?</div>', text)
    final = set(re.findall(r"/step/(\w+)/", apart[0])) if apart else set()
    assert final == {name for kind, name in buttons if "is-destructive" in kind}
    assert not apart or '<span id="final">Cannot be undone:</span>' in apart[0]
    return [name for kind, name in buttons if "is-next" in kind], final


FORM = {
    "kind": "erasure", "channel": "fax", "received_on": "2026-11-18", "customer_number": "", "email": "", "name": "",
    "asked_by": "self", "identity": "pending", "note": "",
}  # fmt: skip


def test_the_step_that_is_next_stands_out_and_what_cannot_be_undone_stands_apart(
    alice: Customer, carol: Client
) -> None:
    ends = {"withdraw", "refuse"}
    stranger = taken_in("erasure", None, channel="mail", name="Nora Nowhere", postal="1 Road\nTown", actor=PRIVACY)
    assert weights(carol, page_of(stranger)) == (["posted"], {*ends, "nothing"}), "the letter that asks who is asking"
    for letter in stranger.letters.all():
        posting.mark_posted(letter, actor=COLLEAGUE, now=factories.NOW)
    assert weights(carol, page_of(stranger)) == (["identity"], {*ends, "nothing"})
    by_mail = filed(alice)
    assert weights(carol, page_of(by_mail)) == (["plan"], ends | {"confirm"})
    take(carol, by_mail, "plan")
    assert weights(carol, page_of(by_mail)) == ([], ends | {"confirm"}), "the person confirms by the link"
    by_post = filed(factories.customer(email=None, first_name="Paula"))
    services.make_plan(by_post, actor=PRIVACY, now=factories.NOW)
    assert weights(carol, page_of(by_post)) == (["posted"], ends | {"confirm"})
    for letter in by_post.letters.filter(sent_at=None):
        posting.mark_posted(letter, actor=COLLEAGUE, now=factories.NOW)
    assert weights(carol, page_of(by_post)) == (["confirm"], ends | {"confirm"})
    history.move(by_mail, State.PARKED, actor=PRIVACY, now=factories.NOW)
    assert weights(carol, page_of(by_mail))[0] == ["resume"]


# Filing ---------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_request_is_headed_by_who_asks_where_a_name_was_given(alice: Customer) -> None:
    about = taken_in("access", None, channel="mail", name="Nora Nowhere", postal="1 Road\nTown", actor=PRIVACY)
    text = pages.signed_in(factories.staff(roles=("privacy",))).get(page_of(about)).text
    assert f"<h1>Nora Nowhere, {about.reference}</h1>" in text
    assert "Nora" not in text.partition("<title>")[2].partition("</title>")[0]


def test_a_request_by_fax_is_filed_with_its_day_of_receipt_and_only_the_person_gets_the_code(
    alice: Customer, carol: Client
) -> None:
    order = an_order(alice)
    data = {**FORM, "customer_number": order.number, "identity": "in_person", "note": "Came with her passport."}
    answer = carol.post(f"{LIST}add/", data, follow=True)
    about = Request.objects.get()
    assert about.subject_id == alice.subject_id and about.channel == "fax" and about.identity == "in_person"
    assert (about.received_on, about.due_on) == (date(2026, 11, 18), date(2026, 12, 18))
    assert f"{about.reference}: answer due on 18 December 2026, in 28 days." in answer.text
    assert "The acknowledgement to the person gives the outcome code; it is not shown here." in answer.text
    assert not CODE.search(answer.text) and not CODE.search(carol.get(page_of(about)).text)
    with vault.internal():
        letter = Letter.objects.get(request=about, kind="acknowledgement")
        assert letter.to == "alice@example.com"
        given = CODE.search(letters.given(letter)[0])
    assert given and reading.by_code(about.reference, given[1], now=factories.NOW)["request"] == about
    assert "Came with her passport." in carol.get(page_of(about)).text


def test_an_address_on_file_is_matched_and_a_one_time_link_goes_there(alice: Customer, carol: Client) -> None:
    answer = carol.post(f"{LIST}add/", {**FORM, "email": "alice@example.com"}, follow=True)
    about = Request.objects.get()
    assert about.subject_id == alice.subject_id and about.state == State.RECEIVED
    assert not CODE.search(answer.text)
    assert OneTimeLink.objects.filter(request=about, purpose="identity").count() == 1
    assert "One-time link to prove who asks" in answer.text and "waits to be sent" in answer.text


def test_the_same_asked_twice_is_one_request(alice: Customer, carol: Client) -> None:
    first = filed(alice)
    with time_machine.travel(factories.NOW.replace(hour=18), tick=False):
        answer = carol.post(f"{LIST}add/", {**FORM, "customer_number": alice.reference}, follow=True)
    assert Request.objects.get() == first and "this receipt was added to it" in answer.text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "Say who is asking: a customer, an e-mail address, or a name and a postal address."),
        ({"customer_number": "NOBODY"}, "No customer, order or return has this number."),
        ({"customer_number": "\x00"}, "Null characters are not allowed."),
        ({"email": "not an address"}, "Enter a valid email address."),
        ({"email": "x@example.com", "received_on": "2026-11-21"}, "The day of receipt cannot be in the future."),
        ({"email": "x@example.com", "received_on": "1999-01-01"}, "The day of receipt is more than three years ago."),
        ({"email": "x@example.com", "received_on": "tomorrow"}, "Enter a valid date."),
        (
            {"email": "x@example.com", "identity": "in_person"},
            "Nobody on file is identified by this; leave the identity pending.",
        ),
        ({"email": "x@example.com", "identity": "login"}, "Select a valid choice."),
        ({"email": "x@example.com", "identity": "callback"}, "Select a valid choice."),
        ({"email": "x@example.com", "channel": "web"}, "Select a valid choice."),
        ({"email": "x@example.com", "kind": "everything"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_filed_is_one_sentence(carol: Client, data: dict[str, str], sentence: str) -> None:
    answer = carol.post(f"{LIST}add/", {**FORM, **data})
    assert answer.status_code == 400 and escape(sentence) in answer.text
    assert not Request.objects.exists()


def test_a_number_of_two_records_or_of_one_about_nobody_names_nobody(alice: Customer, carol: Client) -> None:
    """An order can have the number of a customer; of one that stays for statistics the way to its person is gone."""
    same, kept = an_order(alice), an_order(alice)
    Order.objects.filter(pk=same.pk).update(number=alice.reference)
    vault.keys.destroy([(kept.pk, one) for one in Order.envelopes()], now=factories.NOW)
    Order.objects.filter(pk=kept.pk).update(customer=None)
    for number, sentence in (
        (alice.reference, "More than one record has this number."),
        (kept.number, "This record leads to nobody."),
    ):
        answer = carol.post(f"{LIST}add/", {**FORM, "customer_number": number})
        assert answer.status_code == 400 and sentence in answer.text
    answer = carol.post("/admin/privacy/hold/add/", {"number": alice.reference, "reason": "claim"})
    assert answer.status_code == 400 and "More than one record has this reference" in answer.text
    assert not Request.objects.exists() and not Hold.objects.exists()


def test_only_the_privacy_team_files_and_only_with_an_acknowledgement(alice: Customer) -> None:
    data = {**FORM, "customer_number": alice.reference}
    for roles, acknowledged in ((("sales", "service", "accounting"), True), (("privacy",), False)):
        name = f"dan{acknowledged}"
        user = factories.staff(name, f"{name}@ilt.example", roles=roles, acknowledged=acknowledged)
        assert pages.signed_in(user).post(f"{LIST}add/", data).status_code == 404
    assert not Request.objects.exists()


# The list -------------------------------------------------------------------------------------------------------------


def test_the_list_shows_open_requests_by_due_date_and_the_ended_on_demand(alice: Customer, carol: Client) -> None:
    bob = factories.customer("Bob", "Baker", email="bob@example.com")
    ended, early, late = filed(alice, "access"), filed(alice, received_on=date(2026, 11, 1)), filed(bob)
    services.withdraw(ended, actor=PRIVACY, now=factories.NOW)
    text = carol.get(LIST).text
    assert ended.reference not in text
    assert text.index(early.reference) < text.index(late.reference)
    assert ended.reference in carol.get(f"{LIST}?work=ended").text
    assert ended.reference in carol.get(f"{LIST}?work=all&kind__exact=access").text


@pytest.mark.parametrize("spelling", ["{0}", "{1}", "alice@example.com"])
def test_a_request_is_found_by_its_reference_however_spelled_and_by_address(
    alice: Customer, carol: Client, spelling: str
) -> None:
    about, other = filed(alice), filed(factories.customer("Bob", "Baker", email="bob@example.com"))
    services.withdraw(about, actor=PRIVACY, now=factories.NOW)
    text = spelling.format(about.reference, about.reference.lower().replace("-", " "))
    shown = carol.post(f"{LIST}search/", {"q": text}, follow=True).text
    assert about.reference in shown and other.reference not in shown, "a search looks into ended ones, too"


# Identity -------------------------------------------------------------------------------------------------------------


def test_a_shared_mailbox_is_settled_by_naming_the_person(alice: Customer, carol: Client) -> None:
    factories.customer("Bob", "Baker", email="alice@example.com")
    carol.post(f"{LIST}add/", {**FORM, "email": "alice@example.com"})
    about = Request.objects.get()
    assert about.subject_id is None
    answer = take(carol, about, "identity", how="in_person")
    assert answer.status_code == 400 and "Say who it is" in answer.text
    assert "already matched" not in carol.get(f"{LIST}{about.pk}/step/code/").text
    answer = take(carol, about, "code", customer_number="")
    assert answer.status_code == 400 and "Say who it may be: nobody was matched by the address." in answer.text
    answer = take(carol, about, "identity", how="in_person", customer_number=alice.reference)
    about.refresh_from_db()
    assert about.subject_id == alice.subject_id and about.state == State.IDENTITY and not CODE.search(answer.text)
    assert "Identity proved" in answer.text


def test_a_decision_of_the_team_needs_its_reasons(alice: Customer, carol: Client) -> None:
    about = filed(alice, identity="pending")
    assert "needs its description" in take(carol, about, "identity", how="staff").text
    take(carol, about, "identity", how="staff", note="Known for years.")
    assert "Known for years." in carol.get(page_of(about)).text


# Plan and confirmation ------------------------------------------------------------------------------------------------


DATA = re.compile(r'<th scope="row">([^<]+)</th>\s*<td>([^<]*)</td>')
AS_READ = "In the words in which the person reads it: “you” and “your” are the person"


def planned(customer: Customer) -> Request:
    about = filed(customer)
    services.make_plan(about, actor=PRIVACY, now=factories.NOW)
    return about


def the_hash(browser: Client, about: Request) -> str:
    found = re.search(r'name="plan_hash" value="([0-9a-f]{64})"', browser.get(f"{LIST}{about.pk}/step/confirm/").text)
    assert found
    return found[1]


def test_the_plan_is_made_and_its_decisions_are_shown_with_reason_law_and_date(alice: Customer, carol: Client) -> None:
    order = an_order(alice, invoiced=factories.TODAY, shipped=factories.TODAY, paid=factories.TODAY)
    about = filed(alice)
    assert re.search(r"The plan is made: \d+ to be erased, \d+ kept.", take(carol, about, "plan").text)
    text = carol.get(page_of(about)).text
    for part in ("To be erased", "To be kept", f"Order {order.number}", "31 December 2033"):
        assert part in text, part
    for decision in about.decisions.all():
        assert escape(decision.ground) in text and escape(decision.authority) in text
    assert "Ring twice." not in text


def test_of_what_has_no_key_the_desk_says_that_it_is_deleted(alice: Customer, carol: Client) -> None:
    rma = moved(
        an_rma(alice, date(2017, 5, 2)), "authorised", "received", "in_service", "verified", on=date(2017, 5, 4)
    )
    moved(rma, "shipped_back", "closed", on=date(2017, 5, 10))
    about = filed(alice)
    take(carol, about, "plan")
    rows = dict(re.findall(r'<th scope="row">([^<]+)</th>(.*?)</tr>', carol.get(page_of(about)).text, re.S))
    (registration,) = [row for title, row in rows.items() if title.startswith("Registration of instrument")]
    assert "Goes: it is deleted; backups have it for 35 days." in registration and "key" not in registration
    assert any("Goes: its key is destroyed" in row for row in rows.values()), "the control"


def test_confirming_shows_the_plan_first_and_looking_does_nothing(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    text = carol.get(f"{LIST}{about.pk}/step/confirm/").text
    assert "The plan" in text and f"Customer {alice.reference}" in text
    # What is shown here is what its person and the page of the request show, and it says whose words they are.
    here, there = (dict(DATA.findall(one)) for one in (text, carol.get(page_of(about)).text))
    assert here.items() <= there.items() and here
    assert AS_READ in text and AS_READ in carol.get(page_of(about)).text
    about.refresh_from_db()
    assert about.state == State.PLANNED
    answer = take(carol, about, "confirm", agreed="phone", plan_hash=the_hash(carol, about))
    about.refresh_from_db()
    assert about.state == State.CONFIRMED and "a second person looks at it before it is carried out" in answer.text
    assert "Waits for a second person" in answer.text
    assert "confirm" not in steps(carol, about)


def test_a_plan_that_changed_is_shown_again_and_nothing_is_done(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    seen = the_hash(carol, about)
    order = an_order(alice)
    answer = take(carol, about, "confirm", agreed="phone", plan_hash=seen)
    assert answer.status_code == 400 and "The plan has changed since you saw it." in answer.text
    assert f"Order {order.number}" in answer.text and seen not in answer.text
    about.refresh_from_db()
    assert about.state == State.PLANNED
    take(carol, about, "confirm", agreed="phone", plan_hash=the_hash(carol, about))
    about.refresh_from_db()
    assert about.state == State.CONFIRMED


def test_without_a_hash_nothing_is_confirmed(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    for data in ({}, {"plan_hash": ""}, {"plan_hash": "0" * 64}):
        assert take(carol, about, "confirm", **data).status_code == 400
    about.refresh_from_db()
    assert about.state == State.PLANNED


def test_a_copy_needs_no_confirmation(alice: Customer, carol: Client) -> None:
    about = filed(alice, "access")
    assert "confirm" not in steps(carol, about)
    assert "The plan is made." in take(carol, about, "plan").text
    assert "confirm" not in steps(carol, about)


# Other ways to end ----------------------------------------------------------------------------------------------------


def test_a_refusal_needs_its_reason_and_the_person_is_told(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    assert take(carol, about, "refuse", authority="Art. 12(2) GDPR", ground=" ").status_code == 400
    answer = take(carol, about, "refuse", authority="Art. 12(2) GDPR", ground="Two people say that this is theirs.")
    about.refresh_from_db()
    assert about.state == State.REFUSED and "Refusal" in answer.text
    with vault.internal():
        text = Letter.objects.get(request=about, kind="refused").text
    assert "Two people say that this is theirs." in text and "Art. 12(2) GDPR" in text


def test_a_refusal_for_excess_is_proposed_with_evidence_and_another_of_the_team_decides(
    alice: Customer, carol: Client
) -> None:
    about = planned(alice)
    words = {"authority": "Art. 12(5) GDPR", "ground": "You ask to be paid for asking."}
    assert take(carol, about, "refuse", **words, evidence=" ").status_code == 400
    take(carol, about, "refuse", **words, evidence="Five letters ask for money instead of the answer.")
    about.refresh_from_db()
    assert about.state == State.PLANNED and not Letter.objects.filter(request=about, kind="refused").exists()
    look = about.second_looks.get(why="excessive")
    step = f"/admin/privacy/secondlook/{look.pk}/step/refusal/"
    assert look.get_why_display()[1:] in carol.get(step.replace("step/refusal", "change")).text
    assert carol.get(step).status_code != 200, "who proposed it gets no form"
    mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))
    assert mona.get(step).status_code != 200, "a manager opens no evidence"
    pat = pages.signed_in(factories.staff("patty", "patty@ilt.example", roles=("privacy",)))
    assert "Five letters ask for money instead of the answer." in pat.get(step).text
    pages.decide(pat, step, {"outcome": "refuse"})
    about.refresh_from_db()
    assert about.state == State.REFUSED


def test_a_deadline_is_extended_once_for_a_reason_of_the_law_and_the_person_is_told(
    alice: Customer, carol: Client
) -> None:
    about = filed(alice)
    assert "extend" in steps(carol, about)
    assert "required" in take(carol, about, "extend", reason="complex", words="").text
    answer = take(carol, about, "extend", reason="complex", words="Records of nine years lie on paper.")
    assert "extended to 20 February 2027; the person is told" in answer.text
    about.refresh_from_db()
    assert about.due_on == date(2027, 2, 20)
    assert about.events.get(kind="extended").detail == {"reason": "complex"}, "the words are in the sealed letter only"
    with vault.internal():
        text = str(about.letters.get(kind="extended").text)
    assert "the request is complex" in text and "Records of nine years" in text and "20 February 2027" in text
    assert "extend" not in steps(carol, about)
    assert "not possible now" in take(carol, about, "extend", reason="complex", words="Again.").text


def test_the_last_day_for_the_notice_is_a_month_after_the_receipt(alice: Customer, carol: Client) -> None:
    about = filed(alice)
    with time_machine.travel(datetime(2026, 12, 21, 15, tzinfo=UTC), tick=False):  # the 20th is a Sunday
        assert deadline.may_extend(about, now=timezone.now())
    with time_machine.travel(datetime(2026, 12, 22, 15, tzinfo=UTC), tick=False):
        assert not deadline.may_extend(about, now=timezone.now())
        with pytest.raises(history.NotAllowed):
            deadline.extend(about, reason="number", words="Late.", actor=PRIVACY, now=timezone.now())
    assert not about.events.filter(kind="extended").exists()


def test_a_late_extension_is_refused_with_its_last_day_and_stands_in_the_audit(alice: Customer) -> None:
    about, clerk = filed(alice), factories.staff(roles=("privacy",))
    with time_machine.travel(datetime(2026, 12, 21, 15, tzinfo=UTC), tick=False):
        assert "extend" in steps(pages.signed_in(clerk), about)
    with time_machine.travel(datetime(2026, 12, 22, 15, tzinfo=UTC), tick=False):
        carol = pages.signed_in(clerk)
        assert "extend" not in steps(carol, about), "no button leads to what cannot be done"
        answer = take(carol, about, "extend", reason="complex", words="The form was open since yesterday.")
        with pytest.raises(deadline.TooLate, match="by 21 December 2026"):
            deadline.extend(about, reason="number", words="Late.", actor=PRIVACY, now=timezone.now())
    assert answer.status_code == 400
    assert "The person had to be told of an extension by 21 December 2026." in answer.text
    about.refresh_from_db()
    assert about.due_on == date(2026, 12, 20) and not about.letters.filter(kind="extended").exists()
    tried = audit.history(reference=about.reference).filter(action="request.extension_too_late")
    assert [(one.reason, one.actor_kind) for one in tried] == [("complex", "staff"), ("number", "staff")]


def test_a_time_that_the_law_does_not_lengthen_is_not_extended(carol: Client) -> None:
    about = filed(factories.customer(country="BR"))
    assert about.due_on == date(2026, 12, 5)
    assert "extend" not in steps(carol, about)
    with pytest.raises(history.NotAllowed, match="no longer time") as refused:
        deadline.extend(about, reason="number", words="More.", actor=PRIVACY, now=factories.NOW)
    assert not isinstance(refused.value, deadline.TooLate)


def test_a_pause_cannot_begin_after_the_last_day(alice: Customer) -> None:
    about = filed(alice, identity="pending")
    with time_machine.travel(datetime(2026, 12, 21, 15, tzinfo=UTC), tick=False):  # the 20th is a Sunday
        assert deadline.may_pause(about, now=timezone.now())
    with time_machine.travel(datetime(2026, 12, 22, 15, tzinfo=UTC), tick=False):
        assert not deadline.may_pause(about, now=timezone.now())
        with pytest.raises(history.NotAllowed):
            deadline.pause(about, actor=PRIVACY, now=timezone.now())


def test_time_travel_an_identity_proved_after_the_day_leaves_the_request_late() -> None:
    about = filed(factories.customer(country="GB"), identity="pending", received_on=date(2026, 9, 30))
    with time_machine.travel(datetime(2026, 11, 29, 15, tzinfo=UTC), tick=False):
        proving.identify(about, "in_person", subject=about.subject_id, actor=PRIVACY, now=timezone.now())
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        assert "30 October 2026, overdue by 30 days" in carol.get(page_of(about)).text
    about.refresh_from_db()
    assert (about.due_on, about.legal_due_on) == (date(2026, 10, 30), date(2026, 10, 30))


def test_the_clock_stands_still_until_the_identity_is_proved(alice: Customer, carol: Client) -> None:
    about = filed(alice, identity="pending")
    assert "pause" in steps(carol, about)
    assert "stands still" in take(carol, about, "pause").text
    assert "pause" not in steps(carol, about)
    with time_machine.travel(datetime(2026, 11, 27, 15, tzinfo=UTC), tick=False):
        proving.identify(about, "in_person", subject=alice.subject_id, actor=PRIVACY, now=timezone.now())
    about.refresh_from_db()
    assert about.due_on == date(2026, 12, 27), "a month and the seven days of waiting after the day of receipt"


def test_no_clock_is_paused_where_the_law_knows_no_pause(carol: Client) -> None:
    about = filed(factories.customer(country="US"), identity="pending")
    assert "pause" not in steps(carol, about)
    with pytest.raises(history.NotAllowed):
        deadline.pause(about, actor=PRIVACY, now=factories.NOW)


def test_a_request_is_taken_back_for_the_person(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    assert "is taken back" in take(carol, about, "withdraw").text
    about.refresh_from_db()
    assert about.state == State.WITHDRAWN
    assert steps(carol, about) == {"note"}, "nothing is left to be done, but something may be noted"


def test_a_parked_one_is_resumed_by_a_person(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    services.confirm(about, about.plan_hash, actor=PRIVACY, now=factories.NOW)
    Request.objects.filter(pk=about.pk).update(attempts=execute.MOST_ATTEMPTS)
    assert execute._failed(about.pk, "OperationalError", factories.NOW) == "parked"
    text = carol.get(page_of(about)).text
    assert "It failed ten times and waits for you." in text and "OperationalError" in text
    assert about.reference in carol.get("/admin/").text
    assert f"{about.reference} goes on." in take(carol, about, "resume").text
    about.refresh_from_db()
    assert about.state == State.CONFIRMED


def test_a_step_that_came_too_late_says_so(alice: Customer, carol: Client) -> None:
    about = planned(alice)
    services.withdraw(about, actor=PRIVACY, now=factories.NOW)
    for step in ("confirm", "refuse", "withdraw", "resume", "plan", "identity", "nonsense"):
        assert "This step is not possible now." in take(carol, about, step, plan_hash="0" * 64, ground="x").text
    about.refresh_from_db()
    assert about.state == State.WITHDRAWN


def test_no_step_is_taken_by_another_role(alice: Customer) -> None:
    about = planned(alice)
    dan = pages.signed_in(factories.staff(roles=("sales", "service", "accounting")))
    for step in ("confirm", "refuse", "withdraw", "plan", "hold", "posted"):
        assert (
            take(dan, about, step, plan_hash=about.plan_hash, ground="x", authority="Art. 12(2) GDPR").status_code
            == 404
        )
    about.refresh_from_db()
    assert about.state == State.PLANNED


def test_without_an_acknowledgement_the_page_shows_dots_and_offers_nothing(alice: Customer) -> None:
    about = planned(alice)
    frank = pages.signed_in(factories.staff(roles=("privacy",), acknowledged=False))
    text = frank.get(page_of(about)).text
    assert "Archer" not in text and "alice@example.com" not in text and "••••" in text
    assert "the file of the request cannot be opened" in text
    assert steps(frank, about) == set()


# Letters --------------------------------------------------------------------------------------------------------------


def test_the_page_lists_letters_and_never_their_content(alice: Customer, carol: Client) -> None:
    about = filed(alice, identity="pending")
    text = carol.get(page_of(about)).text
    assert "One-time link to prove who asks" in text
    assert "/privacy/link/" not in text
    entry = AccessEntry.objects.filter(whose__subject_id=alice.subject_id, role="privacy").last()
    assert entry and not any("letter" in name for name in entry.envelopes)


def test_only_a_letter_to_be_posted_can_be_read_and_marked(carol: Client) -> None:
    person = factories.customer("Zoe", "Zander", email="")
    about = filed(person)
    letter = Letter.objects.get(request=about)
    assert letter.by == Letter.By.POST
    text = carol.get(f"{LIST}{about.pk}/letter/{letter.pk}/").text
    with vault.internal():
        assert about.reference in text and escape(letter.headline) in text
    assert AccessEntry.objects.filter(
        whose__subject_id=person.subject_id, envelopes__has_key="privacy.letter/letter"
    ).exists()
    assert "The letter counts as posted today." in take(carol, about, "posted", letter=letter.pk).text
    letter.refresh_from_db()
    assert letter.sent_at == factories.NOW
    assert carol.get(f"{LIST}{about.pk}/letter/{letter.pk}/").status_code == 404
    assert "posted" not in steps(carol, about)


def test_a_letter_of_a_request_that_has_ended_opens_when_it_is_said_why_and_has_no_copy() -> None:
    carol = pages.signed_in(factories.staff(roles=("privacy",)), asked=False)
    about = filed(factories.customer("Zoe", "Zander", email=""))
    services.refuse(about, ground="No.", authority="", actor=PRIVACY, now=factories.NOW)
    letter = about.letters.get(kind="refused")
    page = f"{LIST}{about.pk}/letter/{letter.pk}/"
    for answer in (carol.get(page), carol.post(f"{page}copy/", {"take": "page"})):
        assert 'name="reason"' in answer.text and "No." not in answer.text
    carol.post(f"{LIST}{about.pk}/why/", {"reason": "contact"})
    assert "No." in carol.get(page).text
    for take_ in ("page", "stick"):
        answer = carol.post(f"{page}copy/", {"take": take_}, follow=True)
        assert "There is no copy with this letter, or its week is over." in answer.text


def test_a_letter_by_mail_or_of_another_request_is_nobodys_to_read(alice: Customer, carol: Client) -> None:
    about, other = filed(alice), filed(factories.customer("Zoe", "Zander", email=""))
    by_mail, by_post = Letter.objects.get(request=about), Letter.objects.get(request=other)
    assert carol.get(f"{LIST}{about.pk}/letter/{by_mail.pk}/").status_code == 404
    assert carol.get(f"{LIST}{about.pk}/letter/{by_post.pk}/").status_code == 404
    take(carol, other, "posted", letter=by_mail.pk)
    by_mail.refresh_from_db()
    assert by_mail.sent_at is None


def test_an_interrupted_letter_goes_out_again_by_a_persons_decision(alice: Customer, carol: Client) -> None:
    about = filed(alice)
    assert "resend" not in steps(carol, about)
    letter = Letter.objects.get(request=about)
    Letter.objects.filter(pk=letter.pk).update(next_attempt_at=None, sending_at=factories.NOW, last_error="interrupted")
    assert "not sent: interrupted" in carol.get(page_of(about)).text
    assert "The letter goes out again." in take(carol, about, "resend", letter=letter.pk).text
    letter.refresh_from_db()
    assert letter.next_attempt_at == factories.NOW and letter.sending_at is None


# Holds ----------------------------------------------------------------------------------------------------------------


def test_a_hold_on_a_record_of_the_person_changes_the_plan(alice: Customer, carol: Client) -> None:
    order = an_order(alice)
    about = planned(alice)
    before = about.plan_hash
    take(carol, about, "hold", record_id=order.pk, reason="claim", reference="C-77")
    hold = Hold.objects.get()
    assert hold.record_id == order.pk and hold.label == "orders.order"
    take(carol, about, "plan")
    about.refresh_from_db()
    assert about.plan_hash != before
    text = carol.get(page_of(about)).text
    assert "Records under a hold" in text and f"Order {order.number}" in text


def test_a_hold_on_somebody_elses_record_cannot_be_placed_from_here(alice: Customer, carol: Client) -> None:
    bobs = an_order(factories.customer("Bob", "Baker", email="bob@example.com"))
    answer = take(carol, planned(alice), "hold", record_id=bobs.pk, reason="claim")
    assert answer.status_code == 400 and not Hold.objects.exists()


def test_a_hold_is_placed_by_number_and_lifted(alice: Customer, carol: Client) -> None:
    order = an_order(alice)
    add = "/admin/privacy/hold/add/"
    assert "No record has this number" in carol.post(add, {"number": "X-1", "reason": "claim"}).text
    assert "This field is required." in carol.post(add, {"number": "", "reason": "claim"}).text
    assert (
        "letters, digits"
        in carol.post(add, {"number": order.number, "reason": "claim", "reference": "Mr. Ärger!"}).text
    )
    answer = carol.post(add, {"number": order.number, "reason": "claim", "reference": "C-77"}, follow=True)
    hold = Hold.objects.get()
    assert f"Order {order.number}" in answer.text
    assert f"Order {order.number}" in carol.get("/admin/privacy/hold/?in_force=yes").text
    answer = carol.post(f"/admin/privacy/hold/{hold.pk}/step/lift/", {}, follow=True)
    assert "The hold is lifted." in answer.text
    hold.refresh_from_db()
    assert hold.lifted_at == factories.NOW
    assert "Hold lifted" in carol.get(f"/admin/privacy/hold/{hold.pk}/history/").text


def test_without_an_acknowledgement_no_hold_is_placed(alice: Customer) -> None:
    order = an_order(alice)
    frank = pages.signed_in(factories.staff(roles=("privacy",), acknowledged=False))
    answer = frank.post("/admin/privacy/hold/add/", {"number": order.number, "reason": "claim"})
    assert answer.status_code in (400, 404) and not Hold.objects.exists()


# Claimed addresses ----------------------------------------------------------------------------------------------------


@pytest.fixture
def review(alice: Customer) -> ClaimReview:
    login = factories.login("quentin", "alice@example.com")
    return ClaimReview.objects.create(user=login, customer=alice, reason="several", opened_at=factories.NOW)


def decide(browser: Client, review: ClaimReview, step: str) -> Any:
    path = f"/admin/accounts/claimreview/{review.pk}/step/{step}/"
    return browser.post(path, {"how": "callback"}, follow=True)


@pytest.mark.parametrize("second", ["privacy", "manager"])
def test_a_claimed_address_is_accepted_by_two_and_the_login_sees_the_customer(
    alice: Customer, review: ClaimReview, second: str
) -> None:
    dan = pages.signed_in(factories.staff("dan", "dan@ilt.example", roles=("privacy",)))
    is_manager = second == "manager"
    more = {"roles": (), "is_superuser": True} if is_manager else {"roles": ("privacy",)}
    mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", **more))
    text = dan.get(f"/admin/accounts/claimreview/{review.pk}/change/").text
    assert "Alice Archer" in text and "quentin" in text
    assert "This step is not possible now." in decide(mona, review, "accept").text
    assert "Nothing is linked until a second person confirms it" in decide(dan, review, "propose").text
    assert "This step is not possible now." in decide(dan, review, "accept").text
    alice.refresh_from_db()
    assert alice.user_id is None
    assert "Claimed addresses" in mona.get("/admin/").text
    text = mona.get(f"/admin/accounts/claimreview/{review.pk}/change/").text
    assert "Confirm, and link the login" in text
    assert ("Alice Archer" in text) is not is_manager and ("quentin" in text) is not is_manager
    assert "The login is linked" in decide(mona, review, "accept").text
    alice.refresh_from_db()
    assert alice.user_id == review.user_id
    assert "This step is not possible now." in decide(mona, review, "accept").text


def test_sales_alone_gets_nobodys_file_by_an_address_she_wrote_down(alice: Customer, carol: Client) -> None:
    both = factories.staff("both", "both@ilt.example", roles=("sales", "privacy"))
    sales = pages.signed_in(factories.staff("sam", "sam@ilt.example"))
    corrections.correct(alice, {"email": "evil@example.com"}, actor=both.as_actor(), now=factories.NOW)
    evil = pages.signed_in(factories.login("evil", "evil@example.com"), again=True)
    evil.post("/account/claim/")
    review = ClaimReview.objects.get(reason="entered")
    assert sales.get(f"/admin/accounts/claimreview/{review.pk}/change/").status_code == 403
    assert decide(sales, review, "propose").status_code in (403, 404)
    answer = decide(carol, review, "propose")
    assert answer.status_code == 400 and "because the person has not confirmed it" in answer.text
    point = ContactPoint.objects.get(customer=alice, channel="email")
    # The person says "this was not me".
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=factories.NOW)
    answer = decide(carol, review, "propose")
    assert answer.status_code == 400 and "this was not me" in answer.text
    # Even an address that counts is not decided about by who wrote it down, neither first nor second.
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=None, confirmed_at=factories.NOW)
    answer = decide(pages.signed_in(both), review, "propose")
    assert answer.status_code == 400 and "Somebody who did not decides" in answer.text
    assert "Proposed." in decide(carol, review, "propose").text
    answer = decide(pages.signed_in(both), review, "accept")
    assert answer.status_code == 400 and "Somebody who did not decides" in answer.text
    # What was true when it was proposed is looked at once more when it is confirmed.
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=factories.NOW)
    answer = decide(pat, review, "accept")
    assert answer.status_code == 400 and "this was not me" in answer.text
    alice.refresh_from_db()
    assert alice.user_id is None
    ContactPoint.objects.filter(pk=point.pk).update(disputed_at=None)
    assert "The login is linked" in decide(pat, review, "accept").text, "all of it could have been accepted"


def test_a_staff_entered_address_is_linked_to_when_it_has_counted_for_fourteen_days_only(
    alice: Customer, carol: Client
) -> None:
    sam = factories.staff("sam", "sam@ilt.example")
    corrections.correct(alice, {"email": "new@example.com"}, actor=sam.as_actor(), now=factories.NOW)
    factories.went_out(Letter.objects.filter(kind="contact_not_me"), factories.NOW)
    new = pages.signed_in(factories.login("new", "new@example.com"), again=True)
    new.post("/account/claim/")
    review = ClaimReview.objects.get()
    answer = decide(carol, review, "propose")
    assert answer.status_code == 400 and "It counts from 4 December 2026 on." in answer.text
    with time_machine.travel(factories.NOW + timedelta(days=14), tick=False):
        carol = pages.signed_in(factories.staff("cleo", "cleo@ilt.example", roles=("privacy",)))
        assert "Proposed." in decide(carol, review, "propose").text


def test_an_address_that_is_on_file_no_longer_links_nothing(
    alice: Customer, review: ClaimReview, carol: Client
) -> None:
    decide(carol, review, "propose")
    customer = Customer.objects.get(pk=alice.pk)
    with vault.internal():
        customer.email = "else@example.com"
        customer.save(update_fields=["email"])
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    answer = decide(pat, review, "accept")
    assert answer.status_code == 400 and "no longer, one that this login has confirmed" in answer.text


def test_a_proposal_that_nobody_confirms_lapses(alice: Customer, review: ClaimReview, carol: Client) -> None:
    decide(carol, review, "propose")
    with time_machine.travel(factories.NOW + timedelta(days=7), tick=False):
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        assert "This step is not possible now." in decide(pat, review, "accept").text
        with pytest.raises(claim.NotNow, match="last 7 days"):
            claim.confirm(review, actor=COLLEAGUE, now=factories.NOW + timedelta(days=7))
    alice.refresh_from_db()
    assert alice.user_id is None


def test_every_address_on_file_is_told_of_a_link(alice: Customer, review: ClaimReview, carol: Client) -> None:
    factories.customer(subject=alice.subject, email="work@example.com")
    decide(carol, review, "propose")
    assert not Letter.objects.filter(kind="joined").exists()
    claim.confirm(review, actor=COLLEAGUE, now=factories.NOW)
    with vault.internal():
        told = {letter.to: letter.text for letter in Letter.objects.filter(kind="joined")}
    assert set(told) == {"alice@example.com", "work@example.com"}
    assert all("open this link and press the button on the page" in text for text in told.values())
    assert not any("Archer" in text or "@example.com" in text for text in told.values())


def test_a_claimed_address_is_refused_and_the_login_learns_nothing(
    alice: Customer, review: ClaimReview, carol: Client
) -> None:
    assert "The claim is refused." in decide(carol, review, "refuse").text
    alice.refresh_from_db()
    review.refresh_from_db()
    assert alice.user_id is None and review.outcome == ClaimReview.Outcome.REFUSED


def test_a_claim_that_cannot_be_linked_says_why(alice: Customer, review: ClaimReview, carol: Client) -> None:
    alice.user = factories.login("other", "other@example.com")
    alice.save(update_fields=["user"])
    decide(carol, review, "propose")
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    answer = decide(pat, review, "accept")
    assert answer.status_code == 400 and "This cannot be linked" in answer.text
    review.refresh_from_db()
    assert review.outcome == ClaimReview.Outcome.OPEN


def test_service_and_the_unsigned_decide_no_claims(alice: Customer, review: ClaimReview) -> None:
    for name, roles, acknowledged in (("dan", ("service", "accounting"), True), ("frank", ("privacy",), False)):
        user = factories.staff(name, f"{name}@ilt.example", roles=roles, acknowledged=acknowledged)
        decide(pages.signed_in(user), review, "propose")
        assert ClaimReview.objects.get(pk=review.pk).proposed_at is None
        ClaimReview.objects.filter(pk=review.pk).update(proposed_at=factories.NOW, proposed_by="somebody")
        decide(pages.signed_in(user), review, "accept")
        decide(pages.signed_in(user), review, "refuse")
        ClaimReview.objects.filter(pk=review.pk).update(proposed_at=None)
    assert ClaimReview.objects.get(pk=review.pk).outcome == "open"
    alice.refresh_from_db()
    assert alice.user_id is None


# What the desk says of what is done ----------------------------------------------------------------------------------


def shown(browser: Client, about: Request) -> str:
    """The page of a request as its reader sees it, asked why before it where that is asked."""
    browser.post(f"{LIST}{about.pk}/why/", {"reason": "called"})
    return " ".join(strip_tags(browser.get(page_of(about)).text).split())


def test_a_copy_says_in_words_that_data_were_given(alice: Customer, carol: Client) -> None:
    about = asked.confirmed(alice, "access")
    asked.run(about)
    text = shown(carol, about)
    assert "Given in the copy." in text
    assert "GIVE" not in text


def test_what_was_removed_says_how_it_went_whole_or_in_part(alice: Customer, carol: Client) -> None:
    """The table of a return that went whole said "while the rest of the record stays", and that a key was destroyed of
    what never had one."""
    states = ("authorised", "received", "in_service", "verified", "shipped_back", "closed")
    moved(an_rma(alice, date(2020, 3, 2), serial="ILT2400-7701"), *states, on=date(2020, 3, 2))
    about = asked.filed(alice)
    services.make_plan(about, actor=PRIVACY, now=factories.NOW)
    before = shown(carol, about)
    assert "Goes: its key is destroyed" in before and "Goes: it is deleted; backups have it for 35 days." in before
    assert "Removed." not in before
    services.confirm(about, about.plan_hash, actor=asked.as_customer(alice), now=factories.NOW)
    asked.run(about)
    after = shown(carol, about)
    assert "Removed. Its key is destroyed" in after and "Deleted. Backups have it for 35 days." in after
    assert "rest of the record" not in after and "Goes:" not in after


def test_an_answer_by_post_is_posted_and_no_command_sends_it(carol: Client, settings: Any) -> None:
    settings.DEMO = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    zoe = factories.customer("Zoe", "Zander", email="")
    factories.address(zoe)
    about = asked.confirmed(zoe)
    for letter in about.letters.all():
        posting.mark_posted(letter, actor=PRIVACY, now=factories.NOW)
    asked.run(about)
    text = shown(carol, about)
    assert "Waits for the answer to be posted: open it under Letters" in text
    assert "command outbox" not in text
    posting.mark_posted(about.letters.get(kind="erasure_done"), actor=PRIVACY, now=factories.NOW)
    asked.run(about)
    text = shown(carol, about)
    assert "Answer posted" in text and "command outbox" not in text


def test_what_is_done_offers_neither_a_longer_deadline_nor_a_hold(alice: Customer, carol: Client) -> None:
    an_order(alice)
    factories.address(alice)
    about = asked.confirmed(alice, "access")
    assert {"extend", "hold"} <= steps(carol, about) and "copy" not in steps(carol, about)
    asked.run(about)
    assert about.is_open and about.state in (State.EXECUTED, State.REPLIED)
    assert not {"extend", "hold"} & steps(carol, about)
    assert "The letter is written: open it under Letters" in take(carol, about, "copy").text
    assert about.letters.get(kind="copy_posted").by == Letter.By.POST and "copy" not in steps(carol, about)
    with pytest.raises(history.NotAllowed, match="is done"):
        deadline.extend(about, reason="complex", words="Nothing is left.", actor=PRIVACY, now=factories.NOW)


def test_an_account_of_which_the_removal_was_told_offers_no_keeping(alice: Customer) -> None:
    dan = pages.signed_in(factories.staff("dan", "dan@ilt.example", roles=("sales",)))
    order, page = an_order(alice), f"/admin/accounts/customer/{alice.pk}/change/"
    assert "Keep this account" in dan.get(page).text
    asked.run(asked.confirmed(alice))
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None, order.number
    assert "Keep this account" not in dan.get(page).text


def test_the_history_of_a_record_is_in_words_without_columns_codes_and_hashes(alice: Customer) -> None:
    team = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy", "sales", "service")))
    rma = moved(an_rma(alice), "cancelled", reason="by_request")
    order = an_order(alice)
    corrections.correct(
        alice, {"first_name": "Alicia"}, actor=Actor("staff", "pat", None, frozenset({"sales"}), "admin"),
        now=factories.NOW,
    )  # fmt: skip
    about = asked.filed(alice)
    services.make_plan(about, actor=PRIVACY, now=factories.NOW)
    deadline.extend(about, reason="complex", words="Nine years lie on paper.", actor=PRIVACY, now=factories.NOW)
    services.confirm(about, about.plan_hash, actor=asked.as_customer(alice), now=factories.NOW)
    asked.run(about)
    told = ""
    for path in (
        f"{LIST}{about.pk}/", f"/admin/orders/order/{order.pk}/", f"/admin/rma/rma/{rma.pk}/",
        f"/admin/accounts/customer/{alice.pk}/",
    ):  # fmt: skip
        table = re.search(r"<tbody>(.*)</tbody>", team.get(f"{path}history/").text, re.DOTALL)
        assert table, path
        text = " ".join(strip_tags(table[1]).split())
        assert not re.search(r"[a-z]_[a-z]|[0-9a-f]{64}|=\w|\[number\]", text), text
        told += text
    for said in ("removal of the data, by website", "the plan with the fingerprint", "the request is complex", "First name",
                 "Delivery and contact of an order: locked: kept for", "At the customer"):  # fmt: skip
        assert said in told, said
