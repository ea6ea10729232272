"""Logs: one JSON object a line on stderr, through a redactor.

Must never happen: a name, address, e-mail, card number or a whole URL in a log line. Code does not log personal data;
the redactor is the second line of defence, for messages that other people's code writes.
Of what the policy's P13 and P14 allow to be collected, a request leaves method, route, status, duration and the user's
opaque id: no referrer, no query string, no path arguments (they may be one-time tokens), no IP, no user agent.
"""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from privacy.typed import cards

# From the beginning of a run of such characters only, and never back: else each of them would be a beginning.
EMAIL = re.compile(r"(?<![^\s@<>\"'(),:;=])[^\s@<>\"'(),:;=]++@[^\s@<>\"'(),:;=]{1,190}")
DIGITS = re.compile(r"(?<!\d)\d(?:[ .\-()/]{0,2}\d){6,}(?!\d)")
IP = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])"
)
TOKEN = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[A-Za-z0-9_-]{20,}(?![\w-])")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
QUERY = re.compile(r"\?[^\s\"']*")
KEPT_WHOLE = frozenset(
    {"timestamp", "request_id", "task_id", "child_task_id", "level", "logger", "duration_ms", "code", "frames"}
)

logger = structlog.get_logger(__name__)


def redact(text: str) -> str:
    """Return the text without e-mail and IP addresses, query strings, tokens, card numbers and
    runs of seven or more digits.

    UUIDs stay: they name a record and tell nothing about a person by themselves.
    """
    text = QUERY.sub("?…", text)
    parts, end = [], 0
    for found in UUID.finditer(text):
        parts += [_mask(text[end : found.start()]), found.group()]
        end = found.end()
    return "".join([*parts, _mask(text[end:])])


def _mask(text: str) -> str:
    for pattern, label in ((EMAIL, "[e-mail]"), (IP, "[address]"), (DIGITS, "[digits]"), (TOKEN, "[token]")):
        text = pattern.sub(label, text)
    # What is left of a card number written with signs that a run of digits does not have between them.
    return cards.redact(text)[0]


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, dict):
        return {redact(str(key)): _redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item) for item in value]
    return redact(str(value))


def redactor(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact every value of a log event; a structlog processor."""
    return {key: value if key in KEPT_WHOLE else _redact_value(value) for key, value in event.items()}


def frames_only(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and the places it came through: its text may quote a value."""
    exc_info = event.pop("exc_info", None)
    for name in ("stack_info", "error", "result"):  # the last two: texts and values that django_structlog passes on
        event.pop(name, None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(event.get("exception"), BaseException):
        exc_info = event.pop("exception")
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if isinstance(exc_info, tuple) and exc_info[0] is not None:
        event["exception"] = exc_info[0].__name__
        event["frames"] = _frames(exc_info[2])
    return event


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-12:]]


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class Lines(logging.StreamHandler):
    """Writes to stderr; of a line that cannot be written only who wanted to write it, and why not, by its class.

    Python's own handler prints the line, and all exceptions that are handled just then with their texts: an address
    that a mail server refused, a value that was typed.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        """Say in one line that another one is lost."""
        lost = {
            "event": "log.lost",
            "level": "error",
            "logger": record.name,
            "error": getattr(sys.exc_info()[0], "__name__", ""),
        }
        with suppress(Exception):
            print(json.dumps(lost), file=sys.stderr)  # noqa: T201  the handler itself has just failed


def logging_config(level: str) -> dict[str, Any]:
    """Return the value of Django's LOGGING and configure structlog to match it."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    quiet = {"level": "WARNING", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    frames_only,
                    redactor,
                    structlog.processors.JSONRenderer(sort_keys=True),
                ],
            },
        },
        "handlers": {"stderr": {"()": Lines, "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            # These would write whole paths, with the tokens in them; RequestLogMiddleware writes the route instead.
            "django.request": {"handlers": [], "level": "CRITICAL", "propagate": False},
            # Quotes the Host header, names of cookies and fields: what strangers send.
            "django.security": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "django.server": {"handlers": [], "level": "CRITICAL", "propagate": False},
            # Statements and their parameters: never, whatever the level.
            "django.db.backends": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
            "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "celery": quiet,
            # Would write the text of the exception; our own `task_failed` (ilt_site.celery) has class and place.
            "celery.app.trace": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "kombu": quiet,
            "faker": quiet,
            "asyncio": quiet,
        },
    }


class RequestLogMiddleware:
    """Give each request an id (also in the header X-Request-ID) and write one line when it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = str(uuid.uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        start = time.perf_counter()
        response = self.get_response(request)
        logger.log(
            logging.ERROR if response.status_code >= 500 else logging.INFO,
            "request",
            method=request.method if request.method in METHODS else "other",
            route=route_of(request),
            code=response.status_code,
            duration_ms=round((time.perf_counter() - start) * 1000),
            user=user_of(request),
        )
        response.headers["X-Request-ID"] = request_id
        structlog.contextvars.clear_contextvars()
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Log class and place of an exception that became an error page; a refusal or a missing page is no failure."""
        if isinstance(exception, ANSWERS):
            return
        logger.error("request_failed", route=route_of(request), exc_info=exception)


#: What Django turns into an ordinary answer below 500.
ANSWERS = (Http404, PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern that answered, never the path: `orders/<uuid:pk>/`."""
    match = request.resolver_match
    return match.route if match else "(none)"


def user_of(request: HttpRequest) -> str | None:
    """Return the id of the person logged in, without asking the session when no view did."""
    session = getattr(request, "session", None)
    if session is None or not session.accessed:
        return None
    user = getattr(request, "user", None)
    try:
        return str(user.pk) if user is not None and user.is_authenticated else None
    except (DatabaseError, InterfaceError):  # the page says already that the database is away
        return None
