"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from privacy.sweep import arming


def company(request: HttpRequest) -> dict[str, Any]:
    """Return the company's contact data, whether this is a demo, and whether data ends by itself
    here (asked when it is used)."""
    return {
        "company": settings.COMPANY,
        "demo": settings.DEMO,
        "sweep_is_armed": SimpleLazyObject(arming.is_armed),
    }
