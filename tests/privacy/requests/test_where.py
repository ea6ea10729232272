"""Where the person is decides the clock: country, and the state or province where one is on file; and what is counted
anew."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import Customer
from privacy import audit, letters, vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import clock, history, proving, reading, recount, services, writing
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import NOW, OPERATOR, PRIVACY, filed, taken_in

pytestmark = pytest.mark.django_db

MONTH, CALIFORNIA, BRAZIL, DAYS_30 = date(2026, 12, 20), date(2027, 1, 3), date(2026, 12, 5), date(2026, 12, 20)


def person(country: str, region: str, **more: Any) -> Customer:
    return factories.customer("Alice", "Archer", email="alice@example.com", country=country, region=region, **more)


@pytest.fixture
def _by_californias_law(settings: Any) -> None:
    settings.CALIFORNIA = True


# Where ----------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_by_californias_law")
@pytest.mark.parametrize(
    ("country", "region", "code", "law", "due_on"),
    [
        ("US", "California", "CA", "california", CALIFORNIA),
        ("US", "MA", "MA", "policy", MONTH),
        ("US", "", "", "policy", MONTH),
        ("CA", "Ontario", "ON", "canada", DAYS_30),
        ("CA", "", "", "canada", DAYS_30),
        ("BR", "CA", "", "brazil", BRAZIL),
        ("GB", "Scotland", "", "uk", MONTH),  # sealed: no code of a list says which part it is
    ],
)
def test_the_state_on_file_chooses_the_law_where_one_knows_it(
    country: str, region: str, code: str, law: str, due_on: date
) -> None:
    request = filed(person(country, region))
    assert (request.country, request.region) == (country, code)
    assert (history.due_dates(request).regime.name, request.due_on) == (law, due_on)


def test_californias_law_counts_only_where_the_company_switched_it_on() -> None:
    request = filed(person("US", "CA"))
    assert (request.region, request.due_on) == ("CA", MONTH)


@pytest.mark.usefixtures("_by_californias_law")
def test_the_state_is_read_where_the_person_has_no_e_mail_and_where_only_an_address_names_it() -> None:
    silent = factories.customer("Sam", "Silent", email="", country="US", region="CA")
    assert taken_in("erasure", silent.subject_id, channel="mail", actor=OPERATOR).due_on == CALIFORNIA
    alice = person("US", "")
    factories.address(alice, region="CA")
    assert filed(alice).region == "CA"


@pytest.mark.usefixtures("_by_californias_law")
def test_an_address_in_another_country_names_no_state_of_the_persons() -> None:
    alice = person("DE", "")
    factories.address(alice, region="CA", country="US")
    request = filed(alice)
    assert (request.country, request.region, request.due_on) == ("DE", "", MONTH)


def test_a_region_of_before_that_is_no_code_goes_into_no_request() -> None:
    alice = person("US", "")
    Customer.objects.filter(pk=alice.pk).update(state="Somewhere in New England, by the sea")
    assert filed(alice).region == ""


@pytest.mark.usefixtures("_by_californias_law")
def test_who_is_known_by_nothing_is_answered_by_the_strictest_law() -> None:
    request = taken_in("access", None, email="nobody@example.com", channel="mail", actor=OPERATOR)
    assert (request.country, request.region, request.due_on) == ("", "", MONTH)
    assert history.due_dates(request).regime.name == "eu"


@pytest.mark.usefixtures("_by_californias_law")
def test_the_state_of_who_turns_out_to_ask_counts_from_the_receipt() -> None:
    request = taken_in("access", None, email="new@example.com", channel="mail", actor=OPERATOR)
    alice = person("US", "CA")
    proving.identify(request, "in_person", subject=alice.subject_id, actor=PRIVACY, now=NOW + timedelta(days=2))
    request.refresh_from_db()
    assert (request.region, request.due_on) == ("CA", CALIFORNIA)


def test_an_easter_monday_in_an_unknown_part_of_britain_is_a_working_day() -> None:
    easter = person("GB", "")
    received = date(2027, 2, 28)
    request = taken_in(
        "access", easter.subject_id, channel="mail", received_on=received, actor=OPERATOR, now=NOW + timedelta(days=100)
    )
    assert (request.due_on, request.legal_due_on) == (date(2027, 3, 28), date(2027, 3, 29))


# Counted anew ---------------------------------------------------------------------------------------------------------


def test_what_was_counted_by_an_older_law_is_counted_anew_once_and_stands_in_the_audit() -> None:
    brazilian, ended, german = (
        taken_in("erasure", factories.customer(email=f"{country}@example.com", country=country).subject_id, channel="mail", actor=OPERATOR)
        for country in ("BR", "BR", "DE")
    )  # fmt: skip
    services.withdraw(ended, actor=PRIVACY, now=NOW)
    factories.communication(email="guest@example.com")
    for guest in ("guest@example.com", "nobody@example.com"):  # about records, and about nobody: nothing moves
        taken_in("erasure", None, channel="mail", email=guest, actor=OPERATOR)
    assert Request.objects.filter(scope="records").exists()
    Request.objects.filter(pk__in=[brazilian.pk, ended.pk]).update(due_on=MONTH, legal_due_on=date(2026, 12, 21))
    Request.objects.filter(pk=brazilian.pk).update(next_action_at=clock.answer_from(MONTH))
    assert recount.recount(actor=OPERATOR, now=NOW) == 1
    assert recount.recount(actor=OPERATOR, now=NOW) == 0
    assert not recount._recount(ended.pk, OPERATOR, NOW), "as one that ends while the others are counted"
    for one in (brazilian, ended, german):
        one.refresh_from_db()
    assert (brazilian.due_on, brazilian.legal_due_on) == (BRAZIL, BRAZIL)
    assert brazilian.next_action_at == clock.answer_from(BRAZIL)
    assert (ended.due_on, german.due_on) == (MONTH, MONTH)
    (event,) = audit.history(reference=brazilian.reference).filter(action="request.recounted")
    assert event.reason == "from 20 December 2026 to 5 December 2026"


def test_a_state_of_before_is_noted_when_it_is_counted_anew(settings: Any) -> None:
    request = filed(person("US", "CA"))
    Request.objects.filter(pk=request.pk).update(region="")
    settings.CALIFORNIA = True
    assert recount.recount(actor=OPERATOR, now=NOW) == 1
    request.refresh_from_db()
    assert (request.region, request.due_on) == ("CA", CALIFORNIA)


# The date without the pause -------------------------------------------------------------------------------------------


def proved_after_a_week(country: str) -> Request:
    """Asked by letter on 20 November, who it is proved on the 27th: the British month starts then."""
    alice = person(country, "", user=factories.login("alice", "alice@example.com"))
    request = taken_in("erasure", alice.subject_id, channel="mail", actor=OPERATOR)
    proving.identify(request, "in_person", subject=alice.subject_id, actor=OPERATOR, now=NOW + timedelta(days=7))
    request.refresh_from_db()
    return request


def test_the_date_without_the_pause_is_kept_beside_the_one_with_it() -> None:
    british = proved_after_a_week("GB")
    assert (british.due_on, british.unpaused_due_on) == (date(2026, 12, 27), date(2026, 12, 20))


def test_where_nothing_stopped_the_clock_there_is_one_date() -> None:
    german = proved_after_a_week("DE")
    assert (german.due_on, german.unpaused_due_on) == (date(2026, 12, 20), None)


TWO = "27 December 2026 (had we not waited for you: 20 December 2026)"


def test_letters_tell_both_dates() -> None:
    request = proved_after_a_week("GB")
    with system("letter"):
        said = {
            one.kind: letters.given(one)[0]
            for one in Letter.objects.filter(request=request).order_by("queued_at", "id")
        }
    assert f"We answer by: {TWO}" in said["acknowledgement"]
    for kind in ("extended", "late", "plan_changed", "plan_ready", "link_identity"):
        letter = writing.queue(
            kind, to="alice@example.com", request=request, key=f"try:{kind}", now=NOW,
            context={"reason": "x", "words": "y", "due_on": request.due_on},
        )  # fmt: skip
        with vault.internal():
            assert TWO in " ".join(str(letter.text).split())
            assert TWO in " ".join(str(letter.html).replace("<strong>", "").replace("</strong>", "").split())


def test_pages_of_the_portal_tell_both_dates() -> None:
    request = proved_after_a_week("GB")
    assert request.subject_id is not None
    alice = pages.signed_in(Customer.objects.get(subject_id=request.subject_id).user)
    for page in ("/account/", "/privacy/requests/", f"/privacy/requests/{request.pk}/"):
        assert TWO in " ".join(alice.get(page).text.split()), page


def test_the_desk_and_the_commands_tell_both_dates() -> None:
    request = proved_after_a_week("GB")
    carol = pages.signed_in(factories.staff(roles=("privacy",)))
    list_, one = "/admin/privacy/request/", f"/admin/privacy/request/{request.pk}/change/"
    for page in ("/admin/", list_, one):
        assert "(20 December 2026 without the pause)" in carol.get(page).text, page
    text = carol.get(one).text
    assert "29 December 2026 (21 December 2026 without the pause), by Art. 12A UK GDPR" in text
    out = StringIO()
    call_command("request_show", request.reference, stdout=out)
    assert (
        "Answer by 27 December 2026, at the latest 29 December 2026; without the pause by 20 December 2026."
        in out.getvalue()
    )
    assert reading.show(request)["unpaused_due_on"] == "2026-12-20"


def test_the_desk_tells_by_when_receipt_is_to_be_confirmed_in_california(settings: Any) -> None:
    settings.CALIFORNIA = True
    request = filed(person("US", "CA"))
    carol = pages.signed_in(factories.staff(roles=("privacy",)))
    text = carol.get(f"/admin/privacy/request/{request.pk}/change/").text
    assert "3 January 2027, receipt to be confirmed by 7 December 2026, by Cal. Civ. Code" in text
