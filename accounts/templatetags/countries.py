"""Names of countries, and places as the post of a country writes them, for templates."""

from typing import Any

from django import template

from accounts import addresslines, countries, regions
from privacy.templatetags.pages import readable
from privacy.vault import Unreadable

register = template.Library()


@register.filter
def country(code: str) -> str:
    """Return the country's name."""
    return countries.name_of(code)


@register.filter
def region(text: Any, country: Any) -> Any:
    """Return the name of a state or province by its code and its country; any other region, and what cannot be read, as
    it is."""
    return regions.name_of(text, country) if isinstance(text, str) else text


@register.simple_tag
def place(city: Any, region: Any, postal_code: Any, country: Any) -> list[str]:
    """Return the lines of a place in the order of its country, as on an envelope; what is blank or cannot be read is
    left out."""
    of, city, region, postal_code = (
        "" if isinstance(part, Unreadable) else str(part or "") for part in (country, city, region, postal_code)
    )
    return addresslines.of_place(country=of, city=city, region=region, postal_code=postal_code)


@register.inclusion_tag("_address.html")
def address(record: Any, where: str = "", who: str = "") -> dict[str, Any]:
    """Draw one postal address: the fields of `record` that begin with `where` and, for name and company, with `who`."""
    parts = ("street", "street2", "city", "region", "postal_code", "country")
    shown = {part: getattr(record, f"{where}_{part}" if where else part) for part in parts}
    if who:
        shown |= {"name": getattr(record, f"{who}_name"), "organisation": getattr(record, f"{who}_company")}
    is_told = any(readable(shown.get(part)) for part in ("name", "organisation", "street", "city"))
    return {**shown, "is_told": is_told}
