"""The errands of a working day, page by page, as the person, the clerk and the second person come to them.

What `test_pages.py` opens by its address is reached here by doing: a serial number is settled, a call-back written
down, a contact disputed, two people joined and parted again, a letter printed, an outcome read with a code.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from accounts import corrections, factor, in_hand, notices
from accounts.middleware import _busy
from accounts.models import ContactPoint, Customer, Joining, User
from orders.models import Order
from privacy import vault
from privacy.admin import lists
from privacy.gate import Actor
from privacy.models import Letter, Request, SecondLook
from privacy.requests import filing, links, posting, second, services, waits
from privacy.requests.models import OneTimeLink
from privacy.sweep import arming
from rma.models import RMA
from tests import factories
from tests.asked import taken_in
from tests.browser import checker
from tests.browser.site import Site
from tests.browser.test_pages import come_in, each_dimension, go_out, serve, told
from tests.browser.visitor import Findings, Visitor
from tests.factories import an_rma, as_customer, moved

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAT = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
CAROL = Actor("staff", "carol", None, frozenset({"sales"}), "admin")
PIA = Actor("staff", "pia", None, frozenset({"privacy"}), "admin")
MONA = Actor("staff", "mona", None, frozenset({"manager"}), "admin")


def on_file(reference: str) -> Customer:
    return Customer.objects.get(reference=reference)


def to_desk(visitor: Visitor, name: str) -> None:
    """Let the next member of staff sit down at the browser."""
    go_out(visitor)
    come_in(visitor, name)


def answer_why(visitor: Visitor, name: str = "") -> None:
    """Say why a record is opened where that is asked."""
    if visitor.page.locator("fieldset.why").count():
        if name:
            visitor.look(name)
        visitor.page.check("[name=reason][value=contact]")
        visitor.press("Open the record")


# The clerk ------------------------------------------------------------------------------------------------------------


@each_dimension
def test_a_serial_number_is_settled(site: Site, visitor: Visitor) -> None:
    rma = RMA.objects.get(is_serial_open=True)
    come_in(visitor, "dan")
    visitor.open("/admin/", "service: front page, a serial number to settle")
    visitor.open("/admin/rma/rma/?is_serial_open__exact=1", "returns with an open serial number")
    visitor.open(f"/admin/rma/rma/{rma.pk}/change/", "return with an open serial number")
    visitor.press("Settle the serial number", "settle a serial number")
    visitor.follow("#content [type=submit]", "settle a serial number, nothing entered", status=400)
    visitor.fill(serial="label worn off")
    visitor.follow("#content [type=submit]", "settle a serial number, not one by the rule", status=400)
    visitor.fill(serial="")
    visitor.page.check("[name=has_none]")
    visitor.follow("#content [type=submit]", "settle a serial number, settled")
    rma.refresh_from_db()
    assert not rma.is_serial_open


@each_dimension
def test_a_call_back_is_written_down_and_agreed_to(site: Site, visitor: Visitor) -> None:
    walter = on_file("DEMO-05")  # no e-mail reaches him
    order = Order.objects.filter(customer=walter).first()
    rma = RMA.objects.filter(customer=walter).first()
    assert order is not None and rma is not None
    page = visitor.page
    come_in(visitor, "pat")
    visitor.open("/admin/privacy/request/add/")
    visitor.follow("#content [type=submit]", "file a request, nothing filled in", status=400)
    page.select_option("[name=kind]", "erasure")
    page.select_option("[name=channel]", "phone")
    visitor.fill(customer_number=walter.reference)
    page.select_option("[name=identity]", "pending")
    visitor.follow("#content [type=submit]")
    answer_why(visitor, "before a request is opened")
    visitor.look("request by phone, not identified")
    asked = Request.objects.get()
    step = f"/admin/privacy/request/{asked.pk}/step"
    visitor.press("State the identity", "state the identity")
    page.check("[name=how][value=callback]")
    visitor.press("Go on", "state the identity, call-back")
    visitor.follow("#content [type=submit]", "call-back, nothing filled in", status=400)
    page.select_option("[name=first_fact]", "order_number")
    page.select_option("[name=second_fact]", "rma_number")
    visitor.fill(number=str(phone_of(walter)), first_said="Q-0", second_said=rma.number)
    visitor.follow("#content [type=submit]", "call-back, a fact does not match", status=401)
    visitor.fill(number=str(phone_of(walter)), first_said=order.number, second_said=rma.number)
    visitor.follow("#content [type=submit]", "call-back, it matches")
    site.work()
    to_desk(visitor, "mona")
    visitor.open("/admin/", "manager: a question waits")
    look = SecondLook.objects.get(request=asked)
    visitor.open(f"/admin/privacy/secondlook/{look.pk}/step/decide/", "second person, one question")
    page.check("[name=outcome][value=go_on]")
    visitor.follow("#content [type=submit]", "second person, it goes on")
    to_desk(visitor, "pat")
    visitor.open(f"{step}/confirm/")
    answer_why(visitor)
    visitor.open(f"{step}/confirm/", "confirm for the person, the plan")
    visitor.open(f"{step}/refuse/", "refuse")
    visitor.open(f"{step}/pause/", "a step that is not possible now")


def phone_of(customer: Customer) -> str:
    with vault.internal():
        return str(customer.phone)


@each_dimension
def test_a_letter_with_a_code_is_printed_and_posted(site: Site, visitor: Visitor) -> None:
    walter, now = on_file("DEMO-05"), timezone.now()
    asked = taken_in("access", walter.subject_id, channel="mail", identity="pending", actor=PAT, now=now)
    come_in(visitor, "pat")
    visitor.open(f"/admin/privacy/request/{asked.pk}/step/code/", "send a code by post")
    visitor.follow("#content [type=submit]", "request, a letter with a code to print")
    letter = Letter.objects.get(request=asked, kind="posted_code")
    visitor.open(f"/admin/privacy/request/{asked.pk}/letter/{letter.pk}/", "letter with a code, to print")
    visitor.open(f"/admin/privacy/request/{asked.pk}/step/posted/", "mark a letter as posted")
    page = visitor.page
    choice = page.locator("[name=letter] option", has_text="Code by post").get_attribute("value")
    page.select_option("[name=letter]", choice)
    visitor.follow("#content [type=submit]", "request, a letter is posted")
    factories.staff("rita", "rita@ilt.example", roles=("privacy",))
    for name, said, status in (("pat", "taken by who posted it", 400), ("rita", "wrong", 401)):
        to_desk(visitor, name)
        visitor.open(f"/admin/privacy/request/{asked.pk}/step/identity/?how=post")
        visitor.fill(code="AAAA-AAAA-AAAA")
        visitor.follow("#content [type=submit]", f"code by post, {said}", status=status)


@each_dimension
def test_a_copy_is_posted_and_its_letter_comes_back(site: Site, visitor: Visitor) -> None:
    walter, now = on_file("DEMO-05"), timezone.now()
    asked = taken_in("access", walter.subject_id, channel="mail", identity="in_person", actor=PAT, now=now)
    site.work()
    second.decide(asked, "go_on", actor=MONA, now=timezone.now())
    site.work()
    letter = Letter.objects.get(request=asked, kind="copy_posted")
    come_in(visitor, "pat")
    visitor.open(f"/admin/privacy/request/{asked.pk}/letter/{letter.pk}/", "copy by post, its letter")
    visitor.press("Open the copy to print it", "copy by post, the page to print")
    visitor.open(f"/admin/privacy/request/{asked.pk}/step/posted/")
    visitor.follow("#content [type=submit]", "request, the copy is posted")
    erasure = taken_in("erasure", walter.subject_id, channel="fax", identity="in_person", actor=PAT, now=now)
    site.work()
    plan = Letter.objects.get(request=erasure, kind="plan_ready")
    visitor.open(f"/admin/privacy/request/{erasure.pk}/letter/{plan.pk}/", "plan by post, to be signed")
    posting.mark_posted(plan, actor=PIA, now=timezone.now())
    visitor.open(f"/admin/privacy/request/{erasure.pk}/step/confirm/")
    visitor.page.select_option("[name=agreed]", "signed_plan")
    visitor.fill(number="0000-0000")
    visitor.follow("#content [type=submit]", "confirm, not the plan that was signed", status=400)
    visitor.open(f"/admin/privacy/request/{erasure.pk}/step/returned/", "a letter came back")
    visitor.follow("#content [type=submit]", "request, a letter came back")


@each_dimension
def test_a_stranger_is_told_that_nothing_is_held(site: Site, visitor: Visitor) -> None:
    now = timezone.now()
    stranger = Actor("anonymous", None, None, frozenset(), "web")
    filing.ask(kind="access", email="sid.stranger@post.example", actor=stranger, now=now)
    visitor.open(told("link_identity", r"https?://[^/\s]+(/privacy/link/\S+)"))
    visitor.press("Continue", "link, nothing is held")
    filing.ask(kind="access", email="sam.stranger@post.example", actor=stranger, now=now)
    link = told("link_identity", r"https?://[^/\s]+(/privacy/link/\S+)")
    factories.communication(email="sam.stranger@post.example", contact_name="Sam", body="Hello.")
    visitor.open(link)
    visitor.press("Continue", "link, something came since")
    asked = taken_in(
        "access",
        None,
        channel="mail",
        name="Zacharias Unheard",
        postal="Zacharias Unheard\n1 Nowhere Lane\nSalem MA 01970",
        actor=PAT,
        now=now,
    )
    come_in(visitor, "pat")
    visitor.open(f"/admin/privacy/request/{asked.pk}/step/nothing/", "answer that nothing is held")
    visitor.follow("#content [type=submit]", "request, nothing is held")


@each_dimension
def test_a_notice_is_posted(site: Site, visitor: Visitor) -> None:
    walter = on_file("DEMO-05")
    corrections.correct(walter, {"email": "w.brandt@post.example"}, actor=CAROL, now=timezone.now(), reason="by staff")
    come_in(visitor, "pat")
    visitor.open("/admin/", "privacy: front page, a notice to post")
    visitor.page.get_by_role("link", name="Customer DEMO-05").click()
    answer_why(visitor, "before a customer is opened")
    visitor.look("customer with a notice to post")
    visitor.press("Mark the notice as posted", "notice to post, the letter")
    visitor.follow("#content [type=submit]", "customer, the notice is posted")
    assert in_hand.to_post(walter) is None


@each_dimension
def test_two_people_are_joined_and_parted_again(site: Site, visitor: Visitor) -> None:
    jana, page = on_file("DEMO-06"), visitor.page
    with vault.internal():
        email = str(jana.email)
        for heading in ("A question about a sensor", "The same once more"):
            factories.communication(email=email, heading=heading)
    come_in(visitor, "pat")
    visitor.open("/admin/accounts/joining/add/", "look for a person's records")
    visitor.fill(person="nobody-knows")
    visitor.follow("#content [type=submit]", "look for a person's records, not found", status=400)
    visitor.fill(person=jana.reference)
    visitor.follow("#content [type=submit]")
    answer_why(visitor)
    visitor.look("records with the same address")
    look = Joining.objects.get()
    visitor.press("Join records", "join records, choose")
    visitor.follow("#content [type=submit]", "join records, nothing chosen", status=400)
    page.locator("[name=records]").first.check()
    visitor.follow("#content [type=submit]", "join records, preview")
    visitor.follow("#content [type=submit]", "join records, joined")
    visitor.press("Undo the joining", "undo a joining")
    visitor.follow("#content [type=submit]", "undo a joining, undone")
    visitor.open("/admin/accounts/joining/", "joinings")
    # A whole person takes a second one.
    with vault.internal():
        twin = factories.customer("Jana", "Vogel", email=email)
    visitor.open("/admin/accounts/joining/add/")
    visitor.fill(person=jana.reference)
    visitor.follow("#content [type=submit]")
    visitor.press("Join records")
    visitor.fill(other=twin.reference)
    visitor.follow("#content [type=submit]", "join a whole person, preview")
    visitor.follow("#content [type=submit]", "join a whole person, proposed")
    look = Joining.objects.get(outcome=Joining.Outcome.OPEN)
    to_desk(visitor, "mona")
    visitor.open("/admin/", "manager: a joining waits")
    visitor.open(f"/admin/accounts/joining/{look.pk}/change/", "manager: the joining")
    visitor.press("Confirm, and join", "manager: confirm a joining")
    visitor.follow("#content [type=submit]", "manager: a joining is confirmed")
    go_out(visitor)
    link = told("joined", r"https?://[^/\s]+(/account/contact/not-me/\S+)")
    visitor.open(link, "what was joined is not mine")
    visitor.press("This was not me", "what was joined is not mine, told")
    visitor.open(link, "what was joined is not mine, told already", status=403)
    to_desk(visitor, "pat")
    visitor.open("/admin/", "privacy: front page, an objection")


@each_dimension
def test_a_changed_login_address_is_disputed(site: Site, visitor: Visitor) -> None:
    alice, now = site.customer("alice"), timezone.now()
    assert alice.user is not None
    old = EmailAddress.objects.get(user=alice.user).email
    with transaction.atomic():
        notices.login_changed(alice.user, alice, told=[str(old)], left=[str(old)], now=now)
    not_me = told("contact_not_me", r"https?://[^/\s]+(/account/contact/not-me/\S+)")
    visitor.open(not_me, "login address, this was not me")
    visitor.press("This was not me", "login address, told")
    visitor.open(not_me, "login address, told already", status=403)
    visitor.open("/account/contact/not-me/nothing/", "contact link, not me, spent", status=403)
    come_in(visitor, "alice")
    visitor.open("/account/contact/confirm/nothing/", "contact link, confirm, spent", status=403)
    point = ContactPoint.objects.get(customer=alice, channel="login")
    to_desk(visitor, "pat")
    visitor.open("/admin/", "privacy: front page, a disputed login")
    visitor.open("/admin/accounts/contactpoint/", "disputed logins")
    visitor.open(f"/admin/accounts/contactpoint/{point.pk}/change/")
    answer_why(visitor)
    visitor.look("disputed login")
    visitor.press("Propose to end the dispute", "disputed login, propose the end")
    visitor.follow("#content [type=submit]", "disputed login, proposed")
    to_desk(visitor, "mona")
    visitor.open(f"/admin/accounts/contactpoint/{point.pk}/change/", "manager: disputed login")
    visitor.press("Confirm, and end the dispute", "manager: disputed login, confirm")
    visitor.follow("#content [type=submit]", "manager: disputed login, ended")


@each_dimension
def test_a_clerk_writes_down_that_a_contact_is_disputed(site: Site, visitor: Visitor) -> None:
    jana = on_file("DEMO-06")
    come_in(visitor, "carol")
    page = f"/admin/accounts/customer/{jana.pk}/change/"
    visitor.open(page)
    answer_why(visitor)
    visitor.fill(email="j.vogel@elsewhere.example")
    visitor.follow("#content [name=_save]", "customer, a reason is asked")
    visitor.page.select_option("[name=change_reason]", "asked by phone")
    visitor.follow("#content [name=_save]")
    visitor.open(page, "customer, another contact")
    visitor.press("The person says: not me", "a contact is disputed, by phone")
    visitor.follow("#content [type=submit]", "customer, disputed")
    to_desk(visitor, "pat")
    visitor.open(page)
    answer_why(visitor)
    visitor.press("End the dispute", "end the dispute of a contact")
    visitor.follow("#content [type=submit]", "customer, the dispute is ended")


# The second person and what had gone out ------------------------------------------------------------------------------


@each_dimension
def test_every_question_about_a_request_and_a_possible_breach(site: Site, visitor: Visitor) -> None:
    bob, now, page = site.customer("bob"), timezone.now(), visitor.page
    with vault.internal():
        email = str(bob.email)
    filing.ask(kind="access", email=email, actor=Actor("anonymous", None, None, frozenset(), "web"), now=now)
    visitor.open(told("link_identity", r"https?://[^/\s]+(/privacy/link/\S+)"), "link from the mail")
    visitor.press("Continue", "asked by link, the code")
    code = page.locator("strong.code").inner_text()
    asked = Request.objects.get()
    site.work()
    visitor.open(f"/privacy/requests/{asked.pk}/", "asked by link, the copy is ready")
    with page.expect_download():
        page.get_by_role("button", name="Download the copy").click()
    go_out(visitor)
    not_me = links.make_link(asked, OneTimeLink.Purpose.NOT_ME, to=email, now=now)
    visitor.open(f"/privacy/link/{not_me}/", "request, this was not me")
    visitor.press("This was not me", "request, this was not me, fetched before")
    visitor.open(f"/privacy/link/{not_me}/", "request, told already", status=403)
    visitor.open("/privacy/outcome/")
    visitor.fill(reference=asked.reference, code=code)
    visitor.press("Show the outcome", "outcome, a second person looks")
    for why in SecondLook.Why:
        waits.ask(asked, why, actor=PAT, now=now)
    come_in(visitor, "mona")
    visitor.open("/admin/", "manager: front page, every question")
    visitor.open("/admin/privacy/secondlook/?state=open", "second person, every question in the list")
    look = SecondLook.objects.filter(request=asked).first()
    assert look is not None
    visitor.open(f"/admin/privacy/secondlook/{look.pk}/change/", "second person, every question")
    visitor.press("Decide as second person", "second person, every question, decide")
    page.check("[name=outcome][value=end]")
    visitor.fill(words="The other mailbox says that it was not they who asked.")
    visitor.follow("#content [type=submit]", "second person, it ends, something had gone out")
    to_desk(visitor, "pat")
    visitor.open("/admin/", "privacy: front page, a possible breach")
    visitor.open(f"/admin/privacy/request/{asked.pk}/change/")
    answer_why(visitor)
    visitor.look("request with a possible breach")
    visitor.press("Note what became of a possible breach", "possible breach")
    visitor.follow("#content [type=submit]", "possible breach, nothing chosen", status=400)
    page.check("[name=found][value=no_breach]")
    visitor.follow("#content [type=submit]", "possible breach, assessed")
    go_out(visitor)
    site.work()
    visitor.open("/privacy/outcome/")
    visitor.fill(reference=asked.reference, code=code)
    visitor.press("Show the outcome", "outcome, it ended")


@each_dimension
def test_a_link_whose_address_moved(site: Site, visitor: Visitor) -> None:
    bob, now = site.customer("bob"), timezone.now()
    assert bob.user is not None
    with vault.internal():
        email = str(bob.email)
    filing.ask(kind="erasure", email=email, actor=Actor("anonymous", None, None, frozenset(), "web"), now=now)
    link = told("link_identity", r"https?://[^/\s]+(/privacy/link/\S+)")
    EmailAddress.objects.filter(user=bob.user).delete()
    corrections.correct(bob, {"email": "bob@elsewhere.example"}, actor=CAROL, now=now, reason="by staff")
    visitor.open(link)
    with visitor.expecting(403):
        visitor.press("Continue", "link, the address has moved", status=403)
    asked = Request.objects.get()
    assert SecondLook.objects.filter(request=asked, why=SecondLook.Why.MOVED).exists()
    come_in(visitor, "mona")
    visitor.open("/admin/privacy/secondlook/", "second person, a moved address waits")


# The person -----------------------------------------------------------------------------------------------------------


@each_dimension
def test_an_outcome_is_read_with_reference_and_code(site: Site, visitor: Visitor) -> None:
    for name, kind in (("alice", "access"), ("bob", "erasure")):
        come_in(visitor, name)
        visitor.open(f"/privacy/requests/new/{kind}/")
        visitor.follow("main form button[type=submit]")
        mail.outbox.clear()
        site.work()
        asked = Request.objects.get(subject_id=site.customer(name).subject_id)
        (code,) = re.findall(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", str(mail.outbox[0].body))
        if kind == "erasure":
            visitor.open("/privacy/outcome/", "outcome, nothing typed in")
            visitor.open(f"/privacy/requests/{asked.pk}/confirm/")
            visitor.press("Remove my data as shown", "removal confirmed, the code")
            site.work()
            site.work()
        go_out(visitor)
        visitor.open("/privacy/outcome/")
        visitor.fill(reference=asked.reference, code=code)
        visitor.press("Show the outcome", f"outcome of {kind}")
    visitor.open("/privacy/outcome/")
    visitor.press("Show the outcome", "outcome, both are missing")


@each_dimension
def test_a_house_whose_nightly_removal_is_not_switched_on(site: Site, visitor: Visitor) -> None:
    arming.disarm(actor=None)
    visitor.open("/", "front page, unarmed")
    visitor.open("/privacy/", "privacy, unarmed")
    come_in(visitor, "alice")
    visitor.open("/privacy/", "privacy signed in, unarmed")
    visitor.open("/privacy/held/", "what we hold, unarmed")
    visitor.open("/privacy/requests/new/erasure/", "ask for removal, unarmed")
    visitor.press("Show me what would happen", "removal planned, unarmed")
    visitor.press("Not now", "request waits for a confirmation, unarmed")


@each_dimension
def test_earlier_records_are_claimed(site: Site, visitor: Visitor) -> None:
    factories.login("nina", "nina@post.example")
    factories.customer("Nina", "Holm", email="nina@post.example")
    come_in(visitor, "nina")
    visitor.open("/account/claim/", "claim, records are on file")
    visitor.press("Join it to my account", "claim, joined")
    visitor.open("/account/claim/", "claim, nothing can be joined")
    visitor.press("Ask for my earlier records", "claim, asked")
    go_out(visitor)
    factories.login("olaf", "olaf@post.example", verified=False)
    come_in(visitor, "olaf")
    visitor.open("/account/claim/", "claim, no confirmed address")
    factories.communication(email="nina@post.example")
    go_out(visitor)
    come_in(visitor, "nina")
    visitor.open("/privacy/held/", "what we hold, something is not joined")
    visitor.press("Ask us to look at it", "what we hold, asked to look")


@each_dimension
def test_what_cannot_be_undone_is_asked_about_first(site: Site, visitor: Visitor) -> None:
    come_in(visitor, "alice")
    alice = site.customer("alice")
    factories.freight_account(alice)
    visitor.open("/account/details/")
    visitor.follow("a[href*='/account/addresses/'][href$='/remove/']", "remove an address, asked")
    visitor.press("Back")
    assert alice.addresses.exists()
    visitor.follow("a[href*='/account/addresses/'][href$='/remove/']")
    visitor.press("Remove the address", "address removed")
    assert not alice.addresses.exists()
    visitor.follow("a[href*='/account/freight/']", "remove a freight account, asked")
    visitor.press("Remove the freight account")
    assert not alice.freight_accounts.exists()

    rma = an_rma(alice, serial="ILT2400-04711")
    moved(moved(rma, "authorised", "received"), "quoted", quote=Decimal("350"))
    visitor.open(f"/rma/{rma.pk}/", "return, quoted")
    visitor.press("Decline the quote", "decline a quote, asked")
    visitor.press("Back")
    visitor.press("Accept the quote", "accept a quote, asked")
    visitor.press("Accept the quote", "quote accepted")
    visitor.press("Cancel this return", "cancel a return, asked")
    visitor.press("Cancel this return", "return cancelled")
    rma.refresh_from_db()
    assert rma.state == "cancelled"

    visitor.open("/privacy/requests/new/access/")
    visitor.press("Ask for the copy")
    site.work()
    visitor.page.reload()
    visitor.press("Destroy the copy now", "destroy a copy, asked")
    visitor.press("Destroy the copy", "copy destroyed")


@each_dimension
def test_the_address_of_a_login_is_changed_with_a_code(site: Site, visitor: Visitor) -> None:
    come_in(visitor, "bob")
    visitor.open("/accounts/email/")
    visitor.fill(email="bob@elsewhere.example")
    visitor.follow("main [name=action_add]", "change of the address, type the code")
    visitor.fill(code="WRON-GONE")
    visitor.press("Confirm", "change of the address, wrong code", status=401)
    for _ in range(2):
        visitor.fill(code="WRON-GONE")
        with visitor.expecting(401), visitor.page.expect_navigation():
            visitor.page.locator("main button[type=submit]").first.click()
    visitor.look("change of the address, refused")


# Signing in as staff --------------------------------------------------------------------------------------------------


@each_dimension
def test_staff_set_up_the_second_factor_first(site: Site, visitor: Visitor, settings: object) -> None:
    settings.STAFF_SECOND_FACTOR = True  # type: ignore[attr-defined]
    factories.staff("newly", "newly@ilt.example", roles=("sales",), must_change_password=True)
    visitor.open("/accounts/login/")
    visitor.fill(login="newly", password=factories.PASSWORD)
    visitor.press("Sign in", "first sign-in of staff, choose a password")
    visitor.fill(oldpassword=factories.PASSWORD, password1="another horse battery staple")
    if visitor.page.locator("[name=password2]").count():
        visitor.fill(password2="another horse battery staple")
    visitor.press("Change password", "first sign-in of staff, password changed")
    visitor.open("/admin/", "first sign-in of staff, second factor asked for")


@each_dimension
def test_a_session_without_the_second_factor_is_asked_for_it(site: Site, visitor: Visitor, settings: object) -> None:
    settings.STAFF_SECOND_FACTOR = True  # type: ignore[attr-defined]
    user = User.objects.named("carol").get()
    visitor.open("/accounts/login/?next=/admin/")
    visitor.fill(login="carol", password=factories.PASSWORD)
    visitor.press("Sign in", "sign-in of staff, the code")
    cache.clear()
    visitor.fill(code="000000")
    visitor.follow("main button[type=submit]", "sign-in of staff, a wrong code", status=401)
    cache.clear()
    visitor.fill(code=factor.code(user, now=timezone.now())[0])
    visitor.follow("main button[type=submit]", "sign-in of staff, let in")


# What went wrong ------------------------------------------------------------------------------------------------------


@each_dimension
def test_a_list_that_takes_too_long(site: Site, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    come_in(visitor, "carol")
    monkeypatch.setattr(lists, "LONGEST", 1)
    visitor.open("/admin/orders/order/", "list that takes too long", status=503)


@each_dimension
def test_pages_of_a_visitor_who_is_stopped(site: Site, visitor: Visitor) -> None:
    policy = "default-src 'none'; style-src 'self'; img-src 'self' data:"
    serve(visitor, 503, _busy().content.decode(), policy, "503_busy")
    come_in(visitor, "carol")
    visitor.open("/admin/accounts/joining/", "403, another role is needed", status=403)
    visitor.open("/admin/no/such/page/", "404 at the desk", status=404)
    go_out(visitor)
    for _ in range(12):
        visitor.page.goto(f"{site.url}/privacy/outcome/")
        visitor.fill(reference="PR-2026-AAAA-00", code="AAAA-AAAA-AAAA")
        with visitor.page.expect_navigation() as there:
            visitor.page.get_by_role("button", name="Show the outcome").click()
        visitor.wrong.clear()
        if there.value.status == 429:
            break
    visitor.look("429, after too many wrong codes")
    for name in ("nadia", "nadia2"):
        go_out(visitor)
        visitor.open("/accounts/signup/")
        visitor.fill(username=name, email="nadia@post.example", password1=factories.PASSWORD)
        visitor.press("Create", "429, signed up again at once" if name == "nadia2" else "", status=429)
    assert "You can ask again in" in visitor.text()


@each_dimension
def test_a_removal_that_was_refused_and_one_that_ended(site: Site, visitor: Visitor) -> None:
    alice, now = site.customer("alice"), timezone.now()
    come_in(visitor, "alice")
    asked = taken_in("erasure", alice.subject_id, identity="login", actor=as_customer(alice), now=now)
    site.work()
    visitor.open("/privacy/requests/new/erasure/", "ask for removal, asked already")
    services.refuse(asked, ground="Two people claim this account.", authority="Art. 12(2) GDPR", actor=PAT, now=now)
    visitor.open(f"/privacy/requests/{asked.pk}/", "request, refused")
    visitor.open("/privacy/requests/", "requests, one was refused")


def test_the_nu_checker_finds_no_error_in_what_was_seen(findings: Findings) -> None:
    assert checker.errors(findings.bodies) == []
    assert len(findings.bodies) > 75, "run the whole file"
