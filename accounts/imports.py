"""Take in customers from a file (`import_customers`).

What must never happen: half a file, an overwritten record, a person who was erased and comes back, a consent nobody
gave. So a file is checked whole before anything is written, and written in one transaction; a record that exists and
differs is reported, not changed; blocked references and addresses are left out; a "yes" to marketing without proof
counts as no. A mistake is undone by erasing what was created: the report and the audit say how many and when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from accounts import csvfile, reach, regions
from accounts.csvfile import Problem, Row
from accounts.models import Address, Channel, Company, ContactPoint, Customer
from accounts.validators import validate_country, validate_phone, validate_reference
from privacy import audit, progress, subjects, vault
from privacy.audit.events import Happened
from privacy.gate import Actor

COLUMNS = (
    "customer_ref", "company", "title", "first_name", "last_name", "email", "phone", "street", "street2", "city",
    "region", "postal_code", "country", "marketing_opt_in", "since",
)  # fmt: skip
ADDRESS = ("street", "street2", "city", "region", "postal_code", "country")
PERSON = ("title", "first_name", "last_name", "email", "phone")
BATCH = 500


@dataclass
class Report:
    """What an import did: counts, and where the file or the records disagree; never a value."""

    created: int = 0
    unchanged: int = 0
    differs: int = 0
    blocked: int = 0
    errors: list[Problem] = field(default_factory=list)
    differing: list[dict[str, Any]] = field(default_factory=list)
    consent_without_proof: int = 0
    is_written: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "created": self.created,
            "unchanged": self.unchanged,
            "differs": self.differs,
            "blocked": self.blocked,
            "errors": [problem.as_dict() for problem in self.errors],
            "differing": self.differing,
            "consent_without_proof": self.consent_without_proof,
        }


def import_customers(
    path: str | Path, *, actor: Actor | None, now: datetime, dry_run: bool = False, skip_bad: bool = False
) -> Report:
    """Take in the customers of a CSV file, all or none; with `skip_bad` all good ones. Return what happened.

    Nothing is written when the report has errors and `skip_bad` was not said. Raises Problem when the file as a whole
    cannot be used.
    """
    report = Report()
    rows = _good(csvfile.read(path, COLUMNS, problems=report.errors), report.errors, timezone.localdate(now))
    report.errors.sort(key=lambda problem: problem.line)
    if report.errors and not skip_bad:
        return report
    report.consent_without_proof = sum(row["marketing_opt_in"] == "yes" for row in rows)
    while True:
        taken = replace(report, differing=[])
        with transaction.atomic():
            new: list[Row] = []
            for start in range(0, len(rows), BATCH):
                progress.tell("lines taken in", start, len(rows))
                new += _take(rows[start : start + BATCH], taken, actor=actor, now=now, dry_run=dry_run)
            # Who was erased while this ran is left out: all is taken back and done again without them.
            if not any(_blocked(new)):
                break
            transaction.set_rollback(True)
    taken.is_written = not dry_run
    return taken


def _blocked(rows: Sequence[Row]) -> tuple[set[str], set[str]]:
    """Return the customer numbers and the e-mail addresses of erased people among the rows."""
    refs = vault.blocks.are_blocked("customer_ref", [row["customer_ref"] for row in rows])
    return refs, vault.blocks.are_blocked("email", [row["email"] for row in rows if row["email"]])


def _good(rows: Iterable[Row], problems: list[Problem], today: date) -> list[Row]:
    """Return the rows whose every value can be taken in; append what is wrong with the others."""
    good: list[Row] = []
    seen: set[str] = set()
    for row in rows:
        try:
            _check(row, seen, today)
        except Problem as problem:
            problems.append(problem)
        else:
            good.append(row)
        seen.add(row["customer_ref"])
    return good


def _check(row: Row, seen: set[str], today: date) -> None:
    csvfile.checked(row, "customer_ref", validate_reference)
    if row["customer_ref"] in seen:
        raise Problem(row.line, "customer_ref", "It stands in the file twice.")
    if row["company"]:
        csvfile.checked(row, "company", partial(_clean, Company._meta.get_field("name")))
    for column, model_field in _FIELDS.items():
        csvfile.checked(row, column, partial(_clean, model_field))
    csvfile.checked(row, "country", validate_country)
    csvfile.checked(row, "region", partial(regions.clean, row["country"]))
    csvfile.checked(row, "since", csvfile.day_by(today))
    if row["phone"]:
        csvfile.checked(row, "phone", validate_phone)
    if not row["last_name"]:
        raise Problem(row.line, "last_name", "It is empty.")
    if row["marketing_opt_in"] not in ("yes", "no"):
        raise Problem(row.line, "marketing_opt_in", "It is neither yes nor no.")


def _clean(model_field: Any, value: str) -> Any:
    return model_field.clean(value, None)


_FIELDS: dict[str, Any] = {
    **{name: Customer._meta.get_field(name) for name in (*PERSON, "region")},
    **{name: Address._meta.get_field(name) for name in ("street", "street2", "city", "postal_code")},
}


def _take(rows: Sequence[Row], report: Report, *, actor: Actor | None, now: datetime, dry_run: bool) -> list[Row]:
    """Sort one batch into unchanged, differing, blocked and new; create the new ones, and return them."""
    existing = {
        one.reference: one
        for one in Customer.objects.filter(reference__in=[row["customer_ref"] for row in rows])
        .select_related("company")
        .prefetch_related(models.Prefetch("addresses", Address.objects.order_by("id"), "on_file"))
    }
    refs, emails = _blocked(rows)
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
        elif row["customer_ref"] in refs or row["email"] in emails:
            report.blocked += 1
        else:
            new.append(row)
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
    on_file |= {name: getattr(address, name) if address else "" for name in ADDRESS}
    given = {name: row[name] for name in COLUMNS}
    given["region"] = regions.code(row["country"], row["region"]) or row["region"]
    return [name for name in COLUMNS if name in on_file and on_file[name] != given[name]]


def _create(rows: Sequence[Row], *, actor: Actor | None, now: datetime) -> None:
    companies = _companies([row["company"] for row in rows if row["company"]], rows)
    owners = subjects.create_many(len(rows), now=now)
    customers, addresses = [], []
    for row, owner in zip(rows, owners, strict=True):
        since = date.fromisoformat(row["since"])
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
        if row["street"] or row["city"]:
            addresses.append(Address(customer=customer, **{name: row[name] for name in ADDRESS}))
    Customer.objects.bulk_create(customers)
    Address.objects.bulk_create(addresses)
    reach.created(customers, addresses, came=ContactPoint.Came.CREATED, now=now)
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


def _companies(names: Iterable[str], rows: Sequence[Row]) -> dict[str, Company]:
    """Return the company of each exact name: the one on file, else a new one with the address of its first contact."""
    wanted = list(dict.fromkeys(names))
    found = dict(_on_file(wanted))
    first = {row["company"]: row for row in reversed(rows)}
    new = [
        Company(
            name=name,
            region=first[name]["region"],
            country=first[name]["country"],
            last_active_on=date.fromisoformat(first[name]["since"]),
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
