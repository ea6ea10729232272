"""What the key store holds about people: random numbers and keyed hashes, all of which end with their key."""

from __future__ import annotations

from privacy import datamap
from privacy.datamap import Datum, Declaration
from privacy.vault.models import Block, DataKey, KeystoreIdentity, Once, Token, Tombstone

US = "ourselves"
SECURITY = ("security",)
TIME = "a time"
NUMBER = "a random number"
MEANINGLESS = "meaningless without the key ring"

datamap.register(
    Declaration(
        model=DataKey,
        title="Key that opens one record",
        data={
            "record": Datum("Which record it opens", "link", SECURITY, US, plain=NUMBER, export="no"),
            "owner_id": Datum("Whose data it opens", "link", SECURITY, US, plain=NUMBER, export="no"),
        },
        impersonal={
            "id": NUMBER,
            "envelope": "a retention class",
            "label": "a kind of record",
            "owner_kind": "one word of a short list",
            "wrapped": "a key, itself sealed under the key ring; NULL once destroyed",
            "kek": "a version of the key ring",
            "commitment": "a hash of a random key",
            "superseded_by": NUMBER,
            "doubted_at": TIME,
            "restriction": "codes: for what a restricted record still opens, and until when",
            "created_at": TIME,
            "destroyed_at": TIME,
            "destroyed_in": "a count",
        },
    ),
    Declaration(
        model=Token,
        title="Mark by which a record is found without being opened",
        data={
            "value": Datum("Keyed hash of a value", "identifier", SECURITY, US, plain=MEANINGLESS, export="no"),
            "record": Datum("Which record has it", "link", SECURITY, US, plain=NUMBER, export="no"),
        },
        impersonal={
            "field": "the name of an index",
            "key": NUMBER,
            "next_key": NUMBER,
            "is_unique": "a switch",
        },
    ),
    Declaration(
        model=Block,
        title="Mark that keeps a removed person from coming back by an old file",
        data={
            "value": Datum("Keyed hash of an identifier", "identifier", SECURITY, US, plain=MEANINGLESS, export="no"),
        },
        impersonal={"kind": "a kind of identifier", "until": "the day the block ends", "created_at": TIME},
    ),
    Declaration(
        model=Tombstone,
        title="Ledger: proof of erasures",
        impersonal={
            "seq": "a count",
            "entry": NUMBER,
            "kind": "one word of a short list",
            "content": "codes, dates and keyed hashes of random numbers, meaningless without the key ring",
            "reference": "the reference of a request",
            "at": TIME,
            "counts": "counts by record",
        },
    ),
    Declaration(
        model=KeystoreIdentity,
        title="Which installation the key store belongs to, and when its ring was renewed",
        impersonal={
            "id": "always 1",
            "installation": NUMBER,
            "proof": "a sealed random number",
            "created_at": TIME,
            "lowest_kek": "a version of the key ring",
            "renewed_at": TIME,
        },
    ),
    Declaration(
        model=Once,
        title="What an upgrade did once",
        impersonal={"step": "the name of a step", "done_at": TIME},
    ),
)
