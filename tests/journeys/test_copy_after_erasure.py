"""A copy and a removal asked for together: the removal is done in time, and the copy is fetched in its week all the
same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
import time_machine
from django.core import mail
from django.test import Client, override_settings

from accounts.models import Customer, User
from privacy import vault
from privacy.audit.models import AuditEvent
from privacy.models import Export, Letter, Request
from privacy.requests import bound, codes, execute, export, services, sight
from privacy.requests.states import State
from privacy.subjects import Subject
from tests import factories, pages
from tests.asked import ANYBODY, NOW, Clock, confirmed, filed, run, taken_in
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def quietly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Copies in a folder of this module; nobody listens at the broker."""
    return {"EXPORT_DIR": str(tmp_path_factory.mktemp("exports")), "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def _quiet(quietly: dict[str, str]) -> Iterator[None]:
    with override_settings(**quietly), time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def alice(db: None) -> Customer:
    return factories.customer(user=factories.login())


class Both(NamedTuple):
    """A copy and a removal of one person after both were done, with their outcome codes, and what was mailed."""

    access: Request
    access_code: str
    erasure: Request
    code: str
    mails: tuple[Any, ...]


def both_done() -> Both:
    """Ask for both, and let everything be done."""
    mail.outbox = []
    alice = factories.customer(user=factories.login())
    access = filed(alice, "access")
    access_code = factories.code_of(access)
    erasure = confirmed(alice)
    code = vault_code(erasure)
    clock = Clock()
    run(access, clock)
    run(erasure, clock)
    return Both(access, access_code, erasure, code, tuple(mail.outbox))


@pytest.fixture(scope="module")
def _both(quietly: dict[str, str], django_db_setup: None, django_db_blocker: Any) -> Iterator[Both]:
    """Both done, once for the module."""
    with django_db_blocker.unblock(), override_settings(**quietly), undone():
        with time_machine.travel(NOW, tick=True):
            made = both_done()
        yield made


@pytest.fixture
def both(_both: Both, db: None) -> Iterator[Both]:
    """Both done; what a test does to them, and to the copy, is undone after it."""
    with undone():
        yield _both._replace(
            access=Request.objects.get(pk=_both.access.pk), erasure=Request.objects.get(pk=_both.erasure.pk)
        )


def vault_code(request: Request) -> str:
    """Give a request a code that the test knows."""
    code = codes.new_code()
    hashed = codes.hash_of_code(request, code)
    Request.objects.filter(pk=request.pk).update(outcome_code_hash=hashed)
    return code


def test_the_removal_does_not_wait_for_the_week_and_the_copy_is_fetched_by_reference_and_code(both: Both) -> None:
    access, code, erasure, _, _ = both
    assert (erasure.state, access.state) == (State.CLOSED, State.REPLIED)
    assert not Subject.objects.exists() and not User.objects.exists()
    copy = Export.objects.get()
    assert copy.deleted_at is None and (export.folder() / copy.path).exists()

    browser = Client()
    page = pages.check(browser.post("/privacy/outcome/", {"reference": access.reference, "code": code}))
    assert "Your copy is ready" in page
    answer = browser.post(f"/privacy/requests/{access.pk}/export/")
    assert b"".join(answer.streaming_content)[:2] == b"PK"
    assert not Letter.objects.exclude(sealed_letter=None).filter(request=access).exists()


def test_the_answer_about_the_removal_names_the_copy_and_its_code_fetches_it_too(both: Both) -> None:
    access, _, erasure, code, mails = both
    told = next(one for one in mails if one.subject.startswith("Your data was removed"))
    assert access.reference in told.body and "stays for its week" in told.body
    browser = Client()
    page = pages.check(browser.post("/privacy/outcome/", {"reference": erasure.reference, "code": code}))
    assert "Your copy is ready" in page
    answer = browser.post(f"/privacy/requests/{access.pk}/export/")
    assert b"".join(answer.streaming_content)[:2] == b"PK"


def fetched(request: Request, code: str) -> bool:
    """Say whether reference and code of this request lead a stranger's browser to a copy."""
    page = pages.check(Client().post("/privacy/outcome/", {"reference": request.reference, "code": code}))
    return "Your copy is ready" in page or "/export/" in page


def test_the_code_of_an_earlier_request_opens_no_later_copy(alice: Customer) -> None:
    first = filed(alice, "access")
    clock = Clock()
    run(first, clock)
    first.refresh_from_db()
    assert fetched(first, first_code := vault_code(first)), "its own copy"
    export.delete(Export.objects.get(request=first), now=NOW)
    Request.objects.filter(pk=first.pk).update(state=State.CLOSED, closed_at=NOW)
    bound.seal([first.pk])

    later = filed(alice, "access")
    run(later, Clock())
    assert fetched(later, vault_code(later)), "the later copy is there"
    assert not fetched(first, first_code)


def test_the_code_of_a_removal_that_was_taken_back_opens_no_copy(alice: Customer) -> None:
    erasure = filed(alice, "erasure")
    code = vault_code(erasure)
    access = filed(alice, "access")
    run(access, Clock())
    assert fetched(access, vault_code(access))
    services.withdraw(erasure, actor=sight.acting_as(erasure), now=NOW)
    assert not fetched(erasure, code)


def test_without_the_code_nobody_fetches_or_destroys_it(both: Both) -> None:
    access = both.access
    browser = Client()
    pages.check(
        browser.post("/privacy/outcome/", {"reference": access.reference, "code": "0000-0000-0000"}), status=401
    )
    for what in ("export", "export/destroy"):
        assert browser.post(f"/privacy/requests/{access.pk}/{what}/").status_code == 302
    bob = pages.signed_in(factories.login("bob", "bob@example.com"), again=True)
    for what in ("export", "export/destroy"):
        assert bob.post(f"/privacy/requests/{access.pk}/{what}/").status_code == 404
    with pytest.raises(sight.NotYours):
        export.destroy(access, actor=ANYBODY, now=NOW)
    assert Export.objects.get().deleted_at is None


def test_the_person_has_it_destroyed_at_once(both: Both) -> None:
    access, code = both.access, both.access_code
    browser = Client()
    browser.post("/privacy/outcome/", {"reference": access.reference, "code": code})
    assert "Destroy the copy now?" in pages.check(browser.get(f"/privacy/requests/{access.pk}/export/destroy/"))
    page = pages.check(browser.post(f"/privacy/requests/{access.pk}/export/destroy/", follow=True))
    assert "The copy is destroyed." in page
    copy = Export.objects.get()
    assert copy.deleted_at is not None and not (export.folder() / copy.path).exists()
    assert vault.keys.is_destroyed(copy.pk, export.ENVELOPE)
    assert AuditEvent.objects.filter(action="copy.destroyed", reference=access.reference).exists()
    assert "There is no copy to destroy." in pages.check(
        browser.post(f"/privacy/requests/{access.pk}/export/destroy/", follow=True)
    )


def test_when_its_week_is_over_it_goes_and_the_request_ends(both: Both) -> None:
    access, code = both.access, both.access_code
    later = NOW + timedelta(days=7, minutes=5)
    assert export.expire(now=later) == 1
    run(access, Clock(later))
    assert access.state == State.CLOSED
    with time_machine.travel(later):
        page = pages.check(Client().post("/privacy/outcome/", {"reference": access.reference, "code": code}))
    assert "Your copy is ready" not in page


def test_the_removal_waits_until_the_copy_is_answered(alice: Customer) -> None:
    erasure, access = confirmed(alice), filed(alice, "access")
    clock = Clock()
    assert execute.run(erasure.pk, clock=clock, pause=lambda: None) == "waiting"
    run(access, clock)
    clock.now += timedelta(minutes=1)
    run(erasure, clock)
    assert erasure.state == State.CLOSED
    assert Export.objects.get(request=access).deleted_at is None


def test_the_removal_never_waits_past_its_due_date_for_another_request(alice: Customer) -> None:
    erasure, access = confirmed(alice), filed(alice, "access")
    Request.objects.filter(pk=access.pk).update(next_action_at=None)  # parked, or asleep
    before = Clock(NOW + timedelta(days=20))
    assert execute.run(erasure.pk, clock=before, pause=lambda: None) == "waiting"
    due = Clock(NOW.replace(year=erasure.due_on.year, month=erasure.due_on.month, day=erasure.due_on.day))
    run(erasure, due)
    assert erasure.state == State.CLOSED


@pytest.mark.parametrize("identity", ["pending", "login"])
def test_an_identity_or_a_confirmation_that_never_came_is_never_taken_for_a_yes(alice: Customer, identity: str) -> None:
    request = (
        filed(alice, identity=identity)
        if identity == "login"
        else taken_in(
            "erasure",
            alice.subject_id,
            channel="phone",
            received_on=NOW.date(),
            identity="pending",
            actor=factories.acting_as(alice),
        )
    )
    for days in (1, 60):
        run(request, Clock(NOW + timedelta(days=days)))
    assert request.state == State.EXPIRED
    assert Customer.objects.get(pk=alice.pk).sealed_account is not None
    assert re.search("expired", Letter.objects.filter(request=request).order_by("-queued_at").first().kind)
