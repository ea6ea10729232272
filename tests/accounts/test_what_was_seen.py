"""Who ends a dispute or an objection ends what the page has shown: another mailbox that objects
after it is heard (design 9)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import time_machine
from django.test import Client

from accounts import corrections, joining, notices, objections
from accounts.models import ContactPoint, Customer, Joined, Joining, User
from privacy import vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.letters import given
from privacy.letters.models import Letter
from tests import factories, pages
from tests.accounts.test_joining import a_look, join
from tests.factories import NOW, an_order

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("at_now")]
ROSA0, ROSA1, ROSA2 = "rosa0@mail.example", "rosa1@mail.example", "rosa2@mail.example"
DESK = Actor("staff", "sam", None, frozenset({"sales"}), "admin", "phone call")
NEW, NOTHING = "Something has come or changed since you looked.", "Your answer did not say what the page had shown you."


def staff(name: str) -> User:
    return factories.staff(name, f"{name}@ilt.example", roles=("privacy",))


def objects(address: str) -> None:
    """The reader of this mailbox says "this was not me" by the last link that came there."""
    with vault.internal():
        rows = Letter.objects.exclude(kind="contact_confirm").order_by("queued_at", "pk")
        texts = [str(given(one)[0]) for one in rows if one.to == address]
    link = [found for text in texts for found in re.findall(r"(/account/contact/not-me/\S+)", text)][-1]
    assert Client().post(link).status_code == 200


def audited(action: str) -> int:
    return AuditEvent.objects.filter(action=action).count()


def rosa() -> ContactPoint:
    """The desk has entered two other addresses, one after the other; the first mailbox objects, the second one
    could."""
    customer = factories.customer("Rosa", "Roe", email=ROSA0)
    for address in (ROSA1, ROSA2):
        corrections.correct(customer, {"email": address}, actor=DESK, now=NOW, reason="phone call")
    objects(ROSA0)
    return ContactPoint.objects.get(customer=customer, channel="email")


def rosas_login() -> ContactPoint:
    """The address of the login was changed twice; the first mailbox objects, the second one could."""
    user = factories.login("rosa", ROSA2)
    customer = factories.customer("Rosa", "Roe", email="", user=user)
    notices.login_changed(user, customer, told=[ROSA0], left=[ROSA0], now=NOW)
    notices.login_changed(user, customer, told=[ROSA0, ROSA1], left=[ROSA1], now=NOW)
    objects(ROSA0)
    return ContactPoint.objects.get(customer=customer, channel="login")


def test_another_mailbox_that_objects_between_page_and_answer_is_not_ended_with_the_first() -> None:
    point = rosa()
    pat = pages.signed_in(staff("pat"))
    step = f"/admin/accounts/customer/{point.customer_id}/step/settle/"
    assert pat.get(step).text.count("“This was not me” was said on") == 1
    seen = pages.seen(pat, step)
    objects(ROSA1)
    assert audited("contact.disputed") == 2, "each objection has its line"
    answer = pat.post(step, seen)
    assert answer.status_code == 400 and NEW in answer.text
    assert answer.text.count("“This was not me” was said on") == 2
    point.refresh_from_db()
    assert point.disputed_at == NOW and audited("contact.settled") == 0
    assert pat.post(step, pages.seen(pat, step)).status_code == 302, "control"
    point.refresh_from_db()
    assert point.disputed_at is None and audited("contact.settled") == 1


def test_so_is_an_address_that_was_changed_between_page_and_answer() -> None:
    point = rosa()
    pat = pages.signed_in(staff("pat"))
    step = f"/admin/accounts/customer/{point.customer_id}/step/settle/"
    seen = pages.seen(pat, step)
    with time_machine.travel(NOW.replace(minute=NOW.minute + 1), tick=False):
        corrections.correct(
            point.customer, {"email": "rosa3@mail.example"}, actor=DESK, now=NOW.replace(minute=NOW.minute + 1)
        )
        assert pat.post(step, seen).status_code == 400


def test_an_objection_by_telephone_is_written_down_while_another_one_is_open() -> None:
    point = rosa()
    desk = pages.signed_in(factories.staff(roles=("sales",)))
    assert desk.post(f"/admin/accounts/customer/{point.customer_id}/step/dispute/").status_code == 302
    assert audited("contact.disputed") == 2


@pytest.mark.parametrize("name", ["propose", "confirm"])
def test_of_a_disputed_login_too_the_next_objection_is_read_first(name: str) -> None:
    point = rosas_login()
    pat, pia = staff("pat"), staff("pia")
    who = pages.signed_in(pat if name == "propose" else pia)
    step = f"/admin/accounts/contactpoint/{point.pk}/step/{name}/"
    if name == "confirm":
        objections.propose_end(point, actor=pat.as_actor(), now=NOW)
    seen = pages.seen(who, step)
    assert seen
    objects(ROSA1)
    if name == "confirm":  # the objection ended the proposal; a colleague makes it anew
        objections.propose_end(point, actor=pat.as_actor(), now=NOW)
    answer = who.post(step, seen)
    assert answer.status_code == 400 and NEW in answer.text
    point.refresh_from_db()
    assert point.disputed_at is not None and audited("contact.settled") == 0
    assert pages.decide(who, step).status_code == 302, "control"


@pytest.fixture
def joined() -> Joining:
    """Records of two people were joined to alice, by two looks; each of the two was told."""
    alice = factories.login()
    for name in ("bob", "dora"):
        other = factories.customer(name.title(), "Baker", email=f"{name}@example.com")
        look = join(a_look(alice), an_order(other, email="alice@example.com"))
    return look


@pytest.mark.parametrize("door", ["joining", "customer"])
def test_another_objection_to_a_joining_is_not_ended_unseen_and_each_leaves_a_line(joined: Joining, door: str) -> None:
    pat = pages.signed_in(staff("pat"))
    step = f"/admin/accounts/joining/{joined.pk}/step/settle/"
    if door == "customer":
        number = factories.customer("Alice", "Archer", email="", subject=joined.subject).pk
        step = f"/admin/accounts/customer/{number}/step/joined/"
    objects("bob@example.com")
    seen = pages.seen(pat, step)
    objects("dora@example.com")
    answer = pat.post(step, seen)
    assert answer.status_code == 400 and NEW in answer.text
    assert Joined.objects.filter(disputed_at=NOW).count() == 2 and audited("joining.settled") == 0
    assert pages.decide(pat, step).status_code == 302, "control"
    assert not Joined.objects.exclude(disputed_at=None).exists()
    assert (audited("joining.disputed"), audited("joining.settled")) == (2, 2)


STEPS: list[tuple[Callable[[], ContactPoint], str]] = [
    (rosa, "customer/{0.customer_id}/step/settle/"),
    (rosas_login, "contactpoint/{0.pk}/step/propose/"),
]


@pytest.mark.parametrize(("disputed", "step"), STEPS)
def test_an_answer_that_does_not_say_what_was_shown_ends_nothing(
    disputed: Callable[[], ContactPoint], step: str
) -> None:
    point = disputed()
    pat = pages.signed_in(staff("pat"))
    answer = pat.post(f"/admin/accounts/{step.format(point)}")
    assert answer.status_code == 400 and NOTHING in answer.text
    point.refresh_from_db()
    assert point.disputed_at is not None and point.end_proposed_at is None


def test_nor_one_about_a_joining(joined: Joining) -> None:
    objects("bob@example.com")
    answer = pages.signed_in(staff("pat")).post(f"/admin/accounts/joining/{joined.pk}/step/settle/")
    assert answer.status_code == 400 and NOTHING in answer.text
    assert Joined.objects.filter(disputed_at=NOW).count() == 1
    assert joining.said(joined.subject_id)[1], "control: nothing else is open"
    assert Customer.objects.exists()
