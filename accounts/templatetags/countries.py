"""Names of countries for templates."""

from django import template

from accounts import countries

register = template.Library()


@register.filter
def country(code: str) -> str:
    """Return the country's name."""
    return countries.name_of(code)
