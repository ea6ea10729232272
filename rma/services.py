"""What happens to a return: opened, moved through its states, noted on, certified. One transaction, one audit event.

The history and the certificate take no free text and name no person: they outlive the owner. What people write goes
into sealed notes, which end with the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.activity import touch
from accounts.models import Channel, Company, Customer
from accounts.records import require_living
from orders.models import Order, Product
from orders.services import next_number, permit
from privacy import audit
from privacy.calendar import days
from privacy.gate import Actor, Refused
from privacy.retention import restriction
from rma import states
from rma.models import RMA, Certificate, Instrument, Ownership, RMAEvent, RMANote

CONTACT_FIELDS = frozenset(RMA.envelopes()["rma"]) | {"return_country"}

#: What one line of a certificate's results may hold: measured numbers and units, no text of anybody's.
RESULT_NUMBERS = ("nominal", "as_found", "as_left", "uncertainty")
QUANTITIES = frozenset(
    {"irradiance", "illuminance", "luminance", "radiance", "wavelength", "responsivity", "dark_current", "temperature"}
)
UNITS = frozenset({"W/m2", "mW/cm2", "uW/cm2", "lx", "fc", "cd/m2", "nm", "A/W", "pA", "nA", "degC", "W/(m2 sr)", "%"})

__all__ = [
    "CertificateRefused",
    "InstrumentRefused",
    "MovedOn",
    "TransitionRefused",
    "add_note",
    "as_seen",
    "find_instrument",
    "is_another",
    "issue_certificate",
    "open_rma",
    "record",
    "transfer",
    "transition",
]


class TransitionRefused(Exception):
    """A step that the table of states does not have, or not for this actor. The text names states and no person."""


class MovedOn(Exception):
    """The return, or its quote, is not any more as it was when the person decided."""


class InstrumentRefused(Exception):
    """An instrument that cannot come in: its serial number is with another owner, or an RMA is open for it."""


REFUSED = (
    "We cannot take this serial number in online. Please call us, at the number at the foot of this page: a member of our "
    "staff has to look."
)


class CertificateRefused(Exception):
    """Results that are not numbers with units, dates out of order, or an RMA that is not ready for a certificate."""


def find_instrument(
    *, serial: str, model_name: str, product: Product | None = None, made_on: date | None = None
) -> Instrument:
    """Return the instrument with this serial number, registering it when it is new. Says nothing about owners.

    Raises ValidationError for what is no serial number or model name: these two columns are readable and follow the
    instrument, so nothing else may stand in them. What a customer typed goes through `serials.named`.
    """
    serial = serial.strip().upper()
    known = Instrument.objects.filter(serial=serial).first()
    if known is not None:
        return known
    new = Instrument(serial=serial, model_name=model_name.strip(), product=product, made_on=made_on)
    new.full_clean(validate_unique=False, validate_constraints=False)
    instrument, _ = Instrument.objects.get_or_create(
        serial=serial, defaults={"model_name": new.model_name, "product": product, "made_on": made_on}
    )
    return instrument


def transfer(
    instrument: Instrument, *, customer: Customer, actor: Actor, now: datetime, company: Company | None = None
) -> Ownership:
    """Make `customer` the owner from today and end the previous ownership; return the current one.

    Idempotent for the owner of today. The previous owner is neither shown nor returned. Raises gate.Refused.
    """
    permit(actor, "sales", "service")
    today = timezone.localdate(now)
    with transaction.atomic():
        Instrument.objects.select_for_update().get(pk=instrument.pk)
        current = Ownership.objects.current().filter(instrument=instrument).first()
        if current and current.customer_id == customer.pk:
            return current
        if current:
            current.until_on = max(today, current.from_on)
            current.save(update_fields=["until_on"])
        ownership = Ownership.objects.create(
            instrument=instrument, customer=customer, company=company or customer.company, from_on=today
        )
        audit.record(
            "instrument.transferred",
            actor=actor,
            now=now,
            subject=customer.subject_id,
            reference=f"instrument {instrument.pk}",
        )
    return ownership


def open_for(subject: UUID | None, *, serial: str) -> RMA | None:
    """Return the person's own return that is open for the instrument with this serial number, None without one: of
    anybody else's nothing is told."""
    found = RMA.objects.for_subject(subject).open().filter(instrument__serial=serial) if serial else RMA.objects.none()
    return found.first()


def open_rma(
    *,
    customer: Customer,
    instrument: Instrument,
    service: str,
    channel: str,
    contact: Mapping[str, str],
    actor: Actor,
    now: datetime,
    fault: str = "",
    accessories: str = "",
    serial_typed: str = "",
    order: Order | None = None,
    company: Company | None = None,
    cost_limit: Decimal | None = None,
    is_warranty: bool = False,
) -> RMA:
    """Open a return for calibration or repair, by any channel, and return it (P17, P25).

    `contact` holds fields of the envelope rma and return_country. With `serial_typed`, what the customer wrote instead
    of a serial number, the instrument is a new one of `serials.named`, and service settles its number. An instrument
    nobody is on file for becomes the customer's. Raises gate.Refused (another person's record or order),
    InstrumentRefused (an RMA is open for it, or it is registered to somebody else: the text is the same and says
    neither which nor whose) and ValidationError (a value that its field does not allow, CustomerErased).
    """
    permit(actor, "service", subject=customer.subject_id)
    if order is not None and order.customer_id != customer.pk:
        raise Refused("This order is another person's.")
    if unknown := set(contact) - CONTACT_FIELDS:
        raise TypeError(f"An RMA has no field {', '.join(sorted(unknown))}.")
    if channel not in Channel.values:
        raise TypeError("An RMA needs a channel.")
    today = timezone.localdate(now)
    with transaction.atomic():
        require_living(customer)
        if serial_typed:
            instrument.save(force_insert=True)
        Instrument.objects.select_for_update().get(pk=instrument.pk)
        owner = Ownership.objects.current().filter(instrument=instrument).first()
        if is_another(owner, customer) or RMA.objects.open().filter(instrument=instrument).exists():
            raise InstrumentRefused(REFUSED)
        if owner is None:
            Ownership.objects.create(
                instrument=instrument, customer=customer, company=company or customer.company, from_on=today
            )
        rma = RMA(
            number=next_number("rma_rma_number", "RMA", today.year),
            customer=customer,
            company=company or customer.company,
            order=order,
            instrument=instrument,
            service=service,
            channel=channel,
            is_warranty=is_warranty,
            cost_limit=cost_limit,
            opened_on=today,
            fault=fault,
            accessories=accessories,
            serial_typed=serial_typed,
            is_serial_open=bool(serial_typed),
            is_typed=actor.kind == "customer",
            **contact,
        )
        rma.full_clean(validate_unique=False)
        rma.save()
        RMAEvent.objects.create(rma=rma, at=now, to_state=rma.state, actor_kind=_who(actor))
        touch([customer.pk], on=today)
        record("rma.opened", rma, actor=actor, now=now)
    return rma


def as_seen(rma: RMA) -> str:
    """Return state and quote as one word: what a page showed to somebody who decides."""
    return f"{rma.state}/{'' if rma.quote is None else f'{rma.quote:.2f}'}"


def transition(
    rma: RMA,
    to: str,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    quote: Decimal | None = None,
    seen: str | None = None,
) -> RMA:
    """Take an RMA to its next state, as `states.TABLE` allows, and return it.

    A quote within the limit that the customer approved in advance is approved at once. `seen` is what `as_seen` gave
    when the page was drawn on which somebody decided. Raises gate.Refused, TransitionRefused (no such step, a quote
    without an amount, an unknown reason), MovedOn when the return or its quote is another one than was seen.
    """
    permit(actor, "service", "sales", subject=rma.customer.subject_id if rma.customer_id else None)
    if reason not in RMAEvent.Reason.values:
        raise TransitionRefused("There is no such reason.")
    who = _who(actor)
    today = timezone.localdate(now)
    with transaction.atomic():
        rma = RMA.objects.select_for_update(of=("self",)).select_related("customer", "instrument").get(pk=rma.pk)
        if to not in states.next_states(rma, who):
            raise TransitionRefused(f"{rma.number} cannot go from {rma.state} to {to}.")
        if reason and reason not in states.reasons(rma.state, to):
            raise TransitionRefused("This is no reason for this step.")
        if seen is not None and seen != as_seen(rma):
            raise MovedOn
        if to == RMA.State.IN_SERVICE and _waits_for_yes(rma):
            raise TransitionRefused(f"The quote of {rma.number} is not accepted yet.")
        path, within_limit = [rma.state, to], False
        if to == RMA.State.QUOTED:
            amount = rma.quote if quote is None else quote
            if amount is None or amount < 0:
                raise TransitionRefused("A quote needs an amount.")
            rma.quote = amount
            within_limit = rma.cost_limit is not None and amount <= rma.cost_limit
        _move(rma, to, who=who, reason=reason, now=now, today=today)
        if within_limit:
            path, reason = [*path, RMA.State.APPROVED], RMAEvent.Reason.WITHIN_LIMIT
            _move(rma, RMA.State.APPROVED, who=who, reason=RMAEvent.Reason.WITHIN_LIMIT, now=now, today=today)
        rma.save(update_fields=["state", "quote", "received_on", "shipped_on", "closed_on"])
        moved = " → ".join(path)
        record("rma.moved", rma, actor=actor, now=now, reason=f"{moved}: {reason}" if reason else moved)
    return rma


def add_note(rma: RMA, *, text: str, actor: Actor, now: datetime) -> RMANote:
    """Add a message to the thread of an RMA and return it.

    Raises gate.Refused, TransitionRefused when the case is finished, ValidationError when the text is empty, too long
    or holds a card number (P22).
    """
    permit(actor, "service", subject=rma.customer.subject_id if rma.customer_id else None)
    with transaction.atomic():
        rma = RMA.objects.select_for_update(of=("self",)).select_related("customer").get(pk=rma.pk)
        if not rma.is_open:
            raise TransitionRefused(f"{rma.number} is finished.")
        author = RMANote.Author.CUSTOMER if _who(actor) == states.CUSTOMER else RMANote.Author.STAFF
        note = RMANote(rma=rma, written_at=now, author=author, text=text)
        note.full_clean(validate_unique=False)
        note.save()
        record("rma.noted", rma, actor=actor, now=now)
    return note


def issue_certificate(
    rma: RMA,
    *,
    procedure: str,
    calibrated_on: date,
    results: Sequence[Mapping[str, object]],
    actor: Actor,
    now: datetime,
    replaces: Certificate | None = None,
) -> Certificate:
    """Issue the certificate of a verified instrument, or a revision that replaces an earlier one, and return it.

    Each result is {quantity, unit, nominal, as_found, as_left, uncertainty}: names from fixed lists and numbers, so
    that nothing about a person can stand in it. Raises gate.Refused, CertificateRefused.
    """
    permit(actor, "service")
    today = timezone.localdate(now)
    if procedure not in Certificate.Procedure.values:
        raise CertificateRefused("There is no such procedure.")
    measured = [_result(result) for result in results]
    if not measured:
        raise CertificateRefused("A certificate needs at least one result.")
    if not days.EARLIEST <= calibrated_on <= today or (rma.received_on and calibrated_on < rma.received_on):
        raise CertificateRefused("The day of calibration lies between the day received and today.")
    with transaction.atomic():
        rma = RMA.objects.select_for_update(of=("self",)).select_related("customer").get(pk=rma.pk)
        if rma.state not in (RMA.State.VERIFIED, RMA.State.SHIPPED_BACK, RMA.State.CLOSED):
            raise CertificateRefused(f"{rma.number} is not verified.")
        if rma.is_serial_open:
            raise CertificateRefused(f"The serial number of {rma.number} is not settled: a certificate follows it.")
        if replaces is None and Certificate.objects.filter(rma=rma).exists():
            raise CertificateRefused(f"{rma.number} has a certificate: issue a revision that replaces it.")
        if replaces is not None and (
            replaces.instrument_id != rma.instrument_id or Certificate.objects.filter(replaces=replaces).exists()
        ):
            raise CertificateRefused("Only the latest certificate of the same instrument can be replaced.")
        certificate = Certificate.objects.create(
            number=next_number("rma_certificate_number", "CAL", today.year),
            revision=replaces.revision + 1 if replaces else 1,
            replaces=replaces,
            instrument_id=rma.instrument_id,
            rma=rma,
            procedure=procedure,
            received_on=rma.received_on,
            calibrated_on=calibrated_on,
            issued_on=today,
            results=measured,
        )
        record("certificate.issued", rma, actor=actor, now=now)
    return certificate


def _move(rma: RMA, to: str, *, who: str, reason: str, now: datetime, today: date) -> None:
    RMAEvent.objects.create(rma=rma, at=now, from_state=rma.state, to_state=to, actor_kind=who, reason=reason)
    if to == RMA.State.RECEIVED and rma.received_on is None:
        rma.received_on = today
    if to == RMA.State.SHIPPED_BACK:
        rma.shipped_on = today
    if states.ends(rma, to):
        rma.closed_on = today
    rma.state = to


def is_another(owner: Ownership | None, customer: Customer) -> bool:
    """Return whether somebody else is on file; a colleague of the same company is not somebody else."""
    if owner is None or owner.customer_id == customer.pk:
        return False
    return not (owner.company_id and owner.company_id == customer.company_id)


def _waits_for_yes(rma: RMA) -> bool:
    """Whether the last quote is not accepted: the page tells its person that its work does not
    begin before, a hold or not."""
    states_reached = [RMA.State.QUOTED, RMA.State.APPROVED]
    last = rma.events.filter(to_state__in=states_reached).order_by("-pk").values_list("to_state", flat=True).first()
    return last == RMA.State.QUOTED


def _who(actor: Actor) -> str:
    return states.CUSTOMER if actor.kind == "customer" else states.STAFF


def _result(result: Mapping[str, object]) -> dict[str, str]:
    if set(result) - {"quantity", "unit", *RESULT_NUMBERS}:
        raise CertificateRefused("A result has quantity, unit, nominal, as_found, as_left and uncertainty only.")
    if result.get("quantity") not in QUANTITIES or result.get("unit") not in UNITS:
        raise CertificateRefused("A result needs a known quantity and unit.")
    measured = {"quantity": str(result["quantity"]), "unit": str(result["unit"])}
    for name in RESULT_NUMBERS:
        if name not in result:
            continue
        try:
            number = Decimal(str(result[name]))
        except InvalidOperation:
            raise CertificateRefused(f"{name} is not a number.") from None
        if not number.is_finite() or len(str(number)) > 20:
            raise CertificateRefused(f"{name} is not a number.")
        measured[name] = str(number)
    if "as_left" not in measured:
        raise CertificateRefused("A result needs a value as left.")
    return measured


def record(action: str, rma: RMA, *, actor: Actor, now: datetime, reason: str = "") -> None:
    """Write the audit event of a step, and look again at what the person's restricted records may open for."""
    if rma.customer_id and (subject := rma.customer.subject_id):
        # What is kept of somebody after an erasure opens for unfinished work only as long as it is unfinished.
        restriction.settle_person(subject, actor=actor, now=now)
    audit.record(
        action,
        actor=actor,
        now=now,
        subject=rma.customer.subject_id if rma.customer_id else None,
        record=(RMA.vault_label, rma.pk),
        reason=reason,
    )
