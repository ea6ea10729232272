"""Take in customers from a file (`import_customers`).

What must never happen: half a file, an overwritten record, a person who was erased and comes back, a consent
nobody gave. So a file is checked whole before anything is written, and written in one transaction; a record that
exists and differs is reported, not changed; who was erased is left out, line by line (accounts/blocked.py); a
"yes" to marketing without proof counts as no. A mistake is undone by erasing what was created: the report and the
audit say how many and when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from accounts import blocked, columnmap, csvfile, reach, regions, spoiled
from accounts.blocked import Blocked
from accounts.columnmap import ColumnMap
from accounts.csvfile import Checks, Problem, Row, Tally
from accounts.models import Address, Channel, Company, ContactPoint, Customer
from accounts.validators import validate_country, validate_phone, validate_reference
from privacy import audit, subjects, vault
from privacy.audit.events import Happened
from privacy.gate import Actor
from privacy.work import progress

COLUMNS = (
    "customer_ref", "company", "title", "first_name", "last_name", "email", "phone", "street", "street2", "city",
    "region", "postal_code", "country", "marketing_opt_in", "since",
)  # fmt: skip
#: Without these no file of another program can be taken in; the map gives the rest, or it is blank.
NEEDED = ("customer_ref",)
ADDRESS = ("street", "street2", "city", "region", "postal_code", "country")
PLACE = ("street", "street2", "city", "postal_code")  # of these one makes an address; a region or country alone none
PERSON = ("title", "first_name", "last_name", "email", "phone")
MAPS = Path(__file__).parent / "maps"
BATCH = 500


@dataclass
class Report:
    """What an import did: counts, and where the file or the records disagree; never a value.

    Every line under the header is one of: created, unchanged, differing, blocked, bad, repeated (of a customer
    who stands above), empty (blank, or nothing but commas), continued (the rest of a field that is left out).
    Where nothing was taken in, `good` counts the lines that could have been. `called` is what a file of
    another program calls our columns.
    """

    created: int = 0
    unchanged: int = 0
    differs: int = 0
    blocked: int = 0
    lines: int = 0
    bad: int = 0
    good: int = 0
    empty: int = 0
    repeated: int = 0
    continued: int = 0
    errors: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    shared: list[dict[str, Any]] = field(default_factory=list)
    differing: list[dict[str, Any]] = field(default_factory=list)
    blocked_lines: list[Problem] = field(default_factory=list)
    columns_left_out: list[str] = field(default_factory=list)
    columns_missing: list[str] = field(default_factory=list)
    consent_without_proof: int = 0
    since_today: int = 0
    called: dict[str, str] = field(default_factory=dict)
    is_written: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "errors": [problem.as_dict() for problem in self.errors],
            "notices": [notice.as_dict() for notice in self.notices],
            "shared_addresses": self.shared,
            "differing": self.differing,
            "blocked_lines": [one.as_dict() for one in self.blocked_lines],
            "columns_left_out": self.columns_left_out,
            "columns_missing": self.columns_missing,
        }


_COUNTS = (
    "created", "unchanged", "differs", "blocked", "lines", "bad", "good", "empty", "repeated", "continued",
    "consent_without_proof", "since_today",
)  # fmt: skip


def import_customers(
    path: str | Path,
    *,
    actor: Actor | None,
    now: datetime,
    dry_run: bool = False,
    skip_bad: bool = False,
    by: ColumnMap | None = None,
) -> Report:
    """Take in the customers of a CSV file, all or none; with `skip_bad` all good ones. Return what happened.

    `by` is the map of a file of another program. Nothing is written when the report has errors and `skip_bad` was not
    said. Raises Problem when the file as a whole cannot be used.
    """
    report, tally = Report(), Tally()
    read = csvfile.read(
        path,
        NEEDED if by else COLUMNS,
        optional=COLUMNS if by else (),
        problems=report.errors,
        by=by,
        maps=columnmap.loaded(MAPS, COLUMNS),
        tally=tally,
    )
    rows = _good(read, report, timezone.localdate(now), by)
    report.errors.sort(key=lambda problem: problem.line)
    report.bad = len({problem.line for problem in report.errors})
    report.lines, report.empty, report.continued = tally.lines, tally.empty, tally.continued
    report.columns_left_out, report.columns_missing = list(tally.left_out), list(tally.missing)
    report.called = tally.header.called if tally.header else {}
    report.good = len(rows)
    if report.errors and not skip_bad:
        return report
    good = {row.line for row in rows}
    report.notices = sorted((one for one in tally.notices if one.line in good), key=lambda one: one.line)
    report.notices += [
        Problem(row.line, "postal_code", notice)
        for row in rows
        if (notice := spoiled.postal_code(row["country"], row["postal_code"]))
    ]
    report.notices += [Problem(row.line, "company", spoiled.SEVERAL) for row in rows if ";" in row["company"]]
    report.notices += [
        Problem(row.line, "last_name" if row["last_name"] else "first_name", spoiled.ONLY_A_NAME)
        for row in rows
        if not any(row[name] for name in ("company", "email", "phone", *PLACE))
    ]
    report.consent_without_proof = sum(row["marketing_opt_in"] == "yes" for row in rows)
    while True:
        taken = replace(report, differing=[], blocked_lines=[], notices=list(report.notices))
        with transaction.atomic():
            new: list[Row] = []
            for start in range(0, len(rows), BATCH):
                progress.tell("lines taken in", start, len(rows))
                new += _take(rows[start : start + BATCH], taken, actor=actor, now=now, dry_run=dry_run)
            # Who was erased while this ran is left out: all is taken back and done again without them.
            found = _blocked(new, new=new)
            if not any(found.column(row["customer_ref"], row["email"]) for row in new):
                break
            transaction.set_rollback(True)
    taken.shared = _shared(rows, new)
    taken.since_today = sum(not row["since"] for row in new)
    taken.is_written = not dry_run
    taken.good = 0
    return taken


def _blocked(rows: Sequence[Row], *, new: Iterable[Row] = ()) -> Blocked:
    """Return by what the rows are about erased people; `new` are those whose customers this import has created."""
    return blocked.among(
        {(row["customer_ref"], row["email"]) for row in rows}, new={row["customer_ref"] for row in new}
    )


def _good(rows: Iterable[Row], report: Report, today: date, by: ColumnMap | None) -> list[Row]:
    """Return the rows whose every value can be taken in; append what is wrong with the others."""
    good: list[Row] = []
    seen: dict[str, int] = {}
    taken: set[str] = set()
    for row in rows:
        reference = row["customer_ref"]
        if by is not None and by.repeats and reference in taken:
            report.repeated += 1
            continue
        if by is not None and row["last_name"] == row["company"] and not row["first_name"]:
            row = replace(row, values={**row.values, "last_name": ""})  # the company once more, and no person
        checks = _checked(row, today, has_days=by is None)
        if reference in seen and not (by is not None and by.repeats):
            checks.wrong("customer_ref", f"It stands in the file twice: first on line {seen[reference]}.")
        elif reference:
            seen.setdefault(reference, row.line)
        report.errors += checks.problems
        if checks.is_good:
            good.append(row)
            taken.add(reference)
    return good


def _checked(row: Row, today: date, *, has_days: bool) -> Checks:
    """Return all that is wrong with a row, at once. Without `has_days` the day may be blank."""
    checks = Checks(row)
    checks.value("customer_ref", _reference)
    for column, model_field in _FIELDS.items():
        if row[column]:
            checks.value(column, partial(_clean, model_field))
    if row["country"]:
        checks.value("country", validate_country)
        if len(row["region"]) <= regions.LONGEST:
            checks.value("region", partial(regions.clean, row["country"]))
    elif any(row[column] for column in PLACE):
        checks.wrong("country", "It is empty, and there is an address.")
    if row["since"] or has_days:
        checks.value("since", csvfile.day_by(today))
    if row["phone"]:
        checks.value("phone", validate_phone)
    if not (row["first_name"] or row["last_name"] or row["company"]) and not {*PERSON, "company"} & row.bad:
        checks.wrong("last_name", "There is neither a name nor a company.")
    if row["marketing_opt_in"] not in ("yes", "no") and (has_days or row["marketing_opt_in"]):
        checks.wrong("marketing_opt_in", "It is neither yes nor no.")
    return checks


def _reference(value: str) -> None:
    try:
        validate_reference(value)
    except ValidationError as error:
        reason = f"{error.message} A map takes in other spellings (references = “ours”)." if value else "It is empty."
        raise ValidationError(reason) from None


def _clean(model_field: Any, value: str) -> Any:
    return model_field.clean(value, None)


_FIELDS: dict[str, Any] = {
    "company": Company._meta.get_field("name"),
    **{name: Customer._meta.get_field(name) for name in (*PERSON, "region") if name != "phone"},
    **{name: Address._meta.get_field(name) for name in PLACE},
}


def _shared(rows: Sequence[Row], new: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the lines whose e-mail address stands on other lines, too, or is on file with another customer.

    Such an address identifies nobody (design 9): it is reported, so that the sender may mend it.
    """
    lines: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row["email"]:
            lines[vault.index.normalise("email", row["email"])].append(row.line)
    index = vault.index_of(Customer, "customer.email")
    of_file = {row.line for row in new}
    # Those of this file are lines; who was created by it stands on file meanwhile.
    in_file = {row["customer_ref"] for row in rows}
    found = []
    for start in range(0, len(rows), BATCH):
        batch = [row for row in rows[start : start + BATCH] if row["email"]]
        (holders,) = vault.carriers([(index, {row["email"] for row in batch})])
        references = dict(
            Customer.objects.filter(pk__in={pk for pks in holders.values() for pk in pks}).values_list(
                "pk", "reference"
            )
        )
        for row in batch:
            others = [line for line in lines[vault.index.normalise("email", row["email"])] if line != row.line]
            on_file = {references[pk] for pk in holders.get(row["email"], ()) if pk in references} - in_file
            if row.line in of_file and (others or on_file):
                found.append({"line": row.line, "lines": others, "on_file": len(on_file)})
    return found


def _take(rows: Sequence[Row], report: Report, *, actor: Actor | None, now: datetime, dry_run: bool) -> list[Row]:
    """Sort one batch into unchanged, differing, blocked and new; create the new ones, and return them."""
    existing = {
        one.reference: one
        for one in Customer.objects.filter(reference__in=[row["customer_ref"] for row in rows])
        .select_related("company")
        .prefetch_related(models.Prefetch("addresses", Address.objects.order_by("id"), "on_file"))
    }
    erased = _blocked(rows)
    with vault.internal():  # one unit for the batch: its keys are loaded together
        differences = {
            row["customer_ref"]: _differences(row, existing[row["customer_ref"]])
            for row in rows
            if row["customer_ref"] in existing
        }
    new: list[Row] = []
    for row in rows:
        different = differences.get(row["customer_ref"])
        if different is not None:
            if different:
                report.differs += 1
                report.differing.append({"line": row.line, "columns": different})
            else:
                report.unchanged += 1
        elif column := erased.column(row["customer_ref"], row["email"]):
            report.blocked += 1
            report.blocked_lines.append(blocked.problem(row.line, column))
        else:
            new.append(row)
            if row["email"] in erased.shared:
                report.notices.append(Problem(row.line, "email", blocked.SHARED))
    report.created += len(new)
    if new and not dry_run:
        _create(new, actor=actor, now=now)
    return new


def _differences(row: Row, customer: Any) -> list[str]:
    """Return the columns in which a row differs from what is on file; opened for the comparison only."""
    address = customer.on_file[0] if customer.on_file else None
    on_file = {name: getattr(customer, name) for name in PERSON}
    on_file["company"] = customer.company.name if customer.company else ""
    on_file["since"] = customer.since.isoformat()
    on_file |= {name: getattr(address, name) if address else "" for name in PLACE}
    # A region or country without an address stands with the person.
    on_file |= {name: getattr(address or customer, name) for name in ("region", "country")}
    given = {name: row[name] for name in COLUMNS if name in row.values}
    if "region" in given:
        given["region"] = regions.code(row["country"], row["region"]) or row["region"]
    if not given.get("since"):
        given.pop("since", None)  # the file says nothing of it
    return [name for name in COLUMNS if name in on_file and name in given and on_file[name] != given[name]]


def _create(rows: Sequence[Row], *, actor: Actor | None, now: datetime) -> None:
    companies = _companies([row["company"] for row in rows if row["company"]], rows, timezone.localdate(now))
    owners = subjects.create_many(len(rows), now=now)
    customers, addresses = [], []
    for row, owner in zip(rows, owners, strict=True):
        since = date.fromisoformat(row["since"]) if row["since"] else timezone.localdate(now)
        company = companies.get(row["company"])
        customer = Customer(
            reference=row["customer_ref"],
            kind=Customer.Kind.CONTACT if company else Customer.Kind.PERSON,
            subject=owner,
            company=company,
            region=row["region"],
            country=row["country"],
            channel=Channel.MAIL,
            since=since,
            last_active_on=since,
            **{name: row[name] for name in PERSON},
        )
        customers.append(customer)
        if any(row[name] for name in PLACE):
            addresses.append(Address(customer=customer, **{name: row[name] for name in ADDRESS}))
    Customer.objects.bulk_create(customers)
    Address.objects.bulk_create(addresses)
    # What no letter can reach proves nothing: a code by post goes to a whole address only.
    whole = [one for one in addresses if (one.street or one.street2) and (one.city or one.postal_code)]
    reach.created(customers, whole, came=ContactPoint.Came.CREATED, now=now)
    audit.record_many(
        [
            Happened(
                "customer.imported", subject=one.subject_id, record=(Customer.vault_label, one.pk), fields=COLUMNS[:-2]
            )
            for one in customers
        ],
        actor=actor,
        now=now,
    )


def _companies(names: Iterable[str], rows: Sequence[Row], today: date) -> dict[str, Company]:
    """Return the company of each exact name: the one on file, else a new one with the address of its first contact."""
    wanted = list(dict.fromkeys(names))
    found = dict(_on_file(wanted))
    first = {row["company"]: row for row in reversed(rows)}
    new = [
        Company(
            name=name,
            region=first[name]["region"],
            country=first[name]["country"],
            last_active_on=date.fromisoformat(first[name]["since"]) if first[name]["since"] else today,
        )
        for name in wanted
        if name not in found
    ]
    Company.objects.bulk_create(new)
    return found | dict(zip([name for name in wanted if name not in found], new, strict=True))


def _on_file(names: Iterable[str]) -> Iterator[tuple[str, Company]]:
    for name in names:
        for company in Company.objects.find("company.name", name).order_by("pk"):
            with vault.internal():
                is_same = company.name == name
            if is_same:
                yield name, company
                break
