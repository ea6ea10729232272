"""Rows below a record, which are never edited there, and amounts as people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_field
from django.utils.text import capfirst

from privacy import datamap
from privacy.admin import covers
from privacy.admin.covers import reason
from privacy.datamap import sealed_in
from privacy.vault import Erased, Restricted, Unreadable

MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows shown under a record, never edited there: which link leads to them, what they are called, their columns.

    `called` says how a column is headed where the name of its field is none for the reader, `said` what of its choices
    is called in another way at the desk.
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
                if isinstance(value, Restricted):  # its sentence stands below, once
                    covered[reason(value, manager.model.vault_label, sealed_in(column))] = None
                    line.append("locked")
                    continue
                if isinstance(value, Unreadable):
                    covered[reason(value, manager.model.vault_label, sealed_in(column))] = None
                if column.name in self.said and value in self.said[column.name]:
                    line.append(self.said[column.name][value])
                    continue
                value = named(row, column.name, value)
                if isinstance(value, Decimal):
                    line.append(_amount(record, value))
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


def named(record: Any, name: str, value: Any) -> Any:
    """Return the name of what a code of a public list stands for, "Massachusetts" for "MA"; any other value as it is.

    Of a datum whose code needs another field beside it, a code stays one while that cannot be read.
    """
    if not isinstance(value, str) or not value or not (datum := code_of(type(record), name)):
        return value
    return datum.said(value, lambda other: getattr(record, other))


def code_of(model: Any, name: str) -> datamap.Datum | None:
    """Return the datum of a field that is a code of a public list, or may be one; None for any other field."""
    datum = datamap.for_model(model).data.get(name)
    return datum if datum is not None and datum.code else None


def yes_or_no(name: str, title: str) -> Callable[[Any], str]:
    """Return a field that says "Yes" or "No" in words: of Django's icon a reader of the page hears "False"."""

    @admin.display(description=title)
    def shown(record: Any) -> str:
        return "Yes" if getattr(record, name) else "No"

    shown.__name__ = f"{name}_said"
    return shown


def filter_called(title: str) -> type[admin.BooleanFieldListFilter]:
    """Return a filter by a field that is true or false, called as its column is: not by the name of the field."""

    class Called(admin.BooleanFieldListFilter):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.title = title

    return Called


def amount(name: str, title: str) -> Callable[[Any], str]:
    """Return a column or field that shows the amount `name` with two decimals and its currency."""

    @admin.display(description=title, ordering=name)
    def shown(record: Any) -> str:
        value: Decimal | None = getattr(record, name)
        return "–" if value is None else _amount(record, value)

    shown.__name__ = f"{name}_said"  # under the field's own name Django adds its help text, here the currency again
    return shown


def _amount(record: Any, value: Decimal) -> str:
    return f"{getattr(record, 'currency', 'USD')} {value:,.2f}"
