"""What every page needs: the company's contact data, values that may be unreadable, amounts, plain words for codes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from privacy import vault
from privacy.calendar import undated
from privacy.requests import answer, authorities, procedures, said
from privacy.requests.models import Request
from privacy.requests.procedure import Procedure
from privacy.retention import due, jurisdiction
from privacy.retention.verdict import ends_when_finished
from privacy.sweep import arming

register = template.Library()

NOT_GIVEN = mark_safe('<span class="hint">not given</span>')


@register.simple_tag
def company() -> dict[str, str]:
    """Return the company's contact data; error pages are drawn without a context and need it as well (P50)."""
    found: dict[str, str] = settings.COMPANY
    return found


@register.filter
def where_to_complain(request: Request) -> str:
    """Return to whom the person of this request can complain, as it goes on after "You can also complain to"."""
    return authorities.where_to(request.country, request.region)


@register.filter
def complaint_to_us(request: Request) -> str:
    """Return what comes of a complaint to the company, where the law of the person of this request says so; else ""."""
    return authorities.to_us(request.country)


@register.simple_tag
def rights(door: str | None = None) -> list[Procedure]:
    """Return the rights that a person can ask for at this door, of all without one, in the order in which they are
    offered."""
    return procedures.rights(door) if door else [one for one in procedures.rights() if not one.is_for_staff_only]


@register.simple_tag(takes_context=True)
def door(context: dict[str, Any], right: Procedure) -> str:
    """Return where a visitor asks for a right: in the portal, or without a login where it has no place
    there or nobody is signed in."""
    user = context.get("user")
    has_portal = right.is_in_portal and getattr(user, "subject_id", None) is not None
    return reverse("request_new", args=[right.kind]) if has_portal else reverse("ask")


@register.simple_tag(takes_context=True)
def current(context: dict[str, Any], begin: str) -> SafeString:
    """Return the mark of the entry of the menu below which the page stands: its path has this begin; else ""."""
    request = context.get("request")
    return mark_safe(' aria-current="true"') if request and request.path.startswith(begin) else mark_safe("")


@register.simple_tag
def right_that_removes() -> Procedure:
    """Return the right by which a person has the own data removed."""
    return next(one for one in procedures.rights("portal") if one.removes)


@register.simple_tag
def backups_until() -> date:
    """Return the last day on which a backup of a key destroyed today can still exist, by the retention schedule
    (P11)."""
    return answer.backups_until(timezone.now())


@register.simple_tag
def when_due() -> str:
    """Return what happens here to what is due to go: for pages, letters and copies (design 12)."""
    return due.carried_out(is_armed=arming.is_armed())


@register.simple_tag
def still_open() -> str:
    """Return what happens here to what is open on a day that a removal told: for pages and letters (design 12)."""
    return due.still_open(is_armed=arming.is_armed())


@register.simple_tag
def renewal_is_by_hand() -> bool:
    """Whether somebody has to renew the key ring by hand: without a place for its copy it is not renewed by itself."""
    return not settings.KEY_RING_COPY


@register.filter
def value(shown: Any) -> SafeString | str:
    """Return a value for the page: dates in words, "not given" for nothing, and why, when it cannot be read.

    What was erased says when and by what; it never reads as if it had not been given.
    """
    if isinstance(shown, vault.Unreadable) or undated.is_none(shown):
        return format_html('<span class="unreadable">{}</span>', said.value(shown))
    return said.value(shown) or NOT_GIVEN


@register.filter
def readable(shown: Any) -> bool:
    """Whether there is a value, and it can be read."""
    return bool(shown) and not isinstance(shown, vault.Unreadable)


@register.filter
def erased(shown: Any) -> bool:
    """Whether there was a value, and its key is destroyed."""
    return isinstance(shown, vault.Erased)


@register.filter
def money(amount: Decimal | None, currency: str = "USD") -> str:
    """Return an amount with two decimals and its currency: "USD 1,250.00"."""
    return said.money(amount, currency)


@register.filter
def ending(shown: Any) -> SafeString | str:
    """Return the last four characters of an identifier behind dots; what cannot be read, with its reason."""
    if not isinstance(shown, str) or not shown:
        return value(shown)
    return f"•••• {shown[-4:]}" if len(shown) > 4 else "••••"


@register.filter
def first_control(field: BoundField) -> str:
    """Return the id of the field's control, of the first one where it is a group: there the link of a mistake leads."""
    return f"{field.auto_id}_0" if field.use_fieldset else field.id_for_label or field.auto_id


@register.filter
def unpaused(dates: Any) -> str:
    """Return what follows the day by which we answer: the day it would be had we not waited for the person; "" for
    none.

    `dates` is a request, or whatever has its `unpaused_due_on` (Art. 12(3)).
    """
    day = _part(dates, "unpaused_due_on")
    return " " + gettext("(had we not waited for you: %s)") % date_format(day, "j F Y") if day else ""


@register.filter
def until(kept: Any) -> str:
    """Return until when something stays, in words: its day, or what has to be settled first.
    `kept` has `until` and `code`."""
    end, code = _part(kept, "until"), _part(kept, "code")
    if not end:
        return (
            gettext("the legal claim is settled") if code == "KEEP_CLAIMS" else gettext("what is said here is settled")
        )
    day = date_format(end, "j F Y")
    ends = ends_when_finished(code, _part(kept, "sentence") or "")
    return gettext("%s, or earlier once what is open is finished") % day if ends else day


@register.filter
def law(kept: Any) -> str:
    """Return by what right something stays, in one text. `kept` has `ground` and `authority`."""
    return jurisdiction.law(_part(kept, "ground") or "", _part(kept, "authority") or "")


def _part(thing: Any, name: str) -> Any:
    # Letters are written from records and from what is kept of them in the file of a request.
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
