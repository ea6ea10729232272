"""Nothing about a person in a log line, whoever writes it."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from django.urls import resolve

from ilt_site import logs


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the configured handler writes, as text."""
    ours = next(
        one for one in logging.getLogger().handlers if isinstance(one.formatter, structlog.stdlib.ProcessorFormatter)
    )
    assert isinstance(ours, logging.StreamHandler)
    text = StringIO()
    before, ours.stream = ours.stream, text  # not setStream, which flushes a stream that may have been closed
    yield text
    ours.stream = before


def test_a_line_that_cannot_be_written_prints_no_exception_that_is_handled_just_then(
    written: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    written.close()
    try:
        raise ValueError("refused: alice@example.com")
    except ValueError:
        logging.getLogger("privacy.letters").warning("alice@example.com")
        structlog.get_logger("privacy.letters").warning("letter.failed", what="alice@example.com")
    said = capsys.readouterr()
    lost = {"event": "log.lost", "level": "error", "logger": "privacy.letters", "error": "ValueError"}
    assert [json.loads(line) for line in said.err.splitlines()] == [lost, lost] and said.out == ""


def lines(written: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("to alice.smith@mail.example now", "to [e-mail] now"),
        ("card 4111 1111 1111 1111", "card [digits]"),
        ("card 4111-1111-1111-1111.", "card [digits]."),
        ("card f4111111111111111", "card f[digits]"),
        ("４１１１１１１１１１１１１１１１", "[digits]"),
        ("call (978) 818-6180", "call ([digits]"),
        ("from 203.0.113.77", "from [address]"),
        ("from 2001:db8::1:2:3:4", "from [address]"),
        ("/orders/?q=smith&x=1 done", "/orders/?… done"),
        ("/privacy/link/Zx9-abcdefghijklmnop12345/", "/privacy/link/[token]/"),
        ("order 11f8cbe4-3a11-4b6e-9e59-0123456789ab", "order 11f8cbe4-3a11-4b6e-9e59-0123456789ab"),
        ("at 16:02:33, 54321 rows, version 18.4.1", "at 16:02:33, 54321 rows, version 18.4.1"),
    ],
)
def test_the_redactor_takes_out_what_identifies(text: str, redacted: str) -> None:
    assert logs.redact(text) == redacted


def test_a_line_is_one_json_object_whatever_is_in_it(written: StringIO) -> None:
    logging.getLogger("somebody").warning("two\nlines \x1b[31m %s", {"to": ["bob@mail.example"]})
    structlog.get_logger("us").info("one\nmore", note="4111111111111111", other=RuntimeError("alice@mail.example"))
    first, second = lines(written)
    assert first["event"].startswith("two\nlines")
    assert "bob" not in written.getvalue()
    assert (second["note"], second["other"]) == ("[digits]", "RuntimeError")


def test_an_exception_leaves_its_class_and_place_but_not_its_text(written: StringIO) -> None:
    try:
        raise ValueError("Alice Smith, 12 Main Street")
    except ValueError:
        logging.getLogger("somebody").exception("failed")
        structlog.get_logger("us").exception("failed", error="Alice Smith", result="Alice Smith")
    assert "Alice" not in written.getvalue()
    for line in lines(written):
        assert line["exception"] == "ValueError"
        assert line["frames"][-1].endswith("not_its_text")


@pytest.mark.parametrize(
    "name",
    [
        "django.db.backends",
        "django.request",
        "django.security.csrf",
        "django.security.DisallowedHost",
        "celery.app.trace",
    ],
)
def test_loggers_that_would_quote_values_are_silent(written: StringIO, name: str) -> None:
    logging.getLogger(name).error("SELECT 'Alice'")
    assert written.getvalue() == ""


@pytest.mark.django_db
def test_a_request_leaves_route_status_and_duration_only(written: StringIO, client: Client) -> None:
    response = client.get(
        "/?email=alice@mail.example",
        headers={"referer": "https://elsewhere.example/alice", "user-agent": "canary-agent"},
        REMOTE_ADDR="203.0.113.77",
    )
    (line,) = [line for line in lines(written) if line["event"] == "request"]
    assert response.headers["X-Request-ID"] == line["request_id"]
    assert set(line) == {
        "code", "duration_ms", "event", "level", "logger", "method", "request_id", "route", "timestamp", "user",
    }  # fmt: skip
    assert (line["method"], line["route"], line["code"], line["user"]) == ("GET", "", 200, None)


def test_the_route_never_holds_an_argument() -> None:
    request = RequestFactory().get("/privacy/link/secret-token/")
    request.resolver_match = resolve("/privacy/link/secret-token/")
    assert "secret-token" not in logs.route_of(request)


@pytest.mark.parametrize("exception", [Http404("bob"), PermissionDenied("bob")])
def test_an_ordinary_refusal_is_no_failure(written: StringIO, exception: Exception) -> None:
    request = RequestFactory().get("/")
    logs.RequestLogMiddleware(lambda _: HttpResponse()).process_exception(request, exception)
    assert lines(written) == []


def test_a_failure_is_one(written: StringIO) -> None:
    request = RequestFactory().get("/")
    logs.RequestLogMiddleware(lambda _: HttpResponse()).process_exception(request, RuntimeError("bob"))
    (line,) = lines(written)
    assert line["event"] == "request_failed"
    assert "bob" not in written.getvalue()
