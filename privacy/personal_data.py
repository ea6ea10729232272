"""What this app itself holds about people: requests and letters, who looked, what staff signed, the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django.db import models
from django_countries import countries

from privacy import datamap, people
from privacy.audit.models import AuditEvent, AuditLink, ChainFloor
from privacy.calendar import company_day
from privacy.datamap import ROW_HASH, Datum, Declaration, Life, Machinery, Titled
from privacy.facts import Facts
from privacy.gate import matters, told
from privacy.gate.log import AccessEntry, AccessLink, AccessName
from privacy.gate.matters import Matter
from privacy.letters.models import Letter
from privacy.registers import Acknowledgement
from privacy.requests import in_words
from privacy.requests.models import Export, OneTimeLink, Request, RequestEvent, SecondLook
from privacy.requests.states import OPEN_STATES, State
from privacy.restore.installation import Installation
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention import rules
from privacy.retention.models import Decision, HeldValue, Hold
from privacy.subjects import Subject
from privacy.sweep.models import EndNotice, SweepState

REQUESTS = ("answering your requests",)
LETTERS = (*REQUESTS, "account", "security")  # an answer, or what a change of address or password says
PROOF = ("proof that rights and duties were kept",)
MAIL = ("mail provider",)
SELF = "the person"
US = "ourselves"
RANDOM = "a random number"
WORD = "one word of a short list"
TIME = "a time"
COUNT = "a count"
OF_REQUEST = "leads to the request; says nothing by itself"


def _plain(
    title: str,
    category: str,
    why: str,
    purposes: tuple[str, ...] = REQUESTS,
    *,
    envelope: str | None = None,
    words: Callable[[Any], str] | None = None,
    says: Mapping[str, str] | None = None,
) -> Datum:
    return Datum(title, category, purposes, US, plain=why, envelope=envelope, words=words, says=says)


def _country(code: Any) -> str:
    return str(countries.name(code)) or str(code)


def _region(code: Any, country: Any) -> str:
    return people.ask().region(code, country)


# Facts ----------------------------------------------------------------------------------------------------------------


def request_facts(request: Request) -> Facts:
    """Return the facts of the file of a request."""
    return Facts(
        label=Request.vault_label,
        record_id=request.pk,
        title=f"Request {request.reference}",
        subject_id=request.subject_id,
        data=datamap.for_model(Request).still_sealed(request),
        events={
            "opened": request.received_on,
            "closed": company_day(request.closed_at) if request.closed_at else None,
        },
        flags=frozenset({"open_request"}) if request.is_open else frozenset(),
        country=request.country or None,
    )


def letter_facts(letter: Letter) -> Facts:
    """Return the facts of a letter."""
    waits = letter.sent_at is None and letter.stopped_at is None
    return Facts(
        label=Letter.vault_label,
        record_id=letter.pk,
        title="Letter",
        subject_id=letter.subject_id,
        data=datamap.for_model(Letter).still_sealed(letter),
        events={
            "opened": company_day(letter.queued_at),
            "delivered": company_day(letter.sent_at) if letter.sent_at else None,
            "ended": company_day(letter.stopped_at) if letter.stopped_at else None,
        },
        flags=frozenset({"active"}) if waits else frozenset(),
    )


def work(subject_id: UUID, roles: frozenset[str]) -> Iterator[Matter]:
    """Yield this person's open requests: the privacy team answers them (P40)."""
    if "privacy" not in roles:
        return
    found = Request.objects.filter(owner_id=subject_id, state__in=OPEN_STATES).order_by("-received_on", "-reference")
    for pk, reference in found.values_list("pk", "reference")[: matters.MOST]:
        yield Matter("open request", reference, pk, frozenset({"privacy"}), is_of_person=True)


def acknowledgement_facts(signed: Acknowledgement) -> Facts:
    """Return the facts of a signature of a member of staff: it counts until it expires, and is proof for six years
    more."""
    return Facts(
        label="privacy.acknowledgement",
        record_id=signed.pk,
        title=f"{signed.get_kind_display()}, version {signed.version}",
        subject_id=signed.subject_id,
        data={"acknowledgement": ("What was signed, and when",)},
        events={"issued": signed.signed_on, "ended": signed.expires_on},
        country="US",
    )


def held_value_facts(value: HeldValue) -> Facts:
    """Return the facts of what a correction replaced: it is there only while a legal hold is in force."""
    return Facts(
        label=HeldValue.vault_label,
        record_id=value.pk,
        title="Earlier values of a record under a legal hold",
        subject_id=value.subject_id,
        data={"held_value": ("What it said",)},
        events={"entered": company_day(value.kept_at)},
        flags=frozenset({"active"}),
    )


def _requests(day: date) -> models.QuerySet[Request]:
    return Request.objects.filter(
        closed_at__date__lte=rules.cutoff("request_file", day), sealed_request_file__isnull=False
    )


def _letters(day: date) -> models.QuerySet[Letter]:
    return Letter.objects.filter(queued_at__date__lte=rules.cutoff("letter", day))


# Declarations ---------------------------------------------------------------------------------------------------------

matters.contribute(work)
datamap.register(
    Declaration(
        model=Subject,
        title="Person",
        life=Life.TECHNICAL,
        noun=("person", "people"),
        subject_path="id",
        impersonal={"created_at": Machinery("a time; the row is a random number and nothing else")},
    ),
    Declaration(
        model=Request,
        title="Privacy request",
        life=Life.REQUESTS,
        gist=(
            "received_on",
            "kind",
            "state",
        ),
        subject_path="subject",
        reference="reference",
        data={
            "subject": _plain("Who asks", "link", RANDOM),
            "owner_id": _plain("Whose file it is", "link", RANDOM, envelope="request_file"),
            "requester_email": Datum("Address for the answer", "contact", REQUESTS, SELF, MAIL),
            "requester_name": Datum("Name given", "name", REQUESTS, SELF),
            "requester_postal": Datum("Postal address given", "address", REQUESTS, SELF),
            "note": Datum("Notes of the privacy team", "request", REQUESTS, US),
            "outcome": Datum("Plan and outcome", "request", REQUESTS, US, words=in_words.file_of_request),
            "covered_records": Datum("Records that it covered when it came", "link", REQUESTS, US, export="no"),
            "other_records": Datum("Records with the address and another name", "link", REQUESTS, US, export="no"),
            "refusal_words": Datum("Reason of a refusal that was proposed", "request", REQUESTS, US),
            "refusal_evidence": Datum("Evidence for a refusal that was proposed", "request", REQUESTS, US),
            "changed_records": Datum("Records with a changed address", "link", REQUESTS, US, export="no"),
            "kind": _plain("What is asked", "request", WORD),
            "state": _plain("How it stands", "request", WORD, says=dict(State.choices)),
            "channel": _plain("How it reached us", "request", WORD),
            "asked_by": _plain(
                "Who asked",
                "request",
                WORD,
                says={"self": "you", "agent": "somebody with a written authority from you"},
            ),
            "identity": _plain("How identity was proved", "request", WORD),
            "scope": _plain("What it covers", "request", WORD, says=in_words.SCOPES),
            "country": Datum(
                "Country",
                "address",
                REQUESTS,
                US,
                plain="a country alone names nobody",
                envelope="request_file",
                words=_country,
                code="code of ISO 3166-1",
            ),
            "region": Datum(
                "State or region",
                "address",
                REQUESTS,
                US,
                plain="the code of a state or province alone names nobody",
                envelope="request_file",
                words=_region,
                code="code of ISO 3166-2",
                beside="country",
            ),
            "received_on": _plain("Received", "dates", TIME),
            "identity_at": _plain("Identity proved", "dates", TIME),
            "due_on": _plain("Due date of the answer", "dates", TIME),
            "unpaused_due_on": _plain("Due date, without the days of waiting for you", "dates", TIME),
            "closed_at": _plain("Closed", "dates", TIME),
            "outcome_code_hash": Datum(
                "Outcome code",
                "request",
                REQUESTS,
                US,
                plain="a salted Argon2 hash, and keyed ones of what it is bound to",
                envelope="request_file",
                export="no",
            ),
        },
        impersonal={
            "reference": Titled("a random reference", "Reference"),
            "parked_from": Machinery(WORD),
            "filed_at": Titled(TIME, "Written down"),
            "legal_due_on": Titled(TIME, "Latest day for the answer by law"),
            "plan_hash": Machinery("a hash over decisions"),
            "plan_at": Machinery(TIME),
            "confirmed_hash": Machinery("a hash over decisions"),
            "mac": ROW_HASH,
            "step": Machinery(WORD),
            "version": Machinery(COUNT),
            "attempts": Machinery(COUNT),
            "tries": Machinery(COUNT),
            "next_action_at": Machinery(TIME),
            "last_error": Machinery("the name of a class of error"),
        },
        facts=request_facts,
        candidates=_requests,
        end="blank",
        links=("subject",),
    ),
    Declaration(
        model=RequestEvent,
        told=(in_words.HISTORY, in_words.history),
        related=("request",),
        title="History of a request",
        life=Life.REQUESTS,
        inside="request",
        noun=("step of a request", "steps of requests"),
        subject_path="request__subject",
        impersonal={
            "request": OF_REQUEST,
            "at": TIME,
            "on": TIME,
            "kind": WORD,
            "state": WORD,
            "step": WORD,
            "actor_kind": WORD,
            "actor_id": "the random number of a member of staff or the name of a program; empty for the person",
            "detail": "codes, dates and counts",
        },
    ),
    Declaration(
        model=Decision,
        told=(in_words.DECISIONS, in_words.decisions),
        related=("request",),
        title="Decision about a record",
        life=Life.REQUESTS,
        inside="request",
        noun=("decision about a record", "decisions about records"),
        subject_path="request__subject",
        impersonal={
            "request": OF_REQUEST,
            "label": "the name of a kind of record",
            "record_id": "a random number; it goes when the record stays for statistics",
            "envelope": "the name of a class of data",
            "data": "names of data, never values",
            "action": WORD,
            "code": WORD,
            "ground": "the name of a rule of law",
            "authority": "the name of a rule of law",
            "until": TIME,
            "overdue": "a switch",
            "pinned": "a switch",
            "done_at": TIME,
            "place": "a number: which line of the plan it is",
            "mac": "a keyed hash over the row",
        },
    ),
    Declaration(
        model=Letter,
        title="Letter",
        life=Life.MESSAGES,
        gist=(
            "queued_at",
            "headline",
        ),
        subject_path="subject",
        data={
            "subject": _plain("To whom", "link", RANDOM, LETTERS, envelope="letter"),
            "request": _plain("About which request", "link", RANDOM),
            "to": Datum("Address", "contact", LETTERS, SELF, MAIL),
            "headline": Datum("Subject line", "letter", LETTERS, US, MAIL),
            "text": Datum("Text", "letter", LETTERS, US, MAIL),
            "html": Datum("Text as a page", "letter", LETTERS, US, MAIL, export="no"),
            # Given to whom the letter goes to, by the letter alone: whoever reads them here could act as that person.
            "credentials": Datum("Links and codes", "login", LETTERS, US, MAIL, export="no"),
            "queued_at": _plain("Written", "dates", TIME),
            "sent_at": _plain("Sent", "dates", TIME, words=in_words.sent),
        },
        impersonal={
            # The subject line says it in words.
            "kind": Machinery("the name of a template"),
            "key": Machinery("made of random numbers"),
            "by": Titled(WORD, "How it goes out"),
            "sending_at": Machinery(TIME),
            "stopped_at": Titled(TIME, "Stopped"),
            "attempts": Machinery(COUNT),
            "next_attempt_at": Machinery(TIME),
            "last_error": Machinery("the name of a class of error"),
            # A limit that stays when what it limits was given: it says nothing of what there is.
            "credentials_until": Machinery(TIME),
            "is_apart": Machinery("a switch"),
        },
        facts=letter_facts,
        candidates=_letters,
    ),
    Declaration(
        model=Export,
        title="Copy that was made",
        life=Life.REQUESTS,
        inside="request",
        gist=("built_at",),
        noun=("copy", "copies"),
        subject_path="request__subject",
        data={
            "request": _plain("For which request", "link", RANDOM),
            "built_at": _plain("Made", "dates", TIME),
            "expires_at": _plain("Can be fetched until", "dates", TIME),
            "downloads": _plain("How often fetched", "request", COUNT),
        },
        impersonal={
            "path": Machinery("a random name of a sealed file"),
            "size": Titled(COUNT, "Size in bytes"),
            "sha256": Titled("a check sum over the file", "Check sum (SHA-256)"),
            "mac": ROW_HASH,
            "deleted_at": Titled(TIME, "Destroyed"),
        },
        follows="request",
    ),
    Declaration(
        model=SecondLook,
        told=(in_words.LOOKS, in_words.looks),
        related=("request",),
        title="Question to a second person",
        life=Life.REQUESTS,
        inside="request",
        noun=("question to a second person", "questions to a second person"),
        subject_path="request__subject",
        impersonal={
            "request": OF_REQUEST,
            "why": WORD,
            "asked_at": TIME,
            "decided_at": TIME,
            "outcome": WORD,
            "decided_kind": WORD,
            "decided_by": "the random number of a member of staff, or the name of a program",
        },
    ),
    Declaration(
        model=OneTimeLink,
        told=(in_words.LINKS, in_words.links),
        related=("request",),
        title="One-time link",
        life=Life.REQUESTS,
        inside="request",
        subject_path="request__subject",
        data={
            "request": _plain("For which request", "link", RANDOM),
            "token_hash": Datum("Link", "login", REQUESTS, US, plain="a hash of 32 random bytes", export="no"),
            "address_hash": Datum(
                "Address it went to",
                "contact",
                REQUESTS,
                US,
                plain="a hash keyed with the link, which is not kept",
                export="no",
            ),
            "used_at": _plain("Used", "dates", TIME),
        },
        impersonal={"purpose": WORD, "created_at": TIME, "expires_at": TIME, "mac": ROW_HASH},
        follows="request",
    ),
    Declaration(
        model=AccessEntry,
        title="Who looked at your data",
        page="openings",
        life=Life.TECHNICAL,
        noun=("entry of who looked", "entries of who looked"),
        subject_path="whose__subject_id",
        related=("whose",),
        data={
            "whose": _plain("Whose data", "link", "a random name", PROOF, envelope="access_log"),
            "at": _plain("When", "dates", TIME, PROOF),
            "role": _plain("In which role", "looks", "names of roles", PROOF),
            "purpose": _plain("For what", "looks", WORD, PROOF),
            "reason": _plain("Why", "looks", "what connects role and record, or one of four reasons of staff", PROOF),
            "envelopes": _plain("Which data", "looks", "names of classes of data, with counts", PROOF),
            "detail": _plain("Which records", "looks", "sealed under a key that goes with the name", PROOF),
            # A colleague is a third person: shown by role (C-579/21).
            "actor_id": Datum("Who", "link", PROOF, US, plain="a random number or name", export="no"),
        },
        impersonal={
            "company_id": "the random number of a company",
            "actor_kind": WORD,
            "count": COUNT,
            "encoding": "a version",
            "mac": ROW_HASH,
            "xid": "the number of a transaction",
        },
        told=(told.COLUMNS, told.rows),
        summed=(told.DAYS, told.by_days),
        ended_by="the oldest part of the log, three years after it was written",
    ),
    Declaration(
        model=AccessName,
        title="Name in the log of who looked",
        life=Life.TECHNICAL,
        noun=("name in the log of who looked", "names in the log of who looked"),
        subject_path="subject_id",
        data={
            "subject_id": Datum("Whose name it is", "link", PROOF, US, plain=RANDOM, export="no"),
            "secret": Datum(
                "Key by which entries lead to records", "link", PROOF, US, plain="random bytes", export="no"
            ),
        },
        impersonal={"mac": ROW_HASH},
        ended_by="the person: emptied with the last of the other records",
    ),
    Declaration(
        model=AccessLink,
        title="Seal of the log of who looked",
        impersonal={
            "position": COUNT,
            "event_id": RANDOM,
            "row_hash": "a hash",
            "chain_hash": "a hash",
            "sealed_at": TIME,
            "horizon": "the number of a transaction",
        },
    ),
    Declaration(
        model=ChainFloor,
        title="Where a log begins",
        impersonal={
            "chain": WORD,
            "position": COUNT,
            "chain_hash": "a hash",
            "at": TIME,
            "signature": "a keyed hash",
        },
    ),
    Declaration(
        model=Acknowledgement,
        title="Undertakings and training of staff",
        life=Life.YOU,
        gist=(
            "signed_on",
            "kind",
        ),
        noun=("undertaking or training", "undertakings or trainings"),
        subject_path="subject",
        data={
            "subject": _plain("Who signed", "link", RANDOM, PROOF, envelope=None),
            "kind": _plain("What was signed", "employment", WORD, PROOF, envelope="acknowledgement"),
            "version": _plain("Which version", "employment", "the number of a text", PROOF),
            "signed_on": _plain("Signed", "dates", TIME, PROOF),
            "expires_on": _plain("Counts until", "dates", TIME, PROOF),
        },
        facts=acknowledgement_facts,
    ),
    Declaration(
        model=AuditEvent,
        title="Audit trail",
        noun=("line of the audit trail", "lines of the audit trail"),
        data={
            "subject": Datum(
                "Pseudonym of the person",
                "pseudonym",
                PROOF,
                US,
                plain="a keyed pseudonym; its key is destroyed with the person",
            ),
            "actor": Datum(
                "Who acted", "pseudonym", PROOF, US, plain="a pseudonym, or the random number of a member of staff"
            ),
            "reason": Datum(
                "Why", "looks", PROOF, US, plain="codes and counts; what looks like an identifier is blotted out"
            ),
            "at": _plain("When", "dates", TIME, PROOF),
        },
        impersonal={
            "event": RANDOM,
            "action": WORD,
            "actor_kind": WORD,
            "role": "names of roles",
            "purpose": WORD,
            "label": "the name of a kind of record",
            "record": "a keyed hash of a number",
            "fields": "names of data, never values",
            "reference": "the reference of a request or case",
            "encoding": "a version",
            "mac": ROW_HASH,
            "xid": "the number of a transaction",
        },
    ),
    Declaration(
        model=AuditLink,
        title="Seal of the audit trail",
        impersonal={
            "position": COUNT,
            "event_id": COUNT,
            "row_hash": "a hash",
            "chain_hash": "a hash",
            "sealed_at": TIME,
            "horizon": "the number of a transaction",
        },
    ),
    Declaration(
        model=Hold,
        title="Legal hold",
        data={
            "record_id": Datum("Which record", "link", PROOF, US, plain=RANDOM),
            "placed_by": Datum(
                "Who placed it", "link", PROOF, US, plain="the random number of a member of staff, or operator"
            ),
            "lifted_by": Datum(
                "Who lifted it", "link", PROOF, US, plain="the random number of a member of staff, or operator"
            ),
            "reference": Datum(
                "Number of the case", "identifier", PROOF, US, plain="the number of a case, never a name"
            ),
        },
        impersonal={
            "label": "the name of a kind of record",
            "reason": WORD,
            "placed_at": TIME,
            "lifted_at": TIME,
            "mac": ROW_HASH,
        },
    ),
    Declaration(
        model=HeldValue,
        title="Earlier values of a record under a legal hold",
        life=Life.YOU,
        told=(in_words.HELD_VALUES, in_words.held_values),
        noun=("earlier value under a legal hold", "earlier values under a legal hold"),
        subject_path="subject",
        data={
            "subject": _plain("Whose it is", "link", RANDOM, PROOF),
            "was": Datum("What it said", "text", PROOF, SELF),
            "kept_at": _plain("When it was corrected", "dates", TIME, PROOF),
        },
        impersonal={
            "label": "the name of a kind of record",
            "record_id": "a random number",
            "of_envelope": "the name of a class of data",
        },
        facts=held_value_facts,
    ),
    Declaration(
        model=EndNotice,
        title="Warning before an account ends",
        life=Life.YOU,
        gist=("given_on",),
        noun=("warning before an account ends", "warnings before an account ends"),
        subject_path="subject",
        data={
            "subject": Datum("Who was warned", "link", PROOF, US, plain=RANDOM),
            "given_on": Datum("When", "dates", PROOF, US, plain="a date"),
            "told_on": Datum("When its letter went out", "dates", PROOF, US, plain="a date"),
            "ends_after": Datum("Last day that was told", "dates", PROOF, US, plain="a date"),
            "kept_on": Datum("When you said to keep it", "dates", PROOF, SELF, plain="a date"),
            "ended_at": Datum("When its removal began", "dates", PROOF, US, plain=TIME),
            "token_hash": Datum("Link", "login", PROOF, US, plain="a hash of 32 random bytes", export="no"),
        },
        impersonal={"mac": ROW_HASH},
        follows="subject",
    ),
    Declaration(
        model=SweepState,
        title="Nightly removal, whether it is switched on",
        data={
            "armed_by": Datum(
                "Who armed it", "link", PROOF, US, plain="the random number of a member of staff, or operator"
            )
        },
        impersonal={
            "id": "always 1",
            "armed_at": TIME,
            "marked_at": TIME,
            "last_report": "counts",
            "night": "the day of the last removals",
            "people": COUNT,
        },
    ),
    Declaration(
        model=Installation,
        title="Installation",
        impersonal={"id": "always 1", "installation": RANDOM, "created_at": TIME},
    ),
    Declaration(
        model=LedgerCopy,
        title="Copy of the ledger of erasures",
        impersonal={
            "entry": RANDOM,
            "kind": WORD,
            "reference": "the reference of a request",
            "at": TIME,
            "counts": "counts by record",
            "content": "codes, dates and keyed hashes of random numbers, meaningless without the key ring",
            "filed_at": TIME,
            "mac": "a keyed hash over the line",
        },
    ),
    Declaration(model=LedgerWaiting, title="Line of the ledger that waits to be copied", impersonal={"entry": RANDOM}),
)
