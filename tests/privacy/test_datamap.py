"""The data map is whole: nothing in either database that it does not know, nothing in it that does not exist."""

import json
import re
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from accounts.models import Address, Company, ContactPoint, Customer
from orders.models import Order
from privacy import called, datamap
from privacy.datamap import DataMapError, Declaration, Store
from privacy.vault import SealedModel
from privacy.views import words
from rma.personal_data import OWNERSHIP
from tests import factories

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data-map.md"


def known_columns(alias):
    """What Django knows: table -> columns, of one database."""
    from django.db import router

    found = {"django_migrations": {"id", "app", "name", "applied"}}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy and router.allow_migrate_model(alias, model):
            found[model._meta.db_table] = {field.column for field in model._meta.local_concrete_fields}
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("alias", ["default", "keystore"])
def test_no_database_holds_a_table_or_column_that_the_map_does_not_know(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        real = {}
        for table, column in cursor.fetchall():
            real.setdefault(table, set()).add(column)

    assert real == known_columns(alias)


def test_every_model_is_declared():
    declared = {declaration.model for declaration in datamap.declarations()}

    assert declared == set(datamap.installed_models())


def test_every_many_to_many_table_belongs_to_a_declared_field():
    own = set(apps.get_models())
    for model in apps.get_models(include_auto_created=True):
        if model not in own:
            owner = model._meta.auto_created
            assert any(field.remote_field.through is model for field in owner._meta.local_many_to_many)


def test_every_envelope_of_every_model_is_in_its_declaration():
    for model in datamap.installed_models():
        if issubclass(model, SealedModel):
            sealed = set(model.envelopes())
            assert sealed <= set(datamap.for_model(model).envelopes()), model


def test_a_model_cannot_be_declared_twice():
    with pytest.raises(DataMapError):
        datamap.register(Declaration(model=Customer, title="Again"))


def test_a_store_cannot_be_declared_twice():
    with pytest.raises(DataMapError):
        datamap.store(Store("backups", "", "", "", ""))


def test_a_declaration_is_found_by_model_and_by_label():
    assert datamap.for_label("accounts.customer") is datamap.for_model(Customer)
    assert datamap.for_label("sessions.session").is_personal is False
    with pytest.raises(KeyError):
        datamap.for_label("accounts.nothing")


def test_the_envelope_of_a_datum_comes_from_its_field():
    declaration = datamap.for_model(Customer)

    assert declaration.envelope_of("first_name") == "account"
    assert declaration.envelope_of("reference") is None
    assert "first_name" in declaration.envelopes()["account"]


@pytest.mark.parametrize(
    ("path", "leads_somewhere"),
    [("customer__subject", True), ("customer__subject_id", True), ("subject", False), ("customer__reference__x", False),
     ("customer__nobody", False)],
)  # fmt: skip
def test_a_path_to_the_subject_is_followed(path, leads_somewhere):
    assert datamap.path_resolves(Address, path) is leads_somewhere


def test_what_leads_to_nobody_is_about_nobody_and_a_kind_of_before_is_called_by_its_label():
    """A line for statistics whose person is gone, a kind of record about nobody, and one that no app declares any
    more."""
    number = uuid4()
    assert datamap.person_of(Order()) is None
    assert datamap.people_of("orders.product", [number]) == datamap.people_of("gone.kind", [number]) == set()
    assert datamap.is_sealed("gone.kind", "data") and not datamap.is_sealed(OWNERSHIP, "data")
    kept = [("gone.kind", number), ("gone.kind", None)]
    assert called.names(kept) == dict(
        zip(kept, (f"gone.kind {str(number)[-called.SHOWN :]}", "gone.kind"), strict=True)
    )


@pytest.mark.django_db
def test_the_records_of_a_subject_are_that_subjects_only():
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    address = factories.address(alice)
    factories.address(bob)

    rows = {declaration.label: list(found) for declaration, found in datamap.records_of(alice.subject_id)}
    assert rows["accounts.customer"] == [alice]
    assert rows["accounts.address"] == [address]


@pytest.mark.django_db
def test_how_many_records_of_each_kind_a_subject_has_is_one_query(django_assert_num_queries):
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    for _ in range(3):
        factories.address(alice)
    factories.address(bob)
    for subject, addresses in ((alice.subject_id, 3), (bob.subject_id, 1)):
        with django_assert_num_queries(1):
            counts = datamap.counts_of(subject)
        contacts = addresses + 2  # e-mail and phone
        assert counts == {
            "accounts.customer": 1,
            "accounts.address": addresses,
            "accounts.contactpoint": contacts,
            "privacy.subject": 1,
        }
        with django_assert_num_queries(0):
            found = {declaration.label for declaration, _ in datamap.records_of(subject, counts)}
        assert found == set(counts) - {"privacy.subject"}, "a subject by itself says nothing"
    assert datamap.counts_of(uuid4()) == {}


@pytest.mark.django_db
def test_the_text_of_a_record_names_nobody():
    alice = factories.customer("Canary", "Canary", email="canary@example.com", phone="978-555-0142")
    login = factories.login("canary", "canary2@example.com")
    records = [
        alice,
        login,
        alice.subject,
        factories.company("Canary"),
        factories.address(alice, street="Canary"),
        factories.tax_identifier(alice, value="CANARY"),
        factories.freight_account(alice, number="CANARY"),
        factories.communication(alice, heading="Canary", body="Canary", email="canary@example.com"),
    ]
    for record in records:
        assert "canary" not in str(record).lower(), type(record)
        assert "canary" not in repr(record).lower(), type(record)


def test_the_map_is_written_down_the_same_each_time():
    first, second = StringIO(), StringIO()
    call_command("data_map", "--format", "json", stdout=first)
    call_command("data_map", "--format", "json", stdout=second)
    assert first.getvalue() == second.getvalue()

    whole = json.loads(first.getvalue())
    customer = next(record for record in whole["records"] if record["label"] == "accounts.customer")
    email = next(datum for datum in customer["data"] if datum["name"] == "email")
    assert (email["sealed"], email["envelope"], customer["subject"]) == (True, "account", "subject")
    assert {"backups", "broker", "cache", "export files", "key store", "mail", "program logs"} <= {
        store["name"] for store in whole["stores"]
    }


def test_the_page_in_the_documents_is_the_map_of_today():
    call_command("data_map", "--format", "md", "--out", str(PAGE), "--check")


def test_the_page_says_of_each_datum_how_it_is_kept(tmp_path):
    path = tmp_path / "data-map.md"
    call_command("data_map", "--format", "md", "--out", str(path))

    page = path.read_text()
    assert "| E-mail address | contact |" in page
    assert "sealed, envelope `account`" in page
    call_command("data_map", "--format", "md", "--out", str(path), "--check")
    path.write_text(page + "x")
    with pytest.raises(SystemExit) as caught:
        call_command("data_map", "--format", "md", "--out", str(path), "--check", stderr=StringIO())
    assert caught.value.code == 1
    with pytest.raises(SystemExit) as caught:
        call_command("data_map", "--check", stdout=StringIO(), stderr=StringIO())
    assert caught.value.code == 2, "nothing is printed that looks as if a file had been compared"


def test_a_file_that_cannot_be_written_is_exit_one(tmp_path):
    with pytest.raises(SystemExit) as caught:
        call_command("data_map", "--out", str(tmp_path / "no" / "where"), stderr=StringIO())
    assert caught.value.code == 1


SMALL_WORDS = re.compile(r"\b(a|about|at|before|how|in|of|on|that|to|under|whether|who|with)\b")


def test_what_is_counted_in_a_sentence_has_a_plural() -> None:
    """An s behind the title makes one of "order" and none of "line of an order", "company" or "address"."""
    for one in datamap.declarations():
        if one.subject_path is not None and one.noun is None:
            assert not SMALL_WORDS.search(one.title) and not one.title.endswith(("s", "y")), one.title
    assert datamap.for_model(ContactPoint).called(2) == "contacts"
    assert datamap.for_model(Company).called(2) == "companies"


def test_the_published_list_calls_nothing_plain_that_is_sealed_by_another_key_and_says_what_letters_are_for() -> None:
    groups = {one["title"]: one for one in words.collected()}
    looked, letters = groups["Who looked at your data"], groups["Letters from us"]
    assert looked["is_partly_sealed"] and not looked["is_sealed"], "which records is sealed beside the envelopes"
    assert groups["What you ordered"]["is_partly_sealed"] is False, "control"
    assert {"account", "answering your requests", "security"} <= set(letters["purposes"])
