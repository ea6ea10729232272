"""Walk the URL map and knock at every door: which patterns there are, what answers, and what the answer shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

BACK_OFFICE_LOGIN = "/admin/login/"
REDIRECTS = {"/accounts/login/": "login", "/accounts/reauthenticate/": "again"}
_ARGUMENT = re.compile(r"<(?:\w+:)?\w+>|\(\?P<\w+>[^)]*\)")


def patterns(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield every pattern of the project that resolves to a view, written as in the URL map."""
    resolver = resolver or get_resolver()
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield f"/{before}{one.pattern}"
        else:
            yield from patterns(one, f"{before}{one.pattern}")


def filled(pattern: str, *arguments: str) -> str:
    """Return the path of a pattern with its arguments filled in."""
    given = iter(arguments)
    path = _ARGUMENT.sub(lambda _: next(given), pattern.replace("^", "").replace("$", ""))
    assert next(given, None) is None, pattern
    return path


def knock(browser: Client, method: str, path: str, data: Any = None) -> tuple[str, str]:
    """Send a request; return its outcome in a word, and all that came back: every header and body on the way.

    The outcome is the status, "login" or "again" for being led to sign in (once more), ">" for any other redirect.
    Who is nobody to the back office is led to its login, which answers for it.
    """
    send = getattr(browser, method.lower())
    answer = send(path, data or {}) if method == "POST" else send(path)
    shown = [_everything(answer)]
    while answer.headers.get("Location", "").startswith(BACK_OFFICE_LOGIN) and path != BACK_OFFICE_LOGIN:
        path = BACK_OFFICE_LOGIN
        answer = browser.get(answer.headers["Location"])
        shown.append(_everything(answer))
    if answer.status_code in (301, 302):
        target = answer.headers["Location"].partition("?")[0]
        return REDIRECTS.get(target, ">"), "\n".join(shown)
    return str(answer.status_code), "\n".join(shown)


def _everything(answer: HttpResponseBase) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{answer.headers}\n{body.decode(errors='replace')}"
