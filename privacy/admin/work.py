"""Pages of the back office: guarded lists, what can be done as one page each, the history of a record, the work lists.

What must never happen: something done by a GET or by ticking boxes in a list, a row deleted here, a question about
people put into a URL. So there are no actions and no deletion, a list can be narrowed by its own filters only, and
every change is a step: one page, one POST, one call of a service. And nobody does anything here that is about
themselves: no step, no change of a field, whatever a page calls it (`whose`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import site
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import capfirst

from privacy import audit, datamap, gate
from privacy.actor import YOURSELF, AboutYourself, is_own
from privacy.admin import acts, told, why
from privacy.admin.lists import LimitedList
from privacy.admin.steps import Step
from privacy.admin.tables import Rows
from privacy.admin.waiting import WorkList
from privacy.gate import Actor, fingerprint
from privacy.vault import RecordElsewhere

NOBODY = Actor(kind="anonymous", id=None, subject=None, roles=frozenset(), purpose="admin")


def acting() -> Actor:
    """Return who is at work; without a current confidentiality acknowledgement an actor without roles."""
    return gate.current() or NOBODY


class WorkAdmin(LimitedList):
    """The admin of something staff work on. Nothing is edited or deleted here: what can be done is a step."""

    change_list_template = "admin/record_change_list.html"
    change_form_template = "admin/record_change_form.html"
    empty_value_display = "–"
    actions = None
    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    readers: ClassVar[frozenset[str]] = frozenset()  # the roles that may come in
    is_company: ClassVar[bool] = False  # whether the question why a record is opened has to do with a company
    adding: ClassVar[type[Step] | None] = None
    # What a service may raise, and the sentence for it; "" means that its own text is one.
    refusals: ClassVar[Mapping[type[Exception], str]] = {}
    _refusals: ClassVar[Mapping[type[Exception], str]] = {
        gate.Refused: "Your role may not do this, or your confidentiality acknowledgement has run out.",
        fingerprint.NotSeen: "",
        AboutYourself: "",
        ValidationError: "",
        RecordElsewhere: (
            "The key store says that a record of this step is somebody else's than its row says. Nothing was done. Tell who runs "
            "the site: the row has to be put right first (runbook, “A request that is doubted”); then take this step again."
        ),
    }

    rows: ClassVar[tuple[Rows, ...]] = ()
    #: How actions of the audit begin that tell of a record of this page, whichever record's history has them.
    tells: ClassVar[tuple[str, ...]] = ()
    #: What the actions that this page's app records are called, whichever record's history has them.
    acts: ClassVar[Mapping[str, str]] = {}
    #: What the codes of this kind of record mean that the audit gives as reasons.
    history_words: ClassVar[Mapping[str, str]] = {}

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
        """Return what the page of a record is headed with."""
        return capfirst(str(record))

    def tab_of(self, record: Any) -> str:
        """Return what the tab of a record's page says: a number, for a browser remembers it."""
        return capfirst(str(record))

    def called(self, record: Any) -> str:
        """Return what a link at the desk calls a record: by itself its number, as the tab of its page does."""
        return self.tab_of(record)

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
                "tab": self.tab_of(record),
                "steps": self._buttons(record, object_id),
                "yourself": YOURSELF if self.is_own(record) else "",
                **self.details(record, acting()),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def _buttons(self, record: Any, object_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return the buttons of the record's page: what can be undone, the next step first, and what cannot; {} where
        nothing can be done."""
        offered = {name: step for name, step in self._possible(record).items() if step.is_offered}
        following = self.next_of(record, offered)
        made = [
            {
                "title": step.title,
                "is_next": name == following,
                "is_destructive": step.is_destructive,
                "url": reverse(f"admin:{self.names}_step", args=[object_id, name]),
            }
            for name, step in sorted(offered.items(), key=lambda one: one[0] != following)
        ]
        if not made:
            return {}
        return {
            "undoable": [one for one in made if not one["is_destructive"]],
            "final": [one for one in made if one["is_destructive"]],
        }

    # Why it is opened --------------------------------------------------------------------------------------------

    def person_of(self, record: Any) -> UUID | None:
        """Return the subject that a record is about, None when it is about a company or nobody yet."""
        kind, number = record.vault_owner() if hasattr(record, "vault_owner") else ("none", None)
        return number if kind == "subject" else None

    def whose(self, record: Any) -> dict[str, Any]:
        """Return whom a record is about, and which logins it belongs to, as `is_own` takes them."""
        return {"about": [datamap.person_of(record)]}

    def is_own(self, record: Any) -> bool:
        """Whether a record is about who is at work: then nothing is done with it here by them."""
        return is_own(acting(), **self.whose(record))

    def asked_about(self, record: Any) -> UUID | None:
        """Return for whom an answer counts for the rest of the day: the person; None where nobody is asked."""
        return self.person_of(record)

    def ask_why(self, request: HttpRequest, record: Any) -> HttpResponse | None:
        """Tell the access log why this record is opened; return the question where nothing open says it (P40).

        Whoever may open nothing is not asked.
        """
        actor, person = acting(), self.asked_about(record)
        if person is None or not actor.roles or why.derive(request, actor, person, record):
            return None
        return self._ask_why(request, record, why.Why())

    def _ask_why(self, request: HttpRequest, record: Any, form: why.Why) -> HttpResponse:
        action = reverse(f"admin:{self.names}_why", args=[quote(record.pk)])
        context = {
            "title": "Before you open this record",
            "form": form,
            "action": action,
            "is_company": self.is_company,
        }
        return self._page(request, "admin/why.html", record, context, status=400 if form.errors else 200)

    def why_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Remember why a record is opened, for the rest of the day, and go on to it."""
        record = self.get_object(request, unquote(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        person = self.asked_about(record)
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
        """Show what was done with the record: action, role and names of fields, never a value or a name.

        What tells of a record of another page only to who may come in there, nothing without a current acknowledgement.
        """
        record = self.get_object(request, unquote(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        roles = acting().roles
        is_signed = self.opens_to(roles)
        told_here = self.history_of(record).filter(_told_to(roles)) if is_signed else audit.AuditEvent.objects.none()
        events = Paginator(told_here.order_by("-id"), 100).get_page(request.GET.get("p"))
        more = _acts_of_apps()
        lines = [
            (one, acts.in_words(one.action, more), told.data(one), told.reason(one, self.history_words))
            for one in events
        ]
        context = {"title": "History", "events": events, "lines": lines, "is_signed": is_signed}
        return self._page(request, "admin/record_history.html", record, context)

    def _page(
        self, request: HttpRequest, template: str, record: Any, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        everything = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": record,
            "called": self.called(record) if record is not None else "",
            "back": self.url_of(record) if record is not None else reverse(f"admin:{self.names}_changelist"),
            **context,
        }
        return TemplateResponse(request, template, everything, status=status)

    # Steps: one page, one POST, one service call ------------------------------------------------------------------

    def steps(self, record: Any, actor: Actor) -> dict[str, type[Step]]:
        """Return what this actor can do with the record now, by name."""
        return {}

    def next_of(self, record: Any, steps: Mapping[str, type[Step]]) -> str:
        """Return the name of the step that is next, "" where none of them is: by itself the only one that can be
        undone."""
        undoable = [name for name, step in steps.items() if not step.is_destructive]
        return undoable[0] if len(undoable) == 1 else ""

    def _possible(self, record: Any) -> dict[str, type[Step]]:
        return {} if self.is_own(record) else self.steps(record, acting())

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        """Do the step by one call of a service and return the sentence that says what was done.

        May raise the service's own refusals; those in `refusals` become a sentence above the form. A step that a page
        does not know is none of its others: Http404.
        """
        raise Http404

    #: Does what the step `adding` asks for; returns the record it made and the sentence that says so.
    add: Callable[..., tuple[Any, str]]

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
        step = self._possible(record).get(name)
        if step is None:
            messages.warning(request, YOURSELF if self.is_own(record) else "This step is not possible now.")
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


def _pages() -> list[WorkAdmin]:
    return [one for one in site._registry.values() if isinstance(one, WorkAdmin)]


def _acts_of_apps() -> dict[str, str]:
    return {action: said for one in _pages() for action, said in one.acts.items()}


def _told_to(roles: Collection[str]) -> models.Q:
    """Return which events of the audit are told to these roles: those that tell of a record of a page (`tells`) only
    where one of these pages opens to them."""
    pages = _pages()
    of_a_page = {begin for one in pages for begin in one.tells}
    open_here = {begin for one in pages if one.opens_to(roles) for begin in one.tells}
    return ~_begins(of_a_page) | _begins(open_here)


def _begins(actions: Iterable[str]) -> models.Q:
    found = models.Q(pk__in=[])
    for one in sorted(actions):
        found |= models.Q(action__startswith=one)
    return found


def _sentences(error: Exception) -> list[str]:
    return list(error.messages) if isinstance(error, ValidationError) else [str(error)]
