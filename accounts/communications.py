"""Messages and calls between people and the five departments (P23, P27, P28, P31)."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.customers import Channel, Customer, Owned
from accounts.phonefield import PhoneField
from accounts.validators import no_card_number, validate_mailbox
from privacy.calendar.days import PastDateField
from privacy.subjects import Subject
from privacy.vault import EncryptedTextField, Exact, SealedModel


class Communication(SealedModel):
    """A message from or to a person, customer or not, with one of the five departments (P23, P27, P28, P31)."""

    vault_label: ClassVar[str] = "accounts.communication"

    class Department(models.TextChoices):
        CALIBRATION = "calibration", "calibration"
        QUALITY = "quality", "quality"
        SUPPORT = "support", "support"
        ENGINEERING = "engineering", "engineering"
        ACCOUNTING = "accounting", "accounting"

    class Direction(models.TextChoices):
        IN = "in", "from the person"
        OUT = "out", "to the person"

    class Topic(models.TextChoices):
        PRODUCT = "product", "a product"
        ORDER = "order", "an order"
        RETURN = "return", "a return, calibration or repair"
        BILLING = "billing", "billing and tax"
        PRIVACY = "privacy", "privacy"
        OTHER = "other", "something else"

    subject = models.ForeignKey(
        Subject, null=True, blank=True, on_delete=models.SET_NULL, related_name="communications"
    )
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.SET_NULL, related_name="communications"
    )
    in_reply_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replies")
    taken_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    department = models.CharField(max_length=12, choices=Department.choices)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    direction = models.CharField(max_length=3, choices=Direction.choices, default=Direction.IN)
    topic = models.CharField(max_length=8, choices=Topic.choices, default=Topic.OTHER)
    is_order_related = models.BooleanField(default=False)
    received_on = PastDateField()
    last_message_on = PastDateField()
    closed_on = PastDateField(null=True, blank=True)
    notice_given_on = PastDateField(null=True, blank=True)
    contact_name = EncryptedTextField(envelope="support", validators=[no_card_number])
    company_name = EncryptedTextField(envelope="support", validators=[no_card_number])
    email = EncryptedTextField(
        envelope="support",
        max_length=254,
        validators=[validate_mailbox],
        blind=(Exact("communication.email", normaliser="email"),),
        verbose_name="e-mail",
    )
    phone = PhoneField(
        envelope="support",
        max_length=60,
        blind=(Exact("communication.phone", normaliser="phone"),),
    )
    address = EncryptedTextField(envelope="support", max_length=500, multiline=True, validators=[no_card_number])
    heading = EncryptedTextField(envelope="support", validators=[no_card_number])
    body = EncryptedTextField(envelope="support", max_length=20_000, multiline=True, validators=[no_card_number])

    objects: ClassVar[Any] = Owned.as_manager()  # type: ignore[assignment]

    class Meta(SealedModel.Meta):
        abstract = False
        verbose_name = "message"
        constraints = [
            models.CheckConstraint(
                name="communication_has_channel_and_department",
                condition=~Q(channel="") & ~Q(department=""),
            )
        ]
        indexes = [
            models.Index(fields=["-received_on", "-id"], name="communication_listed"),  # as the back office lists them
            models.Index(fields=["last_message_on"], name="communication_last_message"),
        ]

    def __str__(self) -> str:
        return f"message with {self.get_department_display()}, {self.received_on:%-d %B %Y}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)
