"""What is held about people with and without a login, and why (P13–P17, P23–P28)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts import countries, facts, reach, regions
from accounts.models import (
    Address,
    ClaimReview,
    Communication,
    Company,
    ContactLink,
    ContactPoint,
    Customer,
    FreightAccount,
    Joined,
    Joining,
    LoginAddress,
    Session,
    TaxIdentifier,
    User,
)
from privacy import datamap
from privacy.calendar import company_day
from privacy.datamap import ROW_HASH, Datum, Declaration, Life, Machinery, Proof, Titled
from privacy.gate import matters
from privacy.gate.matters import Matter

SELF = "the person"
US = "ourselves"
ACCOUNT = ("account", "orders", "support")
BILLING = ("orders", "billing")
SUPPORT = ("support",)
LOGIN = ("account", "security")
CARRIER = ("carrier",)
RANDOM = "a random number"
WORD = "one word of a short list"
DAY = "a date"
OF_STAFF = "the random number of a member of staff"


# Codes in the words of the person whose record it is; the desk has those of the models.
CAME = {
    "login": "the confirmed address of the login",
    "created": "an import of customer records that created your entry",
    "person": "you, in the portal",
    "staff": "our staff, or a later import",
    "earlier": "on file before this was written down",
    "cleared": "taken out",
}
ASKED_BY = {"person": "you", "staff": "our staff"}
WHY_JOINED = {
    "facts": "you named what stands in the records",
    "callback": "you were called back at a number on file",
    "address": "the address is yours alone, and nothing points to anybody else",
    "written": "written evidence, in the file of a request",
}

# Who answers whatever department a message went to, and who settles claimed addresses.
ANSWERING = frozenset({"sales", "service", "accounting"})
CLAIMING = frozenset({"privacy"})


def has_message_of(rows: QuerySet[Any], text: str) -> bool:
    """Say whether one of these messages reached us from the person on the day that somebody named: "2026-03-14"."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return False
    return bool(rows.filter(received_on=day, direction=Communication.Direction.IN).exists())


def messages(subject_id: UUID, roles: frozenset[str]) -> Iterator[Matter]:
    """Yield this person's messages that nobody has closed yet (P40)."""
    if not roles & ANSWERING:
        return
    found = Communication.objects.filter(subject_id=subject_id, closed_on=None).order_by("-received_on", "-id")
    for pk, received_on in found.values_list("pk", "received_on")[: matters.MOST]:
        yield Matter("open message of", f"{received_on:%-d %B %Y}", pk, ANSWERING, is_of_person=True)


def claims(subject_id: UUID, roles: frozenset[str]) -> Iterator[Matter]:
    """Yield the open questions whether a login belongs to this person (P40)."""
    if not roles & CLAIMING:
        return
    found = ClaimReview.objects.filter(customer__subject_id=subject_id, outcome=ClaimReview.Outcome.OPEN)
    for pk in found.order_by("opened_at").values_list("pk", flat=True)[: matters.MOST]:
        yield Matter("a login has claimed an address on file", "", pk, CLAIMING, is_of_person=True)


def _day(at: datetime) -> str:
    return date_format(company_day(at), "j F Y")  # many are known by their day alone


def _until(at: datetime) -> str:
    return _("until %s") % date_format(timezone.localtime(at), "j F Y, H:i T")


def _whether_open(is_active: bool) -> str:
    return _("yes") if is_active else _("no: this login is closed")


def _self(title: str, category: str, purposes: tuple[str, ...] = ACCOUNT, *, recipients: tuple[str, ...] = ()) -> Datum:
    return Datum(title, category, purposes, SELF, recipients)


def _plain(
    title: str,
    category: str,
    why: str,
    purposes: tuple[str, ...] = ACCOUNT,
    source: str = US,
    words: Callable[[Any], str] | None = None,
    says: Mapping[str, str] | None = None,
) -> Datum:
    return Datum(title, category, purposes, source, plain=why, words=words, says=says)


def _link(title: str, purposes: tuple[str, ...] = ACCOUNT) -> Datum:
    return Datum(title, "link", purposes, US, plain=RANDOM)


def _state(purposes: tuple[str, ...] = ACCOUNT, source: str = SELF, recipients: tuple[str, ...] = CARRIER) -> Datum:
    why = "the code of a state or province alone names nobody; a copy gives it as the region"
    return Datum("Code of the state or region", "address", purposes, source, recipients, plain=why, export="no")


def _region(purposes: tuple[str, ...], source: str, recipients: tuple[str, ...]) -> Datum:
    return Datum(
        "State or region", "address", purposes, source, recipients, words=regions.name_of, code=regions.CODE,
        beside="country",
    )  # fmt: skip


def _country(title: str, purposes: tuple[str, ...], source: str, recipients: tuple[str, ...]) -> Datum:
    return Datum(
        title, "address", purposes, source, recipients, plain="a country alone names nobody", words=countries.name_of,
        code=countries.CODE,
    )  # fmt: skip


def _place(purposes: tuple[str, ...] = ACCOUNT, source: str = SELF) -> dict[str, Datum]:
    return {
        "street": Datum("Street", "address", purposes, source, CARRIER),
        "street2": Datum("Second address line", "address", purposes, source, CARRIER),
        "city": Datum("City", "address", purposes, source, CARRIER),
        "postal_code": Datum("Postal code", "address", purposes, source, CARRIER),
        "region": _region(purposes, source, CARRIER),
        "state": _state(purposes, source),
        "country": _country("Country", purposes, source, CARRIER),
    }


#: How people read an address: as one.
ADDRESS = {"Address": (("street",), ("street2",), ("city", "region", "postal_code"), ("country",))}


def block_keys(customer: Customer) -> list[tuple[str, str]]:
    """Return by what an import must recognise an erased customer: the reference and, while readable, the address.

    Not an address that the person only typed: it may be somebody else's, whom the import would leave out.
    """
    keys = [("customer_ref", customer.reference)]
    if customer.email and not reach.is_typed(customer, "email"):
        keys.append(("email", customer.email))
    return keys


matters.contribute(messages)
matters.contribute(claims)
datamap.register(
    Declaration(
        model=User,
        title="Login",
        life=Life.SIGNING_IN,
        gist=("username",),
        subject_path="subject",
        data={
            "subject": _link("Whose login it is", LOGIN),
            "username": _self("User name", "login", LOGIN),
            "password": Datum(
                "Password",
                "login",
                LOGIN,
                SELF,
                plain="a salted Argon2 hash; nobody can read it",
                envelope="account",
                export="no",
            ),
            "last_login": _plain("Last login", "login", DAY, LOGIN),
            "created_at": _plain("Since", "login", DAY, LOGIN),
            "groups": _plain("Roles of staff", "login", WORD, LOGIN),
        },
        impersonal={
            "is_active": Titled("a switch", "Can be used to sign in", words=_whether_open),
            "is_staff": Machinery("a switch"),
            "is_superuser": Machinery("a switch"),
            "must_change_password": Machinery("a switch"),
            "mac": ROW_HASH,
            "user_permissions": Machinery("names of permissions, unused"),
        },
        facts=facts.user,
        candidates=facts.users,
        related=("customer",),
    ),
    Declaration(
        model=LoginAddress,
        title="E-mail address of a login",
        life=Life.SIGNING_IN,
        gist=("email",),
        noun=("address of a login", "addresses of logins"),
        subject_path="user__subject",
        data={
            "user": _link("Whose address it is", LOGIN),
            "email": _self("E-mail address of the login", "contact", LOGIN, recipients=("mail provider",)),
            "created_at": _plain("Since", "login", DAY, LOGIN),
        },
        impersonal={"mac": ROW_HASH},
        facts=facts.login_address,
        candidates=facts.login_addresses,
        related=("user__customer",),
    ),
    Declaration(
        model=Session,
        title="Browser session",
        life=Life.SIGNING_IN,
        gist=("expire_date",),
        subject_path="subject",
        data={
            "subject": _link("Whose session it is", LOGIN),
            "user": _link("Of which login", LOGIN),
            "session_key": Datum("Session", "login", LOGIN, US, plain="a keyed hash", export="no"),
            "session_data": Datum(
                "State of the login", "login", LOGIN, US, plain="sealed under a key of the ring", export="no"
            ),
            "expire_date": _plain("Signed in", "login", DAY, LOGIN, words=_until),
        },
        follows="user",
    ),
    Declaration(
        model=Customer,
        title="Customer",
        life=Life.YOU,
        gist=(
            "first_name",
            "last_name",
        ),
        noun=("customer record", "customer records"),
        subject_path="subject",
        reference="reference",
        data={
            "subject": _link("Who it is"),
            "user": _link("Which login belongs to it"),
            "company": _link("Which company it stands for"),
            "reference": _plain("Customer number", "identifier", "a number that names nobody without our records"),
            "kind": _plain("Private person or contact of a company", "role", WORD),
            "title": _self("Title", "name"),
            "first_name": _self("First name", "name", recipients=CARRIER),
            "last_name": _self("Last name", "name", recipients=CARRIER),
            "email": _self("E-mail address", "contact", recipients=("mail provider",)),
            "phone": _self("Phone number", "contact", recipients=CARRIER),
            "region": _region(ACCOUNT, SELF, ()),
            "state": _state(recipients=()),
            "country": _country("Country", ACCOUNT, SELF, ()),
            "channel": _plain("How we met", "role", WORD),
            "since": _plain("Customer since", "dates", DAY),
            "last_active_on": _plain("Last active", "dates", DAY),
            "notice_given_on": _plain("Privacy notice handed over", "dates", DAY),
        },
        facts=facts.customer,
        candidates=facts.customers,
        block_keys=block_keys,
    ),
    Declaration(
        model=Address,
        title="Address",
        life=Life.YOU,
        gist=(
            "street",
            "city",
        ),
        noun=("address", "addresses"),
        subject_path="customer__subject",
        data={
            "customer": _link("Whose address it is"),
            "purpose": _plain("What the address is for", "address", WORD),
            **_place(),
        },
        blocks=ADDRESS,
        facts=facts.address,
        candidates=facts.addresses,
        related=("customer",),
    ),
    Declaration(
        model=Company,
        title="Company",
        life=Life.YOU,
        gist=("name",),
        noun=("company", "companies"),
        subject_path="subject",
        data={
            "subject": _link("Which sole trader it is", BILLING),
            "name": Datum("Company name", "name", BILLING, "the company", CARRIER),
            "vat_number": Datum("VAT number of the company", "identifier", BILLING, "the company", ("tax authority",)),
            "tax_id": Datum(
                "Tax ID of the company", "identifier", BILLING, "the company", ("tax authority",), export="last4"
            ),
            "phone": Datum("Phone number of the company", "contact", BILLING, "the company", CARRIER),
            "last_active_on": _plain("Last active", "dates", DAY, BILLING),
            **_place(BILLING, "the company"),
        },
        impersonal={"is_sole_trader": Titled("a switch", "You trade under your own name")},
        blocks=ADDRESS,
        facts=facts.company,
    ),
    Declaration(
        model=TaxIdentifier,
        title="Tax identifier",
        life=Life.YOU,
        gist=("kind",),
        subject_path="customer__subject",
        data={
            "customer": _link("Whose number it is", BILLING),
            "kind": _plain("Which number it is", "identifier", WORD, BILLING),
            "country": _country("Country of the number", BILLING, SELF, ()),
            "value": Datum("VAT number or Tax ID", "identifier", BILLING, SELF, ("tax authority",), export="last4"),
            "ssn": Datum(
                "Social security number used as Tax ID", "identifier", BILLING, SELF, ("tax authority",), export="last4"
            ),
            "reason": _plain("Why the social security number is needed", "identifier", WORD, BILLING),
            "last_used_on": _plain("Last used", "dates", DAY, BILLING),
        },
        impersonal={
            "used_as_tax_id": Titled("a switch", "Used as Tax ID"),
            "has_certificate": Titled("a switch", "An exemption or resale certificate rests on it"),
        },
        facts=facts.tax_identifier,
        related=("customer",),
    ),
    Declaration(
        model=FreightAccount,
        title="Freight account",
        life=Life.YOU,
        gist=("carrier",),
        subject_path="customer__subject",
        data={
            "customer": _link("Whose account it is", ("orders",)),
            "carrier": Datum("Carrier", "identifier", ("orders",), SELF, CARRIER),
            "number": Datum(
                "Account number with the carrier", "identifier", ("orders",), SELF, CARRIER, export="last4"
            ),
            "added_on": _plain("On file since", "dates", DAY, ("orders",)),
            "last_shipment_on": _plain("Last shipment", "dates", DAY, ("orders",)),
        },
        facts=facts.freight_account,
        related=("customer",),
    ),
    Declaration(
        model=Communication,
        title="Message",
        life=Life.MESSAGES,
        gist=(
            "received_on",
            "topic",
            "heading",
        ),
        subject_path="subject",
        proofs=(Proof("message_day", "Day of a message to us, such as 2026-03-14", has_message_of, "received_on"),),
        data={
            "subject": _link("Who wrote or called", SUPPORT),
            "customer": _link("Which customer it is", SUPPORT),
            "in_reply_to": _link("Which message it answers", SUPPORT),
            "taken_by": _link("Who took it down", SUPPORT),
            "department": _plain("Department", "message", WORD, SUPPORT),
            "channel": _plain("How it reached us", "message", WORD, SUPPORT),
            "direction": _plain(
                "From you or to you", "message", WORD, SUPPORT, says={"in": "from you", "out": "to you"}
            ),
            "topic": _plain("What it is about", "message", WORD, SUPPORT),
            "received_on": _plain("Received", "dates", DAY, SUPPORT),
            "last_message_on": _plain("Last message", "dates", DAY, SUPPORT),
            "closed_on": _plain("Closed", "dates", DAY, SUPPORT),
            "notice_given_on": _plain("Privacy notice handed over", "dates", DAY, SUPPORT),
            "contact_name": _self("Name", "name", SUPPORT),
            "company_name": _self("Company", "name", SUPPORT),
            "email": _self("E-mail address", "contact", SUPPORT, recipients=("mail provider",)),
            "phone": _self("Phone number", "contact", SUPPORT),
            "address": _self("Address", "address", SUPPORT),
            "heading": _self("Heading", "text", SUPPORT),
            "body": _self("Text", "text", SUPPORT),
        },
        impersonal={"is_order_related": Titled("a switch", "About an order")},
        facts=facts.communication,
        candidates=facts.communications,
        related=("customer", "in_reply_to"),
    ),
    Declaration(
        model=ContactPoint,
        title="How we reach you, and since when",
        life=Life.YOU,
        gist=(
            "channel",
            "since",
        ),
        noun=("contact", "contacts"),
        subject_path="customer__subject",
        data={
            "customer": _link("Whom we reach"),
            "address": _link("At which postal address"),
            "channel": _plain("E-mail, phone or post", "contact", WORD),
            "came": _plain("How it came on file", "contact", WORD, says=CAME),
            "since": _plain("On file since", "dates", DAY, words=_day),
            "confirmed_at": _plain("Confirmed", "dates", DAY),
            "disputed_at": _plain("Said to be somebody else's", "dates", DAY),
            "end_proposed_at": _plain("End of the dispute proposed", "dates", DAY),
            "gives_back": _plain("Proposed to give the login back", "contact", WORD),
            "given_back_at": _plain("Login given back", "dates", DAY),
            "taken_at": _plain("Login in other hands since", "dates", DAY),
        },
        impersonal={
            "end_proposed_by": Machinery(OF_STAFF),
            "back_link": Machinery("the number of a letter's row"),
            "mac": ROW_HASH,
        },
        follows="customer",
    ),
    Declaration(
        model=ContactLink,
        title="Letter about a changed contact",
        life=Life.YOU,
        inside="point",
        gist=("at",),
        noun=("letter about a changed contact", "letters about a changed contact"),
        subject_path="point__customer__subject",
        data={
            "point": _link("About which contact"),
            "letter": _link("Which letter"),
            "purpose": _plain("To confirm it, or to object", "contact", WORD),
            "at": _plain("Written", "dates", DAY),
            "used_at": _plain("Link used", "dates", DAY),
            "was_login": _plain("To an earlier address of the login", "contact", WORD),
        },
        impersonal={
            "token_hash": Machinery("a hash of a random token"),
            "expires_at": Titled(DAY, "Link works until"),
            "mac": ROW_HASH,
        },
        follows="point",
    ),
    Declaration(
        model=Joining,
        title="Look at records with the same address",
        life=Life.SIGNING_IN,
        gist=(
            "opened_at",
            "outcome",
        ),
        noun=("look at records with the same address", "looks at records with the same address"),
        subject_path="subject",
        data={
            "subject": _link("Whose records they may be", LOGIN),
            "asked_by": _plain("Who asked", "role", WORD, LOGIN, says=ASKED_BY),
            "outcome": _plain("What was decided", "role", WORD, LOGIN),
            "reason": _plain("Why", "role", WORD, LOGIN, says=WHY_JOINED),
            "opened_at": _plain("Asked", "dates", DAY, LOGIN),
            "decided_at": _plain("Decided", "dates", DAY, LOGIN),
            "undone_at": _plain("Undone", "dates", DAY, LOGIN),
            "moved": Datum("What moved, for an undo", "link", LOGIN, US, plain="random numbers", export="no"),
            "proposal": Datum("What is proposed", "link", LOGIN, US, plain="random numbers", export="no"),
            "proposed_at": _plain("Proposed", "dates", DAY, LOGIN),
        },
        impersonal={"is_settled": Machinery("a switch"), "proposed_by": Machinery(OF_STAFF), "mac": ROW_HASH},
        follows="subject",
    ),
    Declaration(
        model=Joined,
        title="Notice that something was joined",
        life=Life.SIGNING_IN,
        gist=("at",),
        noun=("notice that something was joined", "notices that something was joined"),
        subject_path="subject",
        data={
            "subject": _link("To whom it was joined", LOGIN),
            "joining": _link("By which look", LOGIN),
            "at": _plain("Joined", "dates", DAY, LOGIN),
            "is_whole": _plain("Another entry, or single records", "role", WORD, LOGIN),
            "disputed_at": _plain("Said not to be theirs", "dates", DAY, LOGIN),
        },
        impersonal={"token_hash": Machinery("a hash of a random token"), "proposed_by": Machinery(OF_STAFF)},
        follows="subject",
    ),
    Declaration(
        model=ClaimReview,
        title="Question whether a login belongs to a customer",
        life=Life.SIGNING_IN,
        gist=(
            "opened_at",
            "outcome",
        ),
        noun=("question whether a login belongs to a customer", "questions whether a login belongs to a customer"),
        subject_path="user__subject",
        data={
            "user": _link("Which login asks", LOGIN),
            "customer": _link("Which customer it may be", LOGIN),
            "reason": _plain("Why staff decide", "role", WORD, LOGIN),
            "outcome": _plain("What was decided", "role", WORD, LOGIN),
            "opened_at": _plain("Asked", "dates", DAY, LOGIN),
            "how": _plain("How we know", "role", WORD, LOGIN),
            "proposed_at": _plain("Proposed", "dates", DAY, LOGIN),
            "decided_at": _plain("Decided", "dates", DAY, LOGIN),
        },
        impersonal={"proposed_by": Machinery(OF_STAFF), "mac": ROW_HASH},
        follows="user",
    ),
)
