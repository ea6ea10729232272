"""Pages of the back office: guarded lists, what can be done as one page each, the history of a record, the work lists.

What must never happen: something done by a GET or by ticking boxes in a list, a row deleted here, a question about
people put into a URL. So there are no actions and no deletion, a list can be narrowed by its own filters only, and
every change is a step: one page, one POST, one call of a service.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import display_for_field, quote, unquote
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst

from privacy import audit, gate
from privacy.admin import covers, why
from privacy.admin.covers import reason
from privacy.admin.lists import LimitedList
from privacy.datamap import sealed_in
from privacy.gate import Actor, fingerprint
from privacy.vault import Erased, Unreadable

NOBODY = Actor(kind="anonymous", id=None, subject=None, roles=frozenset(), purpose="admin")
SHOWN_ON_FRONT_PAGE = 10
MOST_ROWS = 200
SHOWN_OF_MATTERS = 20


def acting() -> Actor:
    """Return who is at work; without a current confidentiality acknowledgement an actor without roles."""
    return gate.current() or NOBODY


@dataclass(frozen=True, slots=True)
class Task:
    """One line of a work list: where it is done, what it is, when it is due, and whether it is late."""

    url: str
    text: str
    when: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class WorkList:
    """What waits for somebody, the most urgent first; `total` counts what is not shown, too.

    `is_stopped`: the database took too long to say what waits.
    """

    title: str
    url: str
    tasks: list[Task]
    total: int
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Questions of a step that belong together: what they are about, when they are to be answered, and their names."""

    title: str
    help: str
    names: tuple[str, ...]


class Step(forms.Form):
    """What can be done with a record now: a name, a sentence about it, and what has to be filled in first."""

    title: ClassVar[str] = ""
    help: ClassVar[str] = ""
    is_destructive: ClassVar[bool] = False
    is_offered: ClassVar[bool] = True  # else no button leads to it: it answers who had its form open before
    template: ClassVar[str] = "admin/step.html"
    groups: tuple[Group, ...] = ()  # a step of many questions; what is in none of them comes first
    method: str = "post"  # "get" of a page that only asks which questions are to come

    def __init__(self, *args: Any, record: Any = None, chosen: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.record = record
        self.chosen = chosen or {}  # what the page before asked, in the address: never a datum of anybody
        self.prepare()

    def prepare(self) -> None:
        """Fill in choices and first values that depend on the record."""

    def grouped(self) -> list[tuple[Group | None, list[forms.BoundField]]]:
        """Return the questions as the page shows them: those of no group, then group by group."""
        named = {name for group in self.groups for name in group.names}
        first = [field for field in self.visible_fields() if field.name not in named]
        groups = [(group, [self[name] for name in group.names]) for group in self.groups]
        return [(None, first), *groups] if first else [*groups]

    def asks_again(self) -> bool:
        """Whether what was filled in is shown once more, with what would come of it, before it is done."""
        return False

    def button(self) -> str:
        """Return what the button says: what pressing it does now."""
        return self.title

    def context(self) -> dict[str, Any]:
        """Return what the step's own template shows besides the form."""
        return {}


class Decision(Step):
    """A step that decides about what has come until now: the form says what it showed, the service holds that against what is there.

    Who answers a form that showed something else, or that does not say what it showed, reads it anew; nothing was decided.
    """

    template = "admin/step_decision.html"
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def shown(self) -> str:
        """Return the fingerprint of what the page shows."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """Return what the page shows of it, each a line."""
        return []

    def context(self) -> dict[str, Any]:
        shown = self.shown()  # first: what comes between the two is shown, and not counted as seen
        return {"shown": shown, "lines": self.lines()}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows shown under a record, never edited there: which link leads to them, what they are called, their columns.

    `called` says how a column is headed where the name of its field is none for the reader, `said` what of its choices is called
    in another way at the desk.
    """

    accessor: str
    title: str
    columns: tuple[str, ...]
    joined: tuple[str, ...] = ()
    called: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)

    def table(self, record: Any) -> dict[str, Any]:
        """Return title, headings and cells, the first `MOST_ROWS` rows; and why a cell is covered."""
        manager = getattr(record, self.accessor)
        fields = [manager.model._meta.get_field(name) for name in self.columns]
        rows = list(manager.select_related(*self.joined)[: MOST_ROWS + 1])
        covered: dict[str, None] = {}
        cells = []
        for row in rows[:MOST_ROWS]:
            line = []
            for column in fields:
                value = getattr(row, column.name)
                if isinstance(value, Erased):
                    line.append(str(covers.shown(value)))
                    continue
                if isinstance(value, Unreadable):
                    covered[reason(value, manager.model.vault_label, sealed_in(column))] = None
                if column.name in self.said and value in self.said[column.name]:
                    line.append(self.said[column.name][value])
                    continue
                if isinstance(value, Decimal):
                    line.append(f"{value:,.2f}")
                    continue
                line.append(
                    str(value) if column.is_relation and value is not None else display_for_field(value, column, "–")
                )
            cells.append(line)
        return {
            "title": self.title,
            "headings": [self.called.get(field.name) or capfirst(str(field.verbose_name)) for field in fields],
            "rows": cells,
            "covered": list(covered),
            "has_more": len(rows) > MOST_ROWS,
        }


@dataclass(frozen=True, slots=True)
class Matters:
    """What one person or company has to do with us, of one kind: lines that lead to the records, and how many there are."""

    title: str
    lines: list[Task]
    total: int


def matters_of(owner: Any, actor: Actor) -> list[Matters]:
    """Return what the records of other pages tell of a customer or company, as far as this actor works with them.

    Numbers, days and states, which are not sealed: nothing is opened. Two queries for each kind, however many there are.
    """
    found = []
    for one in admin.site._registry.values():
        if not isinstance(one, WorkAdmin) or not one.opens_to(actor.roles):
            continue
        if (rows := one.rows_of(owner)) is None:
            continue
        lines = [Task(one.url_of(row), *one.line_of(row)) for row in rows[:SHOWN_OF_MATTERS]]
        found.append(Matters(capfirst(str(one.opts.verbose_name_plural)), lines, rows.count()))
    return found


class WorkAdmin(LimitedList):
    """The admin of something staff work on. Nothing is edited or deleted here: what can be done is a step."""

    change_list_template = "admin/record_change_list.html"
    change_form_template = "admin/record_change_form.html"
    actions = None
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    readers: ClassVar[frozenset[str]] = frozenset()  # the roles that may come in
    adding: ClassVar[type[Step] | None] = None
    # What a service may raise, and the sentence for it; "" means that its own text is one.
    refusals: ClassVar[Mapping[type[Exception], str]] = {}
    _refusals: ClassVar[Mapping[type[Exception], str]] = {
        gate.Refused: "Your role may not do this, or your confidentiality acknowledgement has run out.",
        fingerprint.NotSeen: "",
        ValidationError: "",
    }

    rows: ClassVar[tuple[Rows, ...]] = ()

    # Who may come in ---------------------------------------------------------------------------------------------

    def may_see(self, user: Any) -> bool:
        """Whether this member of staff has a role that works here."""
        return bool(user.is_active and user.is_staff and self.opens_to(user.roles))

    def opens_to(self, roles: Collection[str]) -> bool:
        """Whether one of these roles works here."""
        return bool(self.readers & set(roles))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may_see(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_see(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.adding is not None and self.may_see(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # The list ----------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        gate.because(f"list of {self.opts.verbose_name_plural}")
        return super().changelist_view(
            request,
            {
                "title": capfirst(str(self.opts.verbose_name_plural)),
                "adding": self.adding and self.adding.title,  # the button says what the page behind it is called
                **(extra_context or {}),
            },
        )

    # One record --------------------------------------------------------------------------------------------------

    def url_of(self, record: Any) -> str:
        """Return the page of a record."""
        return reverse(f"admin:{self.names}_change", args=[quote(record.pk)])

    def url_of_list(self) -> str:
        """Return the page of the list."""
        return reverse(f"admin:{self.names}_changelist")

    def heading_of(self, record: Any) -> str:
        """Return what the page of a record is headed with; the tab of the browser, which it keeps, says the number alone."""
        return capfirst(str(record))

    def rows_of(self, owner: Any) -> models.QuerySet[Any] | None:
        """Return the records here that belong to a customer or company, newest first; None where none can."""
        return None

    def line_of(self, record: Any) -> tuple[str, str]:
        """Return how a record is told on the page of its owner: what it is, and how it stands."""
        return capfirst(str(record)), ""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = {"subtitle": None, "show_close": True}
        if record is not None and self.has_view_permission(request, record):
            if (question := self.ask_why(request, record)) is not None:
                return question
            context |= {
                "title": self.heading_of(record),
                "tab": capfirst(str(record)),
                "steps": [
                    {
                        "title": step.title,
                        "is_destructive": step.is_destructive,
                        "url": reverse(f"admin:{self.names}_step", args=[object_id, name]),
                    }
                    for name, step in self.steps(record, acting()).items()
                    if step.is_offered
                ],
                **self.details(record, acting()),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # Why it is opened --------------------------------------------------------------------------------------------

    def person_of(self, record: Any) -> UUID | None:
        """Return the subject that a record is about, None when it is about a company or nobody yet."""
        kind, number = record.vault_owner() if hasattr(record, "vault_owner") else ("none", None)
        return number if kind == "subject" else None

    def ask_why(self, request: HttpRequest, record: Any) -> HttpResponse | None:
        """Tell the access log why this record is opened; return the question where nothing open says it (P40).

        Whoever may open nothing is not asked.
        """
        actor, person = acting(), self.person_of(record)
        if person is None or not actor.roles or why.derive(request, actor, person, record.pk):
            return None
        return self._ask_why(request, record, why.Why())

    def _ask_why(self, request: HttpRequest, record: Any, form: why.Why) -> HttpResponse:
        action = reverse(f"admin:{self.names}_why", args=[quote(record.pk)])
        context = {"title": "Before you open this record", "form": form, "action": action}
        return self._page(request, "admin/why.html", record, context, status=400 if form.errors else 200)

    def why_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Remember why a record is opened, for the rest of the day, and go on to it."""
        record = self.get_object(request, unquote(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        person = self.person_of(record)
        if request.method == "POST" and person is not None:
            form = why.Why(request.POST)
            if not form.is_valid():
                return self._ask_why(request, record, form)
            why.remember(request, person, form.cleaned_data["reason"])
        return HttpResponseRedirect(self.url_of(record))

    def details(self, record: Any, actor: Actor) -> dict[str, Any]:
        """Return what the page of a record shows besides its fields."""
        return {"tables": [one.table(record) for one in self.rows]}

    # Django's own log of what staff did repeats the audit and would keep numbers of people who were erased.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Write nothing: the service has recorded the event in the audit."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Write nothing: the service has recorded the event in the audit."""

    def history_of(self, record: Any) -> models.QuerySet[audit.AuditEvent]:
        """Return the audit events about a record."""
        return audit.history(record=(record.vault_label, record.pk))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what was done with the record: action, role and names of fields, never a value or a name."""
        record = self.get_object(request, unquote(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        events = Paginator(self.history_of(record).order_by("-id"), 100).get_page(request.GET.get("p"))
        return self._page(request, "admin/record_history.html", record, {"title": "History", "events": events})

    def _page(
        self, request: HttpRequest, template: str, record: Any, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        everything = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": record,
            "back": self.url_of(record) if record is not None else reverse(f"admin:{self.names}_changelist"),
            **context,
        }
        return TemplateResponse(request, template, everything, status=status)

    # Steps: one page, one POST, one service call ------------------------------------------------------------------

    def steps(self, record: Any, actor: Actor) -> dict[str, type[Step]]:
        """Return what this actor can do with the record now, by name."""
        return {}

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        """Do the step by one call of a service and return the sentence that says what was done.

        May raise the service's own refusals; those in `refusals` become a sentence above the form.
        """
        raise Http404

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Any, str]:
        """Do what the step `adding` asks for; return the record it made and the sentence that says so."""
        raise Http404

    def get_urls(self) -> list[URLPattern]:
        step = self.admin_site.admin_view(self.step_view)
        question = self.admin_site.admin_view(self.why_view)
        return [
            path("<path:object_id>/step/<slug:name>/", step, name=f"{self.names}_step"),
            path("<path:object_id>/why/", question, name=f"{self.names}_why"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what a new record needs (GET), or make it (POST)."""
        if self.adding is None:
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise Http404

        def make(data: dict[str, Any], actor: Actor, now: datetime) -> tuple[str, str]:
            record, said = self.add(data, actor=actor, now=now)
            return self.url_of(record), said

        return self._ask(request, self.adding, None, make)

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask what the step needs (GET), or take it (POST)."""
        record = self.get_object(request, unquote(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        if (question := self.ask_why(request, record)) is not None:
            return question
        step = self.steps(record, acting()).get(name)
        if step is None:
            messages.warning(request, "This step is not possible now.")
            return HttpResponseRedirect(self.url_of(record))

        def do(data: dict[str, Any], actor: Actor, now: datetime) -> tuple[str, str]:
            return self.url_of(record), self.take(name, record, data, actor=actor, now=now)

        return self._ask(request, step, record, do)

    def _ask(
        self,
        request: HttpRequest,
        step: type[Step],
        record: Any,
        do: Callable[[dict[str, Any], Actor, datetime], tuple[str, str]],
    ) -> HttpResponse:
        form = (
            step(request.POST, record=record) if request.method == "POST" else step(record=record, chosen=request.GET)
        )
        refused = 400
        if request.method == "POST" and form.is_valid() and not form.asks_again():
            refusals = {**self._refusals, **self.refusals}
            try:
                url, said = do(form.cleaned_data, acting(), timezone.now())
            except tuple(refusals) as error:
                text = next(text for kind, text in refusals.items() if isinstance(error, kind))
                form.add_error(None, text or _sentences(error))
                refused = getattr(error, "status", refused)  # a wrong fact or code is counted as a refused login is
            else:
                messages.success(request, said)
                return HttpResponseRedirect(url)
        # Not the class itself: a template would call it.
        about = {
            "title": step.title,
            "button": form.button(),
            "help": step.help,
            "is_destructive": step.is_destructive,
        }
        context = {"title": step.title, "step": about, "form": form, **form.context()}
        return self._page(request, step.template, record, context, status=refused if form.errors else 200)

    # The front page ----------------------------------------------------------------------------------------------

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        """Return what waits here for this actor: a list, perhaps empty, for each kind of work that is this actor's."""
        return ()


def date_input() -> forms.DateInput:
    """Return the browser's own day picker."""
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def amount(name: str, title: str) -> Callable[[Any], str]:
    """Return a column or field that shows the amount `name` with two decimals and its currency."""

    @admin.display(description=title, ordering=name)
    def shown(record: Any) -> str:
        value: Decimal | None = getattr(record, name)
        return "–" if value is None else f"{getattr(record, 'currency', 'USD')} {value:,.2f}"

    shown.__name__ = name
    return shown


def due(day: date, today: date) -> tuple[str, bool]:
    """Return a due date in words, and whether it has passed."""
    left = (day - today).days
    if left < 0:
        return f"{day:%-d %B %Y}, overdue by {_days(-left)}", True
    return f"{day:%-d %B %Y}, " + ("today" if left == 0 else f"in {_days(left)}"), False


def unpaused(request: Any) -> str:
    """Return what stands behind the due date of a privacy request whose clock was stopped: the date without that, else ""."""
    day = request.unpaused_due_on
    return f" ({day:%-d %B %Y} without the pause)" if day is not None else ""


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _sentences(error: Exception) -> list[str]:
    return list(error.messages) if isinstance(error, ValidationError) else [str(error)]
