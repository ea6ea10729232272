"""Methods no page has, and the one file among the static ones that is no page's."""

from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from ilt_site.static import StaticMiddleware

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "FOO"])
@pytest.mark.parametrize("path", ["/", "/privacy/ask/", "/accounts/login/", "/health/live/", "/admin/", "/nowhere/"])
def test_a_method_that_no_page_has_is_refused(client: Client, method: str, path: str) -> None:
    answer = client.generic(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert answer.headers["Cache-Control"] == "no-store" and "Content-Security-Policy" in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_get_and_head_are_answered(client: Client) -> None:
    assert client.get("/").status_code == client.head("/").status_code == 200


def test_the_list_of_all_static_files_is_not_served(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    for name in ("staticfiles.json", "ilt.css"):
        (tmp_path / name).write_text("{}")
    served = StaticMiddleware(lambda request: HttpResponse(status=404))
    assert served(RequestFactory().get("/static/ilt.css")).status_code == 200
    assert served(RequestFactory().get("/static/staticfiles.json")).status_code == 404
