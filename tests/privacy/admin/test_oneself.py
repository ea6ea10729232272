"""Nobody decides about themselves: a member of staff who is a customer, too, is one person at both doors (design 9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts import activity, claim, in_hand, joining, objections, told_of_joinings
from accounts.models import ClaimReview, Communication, Company, ContactPoint, Customer, Joined, Joining, User
from orders.models import Order
from privacy import actor as who
from privacy import gate, letters, people
from privacy.actor import YOURSELF, AboutYourself, Actor
from privacy.admin.work import WorkAdmin
from privacy.letters.models import Letter
from privacy.requests import deadline, excess, paper, posting, proving, second, services, sight, waits
from privacy.requests.models import Request, SecondLook
from privacy.retention import holds
from privacy.retention.models import Hold
from rma.models import RMA
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, taken_in
from tests.beginnings import beginning
from tests.factories import as_customer

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("at_now")]
ROLES = ("privacy", "sales", "service", "accounting")


class Both(NamedTuple):
    """Pat of the staff, who buys here as well, and Dan, who has the same roles and is nobody's customer."""

    pat: User
    dan: User
    mine: Customer
    request: Request


@beginning
def both() -> Both:
    """One record of each kind that is worked on at the desk, all of them Pat's."""
    pat = factories.staff("pat", "pat@ilt.example", roles=ROLES, is_superuser=True)
    dan = factories.staff("dan", "dan@ilt.example", roles=ROLES, is_superuser=True)
    mine = factories.customer("Pat", "Poe", email="pat@home.example", user=pat, came="staff")
    factories.address(mine)
    factories.communication(mine)
    Company.objects.create(name="Poe Optics", country="US", is_sole_trader=True, subject=pat.subject)
    order, _ = factories.an_order(mine), factories.an_rma(mine)
    request = taken_in("access", pat.subject_id, actor=as_customer(mine), identity="login")
    waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=NOW)
    holds.place(Order.vault_label, order.pk, reason="claim", reference="D-1", actor=OPERATOR, now=NOW)
    look = joining.ask(pat.subject_id, actor=OPERATOR, now=NOW)
    Joined.objects.create(
        subject=pat.subject, joining=look, is_whole=True, at=NOW, disputed_at=NOW, token_hash="j" * 64
    )
    ClaimReview.objects.create(user=factories.login("bob"), customer=mine, reason="taken", opened_at=NOW)
    ContactPoint.objects.create(customer=mine, channel="login", came="person", since=NOW, disputed_at=NOW)
    letters.queue("acknowledgement", to="", postal=["Pat Poe", "Salem"], context={}, key="x", request=request, now=NOW)
    return Both(pat, dan, mine, request)


def desk() -> Iterator[tuple[WorkAdmin, Model]]:
    for site in admin.site._registry.values():
        if isinstance(site, WorkAdmin):
            found = site.model._default_manager
            login = {"channel": "login"} if site.model is ContactPoint else {}
            yield site, found.get(**login)


def page_of(record: Any, *more: str) -> str:
    names = f"admin:{record._meta.app_label}_{record._meta.model_name}"
    return reverse(f"{names}_step", args=[record.pk, *more]) if more else reverse(f"{names}_change", args=[record.pk])


def offered(browser: Client, record: Any) -> tuple[set[str], bool]:
    """The steps that the page offers, and whether it says that it is about who is at work."""
    page = browser.get(page_of(record))
    buttons = [one for some in page.context["steps"].values() for one in some]
    return {one["url"].rstrip("/").rpartition("/")[2] for one in buttons}, YOURSELF in page.text


def test_no_step_of_the_desk_is_taken_by_the_person_whom_it_is_about(both: Both) -> None:
    own, other = pages.signed_in(both.pat), pages.signed_in(both.dan)
    walked = {}
    for _, record in desk():
        steps, is_own = offered(other, record)
        walked[type(record)] = steps
        assert not is_own and offered(own, record) == (set(), True), record
        before = type(record)._default_manager.filter(pk=record.pk).values().get()
        for step in steps:
            answer = own.post(page_of(record, step))
            assert (answer.status_code, answer.url) == (302, page_of(record)), step
        for step in sorted(steps)[:1]:
            answer = own.get(page_of(record, step), follow=True)
            assert {str(one) for one in answer.context["messages"]} == {YOURSELF}
            assert other.get(page_of(record, step)).status_code == 200, "control: a colleague gets the page"
        for letter in Letter.objects.filter(kind="acknowledgement", by="post") if isinstance(record, Request) else ():
            page = reverse("admin:privacy_request_letter", args=[record.pk, letter.pk])
            for answer in (own.get(page, follow=True), own.post(f"{page}copy/", {"take": "page"}, follow=True)):
                assert {str(one) for one in answer.context["messages"]} == {YOURSELF}
            assert "Salem" in other.get(page).text, "control: a colleague reads it"
        assert type(record)._default_manager.filter(pk=record.pk).values().get() == before
    assert walked.pop(Company) == set(), "of a company only data are corrected"
    assert all(walked.values()) and len(walked) == 10, "the walk sees each page, with something to do on it"


def test_what_is_filled_in_at_the_desk_about_oneself_is_not_taken(both: Both) -> None:
    own, other = pages.signed_in(both.pat), pages.signed_in(both.dan)
    counted = (Request, Hold, Joining, Communication)
    before = [one.objects.count() for one in counted]
    number = both.mine.reference
    forms: dict[type[Any], dict[str, str]] = {
        Request: {
            "kind": "erasure", "channel": "in_person", "received_on": "2026-11-18", "customer_number": number,
            "asked_by": "self", "identity": "in_person", "email": "", "name": "", "postal": "", "note": "",
        },
        Hold: {"number": number, "reason": "claim", "reference": "D-2"},
        Joining: {"person": number},
        Communication: {
            "customer_number": number, "department": "support", "topic": "other", "channel": "phone", "direction": "in",
            "received_on": "2026-11-20", "contact_name": "Pat", "heading": "A call", "body": "Called.",
        },
    }  # fmt: skip
    for model, data in forms.items():
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        answer = own.post(url, data)
        assert answer.status_code == 400 and YOURSELF in answer.text, answer.context["form"].errors
    assert [one.objects.count() for one in counted] == before
    Joining.objects.update(outcome="nothing")
    for model, data in forms.items():
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        assert other.post(url, data).status_code == 302, f"control: a colleague adds {model}"
    assert [one.objects.count() for one in counted] == [one + 1 for one in before]
    page = page_of(both.mine)
    data = {
        "first_name": "Patricia",
        "last_name": "Poe",
        "email": "pat@home.example",
        "phone": "978-555-0123",
        "region": "MA",
        "country": "US",
    }
    for browser, name in ((own, "Pat"), (other, "Patricia")):
        answer = browser.post(page, data, follow=True)
        assert (YOURSELF in [str(one) for one in answer.context["messages"]]) is (browser is own)
        assert f'value="{name}"' in other.get(page).text
    assert own.get(page).text.count("disabled") > other.get(page).text.count("disabled"), "the fields say so too"


def test_no_function_behind_the_desk_is_either_and_a_second_person_is_another_one(both: Both) -> None:
    pat, dan, mine, request = both
    me = gate.staff_actor(id=pat.pk, subject=pat.subject_id, roles={*ROLES, gate.MANAGER}, today=NOW.date())
    another = gate.staff_actor(id=dan.pk, subject=dan.subject_id, roles={*ROLES, gate.MANAGER}, today=NOW.date())
    look, review, order = Joining.objects.get(), ClaimReview.objects.get(), Order.objects.get()
    point = ContactPoint.objects.select_related("customer").get(channel="login")
    letter = Letter.objects.filter(request=request, by="post").get()
    objections.put_proposal(point, actor=OPERATOR, now=NOW)
    review.how, review.proposed_at, review.proposed_by = "person", NOW, "carol"
    review.bind().save()
    look.proposal = {"records": [], "people": [], "reason": "callback"}
    look.proposed_at, look.proposed_by = NOW, "staff/carol"
    look.bind().save()
    for may in (
        lambda by: second.may_decide(request, by),
        lambda by: excess.may_decide(request, by),
        lambda by: joining.may_confirm(look, by),
        lambda by: claim.may_confirm(review, by),
        lambda by: objections.may_end(point, by, now=NOW),
    ):
        assert may(another) and not may(me)
    acts: list[Any] = [
        lambda: second.decide(request, "go_on", actor=me, now=NOW),
        lambda: excess.propose(request, ground="x", evidence="y", actor=me, now=NOW),
        lambda: excess.decide(request, "answer", actor=me, now=NOW),
        lambda: services.make_plan(request, actor=me, now=NOW),
        lambda: services.confirm(request, "", actor=me, now=NOW),
        lambda: services.withdraw(request, actor=me, now=NOW),
        lambda: services.refuse(request, ground="x", authority="", actor=me, now=NOW),
        lambda: services.say_nothing_held(request, actor=me, now=NOW),
        lambda: services.resume(request, actor=me, now=NOW),
        lambda: deadline.extend(request, reason="complex", words="x", actor=me, now=NOW),
        lambda: deadline.pause(request, actor=me, now=NOW),
        lambda: proving.post_code(request, subject=mine.subject_id, actor=me, now=NOW),
        lambda: proving.identify(request, "in_person", subject=mine.subject_id, actor=me, now=NOW),
        lambda: second.assess_breach(request, is_breach=False, actor=me, now=NOW),
        lambda: paper.post(request, actor=me, now=NOW),
        lambda: paper.archive(letter, actor=me, now=NOW),
        lambda: posting.opened(letter, actor=me, now=NOW),
        lambda: posting.mark_posted(letter, actor=me, now=NOW),
        lambda: posting.came_back(letter, actor=me, now=NOW),
        lambda: letters.resend(letter, actor=me, now=NOW),
        lambda: in_hand.mark_posted(letter, actor=me, now=NOW),
        lambda: holds.place(RMA.vault_label, RMA.objects.get().pk, reason="claim", reference="D", actor=me, now=NOW),
        lambda: holds.lift(Order.vault_label, order.pk, actor=me, now=NOW),
        lambda: joining.close(look, actor=me, now=NOW),
        lambda: joining.confirm(look, fingerprint="", actor=me, now=NOW),
        lambda: joining.undo(look, actor=me, now=NOW),
        lambda: told_of_joinings.settle_joined(mine.subject_id, actor=me, now=NOW),
        lambda: claim.propose(review, how="person", actor=me, now=NOW),
        lambda: claim.confirm(review, actor=me, now=NOW),
        lambda: claim.refuse(review, actor=me, now=NOW),
        lambda: objections.object_to(point, actor=me, now=NOW),
        lambda: objections.propose_end(point, actor=me, now=NOW),
        lambda: objections.settle(point, actor=me, now=NOW),
        lambda: activity.keep_account(mine, reason="phone", actor=me, now=NOW),
    ]
    for act in acts:
        with pytest.raises(AboutYourself, match=YOURSELF):
            act()


def test_a_request_with_ones_own_address_is_ones_own_whether_the_address_counts_or_not(both: Both) -> None:
    pat, dan, mine, whole = both
    own, other = pages.signed_in(pat), pages.signed_in(dan)
    me = gate.staff_actor(id=pat.pk, subject=pat.subject_id, roles={*ROLES, gate.MANAGER}, today=NOW.date())
    assert not people.ask().reach("pat@home.example", NOW).whole, "control: it proves nothing of her"
    factories.communication(None, email="pat@home.example", contact_name="Pat Poe")
    written = factories.communication(None, email="guest@home.example", contact_name="Pat Poe")
    of_records, covering, unmatched, strange = (
        taken_in("erasure", None, email=email, actor=ANYBODY)
        for email in ("Pat@home.example", "guest@home.example", "dan@ilt.example", "nobody@home.example")
    )
    assert (
        of_records.is_about_records and covering.is_about_records and mine.subject_id not in sight.people_in(covering)
    )
    Communication.objects.filter(pk=written.pk).update(subject=mine.subject_id)  # since then it is hers
    assert dan.subject_id in sight.people_in(unmatched)
    assert sight.people_in(whole) == {pat.subject_id} and not {pat.subject_id, dan.subject_id} & sight.people_in(
        strange
    )
    for request in (of_records, covering):
        waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=NOW)
        look = SecondLook.objects.get(request=request)
        for record in (request, look):
            assert offered(own, record) == (set(), True)
            steps, is_own = offered(other, record)
            assert steps and not is_own, "control: a colleague decides"
        with pytest.raises(AboutYourself):
            second.decide(request, "go_on", actor=me, now=NOW)
    url, before = reverse("admin:privacy_request_add"), Request.objects.count()
    form = {
        "kind": "erasure", "channel": "in_person", "received_on": "2026-11-18", "customer_number": "",
        "asked_by": "self", "identity": "pending", "email": " PAT@home.example", "name": "", "postal": "", "note": "",
    }  # fmt: skip
    answer = own.post(url, form)
    assert answer.status_code == 400 and YOURSELF in answer.text, answer.context["form"].errors
    assert Request.objects.count() == before
    assert other.post(url, form).status_code == 302, "control: a colleague files it"


def test_one_login_is_one_person_at_the_desk_and_in_the_portal(both: Both) -> None:
    """No database is asked: the question itself."""
    me = Actor("staff", "7", both.pat.subject_id, frozenset(), "admin")
    own = who.is_own
    assert (
        own(me, about=[None, both.pat.subject_id]) and own(me, by=[("customer", "7")]) and own(me, by=[("staff", "7")])
    )
    assert not own(me, about=[None, both.dan.subject_id], by=[("operator", "7"), ("task", "7"), ("staff", "")])
    for kind in ("customer", "task", "operator", "anonymous"):
        them = Actor(kind, "7", both.pat.subject_id, frozenset(), "web")
        assert not own(them, about=[both.pat.subject_id], by=[("staff", "7"), ("customer", "7")])
    nobody = Actor("staff", None, None, frozenset(), "admin")
    assert not own(nobody, about=[None], by=[("staff", ""), ("customer", "")]) and not own(None, about=[None])
