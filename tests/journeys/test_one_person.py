"""Alice wrote twice and was sent an order before she had an account: named, looked at, joined, in her copy, removed."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from accounts import candidates
from accounts.models import Communication
from orders.models import Order
from privacy.gate.system import system
from privacy.models import Request
from privacy.requests import execute, writing
from privacy.subjects import Subject
from tests import factories, pages
from tests.factories import NOW, an_order

pytestmark = [pytest.mark.django_db, pytest.mark.journey, pytest.mark.usefixtures("at_now")]

ADDRESS = "alice@example.com"
NOTE = "Not shown here"


def carried_out(browser: Any, kind: str) -> Request:
    """Ask on the page, confirm what has to be confirmed, and do what the worker does."""
    browser.post(f"/privacy/requests/new/{kind}/")
    request = Request.objects.filter(kind=kind).latest("filed_at")
    for _ in range(2):
        while execute.run(request.pk, clock=lambda: NOW, pause=lambda: None) == "ended":
            pass
        request.refresh_from_db()
        if request.state == "planned":
            browser.post(f"/privacy/requests/{request.pk}/confirm/", {"plan_hash": request.plan_hash})
    return request


def copy_of(browser: Any, request: Request) -> str:
    answer = browser.post(f"/privacy/requests/{request.pk}/export/")
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        return archive.read("index.html").decode()


def test_from_two_messages_and_an_order_to_one_person_and_to_nobody() -> None:
    bob = factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0199")
    messages = [factories.communication(email=ADDRESS, body=f"canary {number}") for number in (1, 2)]
    order = an_order(bob, email=ADDRESS, phone="", notes="canary 3")
    other = factories.communication(email="eve@example.com", body="canary of eve")
    alice = factories.login()
    hers = pages.signed_in(alice, again=True)

    # Before anybody looked: named everywhere, shown nowhere.
    text = hers.get("/privacy/held/").text
    assert "2 messages and 1 order carry an address of yours" in text and NOTE in text
    assert "canary" not in text

    # She asks, the privacy team looks and joins.
    hers.post("/account/look/")
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    path = f"/admin/accounts/joining/{alice.subject.joinings.get().pk}/step/join/"
    chosen = [f"{one.vault_label}/{one.pk}" for one in (*messages, order)]
    form = {"records": chosen, "other": "", "reason": "facts", "seen": ""}
    assert 'value="See what will move"' in pat.get(path).text
    preview = pat.post(path, form)
    assert 'value="Join exactly this"' in preview.text and "<dt>Person</dt>" in preview.text
    seen = preview.context["preview"].fingerprint
    pat.post(path, {**form, "seen": seen})
    assert Order.objects.for_subject(bob.subject_id).exists(), "it stands under a customer: a second person joins it"
    pia = pages.signed_in(factories.staff("pia", "pia@ilt.example", roles=("privacy",)))
    pia.post(path.replace("/join/", "/confirm/"), {"seen": seen})

    # From then on it is all hers, and bob's no more.
    text = hers.get("/privacy/held/").text
    assert all(f"canary {number}" in text for number in (1, 2, 3)) and NOTE not in text
    assert "canary of eve" not in text
    assert not Order.objects.for_subject(bob.subject_id).exists()
    copy = carried_out(hers, "access")
    page = copy_of(hers, copy)
    with system("letter"):
        assert writing.send_due(now=NOW)
    execute.run(copy.pk, clock=lambda: NOW, pause=lambda: None)  # fetched and answered: nothing waits for it any more
    assert all(f"canary {number}" in page for number in (1, 2, 3)) and "carry an address" not in page

    # And it goes with her removal: what the open order needs stays, the messages do not.
    Order.objects.update(state="cancelled")
    removal = carried_out(hers, "erasure")
    assert removal.state in ("executed", "replied", "closed"), removal.state
    assert list(Communication.objects.values_list("pk", flat=True)) == [other.pk]
    assert candidates.records_with(ADDRESS) == []
    assert not Subject.objects.filter(pk__in=[one.subject_id for one in messages]).exists()
