"""What stands over every answer of every URL, for everybody: the content policy, the other headers, the cookies; and
what the Nu HTML checker says of the pages.

Asked with the settings of an installation under https, the 404, 403 and 500, the admin, downloads and static files
included. "By our reading" the rules of the HTTP Observatory are recomputed; its own word needs a public address.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from django.test import Client

from accounts import middleware
from ilt_site.headers import PERMISSIONS
from orders import views
from tests import factories
from tests.browser import checker
from tests.figures import report
from tests.journeys.doors import House
from tests.journeys.test_url_table import TABLE

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.journey,
    pytest.mark.browser,
]  # the checker looks at what all of them drew

POLICY = (
    "base-uri 'none'; default-src 'none'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; script-src 'self'; style-src 'self'"
)
YEAR = 31_536_000
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "Strict-Transport-Security": f"max-age={YEAR}; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
}


@pytest.fixture
def https(settings: Any) -> None:
    """The settings that follow from a PORTAL_URL that begins with https."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = YEAR
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"


def browser(house: House, name: str, **options: Any) -> Client:
    """Return somebody's browser, whose session cookie has the name it has under https."""
    made = house.browser(name, **options)
    if "session" in made.cookies:
        made.cookies = SimpleCookie({"__Host-session": made.cookies["session"].value})
    return made


def answers(house: House) -> Iterator[tuple[str, HttpResponseBase]]:
    """Yield an answer of every URL to a visitor, a customer and two members of staff, with its name."""
    for name in ("anonymous", "bob", "carol", "pat"):
        for row in TABLE:
            yield f"{name} {row.pattern}", browser(house, name).get(house.path(row), secure=True)


def header(answer: HttpResponseBase, name: str) -> str | None:
    """Return a header; of the content policy the directives in order, which stand there in any."""
    value: str | None = answer.headers.get(name)
    return "; ".join(sorted(value.split("; "))) if value and name == "Content-Security-Policy" else value


def faults(answer: HttpResponseBase) -> list[str]:
    """Return what is wrong with the headers and cookies of an answer."""
    found = [f"{name}: {header(answer, name)}" for name, value in ALWAYS.items() if header(answer, name) != value]
    if "no-store" not in answer.headers.get("Cache-Control", ""):
        found.append(f"Cache-Control: {answer.headers.get('Cache-Control')}")
    if cross := [name for name in answer.headers if name.startswith("Access-Control-")]:
        found.append(f"{cross}")
    for name, cookie in answer.cookies.items():
        is_bound = name.startswith("__Host-") and cookie["path"] == "/" and not cookie["domain"]
        # A cookie that is taken back says so by its date; the browser that has it got it with all of these.
        is_gone = cookie["max-age"] == 0
        if not is_gone and not (is_bound and cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Lax"):
            found.append(f"cookie {name}: {dict(cookie)}")
    return found


def observatory(answer: HttpResponseBase) -> int:
    """Return the score that the HTTP Observatory's published rules give an answer, by our reading: 100 and more is
    A+."""
    policy = {
        part.split()[0]: part.split()[1:] for part in answer.headers.get("Content-Security-Policy", "x").split("; ")
    }
    scripts = policy.get("script-src", policy.get("default-src", ["*"]))
    score = 100
    if not policy.get("default-src") or {"'unsafe-inline'", "data:", "https:", "*"} & set(scripts):
        score -= 25
    elif "'unsafe-eval'" in scripts:
        score -= 10
    else:
        score += 10 if policy["default-src"] == ["'none'"] and "'unsafe-inline'" not in policy["style-src"] else 5
    age = answer.headers.get("Strict-Transport-Security", "max-age=0").split(";")[0].removeprefix("max-age=")
    score -= 20 if int(age) < YEAR // 2 else 0
    score -= 0 if answer.headers.get("X-Content-Type-Options") == "nosniff" else 5
    score += 5 if policy.get("frame-ancestors") == ["'none'"] else -20
    private = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
    score += 5 if answer.headers.get("Referrer-Policy") in private else -5
    score += 10 if answer.headers.get("Cross-Origin-Resource-Policy") in ("same-origin", "same-site") else 0
    score -= 50 if answer.headers.get("Access-Control-Allow-Origin") == "*" else 0
    if answer.cookies:
        is_safe = all(
            one["secure"] and one["httponly"] and one["samesite"] for one in answer.cookies.values() if one.value
        )
        score += 5 if is_safe else -40
    return score


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """The pages that the walk of the headers saw, by name."""
    return {}


def test_every_answer_of_every_url_has_every_header(house: House, https: None, drawn: dict[str, str]) -> None:
    wrong, statuses, count, scores = [], set(), 0, set()
    for name, answer in answers(house):
        wrong += [f"{name} {answer.status_code}: {fault}" for fault in faults(answer)]
        statuses.add(answer.status_code)
        if answer.headers.get("Content-Type", "").startswith("text/html") and not answer.streaming and answer.content:
            drawn[f"{name} {answer.status_code}"] = answer.content.decode()
        scores.add(observatory(answer))
        count += 1
    assert not wrong, "\n".join(wrong[:40])
    assert statuses >= {200, 302, 403, 404, 405}
    assert min(scores) >= 130, scores
    report("headers", "answers with a header or a cookie flag missing", 0, n=count, goal="0")
    report("observatory", "lowest score of any answer, by our reading", min(scores), n=count, goal="100 or more")


def test_the_nu_checker_finds_no_error_on_any_of_them(drawn: dict[str, str]) -> None:
    wrong = checker.errors(drawn)
    assert wrong == [], "\n".join(wrong[:40])
    assert len(drawn) > 200, "run the whole file"


def test_a_form_without_its_token_a_failure_and_a_download_have_them_too(
    house: House,
    https: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = browser(house, "anonymous", enforce_csrf_checks=True).post("/accounts/login/", secure=True)
    assert (refused.status_code, faults(refused)) == (403, [])
    path = f"/privacy/requests/{house.world.bob.records['access'].pk}/export/"
    copy = browser(house, "bob").post(path, secure=True)
    assert (copy.status_code, faults(copy), copy.headers["Content-Disposition"][:10]) == (200, [], "attachment")
    b"".join(copy.streaming_content)
    with monkeypatch.context() as broken:
        broken.setattr(views, "Paginator", None)
        failed = browser(house, "bob", raise_request_exception=False).get("/orders/", secure=True)
    assert (failed.status_code, faults(failed)) == (500, [])


def test_a_session_is_given_as_a_cookie_of_this_host_alone(house: House, https: None) -> None:
    address = house.world.alice.of("accounts.login_address", "email")[0]
    told = Client().post("/accounts/login/", {"login": address, "password": factories.PASSWORD}, secure=True)
    assert told.status_code == 302 and faults(told) == []
    assert {"__Host-session", "__Host-csrf"} <= set(told.cookies)


def test_what_is_asked_in_clear_is_led_to_https(house: House, https: None) -> None:
    answer = browser(house, "anonymous").get("/privacy/")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/privacy/")


def test_signing_out_clears_what_the_browser_kept(house: House, https: None) -> None:
    bob = browser(house, "bob")
    assert "Clear-Site-Data" not in bob.get("/account/", secure=True).headers
    answer = bob.post("/accounts/logout/", secure=True)
    assert (answer.status_code, answer.headers["Clear-Site-Data"]) == (302, middleware.CLEAR)
    assert bob.get("/account/", secure=True).headers["Location"].startswith("/accounts/login/")


def test_a_static_file_says_what_it_is_and_may_be_kept(https: None, settings: Any, tmp_path: Any) -> None:
    (tmp_path / "ilt.css").write_text("a {}")
    settings.STATIC_ROOT = str(tmp_path)
    answer = Client().get("/static/ilt.css", secure=True)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
    assert [name for name in ALWAYS if header(answer, name) != ALWAYS[name]] == []
    assert "no-store" not in answer.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers
