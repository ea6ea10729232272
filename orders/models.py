"""What was sold: products, orders with their lines, invoices, payments.

No card number is ever stored here (P22): the provider's token, the brand, the last four digits and the expiry are all
that a payment can hold, and `Payment.save()` refuses anything else. There is no field for a security code.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar, Self
from uuid import UUID

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from accounts.models import Channel
from accounts.phonefield import PhoneField
from accounts.validators import no_card_for_identifier, no_card_for_product, no_card_number, validate_country
from orders.cards import check_card
from privacy.calendar.days import DueDateField, PastDateField
from privacy.typed.lines import LineField
from privacy.vault import EncryptedEmailField, EncryptedTextField, Exact, SealedModel, SealedQuerySet


class Money(models.DecimalField):
    """An exact amount: numeric(14,4), as price lists and imported orders have four decimals."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 14)
        kwargs.setdefault("decimal_places", 4)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DecimalField", args, kwargs


class Product(models.Model):
    """Something on the price list, goods or service."""

    class Kind(models.TextChoices):
        INSTRUMENT = "instrument", "Instrument"
        ACCESSORY = "accessory", "Accessory"
        SERVICE = "service", "Service"
        GOODS = "goods", "Other goods"

    sku = LineField("SKU", max_length=40, unique=True, validators=[no_card_for_product])
    name = LineField(max_length=200, validators=[no_card_for_product])
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.INSTRUMENT)
    price = Money(default=Decimal(0), validators=[MinValueValidator(0)])
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["sku"]

    def __str__(self) -> str:
        return f"{self.sku} {self.name}"


class OrderQuerySet(SealedQuerySet):
    """Reads of orders, always narrowed by the caller to one person, one company or a role's work list."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return the orders of one person; none for None, so that a login without a customer sees nothing."""
        return self.filter(customer__subject_id=subject_id) if subject_id else self.none()

    def open(self) -> Self:
        """Return the orders that still have to be shipped (KEEP_CONTRACT)."""
        return self.filter(state=Order.State.PLACED)

    def unpaid(self) -> Self:
        """Return the invoiced orders whose payment is still due."""
        return self.filter(invoiced_on__isnull=False, paid_on__isnull=True).exclude(state=Order.State.CANCELLED)

    def recent_first(self) -> Self:
        """Order by date placed, newest first, with a stable second key."""
        return self.order_by("-placed_on", "-number")

    def with_details(self) -> Self:
        """Load lines, invoices and payments in a constant number of queries."""
        return self.select_related("customer", "company").prefetch_related("lines__product", "invoices", "payments")

    def with_owner(self) -> Self:
        """Load what naming the owner of the data needs: the customer's subject and country."""
        return self.select_related("customer")


class Order(SealedModel):
    """One order: dates and amounts in plain columns, everything about the person sealed (P17, P25)."""

    vault_label: ClassVar[str] = "orders.order"

    class State(models.TextChoices):
        PLACED = "placed", "Placed"
        SHIPPED = "shipped", "Shipped"
        CLOSED = "closed", "Complete"
        CANCELLED = "cancelled", "Cancelled"

    number = LineField(max_length=40, unique=True, validators=[no_card_for_identifier])
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    company = models.ForeignKey(
        "accounts.Company", null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.WEB)
    state = models.CharField(max_length=20, choices=State, default=State.PLACED)
    placed_on = PastDateField()
    invoiced_on = PastDateField(null=True, blank=True)
    paid_on = PastDateField(null=True, blank=True)
    shipped_on = PastDateField(null=True, blank=True)
    closed_on = PastDateField(null=True, blank=True)
    currency = LineField(max_length=3, default="USD")
    subtotal = Money(default=Decimal(0))
    tax = Money(default=Decimal(0))
    freight = Money(default=Decimal(0))
    total = Money(default=Decimal(0))
    ship_country = models.CharField(
        max_length=2, blank=True, default="", validators=[validate_country], help_text="ISO 3166 code"
    )
    invoice_country = models.CharField(
        max_length=2, blank=True, default="", validators=[validate_country], help_text="ISO 3166 code"
    )

    # What the invoice prints: ends with the tax and claims period (Y7).
    invoice_name = EncryptedTextField(envelope="order", max_length=200, validators=[no_card_number])
    invoice_company = EncryptedTextField(envelope="order", max_length=200, validators=[no_card_number])
    invoice_street = EncryptedTextField(envelope="order", max_length=200, validators=[no_card_number])
    invoice_street2 = EncryptedTextField(envelope="order", max_length=200, validators=[no_card_number])
    invoice_city = EncryptedTextField(envelope="order", max_length=100, validators=[no_card_number])
    invoice_region = EncryptedTextField(envelope="order", max_length=100, validators=[no_card_number])
    invoice_postal_code = EncryptedTextField(envelope="order", max_length=20, validators=[no_card_number])
    invoice_vat_number = EncryptedTextField(
        envelope="order", max_length=40, verbose_name="VAT no. or Tax ID", validators=[no_card_for_identifier]
    )
    customer_reference = EncryptedTextField(
        envelope="order",
        max_length=80,
        verbose_name="your reference",
        help_text="The customer's purchase order number",
        validators=[no_card_for_identifier],
    )

    # What shipping needs: ends when it has done its work.
    ship_name = EncryptedTextField(envelope="fulfilment", max_length=200, validators=[no_card_number])
    ship_company = EncryptedTextField(envelope="fulfilment", max_length=200, validators=[no_card_number])
    ship_street = EncryptedTextField(envelope="fulfilment", max_length=200, validators=[no_card_number])
    ship_street2 = EncryptedTextField(envelope="fulfilment", max_length=200, validators=[no_card_number])
    ship_city = EncryptedTextField(envelope="fulfilment", max_length=100, validators=[no_card_number])
    ship_region = EncryptedTextField(envelope="fulfilment", max_length=100, validators=[no_card_number])
    ship_postal_code = EncryptedTextField(envelope="fulfilment", max_length=20, validators=[no_card_number])
    phone = PhoneField(
        envelope="fulfilment",
        max_length=40,
        blind=(Exact("order.phone", normaliser="phone"),),
    )
    email = EncryptedEmailField(
        envelope="fulfilment", max_length=254, blind=(Exact("order.email", normaliser="email"),)
    )
    notes = EncryptedTextField(
        envelope="fulfilment",
        max_length=2000,
        multiline=True,
        help_text="Delivery notes. No payment data, please.",
        validators=[no_card_number],
    )

    objects = OrderQuerySet.as_manager()  # type: ignore[misc]

    class Meta(SealedModel.Meta):
        indexes = [
            models.Index(fields=["-placed_on", "-number"], name="order_listed"),  # as the back office lists them
            models.Index(fields=["customer", "-placed_on"], name="order_customer_placed"),
            models.Index(fields=["company", "-placed_on"], name="order_company_placed"),
            # The sweep asks for old orders that still hold something.
            models.Index(
                fields=["placed_on"],
                condition=Q(sealed_order__isnull=False) | Q(sealed_fulfilment__isnull=False),
                name="order_placed_live",
            ),
            models.Index(fields=["closed_on"], condition=Q(state="cancelled"), name="order_cancelled"),
            models.Index(fields=["state"], condition=Q(state="placed"), name="order_open"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(shipped_on__isnull=True) | Q(shipped_on__gte=models.F("placed_on")),
                name="order_shipped_after_placed",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["shipped", "closed"]) | Q(shipped_on__isnull=False),
                name="order_shipped_has_date",
            ),
        ]

    def __str__(self) -> str:
        return f"Order {self.number}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        """Return whom the data is about: the person who ordered; a company only when no person is named."""
        return owner_of(self)

    @property
    def is_open(self) -> bool:
        """Whether the order still has to be shipped."""
        return self.state == self.State.PLACED

    @property
    def is_unpaid(self) -> bool:
        """Whether an invoice is out and not paid."""
        return self.invoiced_on is not None and self.paid_on is None and self.state != self.State.CANCELLED

    @property
    def is_cancelled(self) -> bool:
        """Whether it is never sent."""
        return self.state == self.State.CANCELLED


def owner_of(record: Any) -> tuple[str, UUID | None]:
    """Return the owner that a record's data keys name: ("subject", id), ("company", id) or ("none", None)."""
    if record.customer_id and record.customer.subject_id:
        return "subject", record.customer.subject_id
    if record.company_id:
        return "company", record.company_id
    return "none", None


class OrderLine(models.Model):
    """One line of an order; `description` is what the invoice prints, whatever the product is called later."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    description = LineField(max_length=200, validators=[no_card_for_product])
    quantity = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    unit_price = Money()

    class Meta:
        ordering = ["order", "position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="orderline_position"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="orderline_quantity"),
        ]

    def __str__(self) -> str:
        return f"Line {self.position}"

    @property
    def amount(self) -> Decimal:
        """The line's amount, exact."""
        return self.quantity * self.unit_price


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def unpaid(self) -> Self:
        """Return the invoices whose payment is still due."""
        return self.filter(paid_on__isnull=True).exclude(order__state=Order.State.CANCELLED)


class Invoice(models.Model):
    """The issued document. What it prints about the person stands sealed in its order."""

    number = LineField(max_length=40, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="invoices")
    issued_on = PastDateField()
    due_on = DueDateField()
    paid_on = PastDateField(null=True, blank=True)
    total = Money()

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        ordering = ["-issued_on", "-number"]
        constraints = [
            models.CheckConstraint(condition=Q(due_on__gte=models.F("issued_on")), name="invoice_due_after_issued")
        ]
        indexes = [models.Index(fields=["due_on", "number"], condition=Q(paid_on__isnull=True), name="invoice_unpaid")]

    def __str__(self) -> str:
        return f"Invoice {self.number}"


class PaymentQuerySet(SealedQuerySet):
    """Reads of payments."""

    def for_subject(self, subject_id: UUID | None) -> Self:
        """Return the payments for one person's orders."""
        return self.filter(order__customer__subject_id=subject_id) if subject_id else self.none()

    def with_owner(self) -> Self:
        """Load the order and its customer, whose person owns the data."""
        return self.select_related("order__customer")

    def bulk_create(self, objs: Iterable[Payment], *args: Any, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        """Refuse card numbers in a batch as `save()` does for one."""
        payments = list(objs)
        for payment in payments:
            payment.check_card()
        return super().bulk_create(payments, *args, **kwargs)


class Payment(SealedModel):
    """How an order was paid: the provider's token, brand, last four, expiry. Never a card number (P19, P22)."""

    vault_label: ClassVar[str] = "orders.payment"

    class Method(models.TextChoices):
        CARD = "card", "Card"
        TRANSFER = "transfer", "Bank transfer"
        CHECK = "check", "Check"
        CASH = "cash", "Cash"
        OTHER = "other", "Another way, or not known"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        CHARGED = "charged", "Paid"
        REFUNDED = "refunded", "Refunded"
        FAILED = "failed", "Failed"

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    method = models.CharField(max_length=20, choices=Method, default=Method.CARD)
    state = models.CharField(max_length=20, choices=State, default=State.PENDING)
    brand = LineField(max_length=20, blank=True, default="")
    amount = Money(default=Decimal(0))
    charged_on = PastDateField(null=True, blank=True)

    token = EncryptedTextField(envelope="payment", max_length=100, help_text="The payment provider's reference")
    last_four = EncryptedTextField(envelope="payment", max_length=4)
    expiry = EncryptedTextField(envelope="payment", max_length=7, help_text="MM/YYYY")

    objects = PaymentQuerySet.as_manager()  # type: ignore[misc]

    class Meta(SealedModel.Meta):
        ordering = ["-charged_on", "id"]
        indexes = [
            models.Index(fields=["charged_on"], condition=Q(sealed_payment__isnull=False), name="payment_charged_live")
        ]

    def __str__(self) -> str:
        return f"Payment {self.pk}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        """Return whom the data is about: the owner of the order."""
        return owner_of(self.order)

    def check_card(self) -> None:
        """Refuse what is more than token, brand, last four and expiry. Raises `cards.CardRefused`."""
        values = self.__dict__
        # Only values already in memory are looked at: asking for them would open the envelope.
        check_card(**{name: values[name] for name in ("token", "last_four", "expiry", "brand") if name in values})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save after `check_card`."""
        self.check_card()
        super().save(*args, **kwargs)

    @property
    def means(self) -> str:
        """By what it was paid, as a page says it: the brand of a card, else the method."""
        return self.brand or "Card" if self.is_card else str(self.get_method_display())

    @property
    def is_card(self) -> bool:
        """Whether a card paid it."""
        return self.method == self.Method.CARD

    @property
    def is_refunded(self) -> bool:
        """Whether it was given back."""
        return self.state == self.State.REFUNDED
