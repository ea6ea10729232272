"""What our compiler remembers is what Django's says anew, for whatever question."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.backends.postgresql.compiler import SQLCompiler as Django
from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.test.utils import isolate_apps

from accounts.models import Customer
from accounts.users import Session
from ilt_site.postgresql.compiler import SQLCompiler as Ours
from privacy.requests.models import Request

pytestmark = pytest.mark.django_db


def plain(model: type[models.Model]) -> Iterator[QuerySet[Any]]:
    """Yield whole rows, as they come and in an order."""
    every: QuerySet[Any] = QuerySet(model)
    yield from (every, every.filter(pk__isnull=False).order_by("-pk")[:3])


def questions(model: type[models.Model]) -> Iterator[QuerySet[Any]]:
    """Yield whole rows in every order that the model's columns allow, and what is more than whole rows or less."""
    every: QuerySet[Any] = QuerySet(model)
    some = every.filter(pk__isnull=False)
    yield from (some.order_by(), some.order_by("pk"), some.reverse(), some.order_by("pk").reverse(), some.distinct())
    for field in model._meta.concrete_fields:
        yield from (some.order_by(name, "-pk") for name in {field.name, field.attname, f"-{field.attname}"})
        yield some.only(field.name)
        if field.is_relation:
            yield some.select_related(field.name).order_by("-pk")
            yield some.filter(**{f"{field.name}__isnull": False}).order_by(f"{field.name}__pk")
    yield from (some.order_by(F("pk").desc()), some.order_by("?"), some.select_related(), some.values_list())
    yield from (some.defer(model._meta.concrete_fields[-1].name), some.annotate(one=Value(1)).order_by("one"))
    yield from (some.values("pk").order_by("pk"), some.extra(select={"one": "1"}), some.extra(order_by=["-pk"]))
    yield from (every.filter(pk__in=some.order_by("pk")), every.filter(Exists(every.filter(pk=OuterRef("pk")))))
    yield from (some.union(every, all=True), some.order_by("pk").select_for_update(of=("self",)))


def said(question: QuerySet[Any], compiler: type[Django]) -> tuple[Any, ...]:
    """Return all that the rows of a question are read by."""
    made = compiler(question.query.clone(), connection, "default")
    statement = made.as_sql()
    columns = [one[0] for one in made.select[: made.col_count]]
    kinds = (made.klass_info or {}).get("model"), (made.klass_info or {}).get("select_fields")
    return statement, columns, kinds, made.annotation_col_map, made.get_converters(columns), made._meta_ordering


def test_every_question_is_what_django_makes_of_it_the_first_time_and_after() -> None:
    asked = [one for model in apps.get_models(include_auto_created=True) for one in plain(model)]
    asked += [one for model in (Request, Customer, Session) for one in questions(model)]
    for _ in range(2):
        for question in asked:
            assert said(question, Ours) == said(question, Django), question.query


def test_the_site_asks_with_it_and_remembers() -> None:
    first, again = (Request.objects.all().query.get_compiler("default") for _ in range(2))
    assert isinstance(first, Ours)
    assert first.get_select()[0] is again.get_select()[0]
    assert first.get_order_by()[0][0] is again.get_order_by()[0][0]


@isolate_apps("privacy")
def test_a_model_that_gets_another_field_is_asked_anew() -> None:
    class Thing(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "privacy"

    everything: QuerySet[Any] = QuerySet(Thing)
    assert said(everything, Ours) == said(everything, Django)
    models.IntegerField().contribute_to_class(Thing, "size")
    assert '"size"' in said(everything, Ours)[0][0]
