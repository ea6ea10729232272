"""Is everything there? `/health/` for people and the launcher, `/health/live/` for a load balancer."""

import threading
import time
from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from ilt_site import transport
from ilt_site.metrics import has_token
from privacy.files import owner
from privacy.restore import maintenance

KEEP_SECONDS = 3.0
WAIT_SECONDS = 5.0
WORK_SECONDS = 60  # beat sends the sealer of the logs every ten
WORKED = "worked-at"
# What has to be done again and again, each by itself: one that is done over and over hides no other.
EACH = {
    "privacy.tasks.poll": "looking for requests that are due",
    "privacy.tasks.send_letters": "sending letters",
    "privacy.tasks.seal_audit": "sealing the logs",
}

log = structlog.get_logger(__name__)

Check = Callable[[], str]  # returns "" when all is well, else a sentence; never an address or a credential


def _database(alias: str) -> str:
    try:
        with connections[alias].temporary_connection() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer"
    return ""


def _redis() -> str:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
            taken = transport.taken_names(client)
    except redis.RedisError:
        return "Redis does not answer"
    names = ", ".join(name.encode("unicode_escape").decode() for name in taken)
    return (
        f"Redis holds something else under a name of the broker, and no work is done: delete {names}" if taken else ""
    )


def note_work(task: str = "") -> None:
    """Remember that a worker has finished a task just now, and which; workers call it after each."""
    cache.set(WORKED, time.time(), timeout=10 * WORK_SECONDS)
    if task in EACH:
        cache.set(f"{WORKED}:{task}", time.time(), timeout=2 * _each_seconds())


def _each_seconds() -> float:
    """Return how long one of EACH may be away: one run may take as long as a task may, and the next one begins."""
    return float(settings.CELERY_TASK_TIME_LIMIT + WORK_SECONDS)


def _is_recent(name: str, seconds: float) -> bool:
    worked = cache.get(name, "")
    return isinstance(worked, float) and abs(time.time() - worked) <= seconds


def _worker() -> str:
    """Whether work is done, not whether a worker answers: one that takes no messages answers, too."""
    if not _is_recent(WORKED, WORK_SECONDS):
        return f"No worker has finished a task in the last {WORK_SECONDS} seconds"
    seconds = _each_seconds()
    if late := [what for task, what in EACH.items() if not _is_recent(f"{WORKED}:{task}", seconds)]:
        return f"Not done in the last {seconds / 60:.0f} minutes: {', '.join(late)}"
    return ""


def _ledger() -> str:
    """Whether the databases are at the ledger's position; otherwise nothing is served (ilt_site.maintenance)."""
    return " ".join(maintenance.SENTENCES[code] for code in maintenance.reasons())


LIVE: dict[str, Check] = {"database": lambda: _database("default"), "key store": lambda: _database("keystore")}
ALL: dict[str, Check] = {**LIVE, "redis": _redis, "worker": _worker, "ledger": _ledger, "files": owner.told}


def _ask(wanted: dict[str, Check]) -> dict[str, str]:
    """Return for each part "ok" or what is wrong with it, after WAIT_SECONDS at the latest: all are asked at once."""
    results = dict.fromkeys(wanted, f"No answer within {WAIT_SECONDS:.0f} seconds")

    def ask(name: str) -> None:
        try:
            results[name] = wanted[name]() or "ok"
        except Exception:
            log.exception("health_check_failed", part=name)
            results[name] = "The check itself failed; the log says why"
        finally:
            connections.close_all()  # those of this thread

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    end = time.monotonic() + WAIT_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(results)  # a copy: whoever is late changes nothing that was told


class Answers:
    """The results of the last few seconds: a public page must not be a way to keep the broker busy, or all threads.

    While one request asks the parts, which takes seconds when one is down, the others get the results of before.
    """

    def __init__(self, wanted: dict[str, Check]) -> None:
        self.wanted = wanted
        self.lock = threading.Lock()
        self.until = 0.0
        self.results: dict[str, str] = {}

    def get(self) -> dict[str, str]:
        """Return for each part "ok" or what is wrong with it."""
        if not self.lock.acquire(blocking=not self.results):
            return self.results
        try:
            if time.monotonic() >= self.until:
                self.results = _ask(self.wanted)
                self.until = time.monotonic() + KEEP_SECONDS
            return self.results
        finally:
            self.lock.release()


_all, _live = Answers(ALL), Answers(LIVE)


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
    """Answer 200 when databases and Redis answer and work is done, else 503; which of them, only to staff or with
    METRICS_TOKEN (ASVS 13.4.5)."""
    return _answer(request, _all.get())


@login_not_required
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process can serve pages: both databases answer. Filing works without broker and worker."""
    return _answer(request, _live.get())
