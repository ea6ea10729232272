"""What an address on file proves, and since when: each kind, the day before and the day after."""

from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps

from accounts import claim, corrections, imports, in_other_hands, people, reach, services
from accounts.models import ContactLink, ContactPoint, Customer
from accounts.reach import Reach
from privacy import gate, letters, vault
from privacy.gate import AccessEntry, Actor
from privacy.gate.system import system
from privacy.letters.models import Letter
from tests import factories
from tests.factories import NOW, TODAY

pytestmark = pytest.mark.django_db(databases="__all__")

ADDRESS, NEW = "alice@example.com", "new@example.com"
DAYS_14 = timedelta(days=14)
TICK = timedelta(seconds=1)


def carol() -> Actor:
    return factories.staff(roles=("sales",)).as_actor()


def point(customer: Customer, channel: str = "email") -> ContactPoint:
    return ContactPoint.objects.get(customer=customer, channel=channel)


def notice(of: ContactPoint, *, sent_at: Any, to: str = "old@example.com", key: str = "n") -> ContactLink:
    """A notice about a contact to an older address, sent or not."""
    letter = letters.queue("withdrawn", to=to, context={"request": None}, key=key, now=of.since)
    if sent_at is not None:
        factories.went_out(type(letter).objects.filter(pk=letter.pk), sent_at)
    link = ContactLink(
        point=of, purpose="not_me", token_hash=key, letter=letter, at=of.since, expires_at=of.since + 2 * DAYS_14
    )
    link.bind().save(force_insert=True)
    return link


# What opens the whole file --------------------------------------------------------------------------------------------


def test_the_verified_address_of_a_login_opens_its_file_at_once() -> None:
    user = factories.login(email=ADDRESS)
    assert reach.of(" Alice@Example.com ", now=NOW) == Reach(whole=(user.subject_id,))


def test_an_unverified_login_address_opens_nothing() -> None:
    factories.login(email=ADDRESS, verified=False)
    assert reach.of(ADDRESS, now=NOW) == Reach()


def test_an_address_with_which_an_import_created_the_customer_opens_its_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    row = "C-1,,,Alice,Archer,alice@example.com,978-555-0123,12 Elm Street,,Salem,MA,01970,US,no,2024-01-02"
    path.write_text(",".join(imports.COLUMNS) + "\n" + row + "\n")
    with system("import"):
        imports.import_customers(path, actor=gate.current(), now=NOW)
    alice = Customer.objects.get()
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(alice.subject_id,))
    assert reach.counts(alice, "phone", now=NOW)
    assert reach.counts(alice.addresses.get(), "post", now=NOW)


def test_an_address_confirmed_by_link_opens_the_file_at_once() -> None:
    alice = factories.customer(came="person")
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach()
    ContactPoint.objects.filter(customer=alice).update(confirmed_at=NOW)
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(alice.subject_id,))


def test_an_address_that_staff_entered_opens_the_file_14_days_after_the_notice_went_out() -> None:
    alice = factories.customer(came="staff")
    notice(point(alice), sent_at=NOW + timedelta(hours=5))
    due = NOW + timedelta(hours=5) + DAYS_14
    assert reach.of(ADDRESS, now=due - TICK) == Reach()
    assert reach.of(ADDRESS, now=due) == Reach(whole=(alice.subject_id,), by_staff_entry=frozenset({alice.subject_id}))
    assert reach.counts_from(point(alice)) == due


def test_every_notice_must_have_gone_out() -> None:
    alice = factories.customer(came="staff")
    notice(point(alice), sent_at=NOW, key="one")
    notice(point(alice), sent_at=None, key="two")
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach()


def test_where_nobody_could_be_told_waiting_opens_nothing() -> None:
    alice = factories.customer(came="staff")
    assert reach.of(ADDRESS, now=NOW + 99 * DAYS_14) == Reach()
    assert reach.counts_from(point(alice)) is None


def test_a_disputed_address_opens_nothing_however_long_it_stands_and_whoever_enters_it_again() -> None:
    alice = factories.customer(came="staff")
    notice(point(alice), sent_at=NOW)
    ContactPoint.objects.filter(customer=alice).update(disputed_at=NOW)
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach()
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    notice(point(alice), sent_at=NOW, key="again")
    assert reach.of(NEW, now=NOW + 9 * DAYS_14) == Reach()


def test_a_contact_without_a_row_counts_for_nothing() -> None:
    alice = factories.customer()
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(alice.subject_id,))
    ContactPoint.objects.all().delete()
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach()


def test_the_address_of_a_message_opens_no_file() -> None:
    alice = factories.customer(email="")
    factories.communication(alice, email=ADDRESS)
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach()


def test_asking_opens_nothing() -> None:
    factories.customer(user=factories.login(email=ADDRESS))
    reach.of(ADDRESS, now=NOW)
    assert not AccessEntry.objects.exists()


# Shared addresses -----------------------------------------------------------------------------------------------------


def test_a_mailbox_of_two_customers_identifies_nobody() -> None:
    factories.customer("Dana", email="info@firm.example")
    factories.customer("Marcus", email="info@firm.example")
    assert reach.of("info@firm.example", now=NOW) == Reach(is_shared=True)


def test_a_mailbox_that_is_the_login_of_one_and_the_contact_of_another_identifies_nobody() -> None:
    factories.customer(user=factories.login(email=ADDRESS), email="")
    factories.customer("Bob", email=ADDRESS)
    assert reach.of(ADDRESS, now=NOW) == Reach(is_shared=True)


def test_two_records_of_one_person_are_not_shared() -> None:
    alice = factories.customer()
    factories.customer(subject=alice.subject)
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(alice.subject_id,))


def test_a_login_not_joined_yet_stands_beside_its_customer() -> None:
    alice, user = factories.customer(), factories.login(email=ADDRESS)
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=tuple(sorted([alice.subject_id, user.subject_id])))


def test_a_strangers_typed_contact_neither_opens_nor_closes_a_file() -> None:
    alice = factories.customer()
    bob = factories.customer("Bob", user=factories.login("bob", "bob@example.com"), email="")
    corrections.correct(bob, {"email": ADDRESS}, actor=factories.acting_as(bob), now=NOW)
    assert reach.of(ADDRESS, now=NOW + 9 * DAYS_14) == Reach(whole=(alice.subject_id,))


def test_an_unverified_address_never_counts_against_a_verified_one() -> None:
    user = factories.login(email=ADDRESS)
    alice = factories.customer(user=user)
    factories.customer("Bob", came="staff")
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(alice.subject_id,))


def test_what_staff_entered_today_closes_a_file_that_nobody_verified() -> None:
    factories.customer("Dana", email="info@firm.example")
    factories.customer("Marcus", email="info@firm.example", came="staff")
    assert reach.of("info@firm.example", now=NOW) == Reach(is_shared=True)


# Who writes the rows --------------------------------------------------------------------------------------------------


def test_an_edit_by_staff_starts_the_clock_anew() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW, reason="by staff")
    assert (point(alice).came, point(alice).since) == ("staff", NOW)
    assert reach.of(ADDRESS, now=NOW) == reach.of(NEW, now=NOW) == Reach()


def test_an_edit_by_the_person_counts_when_confirmed_only() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"email": NEW}, actor=factories.acting_as(alice), now=NOW)
    assert point(alice).came == "person"
    assert not reach.counts(alice, "email", now=NOW + 9 * DAYS_14)


def test_another_spelling_of_the_same_address_changes_nothing() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"email": "Alice@EXAMPLE.com"}, actor=carol(), now=NOW)
    assert point(alice).came == "created"


NATIONAL, LONDON, ABROAD = "978 555 0101", "020 7946 0777", "+44 20 7946 0777"


@pytest.mark.parametrize(
    ("number", "country", "steps", "other"),
    [
        (NATIONAL, "US", [{"country": "IN"}], "+91 978 555 0101"),
        (NATIONAL, "US", [{"country": "IN", "phone": "(978) 555-0101"}], "+91 978 555 0101"),
        (LONDON, "GB", [{"country": "US"}], "+1 207 946 0777"),
        ("+1 978 555 0101", "US", [{"country": "IN"}, {"phone": NATIONAL}], "+91 978 555 0101"),
        ("+1 978 555 0101", "US", [{"phone": NATIONAL}, {"country": "IN"}], "+91 978 555 0101"),
    ],
)
@pytest.mark.parametrize("who", ["person", "staff"])
def test_a_number_that_another_country_makes_another_one_was_entered_with_the_country(
    number: str, country: str, steps: list[dict[str, str]], other: str, who: str
) -> None:
    """Whoever has a login for a minute changes the country alone: no digit differs, and the call goes to another
    person."""
    alice = factories.customer(phone=number, country=country)
    assert not people.called(alice.subject_id, other, NOW)
    actor = factories.acting_as(alice) if who == "person" else carol()
    for step in steps:
        corrections.correct(alice, step, actor=actor, now=NOW + TICK)
    assert (point(alice, "phone").came, point(alice, "phone").since) == (who, NOW + TICK)
    assert not people.called(alice.subject_id, other, NOW + DAYS_14)
    assert not in_other_hands.was_there_before(point(alice, "phone"), NOW + TICK)
    told = Letter.objects.filter(kind="contact_not_me")
    with vault.internal():
        assert [str(one.to) for one in told] == [ADDRESS]
    if who == "person":
        assert people.called(alice.subject_id, other, NOW + TICK + DAYS_14), "after 14 days it is their number"


@pytest.mark.parametrize(
    ("number", "before", "after"),
    [(ABROAD, "GB", "IN"), (NATIONAL, "US", "CA"), (NATIONAL, "", "US"), ("", "US", "IN")],
)
def test_a_number_that_stays_the_same_in_another_country_is_not_entered_anew(
    number: str, before: str, after: str
) -> None:
    alice = factories.customer(phone=number, country=before)
    corrections.correct(alice, {"country": after, "region": ""}, actor=factories.acting_as(alice), now=NOW + TICK)
    assert {(one.came, one.since) for one in alice.contact_points.all()} == {("created", NOW)}
    assert not Letter.objects.exists()
    if number:
        assert people.called(alice.subject_id, number, NOW + TICK)


def test_what_is_not_a_contact_starts_no_clock() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"first_name": "Alicia"}, actor=carol(), now=NOW)
    assert {one.came for one in alice.contact_points.all()} == {"created"}


def test_the_verified_login_address_as_contact_counts_at_once() -> None:
    alice = factories.customer(user=factories.login(email=ADDRESS), email="")
    corrections.correct(alice, {"email": ADDRESS}, actor=factories.acting_as(alice), now=NOW)
    assert (point(alice).came, reach.counts(alice, "email", now=NOW)) == ("login", True)


def test_a_cleared_contact_keeps_its_row_and_counts_for_nothing() -> None:
    alice = factories.customer()
    corrections.correct(alice, {"email": "", "phone": ""}, actor=carol(), now=NOW)
    assert set(alice.contact_points.values_list("channel", "came")) == {("email", "cleared"), ("phone", "cleared")}
    assert not any(reach.counts(alice, channel, now=NOW + 9 * DAYS_14) for channel in ("email", "phone"))
    assert [reach.counts_from(one) for one in alice.contact_points.all()] == [None, None]


def test_a_dispute_outlives_taking_the_contact_out() -> None:
    desk = carol()
    alice = factories.customer()
    ContactPoint.objects.filter(customer=alice).update(disputed_at=NOW)
    corrections.correct(alice, {"email": ""}, actor=desk, now=NOW)
    corrections.correct(alice, {"email": NEW}, actor=desk, now=NOW)
    factories.went_out(Letter.objects.all(), NOW)
    assert (point(alice).came, point(alice).disputed_at) == ("staff", NOW)
    assert reach.of(NEW, now=NOW + 9 * DAYS_14) == Reach()


def test_what_staff_entered_where_nobody_could_be_told_never_counts_by_waiting() -> None:
    desk = carol()
    alice = factories.customer(email="", phone="")
    corrections.correct(alice, {"phone": "617 555 0199"}, actor=desk, now=NOW)
    place = services.add_address(alice, purpose="billing", country="US", street="1 Oak", actor=desk, now=NOW)
    assert not reach.counts(alice, "phone", now=NOW + 99 * DAYS_14)
    assert not reach.counts(place, "post", now=NOW + 99 * DAYS_14)
    assert reach.counts_from(point(alice, "phone")) is None


def test_an_address_that_proves_nothing_is_nobody_who_could_be_told() -> None:
    desk = carol()
    alice = factories.customer(email="", phone="")
    for changed in ({"email": "evil@example.com"}, {"email": NEW}, {"phone": "617 555 0199"}):
        corrections.correct(alice, changed, actor=desk, now=NOW)
    assert set(Letter.objects.values_list("kind", flat=True)) == {"contact_not_me"}, "told all the same"
    factories.went_out(Letter.objects.all(), NOW)
    assert not any(reach.counts(alice, channel, now=NOW + 99 * DAYS_14) for channel in ("email", "phone"))


def test_a_customer_made_by_staff_has_contacts_by_staff() -> None:
    alice = services.create_customer(
        actor=carol(), now=NOW, since=TODAY, last_name="Archer", email=ADDRESS, phone="1234"
    )
    assert set(alice.contact_points.values_list("channel", "came")) == {("email", "staff"), ("phone", "staff")}


def test_numbers_and_postal_addresses_count_after_14_days() -> None:
    alice = factories.customer()
    with gate.acting(factories.acting_as(alice)):
        place = services.add_address(
            alice, purpose="billing", country="US", street="1 Oak", actor=factories.acting_as(alice), now=NOW
        )
    corrections.correct(alice, {"phone": "617 555 0199"}, actor=carol(), now=NOW)
    for record, channel in ((alice, "phone"), (place, "post")):
        assert not reach.counts(record, channel, now=NOW + DAYS_14 - TICK)
        factories.went_out(Letter.objects.all(), NOW)
        assert reach.counts(record, channel, now=NOW + DAYS_14)
    corrections.correct(place, {"street": "2 Oak"}, actor=factories.acting_as(alice), now=NOW + DAYS_14)
    assert not reach.counts(place, "post", now=NOW + DAYS_14)


# Where answers go -----------------------------------------------------------------------------------------------------


def test_answers_go_to_the_login_else_to_a_contact_that_counts_else_by_post() -> None:
    alice = factories.customer()
    with vault.internal():
        assert reach.answer_address(alice.subject_id, now=NOW) == ADDRESS
        corrections.correct(alice, {"email": NEW}, actor=carol(), now=NOW)
        assert reach.answer_address(alice.subject_id, now=NOW) == ""
        user = factories.login(email="login@example.com")
        bob = factories.customer("Bob", user=user)
        assert reach.answer_address(bob.subject_id, now=NOW) == "login@example.com"


def test_no_answer_goes_to_a_shared_mailbox() -> None:
    dana = factories.customer("Dana", email="info@firm.example")
    with vault.internal():
        assert reach.answer_address(dana.subject_id, now=NOW) == "info@firm.example"
        factories.customer("Marcus", email="info@firm.example")
        assert reach.answer_address(dana.subject_id, now=NOW) == ""


def test_without_a_right_there_is_no_answer_address() -> None:
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    with gate.acting(factories.acting_as(bob)):
        assert reach.answer_address(alice.subject_id, now=NOW) == ""


def test_every_other_address_of_login_and_contact_is_told_once() -> None:
    user = factories.login(email="login@example.com")
    alice = factories.customer(user=user, email="file@example.com", came="staff")
    factories.customer(subject=alice.subject, email="Login@Example.com")
    factories.communication(alice, email="message@example.com")
    with vault.internal():
        assert reach.others(alice.subject_id, but="x@example.com") == ["login@example.com", "file@example.com"]
        assert reach.others(alice.subject_id, but="FILE@example.com") == ["login@example.com"]
        ContactPoint.objects.filter(customer=alice).update(disputed_at=NOW)
        told = reach.others(alice.subject_id, but="x@example.com")
        assert told == ["login@example.com", "file@example.com"], "an objection may come from the wrong mailbox"


def test_an_unverified_address_of_a_login_is_not_told() -> None:
    user = factories.login(email="login@example.com")
    EmailAddress.objects.create(user=user, email="typed@example.com")
    with vault.internal():
        assert reach.others(user.subject_id, but="") == ["login@example.com"]


# What becomes of the rows ---------------------------------------------------------------------------------------------


def test_a_merge_takes_the_contacts_along() -> None:
    alice, user = factories.customer(), factories.login(email="login@example.com")
    claim.merge(alice.subject_id, user.subject_id, actor=None, now=NOW)
    assert reach.of(ADDRESS, now=NOW) == Reach(whole=(user.subject_id,))


def test_the_rows_go_with_the_customer() -> None:
    alice = factories.customer()
    factories.address(alice)
    notice(point(alice), sent_at=NOW)
    alice.delete()
    assert (ContactPoint.objects.count(), ContactLink.objects.count()) == (0, 0)


# What was on file before ----------------------------------------------------------------------------------------------


def test_contacts_of_before_count_from_their_last_change_in_the_audit_else_from_creation() -> None:
    imported, edited = factories.customer("Ida"), factories.customer("Ed", email="")
    old = factories.customer("Olaf", email="olaf@example.com", since=(NOW - DAYS_14 * 9).date())
    place = factories.address(imported)
    from privacy import audit

    audit.record("customer.imported", actor=None, now=NOW, record=(Customer.vault_label, imported.pk))
    corrections.correct(edited, {"email": "ed@example.com"}, actor=carol(), now=NOW, reason="by staff")
    ContactPoint.objects.all().delete()
    import_module("accounts.migrations.0004_contacts_on_file").write(apps, None)
    assert reach.of(ADDRESS, now=NOW).whole == (imported.subject_id,)
    assert reach.counts(place, "post", now=NOW)
    assert reach.of("olaf@example.com", now=NOW) == Reach(
        whole=(old.subject_id,), by_staff_entry=frozenset({old.subject_id})
    )
    assert reach.of("ed@example.com", now=NOW + DAYS_14 - TICK) == Reach()
    assert reach.of("ed@example.com", now=NOW + DAYS_14).whole == (edited.subject_id,)
