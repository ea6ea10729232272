"""All that the events of a history say as one hash, made by the database: what the keyed hash of a request stands over
(`bound`)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.aggregates import StringAgg
from django.db import models
from django.db.models import F, Func, Value
from django.db.models.functions import Cast


def histories() -> models.QuerySet[Any, Any]:
    """Return the hash over all that the events of each request say; to be narrowed to one request first."""
    events = apps.get_model("privacy", "RequestEvent").objects.order_by().values("request")
    said = _hashed(StringAgg(_line(), Value("\n"), order_by="pk"))
    found: models.QuerySet[Any, Any] = events.annotate(said=said).values("said")
    return found


def history_but(pk: UUID, kind: str) -> str | None:
    """Return the hash over all that the events of a request say but those of a kind; None without any. What keyed
    hashes of before stood over."""
    found = list(histories().filter(request=pk).exclude(kind=kind))
    return found[0]["said"] if found else None


def _line() -> Func:
    """Return all that an event says as one line of JSON, made by the database: days that no calendar has, too."""
    at = Func(F("at"), template="extract(epoch from %(expressions)s)", output_field=models.DecimalField())
    names = ("pk", "kind", "state", "step", "on", "actor_kind", "actor_id", "detail")
    line = Func(*map(F, names), at, function="jsonb_build_array", output_field=models.JSONField())
    return Cast(line, models.TextField())


def _hashed(text: Any) -> Func:
    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    return Func(text, template=template, output_field=models.TextField())
