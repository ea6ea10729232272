"""What an app says of its records in `personal_data.py`: declarations, data, proofs and stores, and their words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from privacy.datamap.fields import field_named, sealed_in
from privacy.datamap.warning import Warned
from privacy.facts import Facts


class Machinery(str):
    """Why a field is impersonal that tells its person nothing: a keyed hash, a counter, a step. It
    is in no copy and on no page."""

    __slots__ = ()


ROW_HASH = Machinery("a keyed hash over the row")


class Titled(str):
    """Why a field is impersonal that its person reads all the same, the title that it has there, and its words as of a
    Datum."""

    heading: str
    words: Callable[[Any], str] | None

    def __new__(cls, why: str, heading: str, words: Callable[[Any], str] | None = None) -> Titled:
        """Return the reason `why` with the title `heading`, and the words of a value."""
        made = super().__new__(cls, why)
        made.heading, made.words = heading, words
        return made


class Life(models.TextChoices):
    """The parts of a person's life with the company, in the order in which pages and copies show them.

    Each declaration says to which part its records belong; no page keeps a list of kinds.
    """

    YOU = "you", _("You")
    ORDERS = "orders", _("Orders")
    RETURNS = "returns", _("Instruments and returns")
    MESSAGES = "messages", _("Messages")
    SIGNING_IN = "signing_in", _("Signing in")
    REQUESTS = "requests", _("Your requests")
    TECHNICAL = "technical", _("Technical")


#: The kinds of data, in the order of the published list (P11) and of the copy (Art. 15(1)(b)).
CATEGORIES: dict[str, str] = {
    "name": "Names",
    "contact": "Ways to reach you",
    "address": "Addresses",
    "identifier": "Numbers that stand for you",
    "account": "Your account",
    "login": "Signing in",
    "order": "What you ordered",
    "payment": "Payments",
    "text": "What was written to us, and notes of ours",
    "message": "When and how a message came",
    "letter": "Letters from us",
    "link": "Links between records",
    "instrument": "Your instruments",
    "return": "Returns for calibration and repair",
    "request": "Your privacy requests",
    "dates": "Dates",
    "role": "Your role with us",
    "employment": "Working for us",
    "looks": "Who looked at your data",
    "pseudonym": "Pseudonyms in the audit trail",
    "log": "Logs",
}
#: From whom data came, as it is said to the person whose data they are.
SOURCES: dict[str, str] = {
    "the person": "you",
    "the person who ordered": "you, or a colleague of yours who ordered",
    "the person who sent the instrument": "you, or a colleague of yours who sent an instrument",
    "the person, or our service department": "you, or our service department",
}


def from_whom(source: str) -> str:
    """Return from whom data came, as it is said to the person: "you"."""
    return SOURCES.get(source, source)


@dataclass(frozen=True, slots=True)
class Datum:
    """One declared field: what it is, why it is held, where it came from, who gets it (Art. 30(1), P11).

    `plain` says why a column may stand unsealed; `envelope` of such a column names the envelope whose end it
    shares (it is blanked then). Of an encrypted field both come from the field itself. `export` says how much
    of the value a copy shows. `words` says a value as people say it ("Germany" for "DE"); pages and the readable
    part of a copy show that, its files for programs the value. `says` has the words for the codes of a field with
    choices where its person reads them, instead of the desk's: "from you", not "from the person". `code` says of a
    value that is a code of a public list, or may be one, which: `words` gives its name, which the desk reads, too, and
    the tables for programs say at their head that they have the code. Where the code alone does not tell, `beside`
    names the field that `words` is given with it: of a state its country.
    """

    title: str
    category: str
    purposes: tuple[str, ...]
    source: str
    recipients: tuple[str, ...] = ()
    plain: str = ""
    envelope: str | None = None
    export: Literal["full", "last4", "no"] = "full"
    words: Callable[..., str] | None = None
    says: Mapping[str, str] | None = None
    code: str = ""
    beside: str = ""

    def said(self, value: Any, of: Callable[[str], Any]) -> str:
        """Return a value in the words of the datum; `of` reads another field of its record."""
        words = self.words or str
        return words(value, of(self.beside)) if self.beside else words(value)


@dataclass(frozen=True)
class Declaration:
    """What one model holds about people.

    `subject_path` leads from a row to its subject ("customer__subject"), None when the row is about nobody in
    particular. `facts` gives the assessment what it needs to know of a row; a row that simply ends with another record
    (a session with its user) names the link to it in `follows` instead. `end` says what becomes of the row when its
    last envelope ended: it is deleted, or stays for statistics with the foreign keys in `links` set to NULL.
    `warnings(subject, today)` gives what to show before an erasure, once for all rows of which it is true.
    `block_keys(row)` gives the (kind, value) pairs by which an import must recognise an erased person ("email",
    "customer_ref"); asked while they can be read. `life` says to which part of a person's life with the company the
    records belong, `inside` names the link to the record that they are shown inside of (a line within its order);
    `gist` the data by which one is told from the next in a list, the newest first where the first of them is a day;
    `page` names the page of its own that shows them.
    `reference` names the plain unique column by which people call the record (an order number); `noun` is what one of
    them and several are called where they are counted ("return", "returns"). `told` says the rows in words for a copy:
    their columns, and a function of some rows that gives each row's values by column; without it a copy shows the
    declared fields. `summed` says very many rows in fewer lines where people read a copy: columns, and a function of
    all rows that gives the lines; its files for programs have each row. `ended_by` says what ends the rows where
    neither `facts` nor `follows` does. `candidates(day)` gives the rows that may have outlived their reason on that
    day, found by an index (`retention.rules.cutoff(envelope, day)` tells how old their events are); without it the
    sweep walks the whole table. `proofs` are the facts of such a record by which its person is recognised in a
    call-back. `blocks` names by a title what people read as one, an address, line by line. `related` names the links
    that `facts` follows, so that a person's rows are read in one query.
    """

    model: type[models.Model]
    title: str
    subject_path: str | None = None
    data: Mapping[str, Datum] = field(default_factory=dict)
    impersonal: Mapping[str, str] = field(default_factory=dict)
    facts: Callable[[Any], Facts] | None = None
    end: Literal["delete", "blank"] = "delete"
    links: tuple[str, ...] = ()
    warnings: Callable[[UUID, date], list[Warned]] | None = None
    follows: str = ""
    reference: str | None = None
    candidates: Callable[[date], models.QuerySet[Any]] | None = None
    related: tuple[str, ...] = ()
    block_keys: Callable[[Any], list[tuple[str, str]]] | None = None
    noun: tuple[str, str] | None = None
    told: tuple[tuple[str, ...], Callable[[Sequence[Any]], list[dict[str, Any]]]] | None = None
    summed: tuple[tuple[str, ...], Callable[[models.QuerySet[Any]], Iterable[dict[str, Any]]]] | None = None
    ended_by: str = ""
    proofs: tuple[Proof, ...] = ()
    life: Life | None = None
    inside: str = ""
    gist: tuple[str, ...] = ()
    page: str = ""
    blocks: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    def called(self, count: int) -> str:
        """Return what so many of these records are called within a sentence: "order", "orders"."""
        title = self.title[0].lower() + self.title[1:]
        one, several = self.noun or (title, f"{title}s")
        return one if count == 1 else several

    @property
    def label(self) -> str:
        """The stable label of the model: its vault label, or "app.model" when nothing of it is sealed."""
        return getattr(self.model, "vault_label", "") or self.model._meta.label_lower

    @property
    def is_personal(self) -> bool:
        """Whether the model holds anything about people."""
        return bool(self.data)

    def envelope_of(self, name: str) -> str | None:
        """Return the envelope that the field `name` is sealed in or ends with, or None."""
        return sealed_in(field_named(self.model, name)) or self.data[name].envelope

    def envelopes(self) -> Mapping[str, tuple[str, ...]]:
        """Return envelope -> declared field names, sealed ones and those that share its end."""
        return self._envelopes

    @cached_property
    def _envelopes(self) -> Mapping[str, tuple[str, ...]]:
        # Worked out once: thousands of records of one plan ask for it.
        found: dict[str, list[str]] = {}
        for name in self.data:
            if envelope := self.envelope_of(name):
                found.setdefault(envelope, []).append(name)
        return MappingProxyType({envelope: tuple(names) for envelope, names in sorted(found.items())})

    @cached_property
    def _titles(self) -> Mapping[str, tuple[str, ...]]:
        return {
            envelope: tuple(self.data[name].title for name in names if self.data[name].category != "link")
            for envelope, names in self._envelopes.items()
        }

    def still_sealed(self, record: Any) -> dict[str, tuple[str, ...]]:
        """Return envelope -> titles of the data that a sealed record still holds: one that ended is not among them."""
        return {
            envelope: titles
            for envelope, titles in self._titles.items()
            if getattr(record, f"sealed_{envelope}") is not None
        }

    def rows_of(self, subject: UUID) -> models.QuerySet[Any]:
        """Return the rows about `subject`, of a model that leads to one."""
        rows = self.model._default_manager.filter(**{f"{self.subject_path}": subject}).order_by("pk")
        return rows.select_related(*self.related) if self.related else rows


@dataclass(frozen=True, slots=True)
class Proof:
    """A fact of a record that its person can name on the telephone: `has(rows, text)` says whether one of the person's
    rows has it. It compares, and shows nothing. `day` names the column with the day of the record: where the fact must
    be older than something, records of that day or later do not count."""

    name: str
    title: str
    has: Callable[[models.QuerySet[Any], str], bool]
    day: str


@dataclass(frozen=True, slots=True)
class Store:
    """A place outside the tables that holds personal data: files, logs, broker, mail, backups, caches.

    `told` says to people what it holds and how long, in a sentence of the public notice (P11); "" for one that the
    notice tells of elsewhere, or that holds nothing about anybody.
    """

    name: str
    holds: str
    where: str
    until: str
    erased_by: str
    told: str = ""
