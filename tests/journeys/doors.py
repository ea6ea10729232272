"""Walk the URL map and knock at every door as everybody: which patterns there are, what answers, what the answer
shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any, Protocol

from django.core.cache import cache
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import pages
from tests.journeys.everybody import Everybody, Person

ACTORS = ("anonymous", "alice", "bob", "carol", "erin", "pat")
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
    # The length of a page is no data, and may by chance be the four digits of somebody's card.
    said = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
    return f"{said}\n{body.decode(errors='replace')}"


class Line(Protocol):
    """A pattern of the URL map with the names of what goes into it: "order", "=ship" for a word, "-" for nothing."""

    @property
    def pattern(self) -> str: ...
    @property
    def arguments(self) -> str: ...


class House:
    """Everybody's browsers at one set of doors; a browser is used for one request, so that none changes the next."""

    def __init__(self, world: Everybody) -> None:
        self.world = world
        self._cookies: dict[str, Any] = {"anonymous": Client().cookies}
        for name in ACTORS[1:]:
            user = getattr(world, name)
            user = user.user if isinstance(user, Person) else user
            browser = pages.signed_in(user, again=True)
            for person in (world.alice, world.bob):
                # Staff have said for the day why they open what nothing open connects them with.
                browser.post(f"/admin/accounts/customer/{person.customer.pk}/why/", {"reason": "contact"})
                browser.post(f"/admin/accounts/company/{person.records['company'].pk}/why/", {"reason": "contact"})
            self._cookies[name] = browser.cookies

    def browser(self, name: str, **options: Any) -> Client:
        """Return a fresh browser of somebody who is signed in and entered the password just now."""
        cache.clear()  # limits count from zero
        browser = Client(**options)
        browser.cookies = SimpleCookie(self._cookies[name])
        return browser

    def path(self, row: Line, whose: Person | None = None) -> str:
        """Return a path of a pattern, filled with the numbers of bob's records unless told otherwise."""
        if row.arguments == "-":
            return filled(row.pattern)
        return filled(row.pattern, *(self._argument(one, whose or self.world.bob) for one in row.arguments.split(",")))

    def _argument(self, name: str, whose: Person) -> str:
        match name:
            case "customer":
                return str(whose.customer.pk)
            case "product":
                return str(whose.records["order"].lines.get().product_id)
            case "certificate":
                return str(whose.records[name].number)
            case "token" | "spent":
                return str(whose.records[name])
            case _ if name.startswith("="):
                return name[1:]
            case _:
                return str(whose.records[name].pk)
