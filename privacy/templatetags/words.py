"""Codes of decisions in plain words, for templates."""

from collections.abc import Mapping
from typing import Any

from django import template

from privacy.requests.models import Request
from privacy.views import words

register = template.Library()


@register.filter
def code(name: str) -> str:
    """Return what a decision's code means, in one sentence."""
    return words.CODES.get(name, name)


@register.filter
def stands(about: Request) -> str:
    """Return how a request stands, to its person."""
    return about.stands()


@register.filter
def answered(about: Request) -> str:
    """Return that the answer has gone out, or where it lies instead."""
    return words.answered(about)


@register.filter
def fate(one: Any) -> str:
    """Return what becomes, or became, of one line of a plan or an outcome, in one sentence."""

    def part(name: str) -> Any:
        return one.get(name) if isinstance(one, Mapping) else getattr(one, name, None)

    return words.fate(part("label"), part("envelope"), part("code"), is_done=bool(part("done_at")))
