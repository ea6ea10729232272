"""A letter that came back: the address is used no more for the request, and the way by post or call-back opens."""

from __future__ import annotations

import pytest
import time_machine

from accounts.models import Customer
from privacy import audit, letters, vault
from privacy.letters.models import Letter
from privacy.requests import addresses, history, posting, proving, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, PRIVACY, run, taken_in, with_letters

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(db: None) -> Customer:
    """She has an e-mail address, a postal one, and no login."""
    customer = factories.customer("Dora", "Double", email="dora@example.com")
    factories.address(customer)
    return customer


def filed(customer: Customer, how: str = "pending") -> Request:
    request = taken_in("access", customer.subject_id, channel="email", identity=how, actor=PRIVACY)
    with_letters(NOW)
    return request


def kinds(request: Request) -> list[tuple[str, str]]:
    return list(request.letters.order_by("queued_at", "pk").values_list("kind", "by"))


def test_after_a_bounce_the_person_is_asked_by_post_and_the_link_is_dead(dora: Customer) -> None:
    request = filed(dora)
    assert kinds(request) == [("link_identity", "email")]
    assert addresses.address_for_answer(request, now=NOW) == "dora@example.com"
    posting.came_back(request.letters.get(), actor=PRIVACY, now=NOW)
    assert addresses.address_for_answer(request, now=NOW) == ""
    assert ("acknowledgement", "post") in kinds(request)
    assert not OneTimeLink.objects.filter(request=request, expires_at__gt=NOW).exists()
    assert audit.history(reference=request.reference).filter(action="letter.returned").count() == 1
    proving.post_code(request, subject=dora.subject_id, actor=PRIVACY, now=NOW)
    with pytest.raises(letters.CannotSendAgain):
        posting.came_back(request.letters.get(kind="link_identity"), actor=PRIVACY, now=NOW)


def test_after_a_bounce_the_plan_is_told_by_post(dora: Customer) -> None:
    request = taken_in("erasure", dora.subject_id, channel="email", identity="in_person", actor=PRIVACY)
    run(request)
    posting.came_back(request.letters.get(kind="link_result"), actor=PRIVACY, now=NOW)
    assert request.state == State.PLANNED and ("plan_ready", "post") in kinds(request)


def test_after_a_bounce_of_what_asks_nothing_nothing_is_told_by_post(dora: Customer) -> None:
    request = filed(dora, "in_person")
    before = kinds(request)
    posting.came_back(request.letters.get(kind="acknowledgement"), actor=PRIVACY, now=NOW)
    assert request.state == State.IDENTITY and kinds(request) == before


def test_another_address_and_another_request_are_not_touched(dora: Customer, bob: Customer) -> None:
    request, other = filed(dora), filed(bob)
    posting.came_back(request.letters.get(), actor=PRIVACY, now=NOW)
    assert addresses.address_for_answer(other, now=NOW) == "bob@example.com"
    assert not writing.bounced(request, "new@example.com")


def test_where_the_post_did_not_deliver_no_code_and_no_copy_is_posted(db: None) -> None:
    customer = factories.customer("Mia", "Mute", email="")
    factories.address(customer)
    request = filed(customer)
    proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW)
    code = request.letters.get(kind="posted_code")
    posting.mark_posted(code, actor=PRIVACY, now=NOW)
    code.refresh_from_db()
    assert writing.has_postal(request, now=NOW)
    posting.came_back(code, actor=PRIVACY, now=NOW)
    assert not writing.has_postal(request, now=NOW)
    assert not OneTimeLink.objects.filter(request=request, expires_at__gt=NOW).exists()
    with pytest.raises(history.NotAllowed, match="came back"):
        proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW)
    with vault.internal():
        assert not writing.undelivered(request, ["Mia Mute", "4 Other Street"])


def test_the_desk_notes_it(dora: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = filed(dora)
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        base = f"/admin/privacy/request/{request.pk}"
        letter = Letter.objects.get(request=request)
        pat.post(f"{base}/step/returned/", {"letter": str(letter.pk)})
        shown = pat.get(f"{base}/change/").text
        assert "Letter came back" in shown and "came back</td>" in shown
        assert pat.get(f"{base}/step/returned/").status_code == 302, "nothing is left that could come back"
