"""Maintenance mode: while a restored database is behind the ledger of erasures nothing is served and nothing is done.

The website answers 503 with a calm page (health, metrics and static files go on), workers leave every task undone:
the tables are the truth, and the poller sends each again. Commands that could open or change personal data refuse,
Django's own (`shell`, `dbshell`, `dumpdata`, `loaddata`, `clearsessions`) included; but for `migrate` and those
that show or mend what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Task
from django.core.management import get_commands
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse

from privacy.restore import maintenance

OPEN_PATHS = ("/health/", "/metrics/")
# The one task that looks whether it is over.
WATCHING = "privacy.tasks.follow_ledger"
OUR_APPS = ("accounts", "ilt_site", "orders", "privacy", "privacy.vault", "rma")
# They show or mend what is wrong, or touch no data about people.
OPEN_COMMANDS = frozenset(
    {
        "replay_ledger", "keyring", "prepare", "grant_roles", "verify_audit", "data_map", "retention_schedule",
        "request_list", "request_show",
    }
)  # fmt: skip
# Of Django and its packages: all but these refuse. A server that is started answers 503 itself.
FOREIGN_OPEN = frozenset(
    {
        "check", "collectstatic", "compilemessages", "createcachetable", "diffsettings", "findstatic", "inspectdb",
        "makemessages", "makemigrations", "migrate", "optimizemigration", "runserver", "sendtestemail", "showmigrations",
        "sqlflush", "sqlmigrate", "sqlsequencereset", "squashmigrations", "startapp", "startproject", "test",
    }
)  # fmt: skip


class MaintenanceMiddleware:
    """Answer 503 for everything but health and metrics while the databases are behind the ledger."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(OPEN_PATHS) or not maintenance.reasons():
            return self.get_response(request)
        from ilt_site import views

        return views.maintenance(request)


class WaitingTask(Task):
    """A task that is left undone in maintenance mode."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.name != WATCHING and maintenance.reasons():
            return "maintenance"
        return super().__call__(*args, **kwargs)


def refusal(command: str) -> str:
    """Return why `command` must not run now, in one sentence; "" when it may."""
    if command in OPEN_COMMANDS | FOREIGN_OPEN or command not in get_commands():
        return ""
    try:
        if not _is_migrated() or not (found := maintenance.reasons(afresh=True)):
            return ""
    except DatabaseError:
        return ""  # the command will say so itself
    finally:
        connections.close_all()
    return f"{maintenance.SENTENCES[found[0]]} Maintenance mode: run `manage.py replay_ledger` first."


def look_at_start() -> tuple[str, ...]:
    """Compare the places of the ledger as a process starts; returns what is wrong, which is also logged."""
    try:
        return maintenance.reasons(afresh=True) if _is_migrated() else ()
    except DatabaseError:
        return ()
    finally:
        connections.close_all()


def _is_migrated() -> bool:
    tables = {table for alias in connections for table in connections[alias].introspection.table_names()}
    return {"privacy_ledgercopy", "vault_tombstone"} <= tables
