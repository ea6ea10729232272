"""System checks: a wrong declaration of an encrypted field stops `manage.py` itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.core import checks
from django.db import DatabaseError, models

from privacy.vault.fields import EncryptedField, encrypted
from privacy.vault.index import NORMALISERS, Exact, Words
from privacy.vault.keystore import identity
from privacy.vault.queryset import SealedQuerySet, virtual
from privacy.vault.sealed import SealedModel


def sealed_models(app_configs: Sequence[AppConfig] | None) -> list[type[SealedModel]]:
    """Return the sealed models of the given apps, or of all."""
    configs = apps.get_app_configs() if app_configs is None else app_configs
    return [model for config in configs for model in config.get_models() if issubclass(model, SealedModel)]


@checks.register(checks.Tags.models)
def check_declarations(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return an error for each declaration that could not keep what the vault promises."""
    found: list[checks.CheckMessage] = []
    labels: dict[str, type[SealedModel]] = {}
    indexes: dict[str, str] = {}
    for model in sealed_models(app_configs):
        if not model._meta.proxy:
            found.extend(_model(model))
            if model.vault_label in labels:
                found.append(_error(2, model, f"the vault_label {model.vault_label!r} is taken by another model."))
            labels[model.vault_label] = model
            for field in encrypted(model):
                found.extend(_field(field, indexes))
        found.extend(_meta(model))
    return found


@checks.register(checks.Tags.admin)
def check_admin(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return an error for each admin option that would send an encrypted field to the database."""
    found: list[checks.CheckMessage] = []
    for site in admin.sites.all_sites:
        for model, model_admin in site._registry.items():
            for option in ("search_fields", "list_filter", "ordering", "date_hierarchy", "prepopulated_fields"):
                for name in _names(getattr(model_admin, option, None)):
                    if virtual(model, name) is not None:
                        found.append(
                            checks.Error(
                                f"{option} of {type(model_admin).__name__} names the encrypted field {name!r}.",
                                hint="Search by objects.find or find_words; SQL cannot read it.",
                                obj=type(model_admin),
                                id="vault.E009",
                            )
                        )
    return found


def _names(value: object) -> Iterator[str]:
    for item in [value] if isinstance(value, str) else value if isinstance(value, Iterable) else []:
        name = item[0] if isinstance(item, tuple) else item
        if isinstance(name, str):
            yield name.lstrip("-^=@")


def _error(number: int, obj: object, text: str, hint: str | None = None) -> checks.Error:
    name = obj._meta.label if isinstance(obj, type) and issubclass(obj, models.Model) else str(obj)
    return checks.Error(f"{name}: {text}", hint=hint, obj=obj, id=f"vault.E{number:03}")


def _model(model: type[SealedModel]) -> Iterator[checks.CheckMessage]:
    if not model.vault_label:
        yield _error(1, model, "has no vault_label.", "A stable name such as 'orders.order'.")
    if model._meta.parents:
        yield _error(3, model, "multi-table inheritance of sealed models is not supported.", "Use an abstract parent.")
    for manager in (model._default_manager, model._base_manager):
        if not isinstance(manager.get_queryset(), SealedQuerySet):
            yield _error(
                4,
                model,
                f"the manager {manager.name!r} does not use SealedQuerySet.",
                "Derive the queryset from SealedQuerySet and keep base_manager_name = 'objects'.",
            )
    for envelope in model.envelopes():
        names = [field.label for field in encrypted(model) if field.envelope == envelope]
        if len(names) != len(set(names)):
            yield _error(5, model, f"two fields of the envelope {envelope!r} have the same label.")
        if len(envelope) > 40 or not envelope.isidentifier():
            yield _error(5, model, f"{envelope!r} is no name for an envelope.", "An identifier of at most 40 letters.")


def _field(field: EncryptedField, indexes: dict[str, str]) -> Iterator[checks.CheckMessage]:
    for blind in field.blind:
        if not isinstance(blind, Exact | Words):
            yield _error(6, field, "blind takes Exact(…) and Words(…).")
            continue
        if isinstance(blind, Exact) and blind.normaliser not in NORMALISERS:
            yield _error(6, field, f"unknown normaliser {blind.normaliser!r}.", f"One of {', '.join(NORMALISERS)}.")
        owner = indexes.setdefault(blind.field, field.model._meta.label)
        if owner != field.model._meta.label:
            yield _error(7, field, f"the index {blind.field!r} belongs to {owner}.", "One index, one model.")


def _meta(model: type[SealedModel]) -> Iterator[checks.CheckMessage]:
    options = model._meta
    used: list[tuple[str, str]] = [("ordering", name) for name in _names(options.ordering)]
    for constraint in options.constraints:
        used += [("constraints", name) for name in getattr(constraint, "fields", ())]
    for index in options.indexes:
        used += [("indexes", name.lstrip("-")) for name in index.fields]
    for option, name in used:
        if virtual(model, name) is not None:
            yield _error(8, model, f"Meta.{option} names the encrypted field {name!r}.", "Declare blind=….")


@checks.register(checks.Tags.database)
def check_belongs_together(databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return an error for ring, key store and main database that are not of one installation."""
    if not databases or "keystore" not in databases:
        return []
    try:
        if not identity.is_migrated():
            return []  # `migrate` itself asks before the tables are there
    except DatabaseError:
        return [checks.Error("A database cannot be reached.", id="vault.E010")]
    return [checks.Error(problem, id="vault.E010") for problem in identity.verify(bind=False)]
