"""A link from one record at the desk to another, called what it is there: never the name of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import models
from django.utils.html import format_html
from django.utils.text import capfirst

from privacy.admin.work import WorkAdmin, acting


def linked(field: models.ForeignKey[Any, Any]) -> Callable[[Any], str] | None:
    """Return a field that names what a record is linked with and leads to its page, for who may open that; None where
    that has no page of ours."""
    page = admin.site._registry.get(field.related_model)
    if not isinstance(page, WorkAdmin):
        return None

    @admin.display(description=capfirst(str(field.verbose_name)))
    def shown(record: Any) -> str:
        found = getattr(record, field.name)
        if found is None:
            return "–"
        if not page.opens_to(acting().roles):
            return page.called(found)
        return format_html('<a href="{}">{}</a>', page.url_of(found), page.called(found))

    shown.__name__ = f"{field.name}_linked"  # under the field's own name Django adds a link of its own
    return shown
