"""Lists of the back office: they end in time, are narrowed by their own filters only, and searched by POST.

What must never happen: a slow list that holds the database from everybody else, or what was typed into a search in a
URL, a log, the history or the text of a statement. What is kept of a search is the ids found, in the sealed session,
under a number of chance that stands in the URL: a list that is opened without that number shows all.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.db import OperationalError, connections
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from privacy import datamap
from privacy.admin.search import Found
from privacy.calendar import undated
from privacy.work.broken import Findings

LONGEST = 3000  # milliseconds for one statement of a list
CANCELED = "57014"
SEARCH = "found"  # of the URL: the number of a search, which says nothing of what was typed
YES_OR_NO = {"0", "1", "True", "False"}


class TookTooLong(Exception):
    """A statement of a list was stopped by the database."""


@contextmanager
def within(milliseconds: int) -> Iterator[None]:
    """Stop each statement of the block, in either database, that takes longer. Raises TookTooLong."""
    try:
        for alias in connections:
            _limit(alias, str(milliseconds))
        yield
    except OperationalError as error:
        if not is_stopped(error):
            raise
        raise TookTooLong from None
    finally:
        for alias in connections:
            _limit(alias, None)


def is_stopped(error: OperationalError) -> bool:
    """Whether the database ended the statement because it took too long."""
    return getattr(error.__cause__, "pgcode", None) == CANCELED


def _limit(alias: str, value: str | None) -> None:
    """Set the limit of one connection, or give it back what it began with. A broken connection needs neither."""
    connection = connections[alias]
    if connection.needs_rollback or (value is None and (connection.connection is None or connection.connection.closed)):
        return
    with connection.cursor() as cursor:
        if value is None:
            cursor.execute("RESET statement_timeout")
        else:
            cursor.execute("SET statement_timeout = %s", [value])


class LimitedList(admin.ModelAdmin):
    """An admin whose list answers 503 with a way out instead of running on, and takes no question by URL."""

    @property
    def names(self) -> str:
        """The first part of the names of this admin's URLs."""
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Let a list be narrowed by its own filters and their choices only: no question about people by URL."""
        name, _, how = lookup.partition("__")
        own = {one.parameter_name for one in self.list_filter if not isinstance(one, (str, tuple))}
        if name in own:
            return how == "" and "\x00" not in str(value)  # such a filter compares the value itself
        columns = {one[0] if isinstance(one, tuple) else one for one in self.list_filter}
        if name not in columns or how not in ("", "exact", "isnull"):
            return False
        choices = {str(choice) for choice, _ in self.opts.get_field(name).flatchoices}
        return str(value) in choices | YES_OR_NO

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Django leads here from a page that the list has not, and would blame the database.
        if ERROR_FLAG in request.GET:
            return HttpResponseRedirect(request.path)
        try:
            with within(LONGEST):
                response = super().changelist_view(request, extra_context)
                if isinstance(response, SimpleTemplateResponse):
                    rows = (response.context_data or {})["cl"].result_list
                    self.look_at(rows)
                    self._tell_undated(request, rows)
                    response.render()  # here, for a list reads its rows while it is drawn
                return response
        except TookTooLong:
            return render(request, "admin/list_too_long.html", self.admin_site.each_context(request), status=503)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if (record := kwargs.get("obj")) is not None:
            self.look_at([record])
            self._tell_undated(request, [record])
        return super().render_change_form(request, context, *args, **kwargs)

    def look_at(self, rows: Iterable[Any]) -> None:
        """Read once for these rows what their columns say beyond the table, before they are drawn."""

    def _tell_undated(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        """Say which rows have a date that cannot be right: a finding, here and in the log."""
        for row in undated.among(rows):
            Findings().note("page", self.opts.label_lower, row.pk, "NoDay")
            messages.warning(
                request,
                f"{str(self.opts.verbose_name).capitalize()} {self._called(row)}: a date in this record cannot be right, "
                "and is shown as 31 December 9999. It has to be put right in the database (docs/runbook.md).",
            )

    @staticmethod
    def _called(row: Any) -> str:
        reference = datamap.for_model(type(row)).reference
        return str(getattr(row, reference) if reference else row.pk)


@dataclass(frozen=True, slots=True)
class Search:
    """The last search in a list: the number by which the list shows it, the ids found, and whether more match than
    these."""

    number: str
    ids: list[str]
    is_capped: bool


class FoundChangeList(ChangeList):
    """A list narrowed to what was searched."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name != SEARCH}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        queryset = super().get_queryset(request, exclude_parameters)
        search = self.model_admin.search_of(request)  # type: ignore[attr-defined]
        return queryset if search is None else queryset.filter(pk__in=search.ids)


class SearchedList(LimitedList):
    """An admin whose list is searched by POST."""

    change_list_template = "admin/record_change_list.html"
    search_help: ClassVar[str]
    search_missed: ClassVar[str] = "Try a part of it, or another spelling."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FoundChangeList

    @property
    def found_key(self) -> str:
        """Where the sealed session keeps the ids of what was searched last."""
        return f"found:{self.names}"

    def search_of(self, request: HttpRequest) -> Search | None:
        """Return the search that the list is to show: the last one, and only where the URL has its number."""
        kept = request.session.get(self.found_key)
        if not isinstance(kept, list) or len(kept) != 3 or kept[0] != request.GET.get(SEARCH):
            return None
        return Search(*kept)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        search = self.search_of(request)
        if search is None and SEARCH in request.GET:
            messages.info(request, _("That search has ended. This is the whole list."))
            return HttpResponseRedirect(reverse(f"admin:{self.names}_changelist"))
        context = {
            "search_help": self.search_help,
            "search_missed": self.search_missed,
            "found": None if search is None else search.ids,
            "is_searched": search is not None,
            "is_found_capped": search is not None and search.is_capped,
            "search_url": reverse(f"admin:{self.names}_search"),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.search_view))
        return [path("search/", view, name=f"{self.names}_search"), *super().get_urls()]

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """Keep the ids found in the sealed session and show them as the list."""
        if not self.has_view_permission(request):
            raise Http404
        text = request.POST.get("q", "").replace("\x00", "").strip()[:200]
        shown = reverse(f"admin:{self.names}_changelist")
        if not text or "clear" in request.POST:
            request.session.pop(self.found_key, None)
        elif refusal := self.refuse_search():
            messages.error(request, refusal)
        elif (found := self._found_in_time(text)) is None:
            messages.error(request, "The search was stopped after three seconds. Type more of the name or number.")
        else:
            number = secrets.token_hex(8)
            request.session[self.found_key] = [number, [str(pk) for pk in found.ids], not found.is_all]
            self.note_search(text, found)
            shown = f"{shown}?{SEARCH}={number}"
        return HttpResponseRedirect(shown)

    def _found_in_time(self, text: str) -> Found | None:
        try:
            with within(LONGEST):
                return self.find(text)
        except TookTooLong:
            return None

    def refuse_search(self) -> str:
        """Return why who is at work may not search here, "" when he may."""
        return ""

    #: Returns the records that match what was typed; each list has its own.
    find: Callable[[str], Found]

    def note_search(self, text: str, found: Found) -> None:
        """Write down that somebody searched, where that is due."""
