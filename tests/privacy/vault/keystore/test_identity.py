"""Ring, key store and main database belong together."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core import checks

from privacy.models import Installation
from privacy.vault import ring
from privacy.vault.checks import check_belongs_together
from privacy.vault.keystore import identity
from privacy.vault.models import DataKey, KeystoreIdentity
from tests.privacy.vault.models import Person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _new_installation() -> None:
    Installation.objects.all().delete()
    KeystoreIdentity.objects.all().delete()


def test_a_new_installation_is_bound_together_at_its_first_start() -> None:
    assert identity.verify() == []
    assert (
        Installation.objects.get().installation
        == KeystoreIdentity.objects.get().installation
        == ring.current().installation
    )
    assert identity.verify() == []


def test_a_start_that_died_half_way_is_completed() -> None:
    identity.verify()
    Installation.objects.all().delete()
    assert identity.verify() == []
    assert Installation.objects.exists()


def test_another_ring_is_refused(settings: Any) -> None:
    identity.verify()
    settings.KEY_RING = ring.new().as_json()
    assert any("not the one this key store was made with" in problem for problem in identity.verify())


def test_a_ring_with_the_same_id_and_another_root_is_refused(settings: Any) -> None:
    identity.verify()
    content = ring.current().as_json()
    other = ring.new()
    settings.KEY_RING = ring.KeyRing(ring.parse(content).installation, 1, other._root, other._keys).as_json()
    assert any("not the one" in problem for problem in identity.verify())


def test_an_exchanged_main_database_is_refused() -> None:
    identity.verify()
    Installation.objects.update(installation=uuid4())
    assert identity.verify() == ["The main database belongs to another installation than the key ring."]


def test_an_empty_key_store_beside_data_is_refused() -> None:
    identity.verify()
    KeystoreIdentity.objects.all().delete()
    Installation.objects.update(installation=uuid4())
    assert any("key store has no identity" in problem for problem in identity.verify())


def test_an_emptied_main_database_beside_keys_is_refused() -> None:
    identity.verify()
    Person.objects.create(name="Alice")
    Installation.objects.all().delete()
    assert any("no installation id although keys exist" in problem for problem in identity.verify())


def test_a_version_that_keys_need_and_the_ring_lacks_is_named() -> None:
    identity.verify()
    Person.objects.create(name="Alice")
    DataKey.objects.update(kek=9)
    assert identity.verify() == ["The key ring lacks versions that data keys need: 9."]


def test_before_the_first_migration_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation._meta, "db_table", "nowhere")
    monkeypatch.setattr(KeystoreIdentity._meta, "db_table", "nowhere")
    assert not identity.is_migrated()
    assert check_belongs_together(databases=["keystore"]) == []


def test_a_missing_ring_is_one_sentence(settings: Any) -> None:
    settings.KEY_RING_FILE = "/nowhere/ring.json"
    assert identity.verify() == ["The key ring file cannot be read: check KEY_RING_FILE and its owner."]


def test_the_system_check_looks_only_when_databases_are_checked() -> None:
    assert check_belongs_together(databases=None) == []
    assert check_belongs_together(databases=["default", "keystore"]) == []
    assert not Installation.objects.exists()  # a check only looks
    identity.verify()
    assert check_belongs_together(databases=["default", "keystore"]) == []
    Installation.objects.update(installation=uuid4())
    assert [type(found) for found in check_belongs_together(databases=["keystore"])] == [checks.Error]
