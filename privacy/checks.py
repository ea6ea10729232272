"""System checks: what is undeclared, personal and in clear, or readable by nobody stops `manage.py` itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import models
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from privacy import datamap, vault
from privacy.datamap import Declaration
from privacy.gate import matrix
from privacy.requests import procedures, regimes
from privacy.retention import rules

if TYPE_CHECKING:
    from privacy.requests.procedure import Procedure


@register("privacy")
def check_data_map(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every field of every installed model is declared, and every declaration is true (P18, E001-E007, E013)."""
    found: list[CheckMessage] = []
    for model in datamap.installed_models():
        try:
            declaration = datamap.for_model(model)
        except KeyError:
            found.append(
                Error(
                    f"{model._meta.label} is not in the data map.",
                    hint="Declare it in its app's personal_data.py; a third-party model in ilt_site/personal_data.py.",
                    obj=model,
                    id="privacy.E001",
                )
            )
            continue
        for check in _OF_A_DECLARATION:
            found.extend(check(declaration))
    return found


def _undeclared(declaration: Declaration) -> Iterator[CheckMessage]:
    named = {*declaration.data, *declaration.impersonal}
    for one in datamap.fields_to_declare(declaration.model):
        if one.name not in named:
            yield _error(
                declaration,
                f"{_label(declaration)}.{one.name} is not in the data map.",
                "Declare it as a Datum, or as impersonal with a reason.",
                "E002",
            )
    for name in sorted(set(declaration.data) & set(declaration.impersonal)):
        yield _error(
            declaration, f"{_label(declaration)}.{name} is declared both personal and impersonal.", None, "E002"
        )


def _unknown(declaration: Declaration) -> Iterator[CheckMessage]:
    for name in (*declaration.data, *declaration.impersonal):
        if _field(declaration, name) is None:
            yield _error(
                declaration, f"The data map names {_label(declaration)}.{name}, which does not exist.", None, "E003"
            )


def _unsealed(declaration: Declaration) -> Iterator[CheckMessage]:
    for name, datum in declaration.data.items():
        one = _field(declaration, name)
        if one is None:
            continue
        sealed = datamap.sealed_in(one)
        if sealed is None and not datum.plain.strip():
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} is personal and not sealed.",
                'Make it an encrypted field, or say in Datum(plain="…") why it may stand in clear.',
                "E004",
            )
        if sealed is not None and datum.plain:
            yield _error(declaration, f"{_label(declaration)}.{name} is sealed; `plain` does not apply.", None, "E004")
        # A row that is not sealed ends with a class of the schedule (the access log's); E007 knows whether it exists.
        own = _envelopes(declaration.model)
        if datum.envelope and own and datum.envelope not in own:
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} ends with the envelope {datum.envelope!r}, which the record has not.",
                None,
                "E004",
            )
        if not datum.purposes or not all(datum.purposes):
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} names no purpose.",
                "P29: each datum names at least one.",
                "E004",
            )
    for name, reason in declaration.impersonal.items():
        one = _field(declaration, name)
        if one is not None and datamap.sealed_in(one) is not None:
            yield _error(declaration, f"{_label(declaration)}.{name} is sealed but declared impersonal.", None, "E004")
        if not reason.strip():
            yield _error(
                declaration, f"{_label(declaration)}.{name} is declared impersonal without a reason.", None, "E004"
            )


def _life(declaration: Declaration) -> Iterator[CheckMessage]:
    """What is held about somebody stands on their page in one part of their life with us; nothing else does."""
    if (declaration.subject_path is None) != (declaration.life is None):
        yield _error(
            declaration,
            f"{_label(declaration)} leads to a person and says not to which part of their life with us it belongs, or "
            "says so and leads to nobody.",
            "Name one of datamap.Life in `life`.",
            "E013",
        )
    if declaration.inside:
        link = _field(declaration, declaration.inside)
        outer = datamap.for_model(link.related_model) if link is not None and link.is_relation else None
        if outer is None or outer.life is not declaration.life:
            yield _error(
                declaration,
                f"{_label(declaration)} is to be shown inside of {declaration.inside!r}, which leads to no record of the "
                "same part of life.",
                None,
                "E013",
            )


def _said(declaration: Declaration) -> Iterator[CheckMessage]:
    """What a person reads of a field has a title, each once; a list or a table of values has words of its own."""
    if declaration.told is not None or declaration.life is None:
        return
    titles = [one.title for one in declaration.data.values() if one.export != "no"]
    for name, why in declaration.impersonal.items():
        if isinstance(why, datamap.Titled):
            titles.append(why.heading)
        elif not isinstance(why, datamap.Machinery):
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} is shown to its person without a title.",
                "Say Titled(reason, title), or Machinery(reason) where it tells its person nothing.",
                "E013",
            )
    for title in sorted({one for one in titles if titles.count(one) > 1}):
        yield _error(declaration, f"{_label(declaration)}: two fields have the title {title!r}.", None, "E013")
    for name, datum in declaration.data.items():
        says = set(datum.says or ())
        one = _field(declaration, name)
        if says and says != {str(value) for value, _words in one.flatchoices}:
            yield _error(
                declaration, f"{_label(declaration)}.{name}: `says` has not the codes of its choices.", None, "E013"
            )
    for name, datum in declaration.data.items():
        one = _field(declaration, name)
        is_table = isinstance(one, models.JSONField | vault.EncryptedJSONField)
        if is_table and datum.export != "no" and datum.words is None:
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} holds a table of values, and nothing says it in words.",
                "Give the Datum `words`, or keep it out of copies with export='no'.",
                "E013",
            )


def _paths(declaration: Declaration) -> Iterator[CheckMessage]:
    path = declaration.subject_path
    if path is not None and not datamap.path_resolves(declaration.model, path):
        yield _error(
            declaration, f"{_label(declaration)}: the way to the subject, {path!r}, leads nowhere.", None, "E005"
        )
    for path in declaration.related:
        if not datamap.path_resolves(declaration.model, path):
            yield _error(
                declaration, f"{_label(declaration)}: the related record {path!r} does not exist.", None, "E005"
            )
    for name in declaration.links:
        one = _field(declaration, name)
        if one is None or not one.is_relation or not one.null:
            yield _error(
                declaration,
                f"{_label(declaration)}.{name} is no link that can be cut: it must be a nullable foreign key.",
                None,
                "E005",
            )
    if declaration.reference is not None and _field(declaration, declaration.reference) is None:
        yield _error(
            declaration,
            f"{_label(declaration)}.{declaration.reference} does not exist, so nobody can call the record by it.",
            None,
            "E005",
        )
    if declaration.follows:
        one = _field(declaration, declaration.follows)
        if one is None or not one.is_relation:
            yield _error(
                declaration,
                f"{_label(declaration)} follows {declaration.follows!r}, which is no link of it.",
                None,
                "E005",
            )


def _fate(declaration: Declaration) -> Iterator[CheckMessage]:
    ends = declaration.facts or declaration.follows or declaration.ended_by
    if declaration.is_personal and declaration.subject_path and not ends:
        yield _error(
            declaration,
            f"{_label(declaration)} holds personal data and nothing says when it ends.",
            "Give it `facts` for the assessment, name in `follows` the record it ends with, or say in `ended_by` what ends it.",
            "E006",
        )


_OF_A_DECLARATION: tuple[Callable[[Declaration], Iterable[CheckMessage]], ...] = (
    _undeclared,
    _unknown,
    _unsealed,
    _paths,
    _life,
    _said,
    _fate,
)


@register("privacy")
def check_retention_classes(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every envelope, and every class the data map names, is a class of the retention schedule (E007)."""
    envelopes = {envelope for _, envelope in matrix.known_pairs()}
    for declaration in datamap.declarations():
        envelopes.update(datum.envelope for datum in declaration.data.values() if datum.envelope)
    return [
        Error(problem, hint="See privacy/retention/schedule.toml.", id="privacy.E007")
        for problem in rules.problems(envelopes)
    ]


@register("privacy")
def check_regimes(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The file that says how long an answer may take is one that the clock can read (E012)."""
    return [Error(one, hint="See privacy/requests/regimes.toml.", id="privacy.E012") for one in regimes.problems()]


@register("privacy")
def check_rights(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every right's steps have functions, its letters and pages templates, its purpose a line of the
    matrix, its laws a clock (E014)."""
    hint = "See privacy/requests/procedures.py."
    return [
        Error(f"The right {right.kind!r}: {said}", hint=hint, id="privacy.E014")
        for right in procedures.rights()
        for said in _missing(right)
    ]


def _missing(right: Procedure) -> Iterator[str]:
    """Yield what an entry of the table of rights names and nothing has."""
    for step in right.steps:
        try:
            step.function()
        except ImportError:
            yield f"its step {step.name!r} names {step.do}, which does not exist."
    letters = right.letters
    templates = [f"privacy/email/{kind}.html" for kind in letters.kinds]
    part = [letters.receipt_part] if letters.receipt_part else []
    pages = [one for one in astuple(right.pages) if one]
    for name in (*templates, *part, *pages):
        try:
            get_template(name)
        except TemplateDoesNotExist:
            yield f"it names the template {name}, which does not exist."
    try:
        known = f"system:{right.purpose}" in matrix.matrix().roles
    except (ImproperlyConfigured, OSError):  # said by another check
        known = True
    if not known:
        yield f"the access matrix knows no purpose {right.purpose!r}."
    if right.at_gate.opens and not right.at_gate.told:
        yield f"its purpose {right.purpose!r} has no words for the person whose data it opens."
    for kind in letters.kinds:
        if kind not in letters.titles:
            yield f"its letter {kind!r} has no title."
    for law in sorted((right.laws or frozenset()) - {one.name for one in regimes.regimes()}):
        yield f"regimes.toml has no law {law!r}."
    for other in right.waits_for:
        if other not in procedures.TABLE:
            yield f"it waits for {other!r}, which is no right."


@register("privacy")
def check_access_matrix(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Every envelope is readable by some role, each line of the matrix names what exists (P40, E008-E009)."""
    try:
        page = matrix.matrix()
    except (ImproperlyConfigured, OSError) as error:
        return [Error(str(error), id="privacy.E008")]
    pairs = matrix.known_pairs()
    found: list[CheckMessage] = [
        Error(f"The access matrix gives {rule.role!r} {rule.pattern!r}, which no sealed model has.", id="privacy.E008")
        for rule in page.rules
        if not any(rule.matches(pair) for pair in pairs)
    ]
    # A line that ends in "/*" (the erasure's, the demo's) is no decision about an envelope.
    readable = {
        pair
        for rule in page.rules
        if rule.read and not rule.pattern.endswith("/*")
        for pair in pairs
        if rule.matches(pair)
    }
    found += [
        Error(f"No role may read {label}/{envelope}: name it in the access matrix.", id="privacy.E009")
        for label, envelope in sorted(pairs - readable)
    ]
    return found


@register("privacy")
def check_restricted(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Whatever can keep an envelope after an erasure has its line in the table `restricted` (design 10, E011)."""
    try:
        page, schedule = matrix.matrix(), rules.load()
    except (ImproperlyConfigured, OSError, rules.ScheduleError):
        return []  # E008 and E007 tell
    wanted = {"hold", "ending"}
    for envelope in {envelope for _, envelope in matrix.known_pairs()} & set(schedule.classes):
        wanted.add(envelope)
        for reason in schedule[envelope].reasons:
            if reason.is_open_ended:
                wanted |= reason.when
    missing = [
        Error(f"The access matrix does not say to whom a record opens that {name!r} keeps.", id="privacy.E011")
        for name in sorted(wanted - set(page.purposes))
    ]
    unknown = page.always - page.roles
    return [*missing, *(Error(f"The access matrix knows no {role!r}.", id="privacy.E011") for role in sorted(unknown))]


def _envelopes(model: type[models.Model]) -> tuple[str, ...]:
    found = getattr(model, "envelopes", None)
    return tuple(found()) if callable(found) else ()


def _field(declaration: Declaration, name: str) -> Any:
    try:
        return datamap.field_named(declaration.model, name)
    except FieldDoesNotExist:
        return None


def _label(declaration: Declaration) -> str:
    return declaration.model._meta.label


def _error(declaration: Declaration, message: str, hint: str | None, code: str) -> Error:
    return Error(message, hint=hint, obj=declaration.model, id=f"privacy.{code}")
