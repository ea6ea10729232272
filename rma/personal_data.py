"""What returns hold about people, why, and what their fate depends on (P17, P25, P27).

Instruments, certificates and the history of states name nobody: they follow the serial number when the person is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts import countries, regions
from privacy import datamap, people
from privacy.datamap import Datum, Declaration, Flagged, Life, Proof, Warned, warned
from privacy.facts import Facts, Party
from privacy.gate import matters
from privacy.gate.matters import Matter
from privacy.retention import rules
from privacy.typed import numbers
from rma import states
from rma.models import (
    RMA,
    Certificate,
    Instrument,
    Ownership,
    OwnershipQuerySet,
    RMAEvent,
    RMANote,
    RMANoteQuerySet,
    RMAQuerySet,
)

PERSON = "the person who sent the instrument"
US = "ourselves"
CARRIER = "carrier"
OWNERSHIP, REGISTRATION = "rma.ownership", "product_registration"
#: In which states a return ends without an instrument, when none was received.
NOTHING_CAME = (RMA.State.CANCELLED, RMA.State.REJECTED)
SERVE = ("calibration and repair",)
SEND = ("calibration and repair", "delivery")


def still_sealed(record: RMA | RMANote) -> dict[str, tuple[str, ...]]:
    """Return envelope -> titles of the data that the record still holds: an envelope that ended is not among them."""
    return datamap.for_model(type(record)).still_sealed(record)


def rma_facts(rma: RMA) -> Facts:
    """Return the facts of one RMA; a certificate changes nothing for the person, as it names nobody."""
    return _facts(rma, rma, label=RMA.vault_label, title=f"Return {rma.number}")


def note_facts(note: RMANote) -> Facts:
    """Return the facts of one note: those of its RMA."""
    return _facts(note, note.rma, label=RMANote.vault_label, title=f"Note on return {note.rma.number}")


def _facts(record: RMA | RMANote, rma: RMA, *, label: str, title: str) -> Facts:
    party: Party = "person"
    if rma.customer_id is None:
        party = "company"
    elif rma.company_id or rma.customer.company_id:
        party = "contact"
    return Facts(
        label=label,
        record_id=record.pk,
        title=title,
        subject_id=rma.customer.subject_id if rma.customer_id else None,
        data=still_sealed(record),
        events={"opened": rma.opened_on, "shipped": rma.shipped_on, "closed": rma.closed_on},
        flags=_flags(rma),
        party=party,
        country=(rma.customer.country if rma.customer_id else "") or rma.return_country or None,
    )


def _flags(rma: RMA) -> frozenset[str]:
    """Return what keeps a return from ending, or tells that nothing came of it."""
    if rma.is_open:
        return frozenset({"open_rma"})
    # Nothing is called so on a guess: one that came in as closed may lack the day on which its instrument did.
    came = rma.received_on or rma.shipped_on or rma.state not in NOTHING_CAME
    return frozenset(() if came else {"never_came"})


def ownership_facts(ownership: Ownership) -> Facts:
    """Return the facts of one ownership: kept for safety notices, ended when the person asks (P32)."""
    customer = ownership.customer
    return Facts(
        label=OWNERSHIP,
        record_id=ownership.pk,
        title=f"Registration of {_instrument(ownership.instrument.serial)}",
        subject_id=customer.subject_id if customer else None,
        data={REGISTRATION: ("That the instrument is yours",)},
        events={"entered": ownership.from_on},
        party="contact" if ownership.company_id else "person",
        country=(customer.country if customer else "") or None,
    )


#: What is said of a certificate before an erasure, and of several: to who can log in, and to anybody else.
CERTIFICATE_OF_A_LOGIN = (
    "Certificate {} stays with the instrument's serial number, without your name. Once your part of the return in which it "
    "was issued, or your account, is removed, you cannot read it here any more: print it first if you need it.",
    "{} certificates stay with the serial numbers of the instruments, without your name. Once your part of the return in "
    "which one was issued, or your account, is removed, you cannot read it here any more: print first what you need.",
)
CERTIFICATE = (
    "Certificate {} stays with the instrument's serial number, without your name. Once your part of the return in which it "
    "was issued is removed, we cannot tell any more that it was yours: ask us for a copy of it first if you need one.",
    "{} certificates stay with the serial numbers of the instruments, without your name. Once your part of the return in "
    "which one was issued is removed, we cannot tell any more that it was yours: ask us first for copies of those that "
    "you need.",
)


def rma_warnings(subject_id: UUID, today: date) -> list[Warned]:
    """Return what to know before an erasure: open returns with the choice there is, certificates.

    Of pages only who can log in is told: to others a letter or a link says this.
    """
    has_login = people.ask().has_login(subject_id)
    alike: dict[tuple[bool, bool], list[str]] = {}
    for rma in RMA.objects.for_subject(subject_id).open().order_by("opened_on", "number"):
        has_page = has_login and RMA.State.CANCELLED in states.next_states(rma, states.CUSTOMER)
        alike.setdefault((rma.is_here, has_page), []).append(rma.number)
    warnings = []
    for (is_here, has_page), named in alike.items():
        one, several = ("Your instrument is here. ", "Your instruments are here. ") if is_here else ("", "")
        how, hows = ("on its page", "on their pages") if has_page else ("", "")
        warnings += warned(
            named,
            f"Return {{}} is open. {one}You can let us finish it, or cancel it: {_cancelled(how)}. What the return needs "
            "stays until it is closed; then it is due to go, without a new request.",
            f"{{}} returns are open. {several}You can let us finish them, or cancel them: {_cancelled(hows)}. What each "
            "return needs stays until it is closed; then it is due to go, without a new request.",
        )
    certificates = Certificate.objects.for_subject(subject_id).order_by("number").values_list("number", flat=True)
    return warnings + warned(list(certificates), *(CERTIFICATE_OF_A_LOGIN if has_login else CERTIFICATE))


def _cancelled(where: str) -> str:
    return f"{where} under Calibration and repair, or by a call to us" if where else "by a call to us only"


def _instrument(serial: str | None) -> str:
    return f"instrument {serial}" if serial else "an instrument without a serial number"


def ownership_warnings(subject_id: UUID, today: date) -> list[Warned]:
    """Return what ends with the registrations of today, in one sentence: nobody can be warned about these instruments
    any more (P32)."""
    owned = Ownership.objects.for_subject(subject_id).current().order_by("instrument__serial", "pk")
    named = [_instrument(serial) for serial in owned.values_list("instrument__serial", flat=True)]
    return warned(
        named,
        "When the registration of {} is removed we cannot reach you with a safety notice about it any more.",
        "When the registrations of {} instruments are removed we cannot reach you with a safety notice about them any "
        "more.",
    )


def account_flags(subject_ids: Collection[UUID]) -> Iterator[Flagged]:
    """Yield the open RMAs of these people: the account stays until they are closed (KEEP_CONTRACT)."""
    found = RMA.objects.open().filter(customer__subject_id__in=list(subject_ids))
    for subject_id, pk in found.values_list("customer__subject_id", "pk"):
        yield Flagged(subject_id, RMA.vault_label, pk, frozenset({"open_rma"}))


def work(subject_id: UUID, roles: frozenset[str]) -> Iterator[Matter]:
    """Yield this person's returns that are not closed: service works on them, sales answers for them (P40)."""
    if not roles & {"service", "sales"}:
        return
    found = RMA.objects.open().filter(customer__subject_id=subject_id).order_by("-number")
    for pk, number, order in found.values_list("pk", "number", "order_id")[: matters.MOST]:
        yield Matter("open return", number, pk, frozenset({"service", "sales"}), beside=order)


def rma_candidates(day: date) -> RMAQuerySet:
    """Return the closed RMAs that may have outlived their reason on `day`, by an index of those that hold data."""
    live = Q(sealed_rma__isnull=False) | Q(sealed_rma_note__isnull=False)
    return RMA.objects.filter(live, _outlived(("rma", "rma_note"), day)).with_owner()


def note_candidates(day: date) -> RMANoteQuerySet:
    """Return the notes on closed RMAs that may have outlived their reason on `day`."""
    return RMANote.objects.filter(_outlived(("rma_note",), day, of="rma__"), sealed_rma_note__isnull=False).with_owner()


def _outlived(envelopes: tuple[str, ...], day: date, *, of: str = "") -> Q:
    """Return which closed returns may be outlived on `day`: with an instrument that came, and without."""
    never = Q(**{f"{of}received_on": None, f"{of}shipped_on": None, f"{of}state__in": NOTHING_CAME})
    came, nothing_came = (
        max(
            reason.period.started_by(day)
            for envelope in envelopes
            for reason in rules.load().reasons(envelope)
            if reason.period is not None and ("never_came" in reason.when) == is_never
        )
        for is_never in (False, True)
    )
    return Q(**{f"{of}closed_on__lte": came}) | never & Q(**{f"{of}closed_on__lte": nothing_came})


def ownership_candidates(day: date) -> OwnershipQuerySet:
    """Return the ownerships that may have outlived their reason on `day`."""
    return Ownership.objects.filter(from_on__lte=rules.cutoff(REGISTRATION, day)).with_owner()


#: How the laboratory's units are written: the register keeps them in letters that every program can take.
_SIGNS = (("degC", "°C"), ("m2", "m²"), ("uW", "µW"))


def results_in_words(results: Any) -> str:
    """Return what a certificate says was measured, a line for each quantity, with its unit."""
    lines = []
    for one in results or ():
        unit = str(one.get("unit", ""))
        for letters, sign in _SIGNS:
            unit = unit.replace(letters, sign)
        parts = [
            f"{title} {one[name]} {unit}".strip()
            for name, title in (("nominal", "nominal"), ("as_found", "as found"), ("as_left", "as left"))
            if one.get(name) not in (None, "")
        ]
        if one.get("uncertainty") not in (None, ""):
            parts.append(f"uncertainty {one['uncertainty']} {unit}".strip())
        quantity = str(one.get("quantity", "")).replace("_", " ")
        lines.append(f"{quantity[:1].upper()}{quantity[1:]}: {', '.join(parts)}")
    return "\n".join(lines)


def _plain(
    title: str, why: str, category: str = "return", source: str = US, words: Callable[[Any], str] | None = None
) -> Datum:
    return Datum(title, category, SERVE, source, plain=why, words=words)


def _by(kind: Any) -> str:
    return "you" if kind == "customer" else "us"


def _contact(title: str, category: str = "address") -> Datum:
    return Datum(title, category, SEND, PERSON, (CARRIER,))


NUMBER, DATE, AMOUNT, LINK = "a number of a series", "a date", "an amount", "a random number"

datamap.contribute_flags(account_flags)
matters.contribute(work, apart=RMA.vault_label)
datamap.register(
    Declaration(
        model=RMA,
        title="Return for calibration or repair",
        life=Life.RETURNS,
        gist=(
            "opened_on",
            "service",
            "instrument",
            "state",
        ),
        noun=("return", "returns"),
        subject_path="customer__subject",
        reference="number",
        proofs=(
            Proof("rma_number", "RMA number", numbers.has("number"), "opened_on"),
            Proof(
                "serial_number",
                "Serial number of an instrument sent in",
                numbers.has("instrument__serial"),
                "opened_on",
            ),
        ),
        data={
            "number": _plain("RMA number", NUMBER, "identifier"),
            "customer": _plain("Who sent it", LINK, "link", PERSON),
            "company": _plain("For which company", LINK, "link", PERSON),
            "order": _plain("With which order it was bought", LINK, "link"),
            "instrument": _plain("Which instrument", "a number of the register of instruments", "link", PERSON),
            "service": _plain("Service wanted", "calibration or repair", source=PERSON),
            "channel": _plain("How the return came", "one of six words", source=PERSON),
            "is_typed": _plain("You filled in the form on the website", "yes or no"),
            "state": _plain("State of the return", "one of fifteen words"),
            "is_warranty": _plain("Under warranty", "yes or no"),
            "cost_limit": _plain("Approved in advance up to", AMOUNT, source=PERSON),
            "quote": _plain("Quote", AMOUNT),
            "opened_on": _plain("Day opened", DATE),
            "received_on": _plain("Day received", DATE),
            "shipped_on": _plain("Day shipped back", DATE),
            "closed_on": _plain("Day closed", DATE),
            "return_country": Datum(
                "Country of return",
                "address",
                SERVE,
                PERSON,
                plain="a country alone names nobody",
                words=countries.name_of,
                code=countries.CODE,
            ),
            "contact_name": _contact("Contact name", "name"),
            "contact_company": _contact("Contact company", "name"),
            "phone": _contact("Phone number for this return", "contact"),
            "email": _contact("E-mail address for this return", "contact"),
            "return_street": _contact("Street for the return"),
            "return_street2": _contact("Second address line for the return"),
            "return_city": _contact("City for the return"),
            "return_region": Datum(
                "State or region for the return",
                "address",
                SEND,
                PERSON,
                (CARRIER,),
                words=regions.name_of,
                code=regions.CODE,
                beside="return_country",
            ),
            "return_postal_code": _contact("Postal code for the return"),
            "customer_reference": Datum("Your reference", "identifier", SERVE, PERSON),
            "fault": Datum("Fault or service wanted", "text", SERVE, PERSON),
            "accessories": Datum("What came with it", "text", SERVE, PERSON),
            "serial_typed": Datum("Serial number as you wrote it", "text", SERVE, PERSON),
            "is_serial_open": Datum(
                "Serial number still to be checked", "return", SERVE, US, plain="yes or no", envelope="rma_note"
            ),
        },
        blocks={
            "Return to": (
                ("contact_name",),
                ("contact_company",),
                ("return_street",),
                ("return_street2",),
                ("return_city", "return_region", "return_postal_code"),
                ("return_country",),
            )
        },
        facts=rma_facts,
        candidates=rma_candidates,
        related=("customer",),
        end="blank",
        links=("customer", "company", "order"),
        warnings=rma_warnings,
    ),
    Declaration(
        model=RMANote,
        title="Note on a return",
        life=Life.RETURNS,
        inside="rma",
        noun=("note on a return", "notes on returns"),
        subject_path="rma__customer__subject",
        data={
            "rma": _plain("On which return", LINK, "link"),
            "written_at": _plain("When it was written", "a time"),
            "author": _plain("Written by you or by us", "one of two words", words=_by),
            "text": Datum("Text", "text", SERVE, "the person, or our service department"),
        },
        facts=note_facts,
        candidates=note_candidates,
        related=("rma__customer",),
    ),
    Declaration(
        model=RMAEvent,
        title="History of a return",
        life=Life.RETURNS,
        inside="rma",
        noun=("step of a return", "steps of returns"),
        subject_path="rma__customer__subject",
        data={
            "rma": _plain("Of which return", LINK, "link"),
            "at": _plain("When", "a time"),
            "from_state": _plain("From state", "one of fifteen words"),
            "to_state": _plain("To state", "one of fifteen words"),
            "actor_kind": _plain("By you or by us", "one of two words", words=_by),
            "reason": _plain("Why", "one of a few words"),
        },
        follows="rma",
    ),
    Declaration(
        model=Ownership,
        title="Ownership of an instrument",
        life=Life.RETURNS,
        gist=(
            "from_on",
            "instrument",
        ),
        noun=("registration of an instrument", "registrations of instruments"),
        subject_path="customer__subject",
        data={
            "customer": Datum(
                "Whose it is", "link", ("product safety", *SERVE), PERSON, plain=LINK, envelope=REGISTRATION
            ),
            "company": Datum("Which company's it is", "link", ("product safety", *SERVE), PERSON, plain=LINK),
            "instrument": _plain("Which instrument", "a number of the register of instruments", "link", PERSON),
            "from_on": _plain("From", DATE),
            "until_on": _plain("Until", DATE),
        },
        facts=ownership_facts,
        candidates=ownership_candidates,
        related=("customer", "instrument"),
        warnings=ownership_warnings,
    ),
    Declaration(
        model=Instrument,
        title="Instrument",
        reference="serial",
        impersonal={
            "serial": "the number of a thing, whoever owns it: at most 20 letters, digits and . - /, at least one digit",
            "model_name": "a model of the price list",
            "product": "a product of the price list",
            "made_on": "the day on which a thing was made",
            "calibration_months": "a recommended interval",
        },
    ),
    Declaration(
        model=Certificate,
        title="Calibration certificate",
        life=Life.RETURNS,
        inside="rma",
        gist=(
            "issued_on",
            "instrument",
        ),
        subject_path="rma__customer__subject",
        reference="number",
        data={
            "rma": _plain("In which return it was issued", LINK, "link"),
            "number": _plain("Certificate number", NUMBER, "identifier"),
            "revision": _plain("Revision", "a count"),
            "replaces": _plain("Which certificate it replaces", "a certificate of the same instrument"),
            "instrument": _plain("Of which instrument", "a number of the register of instruments", "link"),
            "procedure": _plain("Procedure", "a procedure of the laboratory"),
            "received_on": _plain("Day received", DATE),
            "calibrated_on": _plain("Day calibrated", DATE),
            "issued_on": _plain("Day issued", DATE),
            "results": _plain(
                "Results",
                "quantities, units and numbers from fixed lists; no text of anybody's",
                words=results_in_words,
            ),
        },
        follows="rma",
    ),
)
