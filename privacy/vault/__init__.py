"""The vault: data keys, envelopes, blind indexes. `from privacy import vault` or `from privacy.vault import …`.

The files, in the order in which a value passes through them (each imports only those that stand below it, or in
its own line):

    compiled      a query compiled once, asked with other values each time
    sealed        `SealedModel`: reading opens an envelope when a field is touched; saving seals what changed
    queryset      the keys of a whole result set in one query; SQL on encrypted fields refused
    finding       what the tokens of a whole value name, opened to see that it carries it
    reindex       tokens for what was sealed before its index was declared
    saving        keys first, then sealed bytes, then the old keys ended; what a deleted row takes with it
    drafts        what a save has to seal, laid on what stands in the rows now
    stream        sealed files of any length
    unit          one unit of work: who may open, the keys and plaintext it holds, and for how long
    renewal       the ring renewed whole, with its copy and a fresh backup
    fields        the encrypted fields, and the layout of the envelopes they form
    columns       the column of an envelope: sealed bytes or nothing
    forms         form fields that draw a mask and never take it for an answer

    keystore/     the files that speak SQL to the key store:
        pseudonyms    a name for a person in the audit that means nothing after the erasure
        keys          what the rest of the product asks of data keys, and hands over
        collect       the key collector: ends what a crash between two commits left behind
        making        a key and its tokens, committed before any data
        ending        the one way in which a key ends: its row, its tokens, its line of the ledger
        loading       keys for a result set, unwrapped
        rotate        every key wrapped again under the ring's current version
        tokens        the entries of the blind indexes
        ledger        what a restored backup has to be held against
        blocks        who was erased is not created again
        identity      ring, key store and main database belong together
        once          what an upgrade does once
        datakey, binding, locks, sql    a key in memory; what its wrapping is bound to; live keys locked; the connection

    in_use        asks the data side which key a row names, and whether a save is under way
    index         the keyed hashes of the blind indexes, with lookalikes
    blob, macs    sealed bytes and keyed hashes of what is no record
    envelope      the sealed form of an envelope
    ring          the key-encryption keys and what is derived from their root
    results       what reading or sealing can end in when there is no plaintext
    ids, typecasts    record ids; how values come from PostgreSQL and go there

Names are looked up when first used, because Django imports this package before its models may be.
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
    from privacy.vault.fields import EncryptedJSONField as EncryptedJSONField
    from privacy.vault.fields import EncryptedTextField as EncryptedTextField
    from privacy.vault.finding import Index as Index
    from privacy.vault.finding import carriers as carriers
    from privacy.vault.finding import index_of as index_of
    from privacy.vault.finding import indexes as indexes
    from privacy.vault.ids import uuid7 as uuid7
    from privacy.vault.index import Exact as Exact
    from privacy.vault.index import Words as Words
    from privacy.vault.keystore import blocks as blocks
    from privacy.vault.keystore import keys as keys
    from privacy.vault.keystore.pseudonyms import pseudonym as pseudonym
    from privacy.vault.keystore.pseudonyms import pseudonyms as pseudonyms
    from privacy.vault.macs import mac_fits as mac_fits
    from privacy.vault.macs import mac_of as mac_of
    from privacy.vault.macs import same_mac as same_mac
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
    from privacy.vault.results import RecordRefused as RecordRefused
    from privacy.vault.results import RecordRestricted as RecordRestricted
    from privacy.vault.results import Restricted as Restricted
    from privacy.vault.results import Unreadable as Unreadable
    from privacy.vault.results import UnsealedPlaintext as UnsealedPlaintext
    from privacy.vault.results import ValueTaken as ValueTaken
    from privacy.vault.saving import deleted as deleted
    from privacy.vault.saving import rekey as rekey
    from privacy.vault.sealed import SealedModel as SealedModel
    from privacy.vault.unit import internal as internal

_NAMES = {
    "blob": "BlobDamaged open_blob seal_blob",
    "fields": "EncryptedDateField EncryptedEmailField EncryptedJSONField EncryptedTextField",
    "finding": "Index carriers index_of indexes",
    "ids": "uuid7",
    "index": "Exact Words",
    "keystore.pseudonyms": "pseudonym pseudonyms",
    "macs": "mac_fits mac_of same_mac",
    "queryset": "SealedQuerySet",
    "results": "CopyRefused Erased Foreign ForeignEnvelope KeyMissing KeyUnavailable MaskNotAValue Masked RecordElsewhere "
    "RecordErased RecordRefused RecordRestricted Restricted Unreadable UnsealedPlaintext ValueTaken",
    "saving": "deleted rekey",
    "sealed": "SealedModel",
    "unit": "internal",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = {
    "blocks": "keystore.blocks",
    "index": "index",
    "keys": "keystore.keys",
    "ring": "ring",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{_MODULES[name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
