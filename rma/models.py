"""Returns for calibration and repair, the instruments themselves, and their certificates.

An instrument outlives its owners: its technical history hangs on the serial number and names nobody; who owned it is a
dated link of its own, and the next owner never sees the previous one.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Self
from uuid import UUID

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from accounts.models import Channel
from accounts.phonefield import PhoneField
from accounts.validators import no_card_for_identifier, no_card_number, validate_country
from orders.models import Money, Order, Product, owner_of
from privacy.calendar import add_months
from privacy.calendar.days import PastDateField
from privacy.vault import EncryptedEmailField, EncryptedTextField, Exact, SealedModel, SealedQuerySet, uuid7

# Readable columns that customers type into: the form leaves no room for a sentence, an address or an e-mail.
SERIAL = RegexValidator(
    r"^(?=[A-Z./-]*[0-9])[A-Z0-9./-]{1,20}\Z",
    "A serial number has at most 20 letters, digits, dots, dashes or slashes, and at least one digit.",
)
MODEL_NAME = RegexValidator(
    r"^[A-Za-z]{0,8}[ -]?[0-9][A-Za-z0-9 ./+-]{0,40}\Z", "A model has letters and a number, such as ILT2400."
)


class InstrumentQuerySet(models.QuerySet["Instrument"]):
    """Reads of instruments."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return the instruments that a person owns today."""
        if not subject_id:
            return self.none()
        current = Ownership.objects.filter(customer__subject_id=subject_id, until_on__isnull=True)
        return self.filter(pk__in=current.values("instrument_id"))


class Instrument(models.Model):
    """One instrument by its serial number: what it is, never whose it is.

    Without a number until it is settled (`rma.serials`), or because it has none.
    """

    serial = models.CharField(
        "serial number", max_length=60, unique=True, null=True, blank=True, validators=[SERIAL, no_card_for_identifier]
    )
    model_name = models.CharField("model", max_length=60, validators=[MODEL_NAME, no_card_for_identifier])
    product = models.ForeignKey(Product, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    made_on = PastDateField(null=True, blank=True)
    calibration_months = models.PositiveSmallIntegerField(
        default=12, help_text="Recommended interval between calibrations"
    )

    objects = InstrumentQuerySet.as_manager()

    class Meta:
        ordering = ["serial"]

    def __str__(self) -> str:
        return f"{self.model_name} {self.serial or 'without a serial number'}"


class OwnershipQuerySet(models.QuerySet["Ownership"]):
    """Reads of who owned what, when."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return one person's ownerships, ended ones too."""
        return self.filter(customer__subject_id=subject_id) if subject_id else self.none()

    def current(self) -> Self:
        """Return the ownerships of today."""
        return self.filter(until_on__isnull=True)

    def with_owner(self) -> Self:
        """Load the customer and the instrument."""
        return self.select_related("customer", "instrument")


class Ownership(models.Model):
    """Who owned an instrument, from when until when: a link that can end without touching the instrument."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="ownerships")
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.CASCADE, related_name="ownerships"
    )
    company = models.ForeignKey(
        "accounts.Company", null=True, blank=True, on_delete=models.SET_NULL, related_name="ownerships"
    )
    from_on = PastDateField()
    until_on = PastDateField(null=True, blank=True)

    objects = OwnershipQuerySet.as_manager()

    class Meta:
        ordering = ["instrument", "from_on", "id"]
        indexes = [models.Index(fields=["from_on"], name="ownership_from")]
        constraints = [
            models.UniqueConstraint(
                fields=["instrument"], condition=Q(until_on__isnull=True), name="ownership_one_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(until_on__isnull=True) | Q(until_on__gte=F("from_on")), name="ownership_until_after_from"
            ),
        ]

    def __str__(self) -> str:
        return f"Ownership {self.pk}"


class RMAQuerySet(SealedQuerySet):
    """Reads of RMAs, always narrowed by the caller to one person or a role's work list."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return one person's RMAs; none for None."""
        return self.filter(customer__subject_id=subject_id) if subject_id else self.none()

    def open(self) -> Self:
        """Return the RMAs that are not finished: an instrument is here, on its way, or expected."""
        return self.filter(closed_on__isnull=True)

    def recent_first(self) -> Self:
        """Order by date opened, newest first, with a stable second key."""
        return self.order_by("-opened_on", "-number")

    def with_details(self) -> Self:
        """Load instrument, owner, order, history, notes and certificates in a constant number of queries."""
        return self.select_related("instrument", "customer", "company", "order").prefetch_related(
            "events", "thread", "certificates"
        )

    def with_owner(self) -> Self:
        """Load what naming the owner of the data needs."""
        return self.select_related("customer", "instrument")


class RMA(SealedModel):
    """A return merchandise authorisation: one instrument that comes back for calibration or repair (P17, P25)."""

    vault_label: ClassVar[str] = "rma.rma"

    class Service(models.TextChoices):
        CALIBRATION = "calibration", "Calibration"
        REPAIR = "repair", "Repair"

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        AUTHORISED = "authorised", "Authorised: please send it"
        IN_TRANSIT = "in_transit", "On its way to us"
        RECEIVED = "received", "Received and inspected"
        QUOTED = "quoted", "Quoted: waiting for your approval"
        APPROVED = "approved", "Quote approved"
        DECLINED = "declined", "Quote declined"
        IN_SERVICE = "in_service", "In calibration or repair"
        VERIFIED = "verified", "Done and verified"
        SHIPPED_BACK = "shipped_back", "Shipped back"
        CLOSED = "closed", "Closed"
        ON_HOLD = "on_hold", "On hold"
        REJECTED = "rejected", "Rejected"
        CANCELLED = "cancelled", "Cancelled"
        BEYOND_REPAIR = "beyond_repair", "Beyond repair"

    number = models.CharField(max_length=40, unique=True)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.PROTECT, related_name="rmas"
    )
    company = models.ForeignKey(
        "accounts.Company", null=True, blank=True, on_delete=models.PROTECT, related_name="rmas"
    )
    order = models.ForeignKey(Order, null=True, blank=True, on_delete=models.SET_NULL, related_name="rmas")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="rmas")
    service = models.CharField(max_length=20, choices=Service)
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.WEB)
    state = models.CharField(max_length=20, choices=State, default=State.REQUESTED)
    is_warranty = models.BooleanField("under warranty", default=False)
    cost_limit = Money(
        "approved in advance up to", null=True, blank=True, validators=[MinValueValidator(0)], help_text="USD"
    )
    quote = Money(null=True, blank=True, validators=[MinValueValidator(0)], help_text="USD")
    is_serial_open = models.BooleanField("serial number to settle", default=False, db_default=False)
    # By whoever is signed in, on the website: what is typed there is no claim, whatever becomes of the login (design
    # 9).
    is_typed = models.BooleanField("typed by the person", default=False, db_default=False, editable=False)
    opened_on = PastDateField()
    received_on = PastDateField(null=True, blank=True)
    shipped_on = PastDateField("shipped back on", null=True, blank=True)
    closed_on = PastDateField(null=True, blank=True)
    return_country = models.CharField(
        max_length=2, blank=True, default="", validators=[validate_country], help_text="ISO 3166 code"
    )

    # Contact and return address: end with the case (Y7 from closure, or minimised before).
    contact_name = EncryptedTextField(envelope="rma", max_length=200, validators=[no_card_number])
    contact_company = EncryptedTextField(
        envelope="rma", max_length=200, verbose_name="company", validators=[no_card_number]
    )
    phone = PhoneField(envelope="rma", max_length=40, blind=(Exact("rma.phone", normaliser="phone"),))
    email = EncryptedEmailField(envelope="rma", max_length=254, blind=(Exact("rma.email", normaliser="email"),))
    return_street = EncryptedTextField(envelope="rma", max_length=200, validators=[no_card_number])
    return_street2 = EncryptedTextField(envelope="rma", max_length=200, validators=[no_card_number])
    return_city = EncryptedTextField(envelope="rma", max_length=100, validators=[no_card_number])
    return_region = EncryptedTextField(envelope="rma", max_length=100, validators=[no_card_number])
    return_postal_code = EncryptedTextField(envelope="rma", max_length=20, validators=[no_card_number])
    customer_reference = EncryptedTextField(
        envelope="rma", max_length=80, verbose_name="your reference", validators=[no_card_for_identifier]
    )

    # What the customer wrote: free text, ends by itself.
    fault = EncryptedTextField(
        envelope="rma_note",
        max_length=4000,
        multiline=True,
        verbose_name="fault or service wanted",
        help_text="What is wrong, or what is to be calibrated. No payment data, please.",
        validators=[no_card_number],
    )
    accessories = EncryptedTextField(
        envelope="rma_note",
        max_length=500,
        verbose_name="what comes with it",
        help_text="Cables, sensors, case",
        validators=[no_card_number],
    )

    serial_typed = EncryptedTextField(
        envelope="rma_note",
        max_length=60,
        verbose_name="serial number as the customer wrote it",
        validators=[no_card_for_identifier],
    )

    objects = RMAQuerySet.as_manager()  # type: ignore[misc]

    class Meta(SealedModel.Meta):
        verbose_name = "return"
        verbose_name_plural = "returns"
        indexes = [
            models.Index(fields=["-opened_on", "-number"], name="rma_listed"),  # as the back office lists them
            models.Index(fields=["customer", "-opened_on"], name="rma_customer_opened"),
            models.Index(fields=["instrument", "-opened_on"], name="rma_instrument_opened"),
            # The sweep asks for closed cases that still hold something.
            models.Index(
                fields=["closed_on"],
                condition=Q(sealed_rma__isnull=False) | Q(sealed_rma_note__isnull=False),
                name="rma_closed_live",
            ),
            models.Index(fields=["state"], condition=Q(closed_on__isnull=True), name="rma_open"),
            models.Index(fields=["opened_on"], condition=Q(is_serial_open=True), name="rma_serial_open"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state__in=["closed", "rejected"]) | Q(closed_on__isnull=False), name="rma_closed_has_date"
            ),
            models.CheckConstraint(
                condition=Q(closed_on__isnull=True) | Q(state__in=["closed", "rejected", "cancelled"]),
                name="rma_date_means_closed",
            ),
            models.CheckConstraint(
                condition=Q(closed_on__isnull=True) | Q(closed_on__gte=F("opened_on")), name="rma_closed_after_opened"
            ),
        ]

    def __str__(self) -> str:
        return f"return {self.number}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        """Return whom the data is about: the person who sent the instrument."""
        return owner_of(self)

    @property
    def is_open(self) -> bool:
        """Whether the case is not finished."""
        return self.closed_on is None

    @property
    def is_here(self) -> bool:
        """Whether the instrument stands in our laboratory."""
        return self.received_on is not None and self.shipped_on is None and self.closed_on is None


class RMANoteQuerySet(SealedQuerySet):
    """Reads of notes."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return the notes in one person's RMAs, internal ones too: they are about that person (Art. 15)."""
        return self.filter(rma__customer__subject_id=subject_id) if subject_id else self.none()

    def with_owner(self) -> Self:
        """Load the RMA and its customer, whose person owns the data."""
        return self.select_related("rma__customer")


class RMANote(SealedModel):
    """One message in the thread of an RMA, by the customer or by the laboratory."""

    vault_label: ClassVar[str] = "rma.note"

    class Author(models.TextChoices):
        CUSTOMER = "customer", "Customer"
        STAFF = "staff", "International Light Technologies"

    rma = models.ForeignKey(RMA, on_delete=models.CASCADE, related_name="thread")
    written_at = models.DateTimeField()
    author = models.CharField(max_length=20, choices=Author)
    text = EncryptedTextField(
        envelope="rma_note", max_length=4000, multiline=True, blank=False, validators=[no_card_number]
    )

    objects = RMANoteQuerySet.as_manager()  # type: ignore[misc]

    class Meta(SealedModel.Meta):
        ordering = ["written_at", "id"]
        verbose_name = "message in a return"
        verbose_name_plural = "messages in returns"

    def __str__(self) -> str:
        return f"Note {self.pk}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        """Return whom the data is about: the owner of the RMA."""
        return owner_of(self.rma)

    @property
    def is_by_customer(self) -> bool:
        """Whether the customer wrote it."""
        return self.author == self.Author.CUSTOMER


class RMAEvent(models.Model):
    """One step of an RMA: state to state, when, by which kind of actor, why in a fixed word. No free text."""

    class Reason(models.TextChoices):
        NONE = "", "—"
        WAITING_CUSTOMER = "waiting_customer", "Waiting for the customer"
        WAITING_PART = "waiting_part", "Waiting for a part"
        NOT_OURS = "not_ours", "Not one of our instruments"
        NO_SERVICE = "no_service", "No longer serviced"
        BY_REQUEST = "by_request", "At the customer's request"
        WITHIN_LIMIT = "within_limit", "Within the limit approved in advance"
        FAILED_VERIFICATION = "failed_verification", "Failed verification"

    rma = models.ForeignKey(RMA, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    from_state = models.CharField(max_length=20, choices=RMA.State, blank=True, default="")
    to_state = models.CharField(max_length=20, choices=RMA.State)
    actor_kind = models.CharField(max_length=20)
    reason = models.CharField(max_length=30, choices=Reason, blank=True, default=Reason.NONE)

    class Meta:
        ordering = ["id"]  # the order in which it happened, whatever the clock said

    def __str__(self) -> str:
        return f"{self.from_state or 'new'} → {self.to_state}"

    @property
    def is_by_customer(self) -> bool:
        """Whether the customer took the step."""
        return self.actor_kind == "customer"


class CertificateQuerySet(models.QuerySet["Certificate"]):
    """Reads of certificates."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return the certificates issued in one person's RMAs; an earlier owner's are not among them."""
        return self.filter(rma__customer__subject_id=subject_id) if subject_id else self.none()

    def valid(self) -> Self:
        """Leave out those that a later revision replaced."""
        return self.filter(replaced_by__isnull=True)

    def history_of(self, instrument: Instrument) -> Self:
        """Return an instrument's technical history, newest first, whoever owned it: it names nobody."""
        return self.filter(instrument=instrument).order_by("-issued_on", "-number").defer("rma")


class Certificate(models.Model):
    """What was measured on an instrument. Follows the serial number; no field can name a person."""

    class Procedure(models.TextChoices):
        IRRADIANCE = "ILT-CP-101", "ILT-CP-101 Irradiance response"
        ILLUMINANCE = "ILT-CP-102", "ILT-CP-102 Illuminance response"
        SPECTRAL = "ILT-CP-201", "ILT-CP-201 Spectral responsivity and wavelength"
        FUNCTIONAL = "ILT-CP-900", "ILT-CP-900 Functional verification after repair"

    number = models.CharField(max_length=40, unique=True)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaced_by")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="certificates")
    rma = models.ForeignKey(RMA, null=True, blank=True, on_delete=models.SET_NULL, related_name="certificates")
    procedure = models.CharField(max_length=20, choices=Procedure)
    received_on = PastDateField(null=True, blank=True)
    calibrated_on = PastDateField()
    issued_on = PastDateField()
    results = models.JSONField(default=list)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        ordering = ["-issued_on", "-number"]
        indexes = [models.Index(fields=["issued_on"], name="certificate_issued")]
        constraints = [
            models.CheckConstraint(
                condition=Q(issued_on__gte=F("calibrated_on")), name="certificate_issued_after_calibration"
            )
        ]

    def __str__(self) -> str:
        return f"Certificate {self.number} rev. {self.revision}"

    @property
    def due_on(self) -> date:
        """When the next calibration is recommended: the real date of calibration plus the instrument's interval."""
        return add_months(self.calibrated_on, self.instrument.calibration_months)
