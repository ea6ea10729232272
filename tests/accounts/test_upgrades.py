"""Regions of before: made a code or sealed by `prepare`, whatever kills it, and nothing of an erased record comes
back."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor

from accounts import upgrades
from accounts.models import Communication, Company, Customer
from ilt_site import bounds
from ilt_site.management.commands import prepare
from orders.models import Order
from privacy import vault
from privacy.retention import holds
from privacy.retention.models import HeldValue
from privacy.typed import phones
from privacy.vault import reindex
from privacy.vault.keystore import keys, once
from privacy.vault.models import DataKey, Token
from tests import factories
from tests.accounts.test_regions import opened, plain
from tests.asked import PRIVACY
from tests.factories import NOW, an_order

pytestmark = pytest.mark.django_db(databases="__all__")


def of_before(record: Any, text: str) -> Any:
    """Put a text where earlier versions kept it."""
    models.QuerySet(type(record)).filter(pk=record.pk).update(state=text)
    return record


def left() -> dict[str, int]:
    return {model.__name__: upgrades.unsettled(model).count() for model in upgrades.PLACED}


def checked() -> list[str]:
    return [one.msg for one in upgrades.regions_left(databases=["default"])]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_rows_of_the_version_before_come_through_the_migration_and_are_settled_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [
        factories.customer(country="US", region=""),
        factories.customer(country="US", region=""),
        factories.customer(country="DE", region="", email="d@example.com"),
        factories.customer(country="DE", region="", email="e@example.com"),
        factories.company(country="GB", region=""),
        factories.address(factories.customer(), country="AU", region=""),
    ]
    typed = ["MA", "massachusetts", "Bayern", "Hessen", "Kent", "n.s.w."]
    before = MigrationExecutor(connection)
    before.migrate([("accounts", "0010_contacts_taken_out")])
    try:
        with connection.cursor() as cursor:
            for record, text in zip(made, typed, strict=True):
                cursor.execute(f"UPDATE {record._meta.db_table} SET region = %s WHERE id = %s", [text, record.pk])
    finally:
        MigrationExecutor(connection).migrate(before.loader.graph.leaf_nodes())
        bounds.settle()
    assert left() == {"Company": 1, "Customer": 3, "Address": 1}
    assert checked() == [
        "Regions that were typed before stand readable in the main database: companies, customers, addresses."
    ]

    settle, calls = upgrades._settle, []

    def then_killed(*given: Any) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(settle(*given))
        return calls[0]

    monkeypatch.setattr(upgrades, "_settle", then_killed)
    with pytest.raises(KeyboardInterrupt):
        upgrades.settle_regions(batch=1)
    assert sum(left().values()) == 4
    monkeypatch.setattr(upgrades, "_settle", settle)
    assert upgrades.settle_regions(batch=1) == []

    assert left() == {"Company": 0, "Customer": 0, "Address": 0} and checked() == []
    assert [opened(record) for record in made] == ["MA", "MA", "Bayern", "Hessen", "Kent", "NSW"]
    for model in upgrades.PLACED:
        assert not {"massachusetts", "Bayern", "Hessen", "Kent", "n.s.w."} & plain(model)
    assert not DataKey.objects.filter(record=made[0].pk).exclude(destroyed_at=None).exists(), "a code needs no new key"
    again = list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at"))
    assert upgrades.settle_regions() == []
    assert list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at")) == again


def test_what_is_read_and_saved_before_it_is_settled_is_not_lost() -> None:
    alice = of_before(factories.customer(country="DE", region=""), "Bayern")
    one = Customer.objects.get(pk=alice.pk)
    assert one.region == "Bayern"
    with vault.internal():
        one.last_name = "Bell"
        one.save()
    upgrades.settle_regions()
    assert opened(alice) == "Bayern"


def test_the_old_key_goes_with_the_envelope_that_got_the_region(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        alice = of_before(factories.customer(country="DE", region=""), "Bayern")
    with django_capture_on_commit_callbacks(execute=True):
        upgrades.settle_regions()
    ended = DataKey.objects.filter(record=alice.pk, envelope="account").order_by("created_at")
    assert [key.destroyed_at is None for key in ended] == [False, True]
    with vault.internal():
        assert Customer.objects.get(pk=alice.pk).last_name == "Archer"


@pytest.mark.parametrize(
    ("country", "text", "state"), [("DE", "Bayern", ""), ("US", "Bavaria", ""), ("US", "maine", "ME")]
)
@pytest.mark.parametrize("is_restored", [False, True], ids=["ended", "in a backup"])
def test_an_erased_record_takes_no_data_again(country: str, text: str, state: str, is_restored: bool) -> None:
    alice = of_before(factories.customer(country=country, region=""), text)
    keys.destroy([(alice.pk, "account")], now=NOW)
    if not is_restored:
        models.QuerySet(Customer).filter(pk=alice.pk).update(sealed_account=None)
    sealed = Customer.objects.get(pk=alice.pk).sealed_account
    assert upgrades.settle_regions() == []
    after = Customer.objects.get(pk=alice.pk)
    assert (after.state, after.sealed_account) == (state, sealed)
    assert not DataKey.objects.filter(record=alice.pk, destroyed_at=None).exists()


def test_a_record_under_a_hold_keeps_hold_and_values_and_nothing_counts_as_corrected() -> None:
    alice = of_before(factories.customer(country="DE", region=""), "Bayern")
    holds.place("accounts.customer", alice.pk, reason="claim", actor=PRIVACY, now=NOW)
    restriction = Customer.objects.get(pk=alice.pk).restriction("account")
    assert restriction
    upgrades.settle_regions()
    assert Customer.objects.get(pk=alice.pk).restriction("account") == restriction
    assert opened(alice) == "Bayern" and not HeldValue.objects.exists()


def test_a_row_that_cannot_be_sealed_is_named_by_its_number_and_keeps_no_other_back() -> None:
    rows = [of_before(factories.company(f"Werk {n}", country="DE", region=""), "Bayern") for n in range(4)]
    of_before(rows[2], "••••")
    found = upgrades.settle_regions()
    assert [(one.label, UUID(one.record), one.error) for one in found] == [
        ("accounts.company", rows[2].pk, "MaskNotAValue")
    ]
    assert left()["Company"] == 1 and len(checked()) == 1
    assert [opened(rows[n]) for n in (0, 1, 3)] == ["Bayern"] * 3


def test_a_line_break_of_before_becomes_a_blank() -> None:
    home = of_before(factories.address(factories.customer(), country="DE", region=""), "Bayern\nSüd")
    assert upgrades.settle_regions() == []
    assert opened(home) == "Bayern Süd"


def test_prepare_settles_and_says_what_it_could_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "call_command", lambda *args, **options: None)
    fine = of_before(factories.company(country="DE", region=""), "Bayern")
    bad = of_before(factories.company("Werk", country="DE", region=""), "••••")
    err = StringIO()
    call_command("prepare", stderr=err)
    assert opened(fine) == "Bayern"
    said = f"The region of accounts.company {bad.pk} could not be settled (MaskNotAValue)."
    assert err.getvalue().splitlines()[-1] == said


# Telephone numbers that had no index ----------------------------------------------------------------------------------


def numbers_of_before(records: list[Any]) -> None:
    """Take away what the version before did not place."""
    Token.objects.filter(
        record__in=[one.pk for one in records], field__in=[f"{name}.2" for _, name in upgrades.phone_indexes()]
    ).delete()


def by_phone(model: Any, number: str) -> list[UUID]:
    return list(model.objects.find(dict(upgrades.phone_indexes())[model], number).values_list("pk", flat=True))


def test_numbers_of_before_are_found_after_the_upgrade_in_batches_and_nothing_is_sealed_anew() -> None:
    companies = [factories.company(phone=f"978-555-010{n}") for n in range(3)]
    messages = [factories.communication(phone=f"617-555-020{n}") for n in range(3)]
    silent = factories.communication(phone="")
    numbers_of_before([*companies, *messages])
    keys_before = list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at"))
    sealed = bytes(Communication.objects.get(pk=messages[0].pk).sealed_support)
    assert by_phone(Company, "(978) 555-0101") == by_phone(Communication, "(617) 555-0201") == []

    assert upgrades.index_phones(batch=2) == []
    assert by_phone(Company, "(978) 555-0101") == [companies[1].pk]
    assert by_phone(Communication, "(617) 555-0202") == [messages[2].pk]
    assert not Token.objects.filter(record=silent.pk, field="communication.phone.2").exists()
    assert list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at")) == keys_before
    assert bytes(Communication.objects.get(pk=messages[0].pk).sealed_support) == sealed

    count = Token.objects.count()
    assert upgrades.index_phones(batch=2) == []
    assert Token.objects.count() == count, "twice is once"


def test_an_index_that_was_cut_off_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [factories.communication(phone=f"617-555-020{n}") for n in range(4)]
    numbers_of_before(messages)
    place, calls = reindex.place, []

    def then_killed(*given: Any) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(place(*given))
        return calls[0]

    monkeypatch.setattr(reindex, "place", then_killed)
    with pytest.raises(KeyboardInterrupt):
        upgrades.index_phones(batch=2)
    assert Token.objects.filter(field="communication.phone.2").values("record").distinct().count() == 2
    monkeypatch.setattr(reindex, "place", place)
    assert upgrades.index_phones(batch=2) == []
    assert [by_phone(Communication, f"617-555-020{n}") for n in range(4)] == [[one.pk] for one in messages]


@pytest.mark.parametrize("is_restored", [False, True], ids=["ended", "in a backup"])
def test_a_number_of_an_erased_record_gets_no_token(is_restored: bool) -> None:
    gone, kept = factories.communication(phone="617-555-0200"), factories.communication(phone="617-555-0201")
    numbers_of_before([gone, kept])
    keys.destroy([(gone.pk, "support")], now=NOW)
    if not is_restored:
        models.QuerySet(Communication).filter(pk=gone.pk).update(sealed_support=None)
    assert upgrades.index_phones() == []
    assert not Token.objects.filter(record=gone.pk).exists()
    assert by_phone(Communication, "617-555-0201") == [kept.pk]


def test_one_row_that_cannot_be_opened_is_named_and_the_others_are_indexed() -> None:
    bad, good = factories.communication(phone="617-555-0200"), factories.communication(phone="617-555-0201")
    numbers_of_before([bad, good])
    broken = bytes(good.sealed_support)[:-1] + bytes([bytes(good.sealed_support)[-1] ^ 1])
    models.QuerySet(Communication).filter(pk=bad.pk).update(sealed_support=broken)
    assert [(one.label, one.record) for one in upgrades.index_phones()] == [("accounts.communication", str(bad.pk))]
    assert by_phone(Communication, "617-555-0201") == [good.pk]


def test_the_token_goes_with_the_key_that_its_value_had(django_capture_on_commit_callbacks: Any) -> None:
    message = factories.communication(phone="617-555-0200")
    numbers_of_before([message])
    upgrades.index_phones()
    with django_capture_on_commit_callbacks(execute=True), vault.internal():
        one = Communication.objects.get(pk=message.pk)
        one.phone = "617-555-0299"
        one.save()
    assert by_phone(Communication, "617-555-0200") == []
    assert by_phone(Communication, "617-555-0299") == [message.pk]
    texts = len(phones.stored("617-555-0299"))
    assert Token.objects.filter(record=message.pk, field="communication.phone.2").count() == texts
    keys.destroy([(message.pk, "support")], now=NOW)
    assert not Token.objects.filter(record=message.pk).exists()


# Names ---------------------------------------------------------------------------------------------------------------


def names_of_before(records: list[Any]) -> None:
    """Put the tokens of the words under the name that the version before gave them."""
    Token.objects.filter(record__in=[one.pk for one in records], field="customer.name.2").update(field="customer.name")


def by_name(text: str) -> list[UUID]:
    return list(Customer.objects.find_words("customer.name", text).values_list("pk", flat=True))


def test_names_of_before_are_found_after_the_upgrade_which_goes_on_where_it_was_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = [factories.customer(last_name=f"O'Brien{n}") for n in "abcd"]
    names_of_before(people)
    keys_before = list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at"))
    old = Token.objects.filter(field="customer.name").count()
    assert by_name("obriena") == []
    place, calls = reindex.place, []

    def then_killed(*given: Any) -> int:
        if calls:
            raise KeyboardInterrupt
        calls.append(place(*given))
        return calls[0]

    monkeypatch.setattr(reindex, "place", then_killed)
    with pytest.raises(KeyboardInterrupt):
        upgrades.index_names(batch=2)
    monkeypatch.setattr(reindex, "place", place)
    assert [len(by_name(f"obrien{n}")) for n in "abcd"] == [1, 1, 0, 0]
    assert upgrades.index_names(batch=2) == []
    assert [by_name(f"obrien{n}") for n in "abcd"] == [[one.pk] for one in people]
    assert list(DataKey.objects.order_by("pk").values_list("pk", "destroyed_at")) == keys_before
    count = Token.objects.count()
    assert upgrades.index_names(batch=2) == []
    assert (Token.objects.count(), Token.objects.filter(field="customer.name").count()) == (count, old)


def test_what_the_version_before_placed_goes_with_its_key(django_capture_on_commit_callbacks: Any) -> None:
    corrected, erased = factories.customer(last_name="O'Brien"), factories.customer(last_name="O'Neil")
    names_of_before([corrected, erased])
    upgrades.index_names()
    with django_capture_on_commit_callbacks(execute=True), vault.internal():
        one = Customer.objects.get(pk=corrected.pk)
        one.last_name = "O'Brian"
        one.save()
    keys.destroy([(erased.pk, "account")], now=NOW)
    assert not Token.objects.filter(record__in=[corrected.pk, erased.pk], field="customer.name").exists()
    assert (by_name("obrien"), by_name("oneil"), by_name("obrian")) == ([], [], [corrected.pk])


def test_the_name_of_a_company_of_before_is_found_after_the_upgrade() -> None:
    company = factories.company(name="Łódź Optyka")
    Token.objects.filter(record=company.pk, field="company.name.2").delete()
    assert upgrades.index_names() == []
    assert list(Company.objects.find_words("company.name", "lodz").values_list("pk", flat=True)) == [company.pk]


def test_the_numbers_of_every_app_are_indexed_anew_and_only_once_by_prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "call_command", lambda *args, **options: None)
    alice = factories.customer("Alice", phone="0151 12345009", country="DE")
    order = an_order(alice)
    numbers_of_before([alice, order])
    assert by_phone(Customer, "+4915112345009") == by_phone(Order, "+1 (978) 555-0101") == []
    for _ in range(2):
        call_command("prepare")
        assert by_phone(Customer, "+4915112345009") == [alice.pk]
        assert by_phone(Order, "+1 (978) 555-0101") == [order.pk]
        assert once.is_done(once.PHONES)
