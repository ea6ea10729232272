"""Every form of the portal and the back office, found by walking the URLs: who sends it, where to, with which
fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import resolve

from tests.journeys.doors import House
from tests.journeys.effects import effects
from tests.journeys.test_url_table import TABLE

FREE = {"text", "email", "tel", "password", "search", "number", "url", "date", "datetime-local", "textarea"}
STAFF = ("pat", "carol", "erin")
TOKEN = "a" * 32


@dataclass(frozen=True)
class Form:
    """One form: `data` is what the page and the table of effects fill in, `free` the fields in which one types."""

    by: str
    route: str
    path: str
    data: Mapping[str, str]
    free: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.by} at {self.route}"


class _Reader(HTMLParser):
    """Collects (action, {name: value}, {names to type in}) of each form that is sent by POST."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], set[str]]] = []
        self.is_open = False
        self.select = self.area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.is_open = given.get("method", "").lower() == "post"
            if self.is_open:
                self.found.append((given.get("action", ""), {}, set()))
        if not self.is_open or "disabled" in given:
            return
        _, data, free = self.found[-1]
        name, kind = given.get("name", ""), given.get("type", "text").lower()
        if tag == "input" and name:
            if kind in ("radio", "checkbox"):
                if "checked" in given or (kind == "radio" and name not in data):
                    data[name] = given.get("value", "on")
            else:
                data[name] = given.get("value", "")
                if kind in FREE:
                    free.add(name)
        elif tag == "textarea":
            self.area = name
            data[name] = ""
            free.add(name)
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in given or self.select not in data):
            data[self.select] = given.get("value", "")
        elif tag == "button" and name:
            data.setdefault(name, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_open = False
        elif tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.area = ""

    def handle_data(self, data: str) -> None:
        if self.is_open and self.area:
            self.found[-1][1][self.area] += data


def read(page: str) -> list[tuple[str, dict[str, str], set[str]]]:
    """Return (action, data, fields to type in) of each form of a page."""
    reader = _Reader()
    reader.feed(page)
    return reader.found


def pages(house: House) -> Iterator[tuple[str, str, str]]:
    """Yield (who, path, text) of every page that can be looked at, by somebody who may; the staff pages by each
    role."""
    known = effects(house.world)
    seen: set[tuple[str, str]] = set()
    for row in [*TABLE, *known]:
        path = house.path(row)
        outcomes = getattr(row, "outcomes", None)
        if outcomes is None:
            actors = row.by[:1]
        elif path.startswith("/admin/"):
            actors = STAFF
        else:
            actors = tuple(name for name in ("anonymous", "bob") if outcomes[name].startswith("200"))
        for name in actors:
            if (outcomes is not None and not outcomes[name].startswith("200")) or (name, path) in seen:
                continue
            seen.add((name, path))
            answer = house.browser(name).get(path)
            if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
                yield name, path, answer.text


def walk(house: House) -> list[Form]:
    """Return every form once for each set of fields, filled so that it would be taken where the table knows how."""
    known = effects(house.world)
    good = {(house.path(one), name): one.data for one in known for name in one.by}
    found: dict[tuple[str, frozenset[str]], Form] = {}

    def add(by: str, path: str, data: Mapping[str, str], free: set[str]) -> None:
        data = {name: value for name, value in data.items() if name != "csrfmiddlewaretoken"}
        filled = {**data, **good.get((path, by), {})}
        route = resolve(urlsplit(path).path).route
        key = (route + str("step" in route and path.rstrip("/").rpartition("/")[2]), frozenset(filled))
        found.setdefault(
            key, Form(by, route, path, filled, tuple(sorted(free | (set(filled) & set(good.get((path, by), {}))))))
        )

    for by, path, text in pages(house):
        for action, data, free in read(text):
            add(by, action or path, data, free)
    for one in known:  # a POST for which there is no page, or whose page did not show its form today
        add(one.by[0], house.path(one), {}, set())
    return sorted(found.values(), key=lambda one: (one.route, one.by, one.path))


class Sender:
    """Sends forms and keeps every exception that would have been a 500."""

    def __init__(self, house: House) -> None:
        self.house, self.failed, self.count = house, [], 0  # type: ignore[var-annotated]

    def __enter__(self) -> Sender:
        got_request_exception.connect(self._raised)
        return self

    def __exit__(self, *_: Any) -> None:
        got_request_exception.disconnect(self._raised)

    def _raised(self, sender: Any, request: Any = None, **_: Any) -> None:
        import sys

        _kind, error, trace = sys.exc_info()
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
        self.failed.append(
            f"{request.method if request else ''} {request.path if request else ''}: {error!r:.200} {place}"
        )

    def browser(self, by: str) -> Client:
        browser = self.house.browser(by)
        browser.raise_request_exception = False
        return browser

    def post(self, form: Form, changed: Mapping[str, str]) -> Any:
        """Send a form with some fields changed, as a browser does; a lone surrogate goes as the bytes it is."""
        body = urlencode({**form.data, **changed}, errors="surrogatepass")
        self.count += 1
        return self.browser(form.by).post(form.path, body, content_type="application/x-www-form-urlencoded")

    def raw(self, form: Form, body: str | bytes, kind: str = "application/x-www-form-urlencoded") -> Any:
        """Send a body as it is, with a good token in the header, so that the form is read as in a real request."""
        self.count += 1
        browser = self.house.browser(form.by, enforce_csrf_checks=True)
        browser.raise_request_exception = False
        browser.cookies[settings.CSRF_COOKIE_NAME] = TOKEN
        return browser.generic("POST", form.path, body, content_type=kind, headers={"x-csrftoken": TOKEN})

    def get(self, by: str, path: str) -> Any:
        self.count += 1
        return self.browser(by).get(path)
