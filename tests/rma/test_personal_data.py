"""The facts on which a return's fate depends, what is told before an erasure, and what the sweep is shown."""

from datetime import date

import pytest
from django.db.models import Model

from accounts.models import Customer
from privacy import datamap
from privacy.retention import rules
from privacy.retention.assess import assess
from rma import personal_data
from rma.models import RMA, Ownership, RMANote
from rma.services import add_note
from tests.factories import DAN, a_customer, an_rma, login, moved, noon
from tests.rma.test_services import certify, verified

pytestmark = pytest.mark.django_db
State = RMA.State


def told_of(customer: Customer, model: type[Model] = RMA) -> list[str]:
    """Return what a person is told of these records before an erasure, in the words of letters."""
    return [str(one) for one in datamap.for_model(model).warnings(customer.subject_id, date(2026, 11, 22))]


def test_the_facts_of_an_open_and_of_a_closed_return() -> None:
    alice = a_customer(country="DE")
    rma = an_rma(alice)
    declaration = datamap.for_model(RMA)
    facts = declaration.facts(RMA.objects.with_owner().get())
    assert (facts.label, facts.title, facts.subject_id) == ("rma.rma", f"Return {rma.number}", alice.subject_id)
    assert (facts.party, facts.country, facts.flags) == ("person", "DE", {"open_rma"})
    assert facts.events == {"opened": date(2026, 11, 2), "shipped": None, "closed": None}
    assert set(facts.data) == {"rma", "rma_note"}
    moved(verified(rma), State.SHIPPED_BACK, State.CLOSED, on=date(2026, 11, 9))
    facts = declaration.facts(RMA.objects.with_owner().get())
    assert facts.flags == frozenset()
    assert facts.events == {"opened": date(2026, 11, 2), "shipped": date(2026, 11, 9), "closed": date(2026, 11, 9)}
    assert "Alice" not in repr(facts)


def test_a_note_has_the_facts_of_its_return() -> None:
    rma = an_rma(a_customer())
    add_note(rma, text="Hello", actor=DAN, now=noon(date(2026, 11, 5)))
    facts = datamap.for_model(RMANote).facts(RMANote.objects.with_owner().get())
    assert (facts.title, facts.flags, facts.data) == (
        f"Note on return {rma.number}",
        {"open_rma"},
        {"rma_note": ("Text",)},
    )


def test_an_open_return_keeps_the_account() -> None:
    alice, bob = a_customer(), a_customer()
    rma = an_rma(alice)
    people = [alice.subject_id, bob.subject_id]
    assert list(personal_data.account_flags(people)) == [
        datamap.Flagged(alice.subject_id, "rma.rma", rma.pk, frozenset({"open_rma"}))
    ]
    assert datamap.flags_of(people) == {alice.subject_id: {"open_rma"}, bob.subject_id: frozenset()}
    moved(rma, State.CANCELLED)
    assert list(personal_data.account_flags(people)) == []


def test_the_choice_and_the_certificates_are_told_before_an_erasure() -> None:
    alice, bob = a_customer(), a_customer()
    login("alice", "alice@example.com", subject=alice.subject)
    here = moved(an_rma(alice), State.AUTHORISED, State.RECEIVED)
    expected = an_rma(alice)
    certificate = certify(verified(an_rma(alice)))
    moved(RMA.objects.get(certificates=certificate), State.SHIPPED_BACK, State.CLOSED)
    an_rma(bob)
    told = told_of(alice)
    assert len(told) == 3
    assert f"Return {here.number} is open. Your instrument is here." in told[0]
    assert all("You can let us finish it, or cancel it: on its page" in sentence for sentence in told[:2])
    assert f"Return {expected.number} is open. You can" in told[1]
    assert f"Certificate {certificate.number} stays" in told[2] and "print it first" in told[2]
    moved(here, State.IN_SERVICE)  # the customer can cancel it no more
    assert "cancel it: by a call to us only." in told_of(alice)[0]


def test_what_is_true_of_several_returns_and_certificates_is_told_once_with_their_count_and_names() -> None:
    alice, numbers = a_customer(), []
    for _ in range(2):
        certificate = certify(verified(an_rma(alice)))
        moved(RMA.objects.get(certificates=certificate), State.SHIPPED_BACK, State.CLOSED)
        numbers.append(certificate.number)
    open_ones = [an_rma(alice).number for _ in range(12)]
    here = moved(an_rma(alice), State.AUTHORISED, State.RECEIVED)
    returned, alone, certified = personal_data.rma_warnings(alice.subject_id, date(2026, 11, 22))
    assert returned.sentence.startswith(
        "12 returns are open. You can let us finish them, or cancel them: by a call to us"
    )
    assert returned.about == tuple(open_ones) and not any(number in returned.sentence for number in open_ones)
    assert alone.sentence.startswith(f"Return {here.number} is open. Your instrument is here.") and alone.about == ()
    assert certified.sentence.startswith("2 certificates stay with the serial numbers of the instruments")
    assert str(certified).endswith(f" copies of those that you need. These are {numbers[0]} and {numbers[1]}.")


def test_who_has_no_login_is_told_of_no_page() -> None:
    """Such a plan comes by post or by a link: there is no page under which a return could be cancelled."""
    walter = a_customer()
    here = moved(an_rma(walter), State.AUTHORISED, State.RECEIVED)
    certificate = certify(verified(an_rma(walter)))
    moved(RMA.objects.get(certificates=certificate), State.SHIPPED_BACK, State.CLOSED)
    returned, certified = told_of(walter)
    assert f"Return {here.number} is open." in returned and "cancel it: by a call to us only." in returned
    assert certificate.number in certified and "ask us for a copy of it first" in certified
    assert not any(word in returned + certified for word in ("on its page", "read it here", "your account"))


def test_that_nobody_can_be_warned_about_an_instrument_any_more_is_told_before_an_erasure() -> None:
    alice, bob = a_customer(), a_customer()
    an_rma(alice, serial="SN-7")
    an_rma(bob, serial="SN-8")
    assert told_of(alice, Ownership) == [
        "When the registration of instrument SN-7 is removed we cannot reach you with a safety notice about it any more."
    ]
    an_rma(alice, serial="SN-9")
    assert told_of(alice, Ownership) == [
        "When the registrations of 2 instruments are removed we cannot reach you with a safety notice about them any "
        "more. These are instrument SN-7 and instrument SN-9."
    ]
    Ownership.objects.for_subject(alice.subject_id).update(until_on=date(2026, 11, 22))
    assert told_of(alice, Ownership) == []


def test_an_ownership_is_a_record_of_its_own_that_ends_when_asked() -> None:
    alice = a_customer(country="DE")
    ownership = an_rma(alice, serial="SN-7").instrument.ownerships.get()
    (rows,) = [rows for declaration, rows in datamap.records_of(alice.subject_id) if declaration.model is Ownership]
    facts = datamap.for_model(Ownership).facts(rows.get())
    assert (facts.label, facts.record_id, facts.title) == (
        "rma.ownership",
        ownership.pk,
        "Registration of instrument SN-7",
    )
    assert facts.data == {"product_registration": ("That the instrument is yours",)}
    verdict, *_ = assess(facts, rules.load(), [], date(2026, 11, 22), asked=True)
    assert verdict.action == "erase"
    verdict, *_ = assess(facts, rules.load(), [], date(2026, 11, 22), asked=False)
    assert (verdict.action, verdict.until) == ("keep", date(2036, 11, 2))
    assert not personal_data.ownership_candidates(date(2036, 11, 2)).exists()
    assert list(personal_data.ownership_candidates(date(2036, 11, 3))) == [ownership]


def test_every_field_is_declared_and_the_sealed_ones_have_a_retention_class() -> None:
    for model in (RMA, RMANote):
        declaration = datamap.for_model(model)
        named = set(declaration.data) | set(declaration.impersonal)
        assert named == {field.name for field in datamap.fields_to_declare(model)}
        for envelope in model.envelopes():
            assert rules.load()[envelope]


def test_the_sweep_is_shown_old_closed_returns_that_still_hold_data() -> None:
    alice = a_customer()
    day = date(2026, 11, 22)
    came = (State.AUTHORISED, State.RECEIVED, State.CANCELLED, State.SHIPPED_BACK, State.CLOSED)
    old = moved(an_rma(alice, date(2018, 3, 1)), *came, on=date(2018, 12, 31))
    recent = moved(an_rma(alice, date(2018, 3, 1)), *came, on=date(2019, 1, 1))
    still_open = an_rma(alice, date(2012, 3, 1))
    add_note(still_open, text="Hello", actor=DAN, now=noon(date(2012, 3, 2)))
    emptied = moved(an_rma(alice, date(2011, 1, 1)), State.CANCELLED, on=date(2011, 1, 1))
    RMA.objects.filter(pk=emptied.pk).update(sealed_rma=None, sealed_rma_note=None)
    assert list(personal_data.rma_candidates(day)) == [old]
    assert not personal_data.note_candidates(day).exists()
    assert set(personal_data.rma_candidates(date(2027, 1, 1))) == {old, recent}


def test_a_return_with_which_no_instrument_came_is_kept_for_twelve_months_and_not_after_a_request() -> None:
    alice, day = a_customer(), date(2026, 11, 5)
    rma = an_rma(alice)
    add_note(rma, text="Hello", actor=DAN, now=noon(date(2026, 11, 3)))
    moved(rma, State.CANCELLED, on=day)
    facts = datamap.for_model(RMA).facts(RMA.objects.with_owner().get())
    assert facts.flags == {"never_came"}
    kept = {one.envelope: one for one in assess(facts, rules.load(), [], day, asked=False)}
    assert {one.until for one in kept.values()} == {date(2027, 11, 5)}
    assert {one.action for one in assess(facts, rules.load(), [], day, asked=True)} == {"erase"}
    last, first = date(2027, 11, 5), date(2027, 11, 6)
    assert not personal_data.rma_candidates(last).exists() and not personal_data.note_candidates(last).exists()
    assert personal_data.rma_candidates(first).exists() and personal_data.note_candidates(first).exists()


def test_a_return_whose_instrument_came_is_never_called_one_that_did_not() -> None:
    alice = a_customer()
    for states in ((State.AUTHORISED, State.RECEIVED, State.CANCELLED, State.SHIPPED_BACK, State.CLOSED), ()):
        rma = moved(an_rma(alice), *states)
        facts = datamap.for_model(RMA).facts(RMA.objects.with_owner().get(pk=rma.pk))
        assert "never_came" not in facts.flags
