"""The vault: data keys, envelopes, blind indexes. `from privacy import vault` or `from privacy.vault import …`.

Names are looked up when first used, because this package is imported before Django's models may be.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privacy.vault.blob import BlobDamaged as BlobDamaged
    from privacy.vault.blob import open_blob as open_blob
    from privacy.vault.blob import seal_blob as seal_blob
    from privacy.vault.fields import EncryptedDateField as EncryptedDateField
    from privacy.vault.fields import EncryptedEmailField as EncryptedEmailField
    from privacy.vault.fields import EncryptedField as EncryptedField
    from privacy.vault.fields import EncryptedJSONField as EncryptedJSONField
    from privacy.vault.fields import EncryptedTextField as EncryptedTextField
    from privacy.vault.guard import Opening as Opening
    from privacy.vault.ids import uuid7 as uuid7
    from privacy.vault.index import Exact as Exact
    from privacy.vault.index import Words as Words
    from privacy.vault.macs import mac_fits as mac_fits
    from privacy.vault.macs import mac_of as mac_of
    from privacy.vault.macs import same_mac as same_mac
    from privacy.vault.pseudonymity import pseudonym as pseudonym
    from privacy.vault.pseudonymity import pseudonyms as pseudonyms
    from privacy.vault.queryset import SealedQuerySet as SealedQuerySet
    from privacy.vault.results import CopyRefused as CopyRefused
    from privacy.vault.results import Erased as Erased
    from privacy.vault.results import Foreign as Foreign
    from privacy.vault.results import ForeignEnvelope as ForeignEnvelope
    from privacy.vault.results import KeyMissing as KeyMissing
    from privacy.vault.results import KeyUnavailable as KeyUnavailable
    from privacy.vault.results import Masked as Masked
    from privacy.vault.results import MaskNotAValue as MaskNotAValue
    from privacy.vault.results import RecordElsewhere as RecordElsewhere
    from privacy.vault.results import RecordErased as RecordErased
    from privacy.vault.results import RecordRestricted as RecordRestricted
    from privacy.vault.results import Restricted as Restricted
    from privacy.vault.results import Unreadable as Unreadable
    from privacy.vault.results import UnsealedPlaintext as UnsealedPlaintext
    from privacy.vault.results import ValueTaken as ValueTaken
    from privacy.vault.results import VaultError as VaultError
    from privacy.vault.saving import rekey as rekey
    from privacy.vault.sealed import SealedModel as SealedModel
    from privacy.vault.unit import internal as internal

_NAMES = {
    "blob": ("BlobDamaged", "open_blob", "seal_blob"),
    "fields": (
        "EncryptedDateField",
        "EncryptedEmailField",
        "EncryptedField",
        "EncryptedJSONField",
        "EncryptedTextField",
    ),
    "guard": ("Opening",),
    "ids": ("uuid7",),
    "index": ("Exact", "Words"),
    "macs": ("mac_fits", "mac_of", "same_mac"),
    "pseudonymity": ("pseudonym", "pseudonyms"),
    "queryset": ("SealedQuerySet",),
    "results": (
        "CopyRefused",
        "Erased",
        "Foreign",
        "ForeignEnvelope",
        "KeyMissing",
        "KeyUnavailable",
        "MaskNotAValue",
        "Masked",
        "RecordElsewhere",
        "RecordErased",
        "RecordRestricted",
        "Restricted",
        "Unreadable",
        "UnsealedPlaintext",
        "ValueTaken",
        "VaultError",
    ),
    "saving": ("rekey",),
    "sealed": ("SealedModel",),
    "unit": ("internal",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = frozenset(
    {
        "blocks",
        "collect",
        "envelope",
        "guard",
        "identity",
        "index",
        "keys",
        "ledger",
        "living",
        "models",
        "once",
        "pseudonymity",
        "ring",
        "rotate",
        "stream",
        "tokens",
        "unit",
    }
)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
