"""The tables of the key store, a database of its own (alias `keystore`).

Must never happen: a plaintext here. The main database without this one is noise, and this one without the ring of
key-encryption keys is noise as well. Rows of keys, tokens and blocks are read and written with plain SQL, all of it in
`privacy.vault.keystore`, because a key query stands behind every page; these classes give the schema.
"""

from __future__ import annotations

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DataKey(models.Model):
    """Open one envelope of one record; the newest row of a pair is the one nothing supersedes.

    The unique index counts a destroyed row that nothing superseded as well: an erased pair can never
    get a new key, whatever races.
    """

    id = models.BigIntegerField(primary_key=True)  # eight random bytes, never used again
    record = models.UUIDField()
    envelope = models.CharField(max_length=40)
    label = models.CharField(max_length=80)
    owner_kind = models.CharField(max_length=20, default="none")
    owner_id = models.UUIDField(null=True)
    wrapped = models.BinaryField(null=True)
    kek = models.IntegerField()
    commitment = models.BinaryField()
    superseded_by = models.BigIntegerField(null=True)
    # For what a restricted envelope still opens, in codes that the gate reads
    # ("order:2033-12-31;hold"); "" for any other.
    restriction = models.CharField(max_length=400, db_default="", default="")
    doubted_at = models.DateTimeField(null=True)  # the collector's first look
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)
    destroyed_in = models.BigIntegerField(null=True)  # the line of the ledger that tells of it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["record", "envelope"], condition=Q(superseded_by=None), name="vault_key_one_per_envelope"
            ),
            models.CheckConstraint(
                condition=Q(wrapped=None, destroyed_at__isnull=False) | Q(wrapped__isnull=False, destroyed_at=None),
                name="vault_key_wrapped_until_destroyed",
            ),
        ]
        indexes = [
            models.Index(fields=["record", "id"], name="vault_key_record"),
            models.Index(
                fields=["doubted_at"],
                condition=Q(doubted_at__isnull=False, destroyed_at=None),
                name="vault_key_doubted",
            ),
            models.Index(fields=["destroyed_at"], condition=Q(destroyed_at__isnull=False), name="vault_key_destroyed"),
            models.Index(fields=["owner_id"], condition=Q(owner_id__isnull=False), name="vault_key_owner"),
            models.Index(
                fields=["record"],
                name="vault_key_restricted",
                condition=~Q(restriction="") & Q(destroyed_at=None),
            ),
            models.Index(
                fields=["destroyed_in"], condition=Q(destroyed_in__isnull=False), name="vault_key_destroyed_in"
            ),
        ]

    def __str__(self) -> str:
        return f"key of {self.label}/{self.envelope}"


class Token(models.Model):
    """Find a record by a keyed hash of one of its values; it goes with its data key.

    While a correction is on its way `next_key` names the key that takes the token over on commit.
    """

    field = models.CharField(max_length=80)
    value = models.BinaryField()
    record = models.UUIDField()
    key = models.BigIntegerField()
    next_key = models.BigIntegerField(null=True)
    is_unique = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["field", "value"], condition=Q(is_unique=True), name="vault_token_unique")
        ]
        indexes = [
            models.Index(fields=["field", "value"], name="vault_token_value"),
            models.Index(fields=["record"], name="vault_token_record"),
        ]

    def __str__(self) -> str:
        return f"token of {self.field}"


class Block(models.Model):
    """Keep an erased or suppressed person from being created again: a keyed hash and an end date."""

    kind = models.CharField(max_length=40)
    value = models.BinaryField()
    until = models.DateField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="vault_block_once")]

    def __str__(self) -> str:
        return f"block of {self.kind}"


class Tombstone(models.Model):
    """One line of the ledger, without personal data: reference, time, counts by label. Append-only by trigger.

    `entry` names the line in every copy of it. `seq` is only the order in this key store: a line put back after a
    restore gets a new one.
    """

    class Kind(models.TextChoices):
        REQUEST = "request", "a request was carried out"
        KEYS = "keys", "keys were destroyed"

    seq = models.BigAutoField(primary_key=True)
    entry = models.UUIDField(unique=True, db_default=RandomUUID())
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.REQUEST)
    reference = models.CharField(max_length=60, unique=True, null=True)
    at = models.DateTimeField()
    counts = models.JSONField(default=dict)
    content = models.JSONField(default=dict)

    class Meta:
        ordering = ["seq"]

    def __str__(self) -> str:
        return self.reference or f"{self.kind} {self.seq}"


class KeystoreIdentity(models.Model):
    """Say which installation this key store belongs to; `proof` opens only under that ring."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    installation = models.UUIDField()
    proof = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    lowest_kek = models.IntegerField(default=1)  # a trigger refuses keys wrapped under an older version
    renewed_at = models.DateTimeField(null=True)  # when the ring was last renewed whole (privacy.vault.renewal)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="vault_one_identity")]

    def __str__(self) -> str:
        return str(self.installation)


class Once(models.Model):
    """Note a step that an upgrade does once in the life of an installation (privacy.vault.keystore.once)."""

    step = models.CharField(max_length=40, primary_key=True)
    done_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.step
