"""Letters: every message that goes out, sealed. What it is about, if it answers a request, is known by number only."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from privacy import vault


class Letter(vault.SealedModel):
    """One mail of the sealed outbox. `key` makes it exist once; `sending_at` is set before the
    attempt, `sent_at` after it.

    In a demo without a mail server `sent_at` says that the command `outbox` can print it; pages
    say so (sending.word_for_gone).
    """

    vault_label: ClassVar[str] = "privacy.letter"
    vault_asks: ClassVar[bool] = False  # it tells of an act, whoever's

    class By(models.TextChoices):
        EMAIL = "email", "e-mail"
        POST = "post", "to be printed and posted"

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=120, unique=True)
    by = models.CharField(max_length=10, choices=By.choices, default=By.EMAIL)
    request = models.ForeignKey("privacy.Request", models.SET_NULL, null=True, blank=True, related_name="letters")
    subject = models.ForeignKey("privacy.Subject", models.SET_NULL, null=True, blank=True, related_name="letters")
    queued_at = models.DateTimeField()
    sending_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=100, blank=True, default="")

    to = vault.EncryptedEmailField(envelope="letter", verbose_name="address")
    headline = vault.EncryptedTextField(envelope="letter", max_length=300, verbose_name="subject line")
    text = vault.EncryptedTextField(envelope="letter", max_length=200_000, multiline=True)
    html = vault.EncryptedTextField(envelope="letter", max_length=400_000, multiline=True)
    # Links, codes and keys by name: text and html hold words in their place
    # (credentials.placeholder). Destroyed when sent.
    credentials = vault.EncryptedJSONField(envelope="credentials", verbose_name="links and codes")
    credentials_until = models.DateTimeField("links and codes wait until", null=True, blank=True)
    # False: written by a version that put links and codes into the text; earlier.set_apart takes them out.
    is_apart = models.BooleanField(default=True, db_default=False)

    class Meta(vault.SealedModel.Meta):
        ordering = ["queued_at", "id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="letter_next_attempt"
            ),
            models.Index(fields=["queued_at"], condition=Q(sent_at=None, stopped_at=None), name="letter_waiting"),
            models.Index(
                fields=["credentials_until"], condition=Q(sealed_credentials__isnull=False), name="letter_credentials"
            ),
            models.Index(fields=["queued_at"], condition=Q(is_apart=False), name="letter_not_apart"),
        ]

    def __str__(self) -> str:
        return f"letter {self.kind}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)

    @property
    def people(self) -> set[UUID | None]:
        """Whom it is for, and whose request it is about."""
        asked = [self.request.subject_id, self.request.owner_id] if self.request is not None else []
        return {self.subject_id, *asked}

    @property
    def is_to_post(self) -> bool:
        """Whether it waits to be printed and posted."""
        return self.by == self.By.POST and self.sent_at is None and self.stopped_at is None
