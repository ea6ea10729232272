"""When an erased value was erased, and by what: a request of its person, or the period after which it goes by itself.

What must never happen: erased data that reads like data never given ("not given", "-"). The day is that of the destroyed
key; a request is the cause where one of its decisions was to erase it and was carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from privacy import vault
from privacy.calendar import company_day
from privacy.requests.models import Decision

Pair = tuple[UUID, str]


def told(value: vault.Erased) -> str:
    """Return the words that stand for an erased value: "erased on 3 March 2026, by request".

    One query for all that this unit of work has found erased so far, so that a page asks once for each result set.
    """
    if value.at is None or value.pair is None:
        return _("erased")
    unit = vault.unit.current()
    causes = {} if unit is None else unit.notes
    if value.pair not in causes:
        wanted = {value.pair} | ((unit.erased() - causes.keys()) if unit is not None else set())
        asked = by_request(wanted)
        causes.update({pair: "request" if pair in asked else "period" for pair in wanted})
    day = date_format(company_day(value.at), "j F Y")
    if causes[value.pair] == "request":
        return _("erased on %(day)s, by request") % {"day": day}
    return _("erased on %(day)s, by period") % {"day": day}


def by_request(pairs: Iterable[Pair]) -> set[Pair]:
    """Return those of these erased envelopes, (record, envelope), that a request of their person erased; one query."""
    pairs = set(pairs)
    found = Decision.objects.filter(
        record_id__in={record for record, _ in pairs}, action=Decision.Action.ERASE, done_at__isnull=False
    )
    return pairs & set(found.values_list("record_id", "envelope"))
