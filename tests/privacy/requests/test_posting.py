"""What a posted letter does counts from the day on which it is ticked off, and nothing waits for the post after it is
over."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import audit, letters, vault
from privacy.letters.models import Letter
from privacy.requests import clock, deadline, execute, history, posting, proving, second, services
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, PRIVACY, TODAY, Clock, run, taken_in
from tests.privacy.requests.test_by_post import BLOCK, MANAGER, identify, written

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def dora(db: None) -> Customer:
    """No e-mail, no login; a postal address that counts."""
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    return customer


def filed(customer: Customer, kind: str = "access", how: str = "pending") -> Request:
    return taken_in(kind, customer.subject_id, channel="mail", identity=how, actor=PRIVACY)


def one(request: Request, kind: str) -> Letter:
    return Letter.objects.get(request=request, kind=kind)


def text(request: Request, kind: str) -> str:
    with vault.internal():
        return str(letters.given(one(request, kind))[0])


def waiting(request: Request) -> list[str]:
    return sorted(
        Letter.objects.filter(request=request, by="post", sent_at=None, stopped_at=None).values_list("kind", flat=True)
    )


def was_asked(request: Request) -> bool:
    return bool(request.events.filter(kind="identity_asked").exists())


# Asked --------------------------------------------------------------------------------------------------------------


def test_who_is_asked_by_post_was_asked_when_the_letter_is_ticked_off(dora: Customer) -> None:
    request = filed(dora)
    assert not was_asked(request), "the letter lies here"
    posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=NOW + DAY)
    assert request.events.get(kind="identity_asked").on == TODAY + DAY


def test_a_posted_code_asks_too_and_once(dora: Customer) -> None:
    request = filed(dora)
    written(request, dora)
    posting.mark_posted(one(request, "posted_code"), actor=PRIVACY, now=NOW + DAY)
    posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=NOW + 2 * DAY)
    assert request.events.get(kind="identity_asked").on == TODAY + DAY


def test_whom_an_email_reaches_was_asked_when_it_was_written(alice: Customer) -> None:
    assert was_asked(filed(alice))


def test_a_clock_stops_for_no_question_that_was_not_posted(db: None) -> None:
    customer = factories.customer("Dora", "Double", email="", country="DE")
    factories.address(customer, country="DE")
    request = filed(customer)
    assert not deadline.may_pause(request, now=NOW)
    posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert deadline.may_pause(request, now=NOW)


def test_a_request_whose_question_lies_here_does_not_end_for_want_of_an_answer(dora: Customer) -> None:
    request = filed(dora)
    late = clock.answer_from(request.due_on + DAY)
    execute.advance(request.pk, now=late)
    request.refresh_from_db()
    assert (request.state, request.step) == (State.RECEIVED, "identity")
    posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=late)
    for days, state in ((13, State.RECEIVED), (15, State.EXPIRED)):
        Request.objects.filter(pk=request.pk).update(next_action_at=late)
        execute.advance(request.pk, now=late + days * DAY)
        request.refresh_from_db()
        assert request.state == state, days


# A longer deadline --------------------------------------------------------------------------------------------------


def extended(request: Request, at: timedelta = 5 * DAY) -> None:
    deadline.extend(request, reason="complex", words="Very many records.", actor=PRIVACY, now=NOW + at)


def test_a_longer_deadline_told_by_post_counts_when_it_is_ticked_off(dora: Customer) -> None:
    request = filed(dora)
    extended(request)
    request.refresh_from_db()
    assert request.due_on == date(2026, 12, 20) and not request.events.filter(kind="extended").exists()
    said = text(request, "extended")
    assert said.startswith(BLOCK) and "20 February 2027" in said
    with pytest.raises(history.NotAllowed, match="waits to be posted"):
        extended(request)
    posting.mark_posted(one(request, "extended"), actor=PRIVACY, now=NOW + 8 * DAY)
    request.refresh_from_db()
    assert request.due_on == date(2027, 2, 20)
    event = request.events.get(kind="extended")
    assert (event.on, event.detail) == (TODAY + 8 * DAY, {"reason": "complex"})
    assert audit.history(reference=request.reference).filter(action="request.extended").count() == 1


def test_one_that_was_not_posted_in_time_is_stopped_and_changes_nothing(dora: Customer) -> None:
    request = filed(dora)
    extended(request)
    late = clock.answer_from(request.legal_due_on) + 2 * DAY
    with pytest.raises(deadline.TooLate, match="do not post it"):
        posting.mark_posted(one(request, "extended"), actor=PRIVACY, now=late)
    request.refresh_from_db()
    letter = one(request, "extended")
    assert letter.sent_at is None and letter.stopped_at == late
    assert request.due_on == date(2026, 12, 20) and not request.events.filter(kind="extended").exists()
    assert audit.history(reference=request.reference).filter(action="request.extension_too_late").count() == 1


def test_one_of_a_request_that_has_ended_meanwhile_is_not_posted(dora: Customer) -> None:
    request = filed(dora)
    extended(request)
    on_the_desk = one(request, "extended")
    services.withdraw(request, actor=PRIVACY, now=NOW + 6 * DAY)
    with pytest.raises(history.NotAllowed, match="has ended, or its deadline was extended before"):
        posting.mark_posted(on_the_desk, actor=PRIVACY, now=NOW + 7 * DAY)
    assert one(request, "extended").sent_at is None and request.state == State.WITHDRAWN
    told = audit.history(reference=request.reference)
    assert not told.filter(action__in=("request.extended", "request.extension_too_late", "letter.posted")).exists()


def test_on_the_due_day_the_letter_is_written_once_and_the_request_looks_again_later(dora: Customer) -> None:
    """It was asked less than two weeks ago: the longer deadline is written, and counts when it is posted that day."""
    request = filed(dora)
    noon = clock.answer_from(request.due_on)
    posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=noon - 3 * DAY)
    for minutes in (0, 30, 60):
        Request.objects.filter(pk=request.pk).update(next_action_at=noon)
        assert execute.advance(request.pk, now=noon + timedelta(minutes=minutes)) == "waiting"
        request.refresh_from_db()
        assert request.next_action_at == noon + timedelta(minutes=minutes + 30)
    assert waiting(request) == ["extended"]
    posting.mark_posted(one(request, "extended"), actor=PRIVACY, now=noon + timedelta(hours=2))
    request.refresh_from_db()
    assert request.due_on == date(2027, 2, 20)
    assert request.next_action_at == clock.answer_from(request.due_on)


def test_the_page_says_that_the_deadline_moves_once_the_letter_is_posted(dora: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = filed(dora)
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        base = f"/admin/privacy/request/{request.pk}/step/"
        said = pat.post(f"{base}extend/", {"reason": "complex", "words": "Very many records."}, follow=True).text
        assert "The deadline is extended once you have posted it" in said
        assert "Letter about a longer deadline written, to be posted" in said
        pat.post(f"{base}posted/", {"letter": str(one(request, "extended").pk)})
        request.refresh_from_db()
        assert request.due_on == date(2027, 2, 20)


# Nothing waits for the post when it is over ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["withdraw", "refuse"])
def test_when_a_request_ends_only_its_end_waits_for_the_post(dora: Customer, how: str) -> None:
    request = filed(dora)
    written(request, dora)
    if how == "withdraw":
        services.withdraw(request, actor=PRIVACY, now=NOW)
    else:
        services.refuse(request, ground="Asked every day.", authority="", actor=PRIVACY, now=NOW)
    assert waiting(request) == ["withdrawn" if how == "withdraw" else "refused"]
    assert one(request, "posted_code").sealed_credentials is None


def test_a_proof_stops_the_letters_that_ask_for_it(dora: Customer) -> None:
    request = filed(dora)
    code = written(request, dora)
    posting.mark_posted(one(request, "posted_code"), actor=PRIVACY, now=NOW)
    identify(request, dora, code, 3)
    (left,) = Letter.objects.filter(request=request, by="post", sent_at=None, stopped_at=None)
    assert left.kind == "acknowledgement" and left.queued_at == NOW + 3 * DAY


def removed(customer: Customer, *, is_receipt_posted: bool = False) -> Request:
    """A removal that two members of staff confirmed for the person; everything is gone, and its answer waits."""
    request = filed(customer, "erasure", how="in_person")
    run(request)
    if is_receipt_posted:
        posting.mark_posted(one(request, "acknowledgement"), actor=PRIVACY, now=NOW)
    posting.mark_posted(one(request, "plan_ready"), actor=PRIVACY, now=NOW)
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=NOW, answered_on=TODAY)
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    run(request, Clock())
    assert request.state == State.EXECUTED
    return request


def test_after_everything_is_gone_nothing_but_the_answer_waits_for_the_post(dora: Customer) -> None:
    request = removed(dora)
    assert not Customer.objects.filter(pk=dora.pk, sealed_account__isnull=False).exists()
    assert waiting(request) == ["erasure_done"]
    said = text(request, "erasure_done")
    assert said.startswith(BLOCK)
    assert "we give you no code for it" in said, "the receipt with the code was never posted"
    posting.mark_posted(one(request, "erasure_done"), actor=PRIVACY, now=NOW + DAY)
    run(request, Clock(NOW + DAY))
    assert request.state == State.CLOSED and waiting(request) == []
    assert not Letter.objects.filter(request=request, sealed_letter__isnull=False).exists(), "burned"


def test_ticking_the_answer_off_wakes_the_request(dora: Customer) -> None:
    request = removed(dora, is_receipt_posted=True)
    assert request.next_action_at is not None and request.next_action_at > NOW + timedelta(minutes=20)
    assert "reference and outcome code" in text(request, "erasure_done")
    posting.mark_posted(one(request, "erasure_done"), actor=PRIVACY, now=NOW + timedelta(minutes=5))
    request.refresh_from_db()
    assert request.next_action_at == NOW + timedelta(minutes=5)


# Words ----------------------------------------------------------------------------------------------------------------


def test_who_has_no_login_is_not_told_to_log_in(dora: Customer) -> None:
    assert "signing in" not in text(filed(dora), "acknowledgement")
    user = factories.login("lea", "lea@example.com", subject=factories.subject())
    customer = factories.customer("Lea", "Login", email="", user=user)
    factories.address(customer)
    user.emailaddress_set.update(verified=False)
    assert "by signing in at" in text(filed(customer), "acknowledgement")


# A link or code that is there no more -------------------------------------------------------------------------------


def test_a_letter_whose_code_has_lost_its_key_is_neither_printed_nor_marked(dora: Customer) -> None:
    request = filed(dora)
    proving.post_code(request, subject=dora.subject_id, actor=PRIVACY, now=NOW)
    letter = one(request, "posted_code")
    pat = pages.signed_in(factories.staff("pat", roles=("privacy",)), again=True)
    page = f"/admin/privacy/request/{request.pk}/letter/{letter.pk}/"
    with time_machine.travel(NOW, tick=False):
        Letter.objects.filter(pk=letter.pk).update(sealed_credentials=None)  # its key lives: the row is not as written
        said = pages.read(pat.get(page, follow=True))
        assert "cannot be sent any more" in said and ">Print this page" not in said, "the page of the request"
        vault.keys.destroy([(letter.pk, "credentials")], now=NOW)
        with pytest.raises(letters.LinkLost):
            posting.mark_posted(letter, actor=PRIVACY, now=NOW)
        letter.refresh_from_db()
        assert letter.sent_at is None and letter.stopped_at == NOW and not was_asked(request)
        Letter.objects.filter(pk=letter.pk).update(stopped_at=None)
        said = pages.read(pat.get(page, follow=True))
        assert (
            "cannot be sent any more" in said
            and "“Send a code by post”" in said
            and "Here the letter gives" not in said
        )
        letter.refresh_from_db()
        assert letter.stopped_at == NOW
        told = audit.history(record=(Letter.vault_label, letter.pk))
        assert not told.filter(action__in=("letter.opened", "letter.posted")).exists()
        proving.post_code(request, subject=dora.subject_id, actor=PRIVACY, now=NOW)
        anew = Letter.objects.get(request=request, kind="posted_code", stopped_at=None)
        said = pages.read(pat.get(f"/admin/privacy/request/{request.pk}/letter/{anew.pk}/", follow=True))
        assert "Print this page" in said and "cannot be sent any more" not in said
