"""The copy by post: to an address on file only, printed or on a stick by the privacy team only,
logged, gone once it is posted."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest
import time_machine

from accounts.models import Customer
from privacy import audit, gate, vault
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.models import AccessEntry
from privacy.requests import execute, export, history, paper, posting, second, sight, waits, writing
from privacy.requests.models import Export, Request, SecondLook
from privacy.requests.states import State
from privacy.vault import stream
from privacy.views import ends
from tests import factories, pages
from tests.asked import NOW, OPERATOR, PRIVACY, Clock, confirmed, run, taken_in
from tests.beginnings import beginning
from tests.privacy.requests.test_by_post import BLOCK, MANAGER

pytestmark = pytest.mark.django_db
SALES = Actor("staff", "sam", None, frozenset({"sales"}), "admin")
DAY = timedelta(days=1)


def a_dora() -> Customer:
    """No e-mail, no login; a postal address that counts."""
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    factories.communication(customer, heading="About my sensor", body="Dora asks about <a filter>.")
    return customer


def answered(customer: Customer) -> Request:
    """A request by letter for a copy, whose person was seen and found to be it by two members of staff."""
    request = taken_in("access", customer.subject_id, channel="mail", identity="in_person", actor=PRIVACY)
    run(request)
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    run(request, Clock())
    return request


@beginning
def request_by_letter() -> Request:
    return answered(a_dora())


def the_letter(request: Request) -> Letter:
    return Letter.objects.get(request=request, kind="copy_posted")


def printed(letter: Letter, actor: Actor = PRIVACY) -> str:
    with gate.acting(actor):
        pieces = paper.page(letter, actor=actor, now=NOW)
    return b"".join(pieces).decode()


def test_whom_no_email_and_no_login_reaches_gets_the_copy_by_post(request_by_letter: Request) -> None:
    request = request_by_letter
    assert (request.state, request.step) == (State.EXECUTED, "close")
    waiting = Letter.objects.filter(request=request, sent_at=None, stopped_at=None)
    assert [(one.kind, one.by) for one in waiting] == [("copy_posted", "post")], "nothing else waits"
    with vault.internal():
        said = str(the_letter(request).text)
    assert said.startswith(BLOCK) and "It comes with this letter" in said
    assert not any(word in said for word in ("log in", "click", "link", "/privacy/"))


def test_what_is_printed_is_the_page_of_the_copy_and_nothing_else(request_by_letter: Request) -> None:
    request = request_by_letter
    copy = export.live(request)
    assert copy is not None
    whole = b"".join(stream.read(export.folder() / copy.path, copy.pk))
    page = zipfile.ZipFile(io.BytesIO(whole)).read("index.html").decode()
    assert printed(the_letter(request)) == page
    for part in ("Dora asks about &lt;a filter&gt;.", "12 Elm Street", "(e) Your rights", "(h) Automated decisions"):
        assert part in page


def test_a_page_is_read_in_whatever_pieces_it_comes() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.html", "<p>Dora</p>" * 300_000)
        archive.writestr("data.json", "{}")
    data = out.getvalue()
    for size in (1, 7, 29, 30, 65_536):
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        found = list(paper.first_member(pieces))
        assert b"".join(found) == b"<p>Dora</p>" * 300_000
        assert max(map(len, found)) <= paper.MOST_AT_ONCE
    cut = b"".join(paper.first_member(iter([data[:40]])))
    assert len(cut) < 300_000 and (b"<p>Dora</p>" * 300_000).startswith(cut), (
        "of an archive that is cut off, what is there"
    )


def test_who_printed_it_stands_in_the_audit_and_in_the_persons_log(request_by_letter: Request) -> None:
    request = request_by_letter
    before = AccessEntry.objects.count()
    printed(the_letter(request))
    assert AccessEntry.objects.count() == before + 1
    assert audit.history(reference=request.reference).get(action="copy.printed").actor == "carol"
    assert request.events.filter(kind="copy_printed", actor_id="carol").count() == 1


@pytest.mark.parametrize("actor", [SALES, OPERATOR, Actor("customer", None, None, frozenset({"customer"}), "portal")])
def test_nobody_but_the_privacy_team_gets_at_it(request_by_letter: Request, actor: Actor) -> None:
    request = request_by_letter
    letter = the_letter(request)
    for take in (paper.page, paper.archive):
        with pytest.raises(sight.NotYours):
            take(letter, actor=actor, now=NOW)
    assert not request.events.filter(kind__startswith="copy_").exists()


def test_a_stick_is_given_once_and_is_the_archive_itself(request_by_letter: Request) -> None:
    request = request_by_letter
    letter = the_letter(request)
    with gate.acting(PRIVACY):
        name, pieces = paper.archive(letter, actor=PRIVACY, now=NOW)
    found = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert name == f"{request.reference}.zip" and {"index.html", "data.json"} <= set(found.namelist())
    with pytest.raises(history.NotAllowed, match="before"):
        paper.archive(letter, actor=PRIVACY, now=NOW)


def test_while_a_second_person_has_to_look_nobody_opens_it(request_by_letter: Request) -> None:
    request = request_by_letter
    waits.ask(request, SecondLook.Why.NOT_ME, actor=PRIVACY, now=NOW)
    with pytest.raises(export.NoCopy):
        paper.page(the_letter(request), actor=PRIVACY, now=NOW)


def test_it_is_not_ticked_off_before_somebody_has_put_the_copy_into_the_envelope(request_by_letter: Request) -> None:
    request = request_by_letter
    with pytest.raises(history.NotAllowed, match="first print it"):
        posting.mark_posted(the_letter(request), actor=PRIVACY, now=NOW)
    assert the_letter(request).sent_at is None and export.live(request) is not None


def test_once_posted_copy_and_letter_are_burned_and_the_request_is_closed(request_by_letter: Request) -> None:
    request = request_by_letter
    copy = export.live(request)
    assert copy is not None
    path = export.folder() / copy.path
    kept = path.read_bytes()
    printed(the_letter(request))
    posting.mark_posted(the_letter(request), actor=PRIVACY, now=NOW + DAY)
    assert not path.exists() and export.live(request) is None
    for nothing in (the_letter(request), Letter(kind="copy_posted")):
        with pytest.raises(export.NoCopy):
            paper.page(nothing, actor=PRIVACY, now=NOW + DAY)
    path.write_bytes(kept)
    with pytest.raises(vault.RecordErased):
        next(stream.read(path, copy.pk))
    letter = the_letter(request)
    assert letter.sent_at == NOW + DAY and letter.sealed_letter is None
    run(request, Clock(NOW + DAY))
    assert request.state == State.CLOSED
    assert second.gone_out(request) == "fetched"
    assert ends.of_copy(request, now=NOW + DAY) == "The copy was posted to you, and has been destroyed here."


def test_one_that_was_not_posted_in_its_week_is_made_anew(request_by_letter: Request) -> None:
    request = request_by_letter
    first = export.live(request)
    assert first is not None
    printed(the_letter(request))
    late = first.expires_at + timedelta(minutes=1)
    with pytest.raises(history.NotAllowed, match="week is over"):
        posting.mark_posted(the_letter(request), actor=PRIVACY, now=late)
    export.expire(now=late)
    assert export.live(request) is None
    Request.objects.filter(pk=request.pk).update(next_action_at=late)
    assert execute.advance(request.pk, now=late) == "waiting"
    request.refresh_from_db()
    assert (request.last_error, request.step) == ("", "close")
    new = export.live(request)
    assert new is not None and new.pk != first.pk and Export.objects.filter(request=request).count() == 2
    with pytest.raises(history.NotAllowed, match="first print it"):
        posting.mark_posted(the_letter(request), actor=PRIVACY, now=late)


def test_without_a_postal_address_that_counts_nothing_is_posted(db: None) -> None:
    nora = factories.customer("Nora", "Nowhere", email="")
    factories.address(nora, came="staff")  # and nobody could be told
    request = answered(nora)
    assert not Letter.objects.filter(request=request, kind="copy_posted").exists()
    with pytest.raises(history.NotAllowed, match="14 days"):
        paper.post(request, actor=PRIVACY, now=NOW)
    with vault.internal():
        said = str(Letter.objects.get(request=request, kind="copy_ready").text)
    assert "give us a postal address" in said and "hand you" not in said


def test_who_has_an_email_can_have_it_on_paper_too(alice: Customer) -> None:
    request = confirmed(alice, "access")
    run(request)
    assert Letter.objects.filter(request=request, kind="copy_ready", by="email").exists()
    paper.post(request, actor=PRIVACY, now=NOW)
    with vault.internal():
        assert str(the_letter(request).text).startswith("Alice Archer\n17 Quince Row\n")
    with pytest.raises(history.NotAllowed):
        paper.post(request, actor=PRIVACY, now=NOW)
    assert writing.has_postal(request, now=NOW)


def test_the_desk_prints_takes_and_ticks_off(request_by_letter: Request) -> None:
    request = request_by_letter
    with time_machine.travel(NOW, tick=False):
        letter = the_letter(request)
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        assert "Letters to post" in pat.get("/admin/").text
        base = f"/admin/privacy/request/{request.pk}"
        shown = pat.get(f"{base}/letter/{letter.pk}/").text
        assert f'action="{base}/letter/{letter.pk}/copy/"' in shown and "Take the copy for a USB stick" in shown
        page = pat.post(f"{base}/letter/{letter.pk}/copy/", {"take": "page"})
        assert b"Dora asks about" in b"".join(page.streaming_content)  # type: ignore[attr-defined]
        assert "style-src 'self' 'sha256-" in page.headers["Content-Security-Policy"]
        assert "no-store" in page.headers["Cache-Control"]
        stick = pat.post(f"{base}/letter/{letter.pk}/copy/", {"take": "stick"})
        assert zipfile.is_zipfile(io.BytesIO(b"".join(stick.streaming_content)))  # type: ignore[attr-defined]
        again = pat.post(f"{base}/letter/{letter.pk}/copy/", {"take": "stick"}, follow=True)
        assert "taken for a stick before" in again.text
        pat.post(f"{base}/step/posted/", {"letter": str(letter.pk)})
        assert "Copy posted, and destroyed here" in pat.get(f"{base}/change/").text
        assert pat.get(f"{base}/letter/{letter.pk}/copy/").status_code == 404
        sam = pages.signed_in(factories.staff("sam", "sam@ilt.example", roles=("sales",)))
        assert sam.get(f"{base}/letter/{letter.pk}/copy/").status_code == 404


def test_a_look_or_a_browser_that_fetches_ahead_prints_nothing(request_by_letter: Request) -> None:
    """Control: the button does, and the letter can be ticked off after it."""
    request = request_by_letter
    with time_machine.travel(NOW, tick=False):
        letter = the_letter(request)
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        base = f"/admin/privacy/request/{request.pk}"
        for answer in (pat.get(f"{base}/letter/{letter.pk}/copy/"), pat.post(f"{base}/letter/{letter.pk}/copy/")):
            assert (answer.status_code, answer.headers["Location"]) == (302, f"{base}/letter/{letter.pk}/")
        assert not request.events.filter(kind__in=("copy_printed", "copy_on_stick")).exists()
        assert "first print it" in pat.post(f"{base}/step/posted/", {"letter": str(letter.pk)}).text
        assert export.live(request) is not None
        pat.post(f"{base}/letter/{letter.pk}/copy/", {"take": "page"})
        assert request.events.filter(kind="copy_printed").count() == 1
        pat.post(f"{base}/step/posted/", {"letter": str(letter.pk)})
    assert export.live(request) is None
