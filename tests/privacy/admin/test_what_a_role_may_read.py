"""A role learns at the desk what it may read, and by no other door: histories, searches, the second person's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import in_hand
from accounts.models import ClaimReview, Customer
from orders.models import Order
from privacy import audit, vault
from privacy.requests import proving, second, services, waits
from privacy.requests.models import Request, SecondLook
from privacy.retention import holds
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, filed, taken_in

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.usefixtures("at_now")]
UNSIGNED = "Sign the confidentiality acknowledgement first: without it nothing of the history is shown."


def staff(name: str, *roles: str, **more: Any) -> Client:
    return pages.signed_in(factories.staff(name, f"{name}@ilt.example", roles=roles, **more))


def test_a_history_tells_of_a_record_of_another_page_only_to_who_may_come_in_there(alice: Customer) -> None:
    order = factories.an_order(alice)
    for label, number in ((Customer.vault_label, alice.pk), (Order.vault_label, order.pk)):
        holds.place(label, number, reason="claim", reference="D-1", actor=OPERATOR, now=NOW)
    claimed = (Customer.vault_label, alice.pk)
    audit.record("claim.opened", actor=None, now=NOW, record=claimed, reason=ClaimReview.Reason.TAKEN)
    audit.record(in_hand.DISPUTED, actor=None, now=NOW, record=claimed)
    customer, its_order = f"/admin/accounts/customer/{alice.pk}/history/", f"/admin/orders/order/{order.pk}/history/"
    told = {
        staff("pat", "privacy"): ("Hold placed", "A login proved", "said of a contact", "a claim is made or expected"),
        staff("sal", "sales"): ("said of a contact",),
        staff("acc", "accounting"): ("said of a contact",),
    }
    everything = {one for some in told.values() for one in some}
    for browser, some in told.items():
        for url in (customer, its_order):
            page = browser.get(url).text.partition("<main")[2]
            assert "What was done with" in page
            here = set(some) if url == customer else {one for one in some if "old" in one or "expected" in one}
            assert {one for one in everything if one in page} == here
            assert UNSIGNED not in page and ("Hold placed" in some or "hold" not in page.lower())
    unsigned = staff("una", "accounting", acknowledged=False)
    for url in (customer, its_order):
        page = unsigned.get(url).text
        assert UNSIGNED in page and not any(one in page for one in everything)


def test_a_manager_reads_in_a_history_what_the_page_says_and_nothing_of_the_file(alice: Customer) -> None:
    request = filed(alice)
    waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=NOW)
    services.add_note(request, text="She called.", actor=PRIVACY, now=NOW)
    look = SecondLook.objects.get()
    url = f"/admin/privacy/secondlook/{look.pk}/history/"
    manager, team = staff("mona", is_superuser=True), staff("pat", "privacy")
    for browser, is_team in ((manager, False), (team, True)):
        page = browser.get(url).text
        assert "Second person asked" in page and "Received" in page
        assert ("Note added to the file" in page) is is_team


def found(browser: Client, model: str, text: str) -> int:
    page = browser.post(f"/admin/{model}/search/", {"q": text}, follow=True)
    return len(page.context["cl"].result_list)


def test_a_search_confirms_nothing_that_the_role_may_not_read(alice: Customer) -> None:
    """Who may not read with which address somebody signs in, or where an order goes, finds nobody by it."""
    mona = factories.customer(
        "Mona", "Moss", email="mona@work.example", user=factories.login("mona", "mona@home.example")
    )
    factories.an_order(mona, email="dock@elsewhere.example")
    factories.an_rma(mona)
    factories.communication(mona)
    team, sales, service, accounting = (staff(one, one) for one in ("privacy", "sales", "service", "accounting"))
    pages_of = {
        "accounts/customer": (sales, service, accounting), "accounts/communication": (sales, service, accounting),
        "orders/order": (sales, accounting), "rma/rma": (sales, service),
    }  # fmt: skip
    for model, browsers in pages_of.items():
        assert found(team, model, "mona@home.example") == 1, "the control: the privacy team reads the login's address"
        for browser in browsers:
            assert found(browser, model, "mona@home.example") == 0, model
            assert found(browser, model, "mona@work.example") == 1, "control: by what the role reads it is found"
    assert [found(one, "orders/order", "dock@elsewhere.example") for one in (team, sales, accounting)] == [1, 1, 0]


def of_evidence(alice: Customer) -> tuple[Request, str]:
    request = taken_in("access", None, channel="mail", name="Alice Archer", postal="1 Road\nTown", actor=PRIVACY)
    proving.identify(request, "staff", subject=alice.subject_id, note="Passport seen.", actor=PRIVACY, now=NOW)
    return request, f"/admin/privacy/secondlook/{SecondLook.objects.get(request=request).pk}/step/decide/"


def test_the_second_person_reads_the_evidence_and_decides_by_what_was_read(alice: Customer) -> None:
    request, step = of_evidence(alice)
    pat, manager = staff("pat", "privacy"), staff("mona", is_superuser=True)
    assert "Passport seen." in pat.get(step).text
    page = manager.get(step).text
    assert "Passport" not in page and "Covered: your role does not need this. It is open to privacy." in page
    seen, seen_by_manager = pages.seen(pat, step), pages.seen(manager, step)
    noted = pat.post(f"/admin/privacy/request/{request.pk}/step/note/", {"text": "Nothing seen at all."})
    assert noted.status_code == 302
    for browser, before in ((pat, seen), (manager, seen_by_manager)):
        answer = browser.post(step, {"outcome": "go_on", "words": "", **before})
        assert answer.status_code == 400 and "Something has come or changed since you looked." in answer.text
    assert waits.is_undecided(request)
    page = pat.get(step).text
    assert "Passport seen.<br>20 November 2026: Nothing seen at all." in page, "the evidence stands as it was stated"
    assert pages.decide(pat, step, {"outcome": "end", "words": ""}).status_code == 302
    assert not waits.is_undecided(request)


def test_a_note_is_added_and_none_is_changed(alice: Customer) -> None:
    request, _ = of_evidence(alice)
    pat = staff("pat", "privacy")
    change = f"/admin/privacy/request/{request.pk}/change/"
    assert "<textarea" not in pat.get(change).text
    pat.post(change, {"note": "Nothing seen at all."})
    with vault.internal():
        assert Request.objects.get(pk=request.pk).note == "Passport seen."
    before = second.shown(request)
    for text in ("", "   ", "4111 1111 1111 1111"):
        assert pat.post(f"/admin/privacy/request/{request.pk}/step/note/", {"text": text}).status_code == 400
    assert pat.post(f"/admin/privacy/request/{request.pk}/step/note/", {"text": "He called."}).status_code == 302
    with vault.internal():
        assert Request.objects.get(pk=request.pk).note == "Passport seen.\n20 November 2026: He called."
    assert second.shown(request) != before
    told = audit.history(reference=request.reference).filter(action="request.noted").get()
    assert "called" not in f"{told.reason}{told.fields}"
