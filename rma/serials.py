"""Serial numbers: what is one stands readable with its instrument; what a customer wrote instead
is sealed until it is settled.

What must never happen: a name, an address or a sentence in the column that outlives the person. So only what keeps the
rule goes there, by every door; anything else waits in the return, sealed with what the customer wrote, until service
looks at the instrument and says which number it has, or that it has none. A wrong number is undone by hand: it joined
two histories, and the audit says when and in which return.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core import checks
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, models, transaction
from django.db.models import Q

from orders.services import permit
from privacy import vault
from privacy.gate import Actor
from privacy.typed.lines import on_one_line
from privacy.work import broken, progress
from privacy.work.broken import Findings
from rma import services
from rma.models import RMA, SERIAL, Certificate, Instrument, Ownership, RMAQuerySet

BATCH = 500
_SETTLED = ["is_serial_open", "serial_typed"]
_FIELD = Instrument._meta.get_field("serial")


class SerialSettled(Exception):
    """The serial number of this return was settled before."""


def read(text: str) -> str:
    """Return a serial number as it is kept, "" when the text is none by the rule."""
    number = text.strip().upper()
    try:
        _FIELD.clean(number, None)
    except ValidationError:
        return ""
    return number


def named(*, typed: str, model_name: str) -> tuple[Instrument, str]:
    """Return the instrument that a customer names and, when what he typed is no serial number, that text.

    The instrument is then a new one without a serial number, which `services.open_rma` saves with the return. Raises
    ValidationError for what is no model name.
    """
    if number := read(typed):
        return services.find_instrument(serial=number, model_name=model_name), ""
    new = Instrument(model_name=model_name.strip())
    new.full_clean(validate_unique=False, validate_constraints=False)
    return new, typed.strip()


def to_settle() -> RMAQuerySet:
    """Return the returns whose customer wrote something else than a serial number, as long as that can be read."""
    return RMA.objects.filter(is_serial_open=True, sealed_rma_note__isnull=False)


def settle(rma: RMA, *, serial: str, actor: Actor, now: datetime, is_sold_on: bool = False) -> RMA:
    """Say which serial number the instrument of a return has, "" for none, and remove what the customer wrote (P17).

    Where the number is known, the return and its history join that instrument; `is_sold_on` makes the customer its
    owner where somebody else was. Raises gate.Refused, SerialSettled, ValidationError for what is no serial number, and
    services.InstrumentRefused when another return is open for the instrument or it is registered to somebody else.
    """
    permit(actor, "service")
    number = read(serial)
    if serial.strip() and not number:
        raise ValidationError({"serial": SERIAL.message})
    try:
        with transaction.atomic():
            rma = RMA.objects.select_for_update(of=("self",)).select_related("customer", "instrument").get(pk=rma.pk)
            if not rma.is_serial_open:
                raise SerialSettled
            ours = rma.instrument
            found = Instrument.objects.select_for_update().filter(Q(pk=ours.pk) | Q(serial=number)).order_by("pk")
            known = next((one for one in found if number and one.serial == number and one.pk != ours.pk), None)
            if known is not None:
                _join(rma, ours, known, actor=actor, now=now, is_sold_on=is_sold_on)
            elif number:
                ours.serial = number
                ours.save(update_fields=["serial"])
            rma.is_serial_open, rma.serial_typed = False, ""
            rma.save(update_fields=_SETTLED)
            services.record("rma.serial_settled", rma, actor=actor, now=now, reason="number" if number else "none")
    except IntegrityError:
        raise services.InstrumentRefused("This serial number was entered a moment ago: please try again.") from None
    return rma


def _join(rma: RMA, ours: Instrument, known: Instrument, *, actor: Actor, now: datetime, is_sold_on: bool) -> None:
    """Move everything of the instrument without a number to the known one, and forget the former."""
    if rma.is_open and RMA.objects.open().filter(instrument=known).exists():
        raise services.InstrumentRefused("Another return is open for this serial number: look at that one first.")
    owner = Ownership.objects.current().filter(instrument=known).first()
    mine = Ownership.objects.current().filter(instrument=ours).first()
    if owner is not None and rma.customer is not None and services.is_another(owner, rma.customer):
        if not is_sold_on:
            raise services.InstrumentRefused(
                "An instrument with this serial number is registered to somebody else. Look at the number again; if the "
                "instrument was sold on, say so."
            )
        services.transfer(known, customer=rma.customer, company=rma.company, actor=actor, now=now)
    if mine is not None and owner is not None:
        mine.delete()
    for model in (Ownership, Certificate):
        model._default_manager.filter(instrument=ours).update(instrument=known)
    RMA.objects.filter(instrument=ours).update(instrument=known)
    rma.instrument = known
    ours.delete()


# Serial numbers of before --------------------------------------------------------------------------------------------


def unsettled() -> models.QuerySet[Instrument]:
    """Return the instruments in whose readable column something else stands than a serial number by the rule."""
    return Instrument.objects.filter(serial__isnull=False).exclude(serial__regex=SERIAL.regex.pattern)


def settle_old(*, batch: int = BATCH) -> Findings:
    """Take out of the readable column what is no serial number; return which instruments failed.

    It is sealed into the last return of the instrument that still holds what its customer wrote, and
    waits there to be settled. Where there is none (it ended, or was erased) the text goes. Safe to
    repeat, and to go on with after a kill.
    """
    findings = Findings()
    after, done = 0, 0
    while ids := list(unsettled().filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:batch]):
        done += sum(broken.spared(ids, _settle_old, step="settle_serials", label="rma.instrument", findings=findings))
        progress.tell("serial numbers settled", done)
        after = ids[-1]
    return findings


def _settle_old(ids: Sequence[int]) -> int:
    with transaction.atomic(), vault.internal():  # shown to nobody
        instruments = list(unsettled().filter(pk__in=ids).order_by("pk").select_for_update())
        taken = set(
            Instrument.objects.filter(serial__in=[read(str(one.serial)) for one in instruments]).values_list(
                "serial", flat=True
            )
        )
        last = _last_returns(instruments)
        sealed: list[RMA] = []
        for one in instruments:
            text = on_one_line(str(one.serial)).strip()
            number = read(text)
            one.serial = number if number and number not in taken else None
            taken.add(number)
            if one.serial is None and text and (rma := last.get(one.pk)) is not None:
                rma.serial_typed, rma.is_serial_open = text, True
                sealed.append(rma)
        RMA.objects.bulk_update(sealed, _SETTLED)
        Instrument.objects.bulk_update(instruments, ["serial"])
    return len(instruments)


def _last_returns(instruments: Sequence[Instrument]) -> dict[int, RMA]:
    """Return for each instrument the last return whose envelope of what the customer wrote can be written."""
    found = list(
        RMA.objects.filter(Q(sealed_rma__isnull=False) | Q(sealed_rma_note__isnull=False), instrument__in=instruments)
        .with_owner()
        .order_by("opened_on", "pk")
        .select_for_update(of=("self",))
    )
    erased = {pk for pk, _ in vault.keys.destroyed([(one.pk, "rma_note") for one in found])}
    return {one.instrument_id: one for one in found if one.pk not in erased}


@checks.register(checks.Tags.database)
def serials_left(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning as long as something else than a serial number stands in the readable column."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or not _is_there() or not unsettled().exists():
        return []
    text = "Texts that are no serial numbers stand readable in the register of instruments."
    return [checks.Warning(text, hint="Run `prepare` as the owner: it is safe to repeat.", id="rma.W001")]


def _is_there() -> bool:
    """Whether the table is there: `migrate` asks before it has made it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [Instrument._meta.db_table])
        return bool(cursor.fetchone()[0])
