"""Codes of decisions in plain words, for templates."""

from django import template

from privacy.views import words

register = template.Library()


@register.filter
def code(name: str) -> str:
    """Return what a decision's code means, in one sentence."""
    return words.CODES.get(name, name)
