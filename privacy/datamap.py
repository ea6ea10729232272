"""The data map: what is held about people, why, where it came from, who gets it. Each app declares its own models.

Export, erasure, masking, the Art. 30 record, the published list of what is collected and the residue scan
read this registry; no second list exists (P11, P18). `privacy.checks` refuses to start with an undeclared field.

    datamap.register(
        Declaration(
            model=FreightAccount,
            title="Freight account",
            subject_path="customer__subject",
            data={
                "customer": Datum("Whose account it is", "link", ("orders",), "the person", plain="a random number"),
                "number": Datum("Account number with the carrier", "identifier", ("delivery",), "the person"),
            },
            impersonal={"carrier": "the name of a carrier"},
            facts=facts.freight_account,
        )
    )
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID
from weakref import WeakKeyDictionary

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _
from psycopg2.extensions import AsIs

from privacy.facts import Facts

MODULE = "personal_data"


class Machinery(str):
    """Why a field is impersonal that tells its person nothing: a keyed hash, a counter, a step. It
    is in no copy and on no page."""

    __slots__ = ()


ROW_HASH = Machinery("a keyed hash over the row")


class Titled(str):
    """Why a field is impersonal that its person reads all the same, and the title that it has there."""

    heading: str

    def __new__(cls, why: str, heading: str) -> Titled:
        """Return the reason `why` with the title `heading`."""
        made = super().__new__(cls, why)
        made.heading = heading
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
    choices where its person reads them, instead of the desk's: "from you", not "from the person".
    """

    title: str
    category: str
    purposes: tuple[str, ...]
    source: str
    recipients: tuple[str, ...] = ()
    plain: str = ""
    envelope: str | None = None
    export: Literal["full", "last4", "no"] = "full"
    words: Callable[[Any], str] | None = None
    says: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Declaration:
    """What one model holds about people.

    `subject_path` leads from a row to its subject ("customer__subject"), None when the row is about nobody in
    particular. `facts` gives the assessment what it needs to know of a row; a row that simply ends with another record
    (a session with its user) names the link to it in `follows` instead. `end` says what becomes of the row when its
    last envelope ended: it is deleted, or stays for statistics with the foreign keys in `links` set to NULL.
    `warnings(subject, today)` gives sentences to show before an erasure. `block_keys(row)` gives the (kind, value)
    pairs by which an import must recognise an erased person ("email", "customer_ref"); asked while they can be read.
    `life` says to which part of a person's life with the company the records belong, `inside` names the link to the
    record that they are shown inside of (a line within its order); `gist` the data by which one is told from the next
    in a list, the newest first where the first of them is a day; `page` names the page of its own that shows them.
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
    warnings: Callable[[UUID, date], list[str]] | None = None
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

    def held(self, record: Any) -> dict[str, tuple[str, ...]]:
        """Return envelope -> titles of the data that a sealed record still holds: one that ended is not among them."""
        return {
            envelope: titles
            for envelope, titles in self._titles.items()
            if getattr(record, f"sealed_{envelope}") is not None
        }

    def rows_of(self, subject: UUID) -> models.QuerySet[Any]:
        """Return the rows about `subject` (none when the model leads to no subject)."""
        if self.subject_path is None:
            return self.model._default_manager.none()
        rows = self.model._default_manager.filter(**{self.subject_path: subject}).order_by("pk")
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


class DataMapError(Exception):
    """A declaration that cannot be registered: the same model or store twice."""


Flags = Callable[[Collection[UUID]], Mapping[UUID, frozenset[str]]]

_declarations: dict[type[models.Model], Declaration] = {}
_by_label: dict[str, Declaration] = {}
_stores: dict[str, Store] = {}
_flags: list[Flags] = []


def register(*found: Declaration) -> None:
    """Add declarations to the map. Raises DataMapError when a model is declared twice."""
    for declaration in found:
        model = declaration.model._meta.concrete_model or declaration.model
        if model in _declarations:
            raise DataMapError(f"{model._meta.label} is declared twice in the data map.")
        _declarations[model] = declaration
        _by_label[declaration.label] = declaration


def store(*found: Store) -> None:
    """Add stores that are no tables. Raises DataMapError when a name is taken."""
    for one in found:
        if one.name in _stores:
            raise DataMapError(f"The store {one.name!r} is declared twice in the data map.")
        _stores[one.name] = one


def contribute_flags(found: Flags) -> None:
    """Add a function that tells which flags an app's records give their people's accounts ("open_order", "open_rma").

    So `accounts` knows that an account is still needed without importing the apps above it.
    """
    if found not in _flags:
        _flags.append(found)


def flags_of(subjects: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    """Return, for each of `subjects`, the flags that all apps together give; a constant number of queries."""
    flags: dict[UUID, frozenset[str]] = dict.fromkeys(subjects, frozenset())
    for contribution in _flags:
        for subject, found in contribution(subjects).items():
            flags[subject] |= found
    return flags


def autodiscover() -> None:
    """Import `personal_data` of every installed app, like the admin imports `admin`."""
    autodiscover_modules(MODULE)


def declarations() -> list[Declaration]:
    """Return all declarations, sorted by label."""
    return sorted(_declarations.values(), key=lambda declaration: declaration.label)


def stores() -> list[Store]:
    """Return all stores that are no tables, sorted by name."""
    return [_stores[name] for name in sorted(_stores)]


def for_model(model: type[models.Model]) -> Declaration:
    """Return the declaration of `model`. Raises KeyError when there is none."""
    return _declarations[model._meta.concrete_model or model]


def for_label(label: str) -> Declaration:
    """Return the declaration with the stable `label` ("orders.order"). Raises KeyError when there is none."""
    return _by_label[label]


def records_of(
    subject: UUID, counts: Mapping[str, int] | None = None
) -> Iterator[tuple[Declaration, models.QuerySet[Any]]]:
    """Yield each declaration that has rows about `subject`, with these rows (Art. 15, 17).

    `counts` is what `counts_of` returned, for who has asked before.
    """
    found = counts_of(subject) if counts is None else counts
    for declaration in declarations():
        if declaration.is_personal and declaration.label in found:
            yield declaration, declaration.rows_of(subject)


def counts_of(subject: UUID) -> dict[str, int]:
    """Return how many rows about `subject` each label has, those that have any, impersonal ones too; one query."""
    if not _declarations:
        return {}
    connection.ensure_connection()
    name = _prepared.get(connection.connection)
    if name != f"counts_of_{len(_declarations)}":
        name = _prepare()
    with connection.cursor() as cursor:
        cursor.execute(f"EXECUTE {name} (%s)", [subject])
        return {label: count for label, count in cursor if count}


_SOMEBODY = UUID(int=0)
_prepared: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _prepare() -> str:
    """Prepare the statement of `counts_of` for the connection and return its name.

    Planning its two dozen joins takes many times as long as carrying them out, and the plan is the same for everybody:
    it is made once for each connection, and again by the database when it has counted a table anew.
    """
    raw = connection.connection
    name = f"counts_of_{len(_declarations)}"
    statement, values = _look(len(_declarations))
    # Past Django's cursor, so that the first page of a connection counts no more queries than the others.
    with connection.wrap_database_errors, raw.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(
            f"PREPARE {name} (uuid) AS {statement}", [AsIs("$1") if value == _SOMEBODY else value for value in values]
        )
    _prepared[raw] = name
    return name


@cache
def _look(count: int) -> tuple[str, tuple[Any, ...]]:
    """Return the statement of `counts_of` for somebody, made once for so many declarations: it is the same for
    everybody."""
    looks: list[str] = []
    values: list[Any] = []
    for declaration in declarations():
        if declaration.subject_path is None:
            continue
        sql, params = declaration.rows_of(_SOMEBODY).order_by().values("pk").query.sql_with_params()
        looks.append(f"SELECT %s, count(*) FROM ({sql}) AS found")  # noqa: S608  compiled by the ORM
        values += [declaration.label, *params]
    return " UNION ALL ".join(looks), tuple(values)


# Reading models ------------------------------------------------------------------------------------------------------


def installed_models() -> list[type[models.Model]]:
    """Return every model that has a table of its own, third-party ones included, sorted by label."""
    found = [m for m in apps.get_models() if m._meta.managed and not m._meta.proxy]
    return sorted(found, key=lambda model: model._meta.label_lower)


def sealed_in(one: Any) -> str | None:
    """Return the envelope an encrypted field is sealed in; None for any other field."""
    return None if one.concrete else getattr(one, "envelope", None)


def is_sealed(label: str, envelope: str) -> bool:
    """Whether an envelope of this kind of record is sealed under a key; of a kind of an earlier release too."""
    try:
        model = for_label(label).model
    except KeyError:
        return True
    return any(sealed_in(one) == envelope for one in model._meta.get_fields())


def is_sealed_column(one: Any) -> bool:
    """Whether the field is the one column that holds an envelope (its contents are declared, not itself)."""
    return bool(one.concrete) and getattr(one, "envelope", None) is not None


def field_named(model: type[models.Model], name: str) -> Any:
    """Return the field `name` of `model`, encrypted ones included. Raises FieldDoesNotExist."""
    return model._meta.get_field(name)


def is_surrogate_key(one: Any) -> bool:
    """Whether the field is a primary key drawn at random or counted: a number that says nothing by itself."""
    return bool(one.primary_key) and not one.is_relation and isinstance(one, models.AutoField | models.UUIDField)


def fields_to_declare(model: type[models.Model]) -> list[Any]:
    """Return the fields of `model` that its declaration must name: columns, encrypted fields and many-to-many links."""
    columns = [
        one for one in model._meta.local_concrete_fields if not is_sealed_column(one) and not is_surrogate_key(one)
    ]
    encrypted = [one for one in model._meta.private_fields if sealed_in(one)]
    return [*columns, *encrypted, *model._meta.local_many_to_many]


def path_resolves(model: type[models.Model], path: str) -> bool:
    """Whether a query on `model` may follow `path` ("customer__subject", "subject_id")."""
    here: type[models.Model] | None = model
    for step in path.split("__"):
        if here is None:
            return False
        try:
            one = here._meta.get_field(step)
        except FieldDoesNotExist:
            if not any(column.attname == step for column in here._meta.concrete_fields):
                return False
            here = None
            continue
        here = one.related_model if one.is_relation else None
    return True


# Writing the map down ------------------------------------------------------------------------------------------------


def as_json() -> dict[str, Any]:
    """Return the whole map as plain data in a fixed order (Art. 30(1), the published list of P11)."""
    return {
        "format": 1,
        "records": [_record_as_json(declaration) for declaration in declarations()],
        "stores": [
            {"name": s.name, "holds": s.holds, "where": s.where, "until": s.until, "erased_by": s.erased_by}
            for s in stores()
        ],
    }


def _record_as_json(declaration: Declaration) -> dict[str, Any]:
    data = []
    for name, datum in sorted(declaration.data.items()):
        data.append(
            {
                "name": name,
                "title": datum.title,
                "category": datum.category,
                "purposes": list(datum.purposes),
                "source": datum.source,
                "recipients": list(datum.recipients),
                "sealed": sealed_in(field_named(declaration.model, name)) is not None,
                "plain": datum.plain,
                "envelope": declaration.envelope_of(name),
                "export": datum.export,
            }
        )
    return {
        "label": declaration.label,
        "title": declaration.title,
        "table": declaration.model._meta.db_table,
        "subject": declaration.subject_path,
        "end": declaration.end,
        "follows": declaration.follows,
        "life": declaration.life.value if declaration.life else None,
        "ended_by": declaration.ended_by,
        "data": data,
        "impersonal": [{"name": name, "reason": reason} for name, reason in sorted(declaration.impersonal.items())],
    }


def as_markdown() -> str:
    """Return the whole map as a page for people, in a fixed order, ending with a newline."""
    whole = as_json()
    lines = [
        "# Data map",
        "",
        "What is held about people, why, where it came from and who gets it. Written by `data_map --format md`.",
        "",
    ]
    personal = [record for record in whole["records"] if record["data"]]
    for record in personal:
        life = f" Shown under *{Life(record['life']).label}*." if record["life"] else ""
        lines += [f"## {record['title']}", "", f"Record `{record['label']}`.{life} {_ending(record)}", ""]
        lines += [
            "| Datum | Category | Purposes | Source | Recipients | Kept as | In a copy |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for datum in record["data"]:
            kept = f"sealed, envelope `{datum['envelope']}`" if datum["sealed"] else f"readable: {datum['plain']}"
            if not datum["sealed"] and datum["envelope"]:
                kept += f"; ends with envelope `{datum['envelope']}`"
            shown = {"full": "in full", "last4": "last four characters", "no": "not shown"}[datum["export"]]
            cells = [datum["title"], datum["category"], ", ".join(datum["purposes"]), datum["source"]]
            cells += [", ".join(datum["recipients"]) or "nobody", kept, shown]
            lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
        lines.append("")
    lines += ["## Fields that say nothing about people", "", "| Record | Field | Why |", "| --- | --- | --- |"]
    for record in whole["records"]:
        lines += [f"| `{record['label']}` | {one['name']} | {_cell(one['reason'])} |" for one in record["impersonal"]]
    lines += [
        "",
        "## Stores that are no tables",
        "",
        "| Store | Holds | Where | Until | Erased by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in whole["stores"]:
        lines.append(
            "| " + " | ".join(_cell(one[key]) for key in ("name", "holds", "where", "until", "erased_by")) + " |"
        )
    return "\n".join(lines) + "\n"


def _ending(record: Mapping[str, Any]) -> str:
    if record["follows"]:
        return f"It ends with its `{record['follows']}`."
    if record["ended_by"]:
        return f"It ends with {record['ended_by']}."
    if record["end"] == "blank":
        return "At its end the row stays for statistics, unreadable and without its links to a person."
    return "At its end the row is deleted."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
