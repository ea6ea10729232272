"""Methods no page has, and the one file among the static ones that is no page's."""

from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from ilt_site.static import StaticMiddleware
from privacy.restore import maintenance

pytestmark = pytest.mark.django_db
UNKNOWN = {"reference": "PR-2026-AAAA-AA", "code": "0000-0000-0000"}


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "FOO"])
@pytest.mark.parametrize("path", ["/", "/privacy/ask/", "/accounts/login/", "/health/live/", "/admin/", "/nowhere/"])
def test_a_method_that_no_page_has_is_refused(client: Client, method: str, path: str) -> None:
    answer = client.generic(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert answer.headers["Cache-Control"] == "no-store" and "Content-Security-Policy" in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("https", [False, True])
def test_the_answer_to_a_foreign_host_carries_the_headers(client: Client, settings: Any, https: bool) -> None:
    settings.SECURE_SSL_REDIRECT = https  # then the host is looked at earlier
    answer = client.get("/", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (400, "DENY")
    assert answer.headers["Cache-Control"] == "no-store" and "Content-Security-Policy" in answer.headers
    assert b"evil.example" not in answer.content


def test_the_page_for_maintenance_is_shown_in_no_frame(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance._watch, "found", ("main_behind",))
    answer = client.get("/")
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (503, "DENY")


def test_whoever_tried_too_often_is_told_when_to_come_back(client: Client) -> None:
    answers = [
        client.post("/accounts/login/", {"login": "alice", "password": "wrong"}, REMOTE_ADDR=f"192.0.2.{number}")
        for number in range(6)
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None] * 5 + ["300"]
    asked = [client.post("/privacy/outcome/", UNKNOWN, REMOTE_ADDR="192.0.2.9") for _ in range(11)]
    assert asked[-1].status_code == 429
    assert 30 < int(asked[-1].headers["Retry-After"]) <= 60  # ten a minute


def test_get_and_head_are_answered(client: Client) -> None:
    assert client.get("/").status_code == client.head("/").status_code == 200


def test_the_list_of_all_static_files_is_not_served(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    for name in ("staticfiles.json", "ilt.css"):
        (tmp_path / name).write_text("{}")
    served = StaticMiddleware(lambda request: HttpResponse(status=404))
    assert served(RequestFactory().get("/static/ilt.css")).status_code == 200
    assert served(RequestFactory().get("/static/staticfiles.json")).status_code == 404
