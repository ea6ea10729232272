"""People whom no e-mail reaches: a code by post, and letters that know where to go."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import audit, letters, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import history, posting, proof, proving, second, services, sight, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import ANYBODY, NOW, PRIVACY, Clock, run, taken_in

pytestmark = pytest.mark.django_db
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
READER = Actor("staff", "rob", None, frozenset({"privacy"}), "admin")
MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
BLOCK = "Dora Double\n12 Elm Street\nSalem MA 01970\nUnited States\n\n"


@pytest.fixture
def dora(db: None) -> Customer:
    """A customer without an e-mail address."""
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    return customer


def filed(customer: Customer, kind: str = "erasure", how: str = "pending") -> Request:
    return taken_in(kind, customer.subject_id, channel="mail", identity=how, actor=PRIVACY)


def letter(request: Request, kind: str) -> str:
    with vault.internal():
        last = Letter.objects.filter(request=request, kind=kind).order_by("queued_at", "pk").last()
        return letters.given(last)[0]


def ticked_off(request: Request, actor: Actor = PRIVACY) -> None:
    for one in Letter.objects.filter(request=request, kind="posted_code", sent_at=None, stopped_at=None):
        posting.mark_posted(one, actor=actor, now=NOW)


def posted(request: Request, customer: Customer) -> str:
    """Write the letter, read the code in it, post it; return the code."""
    code = written(request, customer)
    ticked_off(request)
    return code


def written(request: Request, customer: Customer) -> str:
    proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW)
    text = letter(request, "posted_code")
    assert text.startswith(BLOCK)
    return next(line for line in text.splitlines() if line.count("-") == 2 and len(line) == 14)


def identify(request: Request, customer: Customer, code: str, days: int = 5, actor: Actor = READER) -> Request:
    now = NOW + timedelta(days=days)
    return proving.identify(request, "post", subject=customer.subject_id, code=code, actor=actor, now=now)[0]


def test_a_code_by_post_proves_the_person_once(dora: Customer) -> None:
    request = filed(dora)
    code = posted(request, dora)
    assert code not in str(OneTimeLink.objects.values())
    for wrong in ("", "AAAA-AAAA-AAAA", code[:-1]):
        with pytest.raises(proof.BadRequest):
            identify(request, dora, wrong)
    identify(request, dora, code.lower().replace("-", " "))
    request.refresh_from_db()
    assert (request.state, request.identity) == (State.IDENTITY, "post")
    assert letter(request, "acknowledgement").startswith(BLOCK)
    assert [one.why for one in request.second_looks.all()] == ["stated"]


def test_a_code_whose_letter_was_not_posted_proves_nothing(dora: Customer) -> None:
    request = filed(dora)
    code = written(request, dora)
    with pytest.raises(proof.BadRequest, match="marked as posted"):
        identify(request, dora, code)
    ticked_off(request)
    assert identify(request, dora, code).is_identified


def test_who_had_the_letter_in_hand_is_no_second_person(dora: Customer) -> None:
    request = filed(dora)
    code = written(request, dora)
    ticked_off(request, COLLEAGUE)
    identify(request, dora, code)
    assert [second.may_decide(request, one) for one in (PRIVACY, COLLEAGUE, READER, MANAGER)] == [
        False, False, False, True,
    ]  # fmt: skip


def test_who_had_the_letter_in_hand_takes_no_code_from_it(dora: Customer) -> None:
    opener = Actor("staff", "olga", None, frozenset({"privacy"}), "admin")
    request = filed(dora)
    code = written(request, dora)
    with vault.internal():
        posting.opened(Letter.objects.get(request=request, kind="posted_code"), actor=opener, now=NOW)
    ticked_off(request, COLLEAGUE)
    for one in (PRIVACY, opener, COLLEAGUE):
        with pytest.raises(proof.HadTheLetter, match="know it without the person"):
            identify(request, dora, code, actor=one)
    assert not audit.history(reference=request.reference).filter(action="request.proof_refused").exists()
    assert identify(request, dora, code).is_identified, "control"
    request.refresh_from_db()
    assert second.how_proved(request) == (
        "code sent by post to an address on file for 14 days; stated by a member of staff (privacy team, user rob)"
    )


def test_who_had_an_earlier_letter_in_hand_takes_the_code_of_a_later_one(dora: Customer) -> None:
    request = filed(dora)
    posted(request, dora)
    later = NOW + timedelta(days=1)
    proving.post_code(request, subject=dora.subject_id, actor=COLLEAGUE, now=later)
    text = letter(request, "posted_code")
    code = next(line for line in text.splitlines() if line.count("-") == 2 and len(line) == 14)
    ticked_off(request, COLLEAGUE)
    assert identify(request, dora, code, actor=PRIVACY).is_identified


def test_it_counts_for_the_person_it_was_posted_to_for_thirty_days_and_the_last_one_only(dora: Customer) -> None:
    bob = factories.customer("Bob", "Baker", email="bob@example.com")
    request = filed(dora)
    first, code = posted(request, dora), posted(request, dora)
    for who, given, days in ((bob, code, 1), (dora, first, 1), (dora, code, 31)):
        with pytest.raises(proof.BadRequest):
            identify(request, who, given, days)
    assert identify(request, dora, code, 29).is_identified


def test_nobody_states_a_code_without_one_and_strangers_send_none(dora: Customer) -> None:
    with pytest.raises(proof.BadRequest):
        filed(dora, how="post")
    request = filed(dora)
    with pytest.raises(sight.NotYours):
        proving.post_code(request, subject=dora.subject_id, actor=ANYBODY, now=NOW)


def test_no_code_goes_to_an_address_that_was_entered_lately(db: None) -> None:
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer, came="staff")  # and nobody could be told: no waiting makes it count
    request = filed(customer)
    for days in (13, 99):
        with pytest.raises(history.NotAllowed, match="14 days"):
            proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW + timedelta(days=days))
    factories.address(customer, came="person")
    with pytest.raises(history.NotAllowed, match="14 days"):
        proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW + timedelta(days=13))
    proving.post_code(request, subject=customer.subject_id, actor=PRIVACY, now=NOW + timedelta(days=15))


def test_the_answer_knows_where_to_go_after_the_account_is_gone(dora: Customer) -> None:
    request = filed(dora, how="in_person")
    run(request)
    for one in Letter.objects.filter(request=request, by=Letter.By.POST, sent_at=None, stopped_at=None):
        posting.mark_posted(one, actor=COLLEAGUE, now=NOW)
    later = NOW + timedelta(days=7)  # the letter with the plan has arrived
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=later)
    second.decide(request, "go_on", actor=MANAGER, now=later)
    run(request, Clock(later))
    assert not Customer.objects.filter(pk=dora.pk, sealed_account__isnull=False).exists()
    assert letter(request, "erasure_done").startswith(BLOCK)


def test_a_mail_has_no_address_block(db: None) -> None:
    alice = factories.customer()
    factories.address(alice)
    assert "12 Elm Street" not in letter(filed(alice, how="in_person"), "acknowledgement")


def test_the_page_sends_the_code_and_takes_it(dora: Customer) -> None:
    with time_machine.travel(NOW, tick=False):
        request = filed(dora)
        pat, rob = (
            pages.signed_in(factories.staff(name, f"{name}@ilt.example", roles=("privacy",))) for name in ("pat", "rob")
        )
        base = f"/admin/privacy/request/{request.pk}/step/"
        assert "The letter with the code is written" in pat.post(f"{base}code/", {}, follow=True).text
        code = next(
            one for one in letter(request, "posted_code").splitlines() if one.count("-") == 2 and len(one) == 14
        )
        given = {"how": "post", "code": code, "customer_number": "", "note": ""}
        assert "marked as posted, or it has run out" in rob.post(f"{base}identity/", given).text
        letter_id = Letter.objects.get(request=request, kind="posted_code").pk
        assert "counts as posted" in pat.post(f"{base}posted/", {"letter": letter_id}, follow=True).text
        refused = pat.post(f"{base}identity/", given)
        assert "know it without the person" in refused.text
        assert "The identity is proved." in rob.post(f"{base}identity/", given, follow=True).text
        sees = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))
        look = request.second_looks.get()
        assert "code sent by post" in sees.get(f"/admin/privacy/secondlook/{look.pk}/step/decide/").text


def test_a_letter_is_printed_as_one_with_sender_address_and_day(dora: Customer) -> None:
    request = filed(dora)
    code = written(request, dora)
    one = Letter.objects.get(request=request, kind="posted_code")
    with time_machine.travel(NOW, tick=False):
        browser = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        text = browser.get(f"/admin/privacy/request/{request.pk}/letter/{one.pk}/").text
    paper = text[text.index('<article class="letter">') : text.index("</article>")]
    address = "<address>Dora Double<br>12 Elm Street<br>Salem MA 01970<br>United States</address>"
    assert address in paper and paper.count("12 Elm Street") == 1
    assert paper.index(address) < paper.index("November 2026") < paper.index("<h2>Your code</h2>") < paper.index(code)
    assert f'href="/admin/privacy/request/{request.pk}/step/posted/"' in text, "the next step stands beside it"


def test_a_letter_without_an_address_block_loses_no_paragraph() -> None:
    assert letters.on_paper("Dora Double\nSalem\n\nHello.\n\nBye.") == ("Dora Double\nSalem", "Hello.\n\nBye.")
    for text in ("We write\nto you.\n\nBye.", "Your code:\n\n7", "One line"):
        assert letters.on_paper(text) == ("", text)


def test_who_opens_the_letter_to_print_it_is_known_and_is_no_second_person(dora: Customer) -> None:
    pat, mona = (
        factories.staff("pat", "pat@ilt.example", roles=("privacy",)),
        factories.staff("mona", roles=("privacy",)),
    )
    request = filed(dora)
    code = written(request, dora)
    one = Letter.objects.get(request=request, kind="posted_code")
    path = f"/admin/privacy/request/{request.pk}/letter/{one.pk}/"
    with time_machine.travel(NOW, tick=False):
        browser = pages.signed_in(pat)
        for _ in range(2):
            assert code in browser.get(path).text
    opened = audit.history(record=(Letter.vault_label, one.pk)).filter(action="letter.opened")
    assert (
        list(opened.values_list("actor_kind", "actor", "reason", "reference"))
        == [("staff", str(pat.pk), "posted_code", request.reference)] * 2
    )
    assert list(request.events.filter(kind="code_shown").values_list("actor_kind", "actor_id")) == [
        ("staff", str(pat.pk))
    ]
    assert not second.may_decide(request, pat.as_actor())
    assert second.may_decide(request, mona.as_actor())


def test_a_letter_that_gives_nothing_is_in_the_audit_and_excludes_nobody(dora: Customer) -> None:
    pat = factories.staff("pat", "pat@ilt.example", roles=("privacy",))
    request = filed(dora)
    writing.queue("withdrawn", to="", context={}, key="one", request=request, now=NOW)
    one = Letter.objects.get(request=request, kind="withdrawn")
    with time_machine.travel(NOW, tick=False):
        pages.signed_in(pat).get(f"/admin/privacy/request/{request.pk}/letter/{one.pk}/")
    assert audit.history(record=(Letter.vault_label, one.pk)).filter(action="letter.opened").count() == 1
    assert second.may_decide(request, pat.as_actor())


def test_whoever_sees_only_a_cover_has_had_nothing_in_hand(dora: Customer) -> None:
    request = filed(dora)
    written(request, dora)
    one = Letter.objects.get(request=request, kind="posted_code")
    posting.opened(one, actor=COLLEAGUE, now=NOW)  # outside of any context: masked
    assert not request.events.filter(kind="code_shown").exists()
    assert not audit.history(record=(Letter.vault_label, one.pk)).filter(action="letter.opened").exists()
