"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def company(request: HttpRequest) -> dict[str, Any]:
    """Return the company's contact data and whether this is a demo."""
    return {"company": settings.COMPANY, "demo": settings.DEMO}
