"""System checks: each wrong declaration is named before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test.utils import isolate_apps

from privacy.vault import EncryptedTextField, Exact, SealedModel, Words
from privacy.vault.checks import _field, _meta, _model, check_admin, check_declarations
from tests.privacy.vault.models import Person


def ids(found: Iterator[Any]) -> set[str]:
    return {one.id for one in found}


def test_the_declarations_of_this_project_are_right() -> None:
    assert check_declarations(None) == []
    assert check_admin(None) == []


@isolate_apps("tests.privacy.vault", attr_name="apps")
def test_a_model_without_a_label_or_with_a_stock_manager_is_named() -> None:
    class Bad(SealedModel):
        name = EncryptedTextField(envelope="account")
        other = EncryptedTextField(envelope="account", label="name")
        objects = models.Manager()

        class Meta:
            app_label = "vault_tests"

    assert ids(_model(Bad)) == {"vault.E001", "vault.E004", "vault.E005"}


def test_two_models_with_one_label_and_an_envelope_without_a_name_are_named() -> None:
    with isolate_apps("tests.privacy.vault") as isolated:

        class One(SealedModel):
            vault_label = "tests.same"
            name = EncryptedTextField(envelope="with blank")

            class Meta:
                app_label = "vault"

        class Other(SealedModel):
            vault_label = "tests.same"
            name = EncryptedTextField(envelope="x" * 41)

            class Meta:
                app_label = "vault"

        found = check_declarations(list(isolated.get_app_configs()))
    assert sorted(one.id for one in found) == ["vault.E002", "vault.E005", "vault.E005"]


@isolate_apps("tests.privacy.vault")
def test_multi_table_inheritance_is_refused() -> None:
    class Parent(SealedModel):
        vault_label = "tests.parent"
        name = EncryptedTextField(envelope="account")

        class Meta:
            app_label = "vault_tests"

    class Child(Parent):
        vault_label = "tests.child"

        class Meta:
            app_label = "vault_tests"

    assert "vault.E003" in ids(_model(Child))


@isolate_apps("tests.privacy.vault")
def test_meta_options_that_need_a_column_are_named() -> None:
    class Bad(SealedModel):
        vault_label = "tests.bad"
        name = EncryptedTextField(envelope="account")

        class Meta:
            app_label = "vault_tests"
            ordering = ["-name"]
            constraints = [models.UniqueConstraint(fields=["name"], name="u")]
            indexes = [models.Index(fields=["name"], name="i")]

    found = list(_meta(Bad))
    assert ids(iter(found)) == {"vault.E008"}
    assert len(found) == 3


@isolate_apps("tests.privacy.vault")
def test_a_wrong_index_is_named() -> None:
    class Bad(SealedModel):
        vault_label = "tests.bad"
        name = EncryptedTextField(envelope="account", blind=(Exact("x", "nonsense"), Words("taken"), "text"))  # type: ignore[arg-type]

        class Meta:
            app_label = "vault_tests"

    (field,) = Bad._meta.private_fields
    assert ids(_field(field, {"taken": "other.Model"})) == {"vault.E006", "vault.E007"}


@pytest.mark.parametrize("option", ["unique", "db_index", "primary_key", "db_column"])
def test_options_that_need_a_column_are_refused_at_once(option: str) -> None:
    with pytest.raises(TypeError, match="needs a column"):
        EncryptedTextField(envelope="account", **{option: True})


def test_admin_options_that_would_ask_sql_are_named() -> None:
    class Bad(admin.ModelAdmin):
        search_fields = ["=name", "number"]
        list_filter = ["phone"]
        ordering = ["-email"]

    admin.site.register(Person, Bad)
    try:
        assert [one.id for one in check_admin(None)] == ["vault.E009"] * 3
    finally:
        admin.site.unregister(Person)
