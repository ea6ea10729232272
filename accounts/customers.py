"""Companies, customers and what the policy names about them (P17, P25, P26, P28).

What must never happen: a value that identifies a person in a plain column, or a social security number that is
not used as a tax identifier. Plain columns hold countries, codes of states and provinces, dates, codes and
links; all else is in an envelope.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from accounts.phonefield import PhoneField
from accounts.regions import RegionField, StateField
from accounts.validators import (
    no_card_for_identifier,
    no_card_number,
    validate_country,
    validate_freight_account,
    validate_mailbox,
    validate_reference,
    validate_ssn,
)
from privacy.calendar.days import PastDateField
from privacy.subjects import Subject
from privacy.vault import EncryptedTextField, Exact, SealedModel, SealedQuerySet, Words


class Channel(models.TextChoices):
    """The ways by which data reaches the company (P4)."""

    WEB = "web", "website"
    PHONE = "phone", "phone"
    FAX = "fax", "fax"
    EMAIL = "email", "e-mail"
    MAIL = "mail", "mail"
    IN_PERSON = "in_person", "in person"


class Owned(SealedQuerySet):  # type: ignore[override]
    """Records that belong to one subject."""

    subject_lookup: ClassVar[str] = "subject"

    def for_subject(self, subject_id: UUID | None) -> Owned:
        """Return the records about one subject; none at all for None."""
        if subject_id is None:
            return self.none()
        return self.filter(**{self.subject_lookup: subject_id})


class OwnedByCustomer(Owned):  # type: ignore[override]
    subject_lookup = "customer__subject"


class Company(SealedModel):
    """An organisation: no subject, unless it is a sole trader, who counts as a person."""

    vault_label: ClassVar[str] = "accounts.company"

    name = EncryptedTextField(
        envelope="company",
        blank=False,
        blind=(
            Exact("company.name", normaliser="reference"),
            Words("company.name"),
        ),
        validators=[no_card_number],
    )
    vat_number = EncryptedTextField(
        envelope="company",
        max_length=40,
        blind=(Exact("company.vat_number", normaliser="identifier"),),
        verbose_name="VAT number",
        validators=[no_card_number],
    )
    tax_id = EncryptedTextField(
        envelope="company", max_length=40, verbose_name="Tax ID", validators=[no_card_for_identifier]
    )
    phone = PhoneField(
        envelope="company",
        max_length=60,
        blind=(Exact("company.phone", normaliser="phone"),),
        verbose_name="phone number",
    )
    street = EncryptedTextField(envelope="company", validators=[no_card_number])
    street2 = EncryptedTextField(envelope="company", validators=[no_card_number], verbose_name="second address line")
    city = EncryptedTextField(envelope="company", max_length=100, validators=[no_card_number])
    postal_code = EncryptedTextField(envelope="company", max_length=20, validators=[no_card_number])
    region = RegionField(envelope="company", validators=[no_card_number])
    state = StateField()
    country = models.CharField(max_length=2, blank=True, default="", validators=[validate_country])
    is_sole_trader = models.BooleanField(default=False)
    last_active_on = PastDateField(null=True, blank=True)
    subject = models.ForeignKey(Subject, null=True, blank=True, on_delete=models.SET_NULL, related_name="companies")

    objects: ClassVar[Any] = Owned.as_manager()  # type: ignore[assignment]

    class Meta(SealedModel.Meta):
        abstract = False
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(
                name="company_subject_only_of_sole_trader",
                condition=Q(subject__isnull=True) | Q(is_sole_trader=True),
            )
        ]

    def __str__(self) -> str:
        return f"company {str(self.pk)[-12:]}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("company", self.pk)


class Customer(SealedModel):
    """A subject in its role as customer: buys privately, or is the contact of a company. Needs no login."""

    vault_label: ClassVar[str] = "accounts.customer"

    class Kind(models.TextChoices):
        PERSON = "person", "private person"
        CONTACT = "contact", "contact of a company"

    reference = models.CharField(max_length=32, unique=True, validators=[validate_reference])
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.PERSON)
    subject = models.ForeignKey(Subject, null=True, blank=True, on_delete=models.SET_NULL, related_name="customers")
    user = models.OneToOneField(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="customer"
    )
    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.PROTECT, related_name="contacts")
    title = EncryptedTextField(envelope="account", max_length=40, validators=[no_card_number])
    first_name = EncryptedTextField(
        envelope="account",
        max_length=100,
        blind=(Words("customer.name"),),
        validators=[no_card_number],
    )
    last_name = EncryptedTextField(
        envelope="account",
        max_length=100,
        blind=(Words("customer.name"),),
        validators=[no_card_number],
    )
    email = EncryptedTextField(
        envelope="account",
        max_length=254,
        validators=[validate_mailbox],
        blind=(Exact("customer.email", normaliser="email"),),
        verbose_name="e-mail",
    )
    phone = PhoneField(
        envelope="account",
        max_length=60,
        blind=(Exact("customer.phone", normaliser="phone"),),
    )
    region = RegionField(envelope="account", validators=[no_card_number])
    state = StateField()
    country = models.CharField(max_length=2, blank=True, default="", validators=[validate_country])
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.WEB)
    since = PastDateField()
    last_active_on = PastDateField(null=True, blank=True)
    notice_given_on = PastDateField(null=True, blank=True, help_text="When the privacy notice was handed over.")

    objects: ClassVar[Any] = Owned.as_manager()  # type: ignore[assignment]

    class Meta(SealedModel.Meta):
        abstract = False
        constraints = [
            models.CheckConstraint(
                name="customer_contact_has_company",
                condition=Q(kind="contact", company__isnull=False) | Q(kind="person", company__isnull=True),
            )
        ]
        indexes = [models.Index(fields=["last_active_on"], name="customer_last_active")]

    def __str__(self) -> str:
        return f"customer {self.reference}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)


class _OfCustomer(SealedModel):
    """A record of one customer, whose keys belong to the customer's subject and which goes with the customer."""

    customer: models.ForeignKey[Customer, Customer]

    objects: ClassVar[Any] = OwnedByCustomer.as_manager()  # type: ignore[assignment]

    class Meta(SealedModel.Meta):
        abstract = True

    def vault_owner(self) -> tuple[str, UUID | None]:
        return self.customer.vault_owner()


class Address(_OfCustomer):
    vault_label: ClassVar[str] = "accounts.address"

    class Purpose(models.TextChoices):
        BILLING = "billing", "billing"
        SHIPPING = "shipping", "shipping"
        RETURN = "return", "return of an instrument"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="addresses")
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.BILLING)
    street = EncryptedTextField(envelope="account", blank=False, validators=[no_card_number])
    street2 = EncryptedTextField(envelope="account", validators=[no_card_number], verbose_name="second address line")
    city = EncryptedTextField(envelope="account", max_length=100, validators=[no_card_number])
    postal_code = EncryptedTextField(envelope="account", max_length=20, validators=[no_card_number])
    region = RegionField(envelope="account", validators=[no_card_number])
    state = StateField()
    country = models.CharField(max_length=2, validators=[validate_country])

    class Meta(_OfCustomer.Meta):
        abstract = False
        verbose_name_plural = "addresses"

    def __str__(self) -> str:
        return f"{self.purpose} address {str(self.pk)[-12:]}"


class TaxIdentifier(_OfCustomer):
    """A VAT number or Tax ID; a social security number only where it serves as the Tax ID (P26, P28)."""

    vault_label: ClassVar[str] = "accounts.tax_identifier"

    class Kind(models.TextChoices):
        VAT = "vat", "VAT number"
        TAX_ID = "tax_id", "Tax ID"
        SSN = "ssn", "social security number used as Tax ID"

    class Reason(models.TextChoices):
        NO_EIN = "no_ein", "sole proprietor without an employer identification number"
        EXEMPTION = "exemption", "named on a tax exemption or resale certificate"
        INFORMATION_RETURN = "information_return", "needed for an information return"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="tax_identifiers")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    country = models.CharField(max_length=2, validators=[validate_country])
    value = EncryptedTextField(
        envelope="tax_identifier",
        max_length=40,
        blind=(Exact("tax_identifier.value", normaliser="identifier"),),
        verbose_name="number",
    )
    ssn = EncryptedTextField(
        envelope="ssn",
        max_length=11,
        validators=[validate_ssn],
        verbose_name="social security number",
    )
    used_as_tax_id = models.BooleanField(default=False)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True, default="")
    has_certificate = models.BooleanField(
        default=False, help_text="A live exemption or resale certificate relies on it."
    )
    last_used_on = PastDateField(null=True, blank=True)

    class Meta(_OfCustomer.Meta):
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["customer", "kind"], name="one_tax_identifier_of_a_kind"),
            models.CheckConstraint(
                name="ssn_only_when_used_as_tax_id",
                condition=(Q(kind="ssn", used_as_tax_id=True, country="US") & ~Q(reason=""))
                | (~Q(kind="ssn") & Q(sealed_ssn__isnull=True)),
            ),
            models.CheckConstraint(
                name="ssn_never_beside_another_number",
                condition=~Q(kind="ssn") | Q(sealed_tax_identifier__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {str(self.pk)[-12:]}"

    @property
    def is_ssn(self) -> bool:
        """Whether it is a social security number, which no page shows (P28)."""
        return self.kind == self.Kind.SSN


class FreightAccount(_OfCustomer):
    """The customer's own account with a carrier (P26)."""

    vault_label: ClassVar[str] = "accounts.freight_account"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="freight_accounts")
    carrier = EncryptedTextField(envelope="freight_account", max_length=60, validators=[no_card_number])
    number = EncryptedTextField(
        envelope="freight_account",
        max_length=40,
        blank=False,
        validators=[validate_freight_account],
    )
    added_on = PastDateField()
    last_shipment_on = PastDateField(null=True, blank=True)

    class Meta(_OfCustomer.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"freight account {str(self.pk)[-12:]}"
