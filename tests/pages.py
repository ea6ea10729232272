"""What every page must keep, whatever it shows: asked of each page in the tests of the views."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client

from accounts import factor
from accounts.models import User

INLINE = re.compile(r"<script|<style|\s(style|on[a-z]+)=", re.I)
#: The elements beside which a browser draws no blank.
BLOCK = (
    "address|article|aside|blockquote|body|br|caption|dd|details|div|dl|dt|fieldset|footer|form|h[1-6]|head|header|hr|"
    "html|legend|li|link|main|meta|nav|ol|option|p|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
BLANKS = re.compile(rf"\s*(</?(?:{BLOCK})\b[^>]*>)\s*")
ELSEWHERE = re.compile(r'(?:src|action)="(?:https?:)?//', re.I)


class Browser(Client):
    """A browser that answers why a record is opened, as staff do, when it is asked, and goes on
    (tests/privacy/admin/test_why.py)."""

    def get(self, path: str, *args: Any, **options: Any) -> Any:
        answer = super().get(path, *args, **options)
        return super().get(path, *args, **options) if self._answered(answer) else answer

    def post(self, path: str, *args: Any, **options: Any) -> Any:
        answer = super().post(path, *args, **options)
        return super().post(path, *args, **options) if self._answered(answer) else answer

    def _answered(self, answer: Any) -> bool:
        if answer.status_code != 200 or "admin/why.html" not in [one.name for one in getattr(answer, "templates", ())]:
            return False
        token = {"csrfmiddlewaretoken": answer.context["csrf_token"]}
        return bool(super().post(answer.context["action"], {"reason": "contact", **token}).status_code == 302)


def signed_in(user: User, *, again: bool = False, asked: bool = True) -> Client:
    """Return a browser in which `user` is signed in; with `again` the password was entered again just now.

    It answers why a record is opened, unless not to be `asked`.
    """
    client = Browser() if asked else Client()
    client.force_login(user)
    # As its page does it (tests/privacy/views/test_password_again.py), which would take most of a test's time; who has
    # a second factor is asked for that in place of the password.
    if again and not factor.is_enrolled(user):
        request = HttpRequest()
        request.user, request.session = user, client.session
        reauthenticate_by_password(request)
        request.session.save()
        client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key  # a new one
    return client


def seen(browser: Client, step: str) -> dict[str, str]:
    """Return what the page of a decision says that it showed; nothing where it is not possible."""
    found = re.search(r'name="seen" value="(\w+)"', browser.get(step).content.decode())
    return {"seen": found[1]} if found else {}


def decide(browser: Client, step: str, data: Mapping[str, str] | None = None, **options: Any) -> Any:
    """Look at the page of a decision, and answer it with what it showed."""
    return browser.post(step, {**(data or {}), **seen(browser, step)}, **options)


def read(answer: HttpResponse | str) -> str:
    """Return the page without the blanks and line ends that a browser does not draw: a sentence stands in one piece."""
    page = answer if isinstance(answer, str) else answer.content.decode()
    return BLANKS.sub(r"\1", re.sub(r"\s+", " ", page))


def title(answer: HttpResponse) -> str:
    """Return the page's title without the company."""
    found = re.search(r"<title>(.*?)</title>", answer.content.decode(), re.S)
    assert found, "a page without a title"
    return " ".join(found[1].split()).rpartition(" – ")[0]


def check(answer: Any, *, status: int = 200) -> str:
    """Assert what holds for every page and return it as `read` does."""
    assert answer.status_code == status, answer.status_code
    text = read(answer)
    assert "no-store" in answer["Cache-Control"]
    assert text.count("<h1") == 1, "one heading of the first level"
    assert title(answer)
    assert not INLINE.search(text), INLINE.search(text)
    assert not ELSEWHERE.search(text)
    assert '<a class="skip" href="#main">' in text
    assert 'href="/privacy/"' in text, "the privacy page is linked from every page (P6)"
    return text
