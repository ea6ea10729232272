"""Every letter about a request, as a person in each place gets it: whose authority, what ground, which days, which
reasons.

The letters are not composed here: each comes out of what the product does for somebody there, from
the receipt to the last letter. The people of all places live in one company, so that a night is one night for all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from accounts.models import Customer
from orders import services as orders
from orders.models import Order
from privacy import letters, vault
from privacy.gate import Actor
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import clock, deadline, execute, filing, posting, proving, second, services, sight, waits
from privacy.requests.models import Request, SecondLook
from privacy.retention import holds, jurisdiction
from privacy.retention.models import Hold
from privacy.sweep import arming, nightly
from tests import factories, pages
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, TODAY, Clock, filed, taken_in
from tests.beginnings import beginning
from tests.factories import BILL, CONTACT, SHIP, TASK, a_product, an_rma, as_customer, moved, noon
from tests.privacy.requests.test_authorities import GDPR, PLACES, beside_the_promise

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]
MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")

#: Where they live, and the day by which somebody there who asked on 20 November 2026 is answered.
DUE = {
    ("DE", ""): date(2026, 12, 20),
    ("RE", ""): date(2026, 12, 20),
    ("GB", "Scotland"): date(2026, 12, 20),
    ("CH", ""): date(2026, 12, 20),
    ("BR", ""): date(2026, 12, 5),
    ("CA", "ON"): date(2026, 12, 20),
    ("AU", "NSW"): date(2026, 12, 20),
    ("US", "CA"): date(2026, 12, 20),
    ("US", "MA"): date(2026, 12, 20),
    ("US", "RI"): date(2026, 12, 20),
}
#: Those that tell a person what became of a request, and so how to complain (Art. 12(4)).
ENDS = {
    "copy_ready",
    "copy_posted",
    "erasure_done",
    "refused",
    "expired",
    "extended",
    "late",
    "not_you",
    "rest_erased",
    "kept_longer",
}
OTHERS = {
    "acknowledgement", "link_identity", "link_result", "not_identified", "plan_changed", "plan_confirmed", "plan_ready",
    "posted_code", "told_elsewhere", "withdrawn",
}  # fmt: skip
#: Where every one of them is written: one place for each law and clock. Elsewhere those in which
#: law and place say the most.
WHOLE = {("DE", ""), ("GB", "Scotland"), ("BR", "")}
MOST = {
    "acknowledgement",
    "link_identity",
    "not_identified",
    "copy_ready",
    "erasure_done",
    "rest_erased",
    "refused",
    "kept_longer",
}
AUTHORITY = {(country, region): words for country, region, words in PLACES}


@dataclass(frozen=True)
class Place:
    country: str
    region: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.country, self.region

    def __str__(self) -> str:
        return "-".join(filter(None, self.key))

    def email(self, name: str, domain: str = "example.com") -> str:
        return f"{name}.{self}@{domain}".lower()

    @property
    def phone(self) -> str:
        """Theirs alone: who share a number are looked at together."""
        return f"978-555-{list(DUE).index(self.key):04d}"

    def reach(self) -> dict[str, str]:
        return {"phone": self.phone, "email": self.email("alice", "post.example")}

    def person(self, name: str, *, login: bool = False, email: str | None = None) -> Customer:
        email = self.email(name) if email is None else email
        user = factories.login(f"{name}.{self}", self.email(name)) if login else None
        customer = factories.customer(
            name.title(), "Archer", email=email, phone=self.phone, user=user, country=self.country, region=self.region
        )
        factories.address(
            customer, street="17 Quince Row", city="Town", postal_code="", country=self.country, region=self.region
        )
        return customer

    def order(self, customer: Customer, *days: date, paid: bool = True) -> Order:
        """An order of that day, with its invoice and delivery; paid unless told otherwise."""
        here = {"ship_country": self.country, "ship_region": self.region, "ship_postal_code": "", **self.reach()}
        order = orders.place_order(
            customer=customer, items=[orders.Item(a_product(), 1)], channel="web", ship={**SHIP, **here},
            bill={**BILL, "invoice_country": self.country}, actor=TASK, now=noon(days[0]),
        )  # fmt: skip
        for day in days[1:]:
            orders.invoice(order, actor=TASK, now=noon(day))
            orders.ship(order, actor=TASK, now=noon(day))
            if paid:
                orders.mark_paid(order, actor=TASK, now=noon(day))
        return Order.objects.with_owner().get(pk=order.pk)

    def rma(self, customer: Customer, *states: str) -> Any:
        contact = {**CONTACT, "return_country": self.country, **self.reach()}
        return moved(an_rma(customer, contact=contact), *states)


# What happens ---------------------------------------------------------------------------------------------------------


def work(request: Request, now: datetime = NOW) -> Request:
    """Do every step that can be done now; no letter goes out, so that each stays to be read."""
    execute.run(request.pk, clock=Clock(now), pause=lambda: None, rounds=100)
    request.refresh_from_db()
    return request


def confirm(request: Request, now: datetime = NOW) -> Request:
    work(request, now)
    services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=now)
    return work(request, now)


def asked(customer: Customer, kind: str = "erasure", how: str = "pending", channel: str = "mail") -> Request:
    return taken_in(kind, customer.subject_id, channel=channel, identity=how, actor=PRIVACY)


def text_of(request: Request, kind: str) -> str:
    with vault.internal():
        return str(letters.given(Letter.objects.filter(request=request, kind=kind).latest("queued_at"))[0])


def token(request: Request, kind: str) -> str:
    found = re.search(r"/privacy/link/([\w-]+)/", text_of(request, kind))
    assert found
    return found[1]


def copy_by_link(place: Place) -> Request:
    """Dora asks by her address for a copy; a stranger's address is asked who it is."""
    dora = place.person("dora")
    place.order(dora, date(2024, 5, 2), date(2024, 5, 10))
    filing.ask(kind="access", email=place.email("dora"), actor=ANYBODY, now=NOW)
    request = Request.objects.get(kind="access", subject=dora.subject_id)
    proving.redeem(token(request, "link_identity"), now=NOW)
    return work(request)


def removal_by_login(place: Place) -> tuple[Request, Order]:
    """Alice has one of everything that a removal meets: what goes, what must stay, and what still waits for
    something."""
    alice = place.person("alice", login=True)
    place.order(alice, date(2017, 5, 2), date(2017, 5, 10))
    place.order(alice, date(2024, 5, 2), date(2024, 5, 10))
    unpaid = place.order(alice, date(2026, 11, 2), date(2026, 11, 5), paid=False)
    held = place.order(alice, date(2023, 5, 2), date(2023, 5, 10))
    holds.place("orders.order", held.pk, reason=Hold.Reason.CLAIM, actor=PRIVACY, now=NOW)
    place.rma(alice)
    place.rma(alice, "authorised", "received", "cancelled", "shipped_back", "closed")
    factories.communication(alice)
    factories.freight_account(alice)
    return confirm(filed(alice)), unpaid


def paid_later(request: Request, order: Order) -> None:
    """The answer goes out and the invoice is paid, before the sweep of a night looks again."""
    answered = Letter.objects.get(request=request, kind="erasure_done")
    with system("letter"):
        assert answered.next_attempt_at is not None and letters.send(answered.pk, now=answered.next_attempt_at)
    work(request, NOW + timedelta(hours=1))
    orders.mark_paid(order, actor=TASK, now=NOW)


def swept(on: date) -> None:
    with system("sweep"):
        nightly.sweep(on=on, dry_run=False, actor=OPERATOR)


def removal_by_post(place: Place) -> Request:
    """No e-mail reaches Mia: code, plan and answer go by post, and staff write down that she confirms."""
    mia = place.person("mia", email="")
    place.order(mia, date(2024, 5, 2), date(2024, 5, 10))
    request = asked(mia)
    proving.post_code(request, subject=mia.subject_id, actor=PRIVACY, now=NOW)
    code = re.search(r"\n([0-9A-Z-]{14})\n", text_of(request, "posted_code"))
    assert code
    posting.mark_posted(Letter.objects.get(request=request, kind="posted_code"), actor=PRIVACY, now=NOW)
    a_colleague = replace(PRIVACY, id="dan")  # who had no part in the letter, and takes the code from the person
    proving.identify(request, "post", subject=mia.subject_id, code=code[1], actor=a_colleague, now=NOW)
    work(request)
    posting.mark_posted(Letter.objects.get(request=request, kind="plan_ready"), actor=PRIVACY, now=NOW)
    services.confirm(request, request.plan_hash, actor=PRIVACY, now=NOW, answered_on=TODAY)
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    return work(request)


def copy_by_post(place: Place) -> Request:
    """No e-mail reaches Max, who asked in person: the copy goes to the postal address on file."""
    request = asked(place.person("max", email=""), kind="access", how="in_person")
    work(request)
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    return work(request)


def refused(place: Place) -> None:
    request = asked(place.person("ron"))
    services.refuse(
        request, ground="Two people say that this is theirs.", authority="Art. 12(2) GDPR", actor=PRIVACY, now=NOW
    )


def other_ends(place: Place) -> None:
    services.withdraw(filed(wim := place.person("wim", login=True)), actor=as_customer(wim), now=NOW)
    longer = asked(place.person("lou"))
    if deadline.may_extend(longer, now=NOW):
        deadline.extend(longer, reason="complex", words="Your data stand in many records.", actor=PRIVACY, now=NOW)
    silent = asked(place.person("sid"))
    for _ in range(3):  # asked anew, given more time, ended
        silent.refresh_from_db()
        work(silent, clock.answer_from(silent.due_on))


def late(place: Place) -> Request:
    """A second person was asked two days before the last day, and has not decided when it is over."""
    request = asked(place.person("liv"), how="staff", kind="access")
    if deadline.may_extend(request, now=NOW):
        deadline.extend(request, reason="number", words="You sent us five requests.", actor=PRIVACY, now=NOW)
    work(request)
    asked_at = clock.answer_from(request.due_on - timedelta(days=2))
    waits.ask(request, SecondLook.Why.NOT_ME, actor=ANYBODY, now=asked_at)
    return work(request, clock.answer_from(request.due_on + timedelta(days=1)))


def not_her(place: Place) -> Request:
    """Nora has two mailboxes; the reader of the other one says that it was not her, and the second person agrees."""
    nora = place.person("nora", login=True, email=place.email("nora", "work.example"))
    filing.ask(kind="access", email=place.email("nora"), actor=ANYBODY, now=NOW)
    request = Request.objects.get(kind="access", subject=nora.subject_id)
    proving.redeem(token(request, "link_identity"), now=NOW)
    says = token(request, "told_elsewhere")
    work(request)
    second.say_not_me(says, now=NOW)
    second.decide(request, "end", actor=MANAGER, now=NOW)
    return work(request)


def changed_plan(place: Place) -> Request:
    """Pia confirms by link; before the removal begins she orders again."""
    pia = place.person("pia", login=True, email=place.email("pia", "work.example"))
    filing.ask(kind="erasure", email=place.email("pia", "work.example"), actor=ANYBODY, now=NOW)
    request = Request.objects.get(kind="erasure", subject=pia.subject_id)
    proving.redeem(token(request, "link_identity"), now=NOW)
    confirm(request)
    place.order(pia, TODAY)
    for one in Letter.objects.filter(request=request, kind="told_elsewhere"):
        Letter.objects.filter(pk=one.pk).update(sent_at=NOW)
    return work(request, NOW + timedelta(days=4))


@dataclass(frozen=True)
class Written:
    """One letter as its person gets it."""

    kind: str
    by: str
    text: str
    html: str


class Reader:
    """Reads every letter while it can be read: the answer to a removal is burned once it has gone out."""

    def __init__(self) -> None:
        self.place_of: dict[Any, Place] = {}
        self.read: dict[Any, Written] = {}
        self.written: dict[Place, list[Written]] = {}

    def note(self, place: Place) -> None:
        """Whoever has asked since the last call lives in this place."""
        asked = Request.objects.exclude(pk__in=self.place_of).values_list("pk", flat=True)
        self.place_of |= dict.fromkeys(asked, place)

    def look(self) -> None:
        with vault.internal():
            waiting = Letter.objects.filter(request__isnull=False).exclude(pk__in=self.read)
            for one in waiting.order_by("queued_at", "pk"):
                if not isinstance(one.text, vault.Unreadable):
                    said = Written(one.kind, one.by, f"{one.headline}\n\n{one.text}", pages.read(one.html))
                    self.read[one.pk] = said
                    self.written.setdefault(self.place_of[one.request_id], []).append(said)


def asked_everywhere(place: Place) -> tuple[Request, Order]:
    """Who asks in every place; what is returned is the removal and what is still to be paid."""
    copy_by_link(place)
    filing.file(
        filing.Receipt(
            kind="access",
            subject=None,
            email=place.email("stranger"),
            name="Bob Stranger",
            channel="mail",
            received_on=TODAY,
        ),
        actor=OPERATOR,
        now=NOW,
    )
    removal, unpaid = removal_by_login(place)
    refused(place)
    return removal, unpaid


@beginning
@override_settings(DEMO=True)  # the sweep of a day to come
def everywhere() -> dict[Place, list[Written]]:
    """The letters to people of each place, every one where it is to be WHOLE."""
    arming.arm(actor=OPERATOR)
    reader, places, removals = Reader(), [Place(*key) for key in DUE], []
    for place in places:
        removals.append(asked_everywhere(place))
        reader.note(place)
    reader.look()
    for removal, unpaid in removals:
        paid_later(removal, unpaid)
    swept(date(2026, 12, 1))
    for place in (one for one in places if one.key in WHOLE):
        removal_by_post(place)
        copy_by_post(place)
        other_ends(place)
        late(place)
        not_her(place)
        changed_plan(place)
        reader.note(place)
    reader.look()
    swept(date(2034, 1, 1))  # the day that each Alice was told has come, and her return is still open
    reader.look()
    return reader.written


# What they read -------------------------------------------------------------------------------------------------------


def said(day: date) -> str:
    return f"{day:%-d %B %Y}"


def kept(letter: Written) -> list[tuple[str, str, str]]:
    """What a letter says of each part of a record that stays: the title, the words in brackets
    after the reason, until when."""
    said = r"\n- (\w+)[^:\n]*: [^\n]*\n  Why: [^\n]*? \(([^\n]*)\)\n(?:  We had told you: 31 December 2033\n)?  Until: ([^\n]*)"
    return re.findall(said, letter.text)


#: The seller's own tax and export law, as each law lets it stand against a removal.
RECORDS = "26 CFR 1.6001-1; M.G.L. c. 62C s. 25; 15 CFR 762.6"
OPEN, SALE, CLAIM = (
    {
        "": "Our privacy policy: needed for legitimate business while the matter is open, for which it cites Article 6 of the GDPR",
        "GDPR": "Art. 17(1) GDPR: no ground for erasure while the matter is open; needed under Art. 6(1)(b), for a contact of a "
        "company Art. 6(1)(f) GDPR",
        "UK GDPR": "Art. 17(1) UK GDPR: no ground for erasure while the matter is open; needed under Art. 6(1)(b), for a contact "
        "of a company Art. 6(1)(f) UK GDPR",
    },
    {
        "": "Our privacy policy: in part legally required, for the rest needed for legitimate business, for which it cites Article 6 "
        f"of the GDPR: the seller's US tax and export records ({RECORDS}) and contract claims (M.G.L. c. 260 s. 2)",
        "GDPR": f"Art. 17(1)(c) GDPR: overriding grounds, Art. 6(1)(f): the seller's US tax and export records ({RECORDS}); "
        "Art. 17(3)(e) GDPR: claims",
        "UK GDPR": f"Art. 17(1)(c) UK GDPR: overriding grounds, Art. 6(1)(f): the seller's US tax and export records ({RECORDS}); "
        "Art. 17(3)(e) UK GDPR: claims",
    },
    {
        "": "Our privacy policy: needed for legitimate business, for which it cites Article 6 of the GDPR: claims",
        "GDPR": "Art. 17(3)(e) GDPR: establishment, exercise or defence of claims",
        "UK GDPR": "Art. 17(3)(e) UK GDPR: establishment, exercise or defence of claims",
    },
)  # fmt: skip


@pytest.mark.parametrize("place", [Place(*key) for key in DUE], ids=str)
def test_every_letter_is_right_where_the_person_is(place: Place, everywhere: dict[Place, list[Written]]) -> None:
    written = everywhere[place]
    has_extension = place.country != "BR"
    whole = place.key in WHOLE
    assert {one.kind for one in written} == (
        (ENDS | OTHERS) - (set() if has_extension else {"extended"}) if whole else MOST
    )
    law, due = jurisdiction.covers(place.country), DUE[place.key]
    for one in written:
        is_end = one.kind in ENDS
        assert (f"You can also complain to {AUTHORITY[place.key]}" in one.text) is is_end, one.kind
        for text in (one.text, one.html):
            assert ("section 164A of the Data Protection Act 2018" in text) is (is_end and law == "UK GDPR"), one.kind
            assert ("You can also complain to " in text) is is_end, one.kind
            left = beside_the_promise(text)
            if not law:
                assert not GDPR.search(left), one.kind
            elif law == "UK GDPR":
                assert not re.search(r"(?<!UK )GDPR|edpb", left), one.kind
            else:
                assert "UK GDPR" not in left, one.kind
        if one.kind == "acknowledgement":
            assert f"Received: 20 November 2026\nWe answer by: {said(due)}\n" in one.text
        if one.kind == "link_identity":
            assert f"We received the request on 20 November 2026 and answer by {said(due)}." in one.text
        if one.kind == "refused":
            rule = f" (Art. 12(2) {law})" if law else ""
            assert f"\n\nTwo people say that this is theirs.{rule}\n\n" in one.text
        if one.kind == "extended":
            longer = date(2027, 1, 19) if place.country in ("CH", "CA") else date(2027, 2, 20)
            assert f"You get our answer by {said(longer)} at the latest." in one.text

    first, again = (next(one for one in written if one.kind == kind) for kind in ("erasure_done", "rest_erased"))
    opened = (OPEN[law], "31 December 2033, or earlier once what is open is finished")
    account = [("Billing", *opened), ("Customer", *opened), ("Address", *opened), ("Login", *opened)]
    claim, sale = ("Order", CLAIM[law], "the legal claim is settled"), ("Order", SALE[law], "31 December 2031")
    returned = [("Return", *opened)] * 2
    # The invoice is kept for seven years once it is paid: the day is the latest, and no earlier one is promised.
    unpaid = ("Order", OPEN[law], "31 December 2033")
    assert kept(first) == [*account, claim, claim, sale, ("Order", *opened), unpaid, *returned]
    # The invoice was paid since: what it says of that order is the reason of the day.
    paid = ("Order", SALE[law], "31 December 2033")
    assert kept(again) == [*account, claim, claim, sale, paid, *returned]
    # In 2034 the return is still open: what it needs stays, and what was paid for has gone.
    (longer,) = (one for one in written if one.kind == "kept_longer")
    anew = [(*one[:2], "31 December 2041, or earlier once what is open is finished") for one in (*account, *returned)]
    assert kept(longer) == anew and longer.text.count("We had told you: 31 December 2033\n") == len(anew)
    for part in ("until 31 December 2029", "until 31 December 2033", "overwritten by 28 November 2026"):
        assert part in first.text
