"""What a customer or company has to do with us: the records of the other pages that are theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.utils.text import capfirst

from privacy.admin.waiting import Task
from privacy.admin.work import WorkAdmin
from privacy.gate import Actor

SHOWN_OF_MATTERS = 20


@dataclass(frozen=True, slots=True)
class Matters:
    """What one person or company has to do with us, of one kind: lines that lead to the records, and how many there
    are."""

    title: str
    lines: list[Task]
    total: int


def matters_of(owner: Any, actor: Actor) -> list[Matters]:
    """Return what the records of other pages tell of a customer or company, as far as this actor works with them.

    Numbers, days and states, which are not sealed: nothing is opened. As many queries for each kind, however many
    there are.
    """
    found = []
    for one in admin.site._registry.values():
        if not isinstance(one, WorkAdmin) or not one.opens_to(actor.roles):
            continue
        if (rows := one.rows_of(owner)) is None:
            continue
        shown = list(rows[:SHOWN_OF_MATTERS])
        one.look_at(shown)
        lines = [Task(one.url_of(row), *one.line_of(row)) for row in shown]
        found.append(Matters(capfirst(str(one.opts.verbose_name_plural)), lines, rows.count()))
    return found
