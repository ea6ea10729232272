"""What we hold about me: by part of life, with every value, why it is kept, by what right, until when (Art. 15, P7,
P10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from privacy import gate, people
from privacy.calendar import company_day
from privacy.datamap import Life
from privacy.requests import contents, shown, unjoined
from privacy.requests.contents import Kind
from privacy.requests.shown import Shown
from privacy.sweep import arming
from privacy.views import person

SHOWN = 3  # of each kind on the first page; the rest stands on pages of its own
PER_PAGE = 10
MOST_OPEN = 8  # records of one part of life: more of them, and each kind of record folds


@dataclass
class Group:
    """The first few records of one kind."""

    kind: Kind
    records: list[Shown]

    @property
    def is_whole(self) -> bool:
        """Whether every record of the kind is among them."""
        return len(self.records) >= self.kind.count

    @property
    def all(self) -> str:
        """The name of the way to all of them: "All 300 orders"."""
        return _all(self.kind)


@dataclass
class Section:
    """One part of life on the page."""

    life: Life
    count: int
    groups: list[Group] = field(default_factory=list)

    @property
    def title(self) -> str:
        return str(self.life.label)

    @property
    def is_folded(self) -> bool:
        """Whether the whole part folds: what only our program needs is there, and in nobody's way."""
        return self.life is Life.TECHNICAL

    @property
    def folds_kinds(self) -> bool:
        """Whether each kind of record folds: so many open ones would be longer than two screens of a telephone."""
        return not self.is_folded and sum(len(group.records) for group in self.groups) > MOST_OPEN


def _all(kind: Kind) -> str:
    return _("All %(count)d %(called)s") % {"count": kind.count, "called": kind.declaration.called(kind.count)}


@require_safe
def held(request: HttpRequest) -> HttpResponse:
    """Show every part of the signed-in person's life in which something is held, the first few records of each kind."""
    subject, today = request.user.subject_id, company_day(timezone.now())
    kinds = contents.kinds(subject) if subject else []
    page = shown.Page(subject, kinds, today=today, is_armed=arming.is_armed())
    sections = []
    with gate.acting(person.actor(request)):  # staff, too, see here what is held about themselves
        for life, found in shown.lives(kinds):
            section = Section(life, sum(kind.count for kind in found))
            for kind in found:
                rows = [] if kind.declaration.page else shown.newest_first(kind)[:SHOWN]
                section.groups.append(Group(kind, page.add(kind, rows)))
            sections.append(section)
        page.judge()
    not_joined = unjoined.found(subject, today)
    looked, may_ask = people.ask().look(subject) if subject and not_joined else ("", False)
    context = {"sections": sections, "unjoined": not_joined, "looked": looked, "may_ask": may_ask}
    return render(request, "privacy/held.html", context)


@require_safe
def held_kind(request: HttpRequest, label: str) -> HttpResponse:
    """Show all records of one kind held about the signed-in person, a page at a time."""
    subject = request.user.subject_id
    kinds = contents.kinds(subject) if subject else []
    kind = next((one for one in kinds if one.label == label), None)
    if kind is None:
        raise Http404
    page: Any = Paginator(shown.newest_first(kind), PER_PAGE).get_page(request.GET.get("page"))
    told = shown.Page(subject, kinds, today=company_day(timezone.now()), is_armed=arming.is_armed())
    with gate.acting(person.actor(request)):
        records = told.add(kind, page.object_list)
        told.judge()
    title = heading = _all(kind) if kind.count > 1 else kind.title
    if page.number > 1:
        title = _("%(heading)s, page %(number)d") % {"heading": heading, "number": page.number}
    context = {"kind": kind, "page": page, "records": records, "heading": heading, "title": title}
    return render(request, "privacy/held_kind.html", context)
