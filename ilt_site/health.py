"""Is everything there? `/health/` for people and the launcher, `/health/live/` for a load balancer."""

import asyncio
import dataclasses
import datetime
import threading
import time
from collections.abc import Callable

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
from redis.asyncio import Redis as RedisClient

from ilt_site.metrics import has_token
from privacy.restore import position

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


@dataclasses.dataclass
class Ledger(HealthCheck):
    """Whether the databases are at the ledger's position; otherwise nothing is served (ilt_site.maintenance)."""

    def run(self) -> None:
        if found := position.maintenance():
            raise ServiceUnavailable(" ".join(position.SENTENCES[code] for code in found))


def _redis() -> RedisClient:
    return RedisClient.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def _databases() -> dict[str, HealthCheck]:
    return {"database": Database("default"), "key store": Database("keystore")}


def _everything() -> dict[str, HealthCheck]:
    return {**_databases(), "redis": Redis(client_factory=_redis), "worker": Worker(), "ledger": Ledger()}


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
    if has_token(request) or _is_staff(request):
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
    """Answer 200 when databases, Redis and a worker answer, else 503; which of them, only to staff or with METRICS_TOKEN (ASVS 13.4.5)."""
    return _answer(request, _all.get())


@login_not_required
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process can serve pages: both databases answer. Filing works without broker and worker."""
    return _answer(request, _live.get())
