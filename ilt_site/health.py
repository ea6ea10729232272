"""Is everything there? `/health/` for people and the launcher, `/health/live/` for a load balancer, `/metrics/`."""

import asyncio
import dataclasses
import datetime
import hmac
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import prometheus_client
from asgiref.sync import async_to_sync
from celery import current_app
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from health_check import Database, HealthCheck
from health_check.contrib.redis import Redis
from health_check.exceptions import ServiceUnavailable
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from redis.asyncio import Redis as RedisClient

from privacy.audit.models import AuditEvent, AuditLink
from privacy.requests.models import OPEN_STATES, Letter, Request

KEEP_SECONDS = 3.0


@dataclasses.dataclass
class Worker(HealthCheck):
    """Whether a Celery worker answers; returns with the first answer."""

    timeout = datetime.timedelta(seconds=4)

    def run(self) -> None:
        try:
            answers = current_app.control.ping(timeout=3, limit=1)
        except Exception as error:
            raise ServiceUnavailable("The broker does not answer") from error
        if not answers:
            raise ServiceUnavailable("No worker answers")


def _redis() -> RedisClient:
    return RedisClient.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def _databases() -> dict[str, HealthCheck]:
    return {"database": Database("default"), "key store": Database("keystore")}


def _everything() -> dict[str, HealthCheck]:
    return {**_databases(), "redis": Redis(client_factory=_redis), "worker": Worker()}


@async_to_sync
async def _ask(wanted: dict[str, HealthCheck]) -> dict[str, str]:
    results = await asyncio.gather(*(check.get_result() for check in wanted.values()))
    return {name: str(result.error) if result.error else "ok" for name, result in zip(wanted, results, strict=True)}


class Answers:
    """The results of the last few seconds: a public page must not be a way to keep the broker busy."""

    def __init__(self, wanted: Callable[[], dict[str, HealthCheck]]) -> None:
        self.wanted = wanted
        self.lock = threading.Lock()
        self.until = 0.0
        self.results: dict[str, str] = {}

    def get(self) -> dict[str, str]:
        """Return for each part "ok" or what is wrong with it."""
        with self.lock:
            if time.monotonic() >= self.until:
                self.results = _ask(self.wanted())
                self.until = time.monotonic() + KEEP_SECONDS
            return self.results


_all, _live = Answers(_everything), Answers(_databases)


def _answer(request: HttpRequest, results: dict[str, str]) -> HttpResponse:
    healthy = all(result == "ok" for result in results.values())
    status = 200 if healthy else 503
    if _is_staff(request):
        return JsonResponse({"healthy": healthy, "parts": results}, status=status)
    return HttpResponse("ok\n" if healthy else "not ok\n", status=status, content_type="text/plain; charset=utf-8")


def _is_staff(request: HttpRequest) -> bool:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False  # nothing to look up, and the database may be what is down
    try:
        return bool(request.user.is_authenticated and request.user.is_staff)
    except DatabaseError:
        return False


@login_not_required
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 when databases, Redis and a worker answer, else 503; which of them, only to staff (ASVS 13.4.5)."""
    return _answer(request, _all.get())


@login_not_required
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process can serve pages: both databases answer. Filing works without broker and worker."""
    return _answer(request, _live.get())


# --- Metrics ---------------------------------------------------------------------------------------------------


class Gauges(Collector):
    """Read from the tables at scrape time, so that they are right with any number of processes."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        today = self.now.date()
        open_requests = Request.objects.filter(state__in=OPEN_STATES)
        waiting = Letter.objects.filter(sent_at=None, stopped_at=None).order_by("queued_at")
        due = Request.objects.filter(next_action_at__lte=self.now).order_by("next_action_at")
        events = AuditEvent.objects.filter(at__lt=self.now - datetime.timedelta(seconds=60))
        sealed = AuditLink.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
        yield _gauge("ilt_requests_open", "Requests that are not finished", open_requests.count())
        overdue = open_requests.filter(legal_due_on__lt=today).count()
        yield _gauge("ilt_requests_overdue", "Open requests past their legal due date", overdue)
        yield _gauge(
            "ilt_requests_parked", "Requests that need a person", Request.objects.filter(state="parked").count()
        )
        oldest = self._age(due.values_list("next_action_at", flat=True).first())
        yield _gauge("ilt_poller_age_seconds", "Age of the oldest step that is due and was not taken", oldest)
        yield _gauge("ilt_outbox_letters", "Letters that were not sent yet", waiting.count())
        oldest = self._age(waiting.values_list("queued_at", flat=True).first())
        yield _gauge("ilt_outbox_age_seconds", "Age of the oldest letter that was not sent yet", oldest)
        unsealed = events.filter(pk__gt=sealed).count()
        yield _gauge("ilt_audit_unsealed", "Audit events older than 60 s beyond the last seal", unsealed)

    def _age(self, since: datetime.datetime | None) -> float:
        return max((self.now - since).total_seconds(), 0.0) if since else 0.0


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the gauges in Prometheus' format: to the holder of METRICS_TOKEN, or without one to this machine."""
    if not _may_scrape(request):
        return HttpResponse("not here\n", status=404, content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry()
    registry.register(Gauges(datetime.datetime.now(datetime.UTC)))
    body = prometheus_client.generate_latest(registry)
    return HttpResponse(body, content_type=prometheus_client.CONTENT_TYPE_LATEST)


def _may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    return "X-Forwarded-For" not in request.headers and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: Any) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
