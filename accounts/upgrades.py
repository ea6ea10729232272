"""What an earlier version left in readable columns, without an index, or not bound to its row: settled by `prepare`,
after the tables were changed.

What must never happen: a text stays readable because a migration cannot seal; a record that was erased takes data
again; one row that cannot be sealed keeps the others readable. So each batch stands for itself, what was killed goes
on where it stopped, and `check --database default` warns as long as rows are left, those too that a process of the
version before wrote meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connection, models, transaction

from accounts import (
    confirmed,
    contact_links,
    countries,
    factor_secrets,
    keys_follow,
    regions,
    vouching,
    witnessed,
)
from accounts.models import Address, Company, Customer
from accounts.validators import validate_country
from privacy import audit, letters, vault
from privacy.actor import Actor
from privacy.letters.models import Letter
from privacy.requests import bound, contradictions, links, planned, rebound, writing
from privacy.requests.models import Request
from privacy.retention import decided, in_force
from privacy.sweep import notices as ending
from privacy.typed.lines import on_one_line
from privacy.vault import reindex
from privacy.vault.keystore import once
from privacy.work import broken, progress
from privacy.work.broken import Findings

PLACED: tuple[type[Any], ...] = (Company, Customer, Address)
NAMES: tuple[tuple[type[Any], str], ...] = (
    (Customer, "customer.name"),
    (Company, "company.name"),
)
BATCH = 500


def settle_countries(*, actor: Actor, now: datetime) -> int:
    """Put right every code of a country that an earlier version took in and that stands for
    exactly one; return how many rows.

    UK becomes GB, EL becomes GR, de becomes DE; each such change is one event of the audit. What could be another
    country is left for staff (`countries_left`). Safe to repeat.
    """
    done = 0
    for model, name in country_columns():
        for old in sorted(set(misspelt(model, name).values_list(name, flat=True))):
            if not (new := countries.FORMER.get(old.upper()) or countries.find(old)):
                continue
            with transaction.atomic():
                rows = write_country(model, name, models.Q(**{name: old}), new)
                audit.record(
                    "countries.settled", actor=actor, now=now, fields=[f"{model._meta.label_lower}.{name}"],
                    reason=f"{old} became {new} in {rows} rows",
                )  # fmt: skip
            done += rows
            progress.tell("countries settled", done)
    return done


def misspelt_countries() -> list[tuple[type[Any], str, Any, str]]:
    """Return model, column, number and code of every row whose country is no code of ISO 3166-1: what staff have to
    choose."""
    return [
        (model, name, pk, code)
        for model, name in country_columns()
        for pk, code in misspelt(model, name).order_by("pk").values_list("pk", name)
    ]


def country_columns() -> list[tuple[type[Any], str]]:
    """Return every column of a country: those with our validator, and where a request says that the person is."""
    found = [
        (model, one.name)
        for model in apps.get_models()
        if model._meta.managed
        for one in model._meta.concrete_fields
        if validate_country in one.validators
    ]
    return [*found, (Request, "country")]


def write_country(model: type[Any], name: str, which: models.Q, code: str) -> int:
    """Write a code into the column of a country of these rows, in the caller's transaction; return how many. That of a
    request stands under its keyed hash."""
    if model is Request:
        return bound.write(which, **{name: code})
    return models.QuerySet(model).filter(which).update(**{name: code})


def misspelt(model: type[Any], name: str) -> models.QuerySet[Any]:
    """Return the rows of a column whose country is none; a blank one is not given, and no mistake."""
    return models.QuerySet(model).exclude(**{f"{name}__in": ["", *countries.NAMES]})


def settle_regions(*, batch: int = BATCH) -> Findings:
    """Make a code of every region of before that is one, and seal the others; return which rows could not be.

    Nothing is sealed into a record that was erased: its text goes. Safe to repeat, and to go on with after a kill.
    """
    findings = Findings()
    for model in PLACED:
        envelope, after, done = next(iter(model.envelopes())), None, 0
        while ids := _next(model, after, batch):
            settled = broken.spared(
                ids,
                partial(_settle, model, envelope),
                step="settle_regions",
                label=model.vault_label,
                findings=findings,
            )
            done += sum(settled)
            progress.tell("regions settled", done)
            after = ids[-1]
    return findings


def index_phones(*, batch: int = BATCH) -> Findings:
    """Place the tokens of the telephone numbers of before, of every app, as this version compares them;
    return which rows could not be.

    Safe to repeat, and to go on: each batch asks which of its rows have none yet. What an earlier
    version placed goes with its keys.
    """
    return _indexed(phone_indexes(), step="index_phones", what="phone numbers indexed", batch=batch)


def phone_indexes() -> list[tuple[type[Any], str]]:
    """Return each model of every app that has telephone numbers, with the name of their index."""
    return [
        (model, blind.field)
        for model in apps.get_models()
        if issubclass(model, vault.SealedModel)
        for field in model._meta.private_fields
        for blind in getattr(field, "blind", ())
        if isinstance(blind, vault.Exact) and blind.normaliser == "phone"
    ]


def index_names(*, batch: int = BATCH) -> Findings:
    """Place the tokens of the words of names as this version compares them; return which rows could not be.

    Safe to repeat, and to go on: each batch asks which of its rows have none yet. What an earlier
    version placed goes with its keys.
    """
    return _indexed(NAMES, step="index_names", what="names indexed", batch=batch)


def _indexed(indexes: Sequence[tuple[type[Any], str]], *, step: str, what: str, batch: int) -> Findings:
    findings = Findings()
    for model, name in indexes:
        after, done = None, 0
        while True:
            ids, after = reindex.without(model, name, after=after, most=batch)
            if after is None:
                break
            placed = broken.spared(
                ids, partial(reindex.place, model, name), step=step, label=model.vault_label, findings=findings
            )
            done += sum(placed)
            progress.tell(what, done)
    return findings


def bind_rows(*, now: datetime) -> int:
    """Bind one-time links, outcome codes, second factors, joinings, proposals, requests, their files, decisions, holds,
    confirmed addresses and logins of before to their rows; return how many.

    Once in the life of an installation: a second time it would make valid what somebody planted in the tables
    meanwhile.
    """
    done = once.do(once.LINKS, _bind_links, now=now)
    done += once.do(once.FACTORS, factor_secrets.bind_all, now=now)
    done += once.do(once.JOININGS, keys_follow.bind_all, now=now)
    done += once.do(once.PROPOSALS, keys_follow.bind_proposals, now=now)
    done += once.do(once.REQUESTS, rebound.bind_all, now=now)
    done += once.do(once.STEPS, partial(rebound.bind_steps, contradictions.is_step_supported), now=now)
    done += once.do(once.HISTORIES, partial(rebound.bind_histories, contradictions.of), now=now)
    done += once.do(once.EVENTS, partial(rebound.bind_events, contradictions.of), now=now)
    done += once.do(once.PARKED, partial(rebound.bind_parked, contradictions.of), now=now)
    done += once.do(once.WEEKS, rebound.bind_weeks, now=now)
    done += once.do(once.DECISIONS, decided.bind_all, now=now)
    done += once.do(once.FORGOTTEN, partial(decided.bind_forgotten, planned.forgotten), now=now)
    done += once.do(once.ENDS, decided.bind_ends, now=now)
    done += once.do(once.WORDS, partial(decided.bind_words, planned.worded), now=now)
    done += once.do(once.PLACES, partial(decided.bind_places, planned.placed), now=now)
    done += once.do(once.HOLDS, in_force.bind_all, now=now)
    done += once.do(once.ADDRESSES, confirmed.bind_all, now=now)
    done += once.do(once.NOTICES, contact_links.bind_letters, now=now)
    done += once.do(once.LETTERS, partial(_note_letters, now), now=now)
    once.do(once.CONFIRMATIONS, partial(witnessed.confirm_earlier, now=now), now=now)  # by the hashes made above
    return done + once.do(once.LOGINS, vouching.vouch_first, now=now)


def _bind_links() -> int:
    return links.bind_all() + ending.bind_all() + contact_links.bind_all()


def _note_letters(now: datetime) -> int:
    asking = Letter.objects.filter(kind__in=writing.ASKING, request__isnull=False)
    done = letters.note_gone_before(asking, now=now) + contact_links.note_letters(now=now)
    return done + ending.bind_told(now=now)


def unsettled(model: type[Any]) -> models.QuerySet[Any]:
    """Return the rows whose readable column still holds what was typed as a region."""
    return models.QuerySet(model).exclude(regions.plain())


def _next(model: type[Any], after: UUID | None, most: int) -> list[UUID]:
    found = unsettled(model).order_by("pk")
    return list((found.filter(pk__gt=after) if after else found).values_list("pk", flat=True)[:most])


def _settle(model: type[Any], envelope: str, ids: Sequence[UUID]) -> int:
    with transaction.atomic(), vault.internal():  # shown to nobody
        rows = model.objects.filter(pk__in=ids).exclude(regions.plain()).order_by("pk").select_for_update(of=("self",))
        if model is Address:
            rows = rows.select_related("customer")  # whose keys they are
        erased = {pk for pk, _ in vault.keys.destroyed([(pk, envelope) for pk in ids])}
        codes: dict[str, list[UUID]] = defaultdict(list)
        texts: list[Any] = []
        for row in rows:
            text = on_one_line(row.state).strip()
            code = regions.code(row.country, text)
            if code or not text or row.pk in erased:
                codes[code].append(row.pk)
            else:
                row.region = text
                texts.append(row)
        for code, coded in codes.items():
            models.QuerySet(model).filter(pk__in=coded).update(state=code)
        model.objects.bulk_update(texts, ["region"])
    return len(texts) + sum(map(len, codes.values()))


@checks.register(checks.Tags.database)
def regions_left(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning as long as what was typed as a region stands in a readable column."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    left = [str(model._meta.verbose_name_plural) for model in PLACED if _is_there(model) and unsettled(model).exists()]
    if not left:
        return []
    text = f"Regions that were typed before stand readable in the main database: {', '.join(left)}."
    return [checks.Warning(text, hint="Run `prepare` as the owner: it is safe to repeat.", id="accounts.W001")]


@checks.register(checks.Tags.database)
def countries_left(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning as long as a country on file is none of ISO 3166-1."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    left = [
        f"{model._meta.verbose_name_plural} ({name})"
        for model, name in country_columns()
        if _is_there(model) and misspelt(model, name).exists()
    ]
    if not left:
        return []
    text = (
        f"Countries that are none of ISO 3166-1 stand on file, and say nothing of the person's law: {', '.join(left)}."
    )
    hint = (
        "Run `prepare` as the owner: it puts right what is certain. `countries` names the rows of the others, and takes the country "
        "that somebody found out; so do the pages of customers and companies, whose lists have a filter for it."
    )
    return [checks.Warning(text, hint=hint, id="accounts.W003")]


def _is_there(model: type[Any]) -> bool:
    """Whether the table is there: `migrate` asks before it has made it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [model._meta.db_table])
        return bool(cursor.fetchone()[0])
