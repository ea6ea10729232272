"""Lists of the back office end in time: a slow one must not hold the database from everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.db import OperationalError, connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse

LONGEST = 3000  # milliseconds for one statement of a list
CANCELED = "57014"


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
        if getattr(error.__cause__, "pgcode", None) != CANCELED:
            raise
        raise TookTooLong from None
    finally:
        for alias in connections:
            _limit(alias, None)


def _limit(alias: str, value: str | None) -> None:
    """Set the limit of one connection, or give it back what it began with. A broken connection needs neither."""
    connection = connections[alias]
    if connection.needs_rollback or (value is None and connection.connection is None):
        return
    with connection.cursor() as cursor:
        if value is None:
            cursor.execute("RESET statement_timeout")
        else:
            cursor.execute("SET statement_timeout = %s", [value])


class LimitedList(admin.ModelAdmin):
    """An admin whose list answers 503 with a way out instead of running on."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            with within(LONGEST):
                response = super().changelist_view(request, extra_context)
                if isinstance(response, SimpleTemplateResponse):
                    response.render()  # here, for a list reads its rows while it is drawn
                return response
        except TookTooLong:
            return render(request, "admin/list_too_long.html", self.admin_site.each_context(request), status=503)
