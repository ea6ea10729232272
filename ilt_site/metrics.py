"""`/metrics/`: numbers for an alarm, in Prometheus' format. docs/runbook.md has a rule for each; none is about a
person."""

from __future__ import annotations

import datetime
import hmac
import ipaddress
from collections.abc import Iterator
from typing import Any

import prometheus_client
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from accounts import vouching
from privacy.gate.log import CHAINS
from privacy.letters.models import Letter
from privacy.requests import broker, second
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES
from privacy.restore import maintenance
from privacy.restore.models import LedgerCopy
from privacy.sweep.models import SweepState
from privacy.vault import renewal
from privacy.vault.models import DataKey
from privacy.vault.ring import RingRefused

SOON = datetime.timedelta(days=7)
MINUTE = datetime.timedelta(seconds=60)
DAY = datetime.timedelta(days=1)
COUNTED = 10_000

Number = tuple[str, str, float]


class Gauges(Collector):
    """Read from the tables at scrape time, so that they are right with any number of processes."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each gauge. A group whose database is down is left out: its absence is the alarm."""
        for group in (self._requests, self._letters, self._audit, self._sweep, self._ledger, self._logins, self._parts):
            try:
                numbers = list(group())
            except (DatabaseError, RingRefused):
                continue
            for name, text, value in numbers:
                yield GaugeMetricFamily(name, text, value=value)

    def _requests(self) -> Iterator[Number]:
        today = timezone.localdate(self.now)
        unfinished = Request.objects.filter(state__in=OPEN_STATES)
        soon = unfinished.filter(legal_due_on__gte=today, legal_due_on__lte=today + SOON)
        due = Request.objects.filter(next_action_at__lte=self.now).order_by("next_action_at")
        yield "ilt_requests_open", "Requests that are not finished", unfinished.count()
        overdue = unfinished.filter(legal_due_on__lt=today).count()
        yield "ilt_requests_overdue", "Open requests past their legal due date", overdue
        yield "ilt_requests_due_soon", "Open requests whose legal due date is within seven days", soon.count()
        undecided = second.late(today).count()
        yield "ilt_requests_undecided", "Requests due within 7 days for which a second person is missing", undecided
        parked = Request.objects.filter(state="parked").count()
        yield "ilt_requests_parked", "Requests that need a person", parked
        age = self._age(due.values_list("next_action_at", flat=True).first())
        yield "ilt_poller_age_seconds", "Age of the oldest step that is due and was not taken", age

    def _letters(self) -> Iterator[Number]:
        unsent = Letter.objects.filter(sent_at=None, stopped_at=None)
        waiting = unsent.filter(by=Letter.By.EMAIL).order_by("queued_at")
        yield "ilt_outbox_letters", "Letters that were not sent yet", waiting.count()
        age = self._age(waiting.values_list("queued_at", flat=True).first())
        yield "ilt_outbox_age_seconds", "Age of the oldest letter that was not sent yet", age
        dead = waiting.filter(next_attempt_at=None, sending_at=None) | waiting.filter(last_error="interrupted")
        yield "ilt_outbox_dead_letters", "Letters given up or interrupted: a person decides", dead.count()
        post = unsent.filter(by=Letter.By.POST).count()
        yield "ilt_outbox_to_post", "Letters to be printed and posted", post

    def _audit(self) -> Iterator[Number]:
        waiting: list[datetime.datetime] = []
        for chain in CHAINS:
            # Each row of the last day is asked for its own link: a forged one far ahead hides none of the others.
            sealed = chain.links.objects.filter(event_id=OuterRef("pk"))
            rows = chain.rows.objects.filter(~Exists(sealed), at__lt=self.now - MINUTE, at__gte=self.now - DAY)
            waiting += rows.order_by("at").values_list("at", flat=True)[:COUNTED]
        text = "Rows of audit and access log of the last day, older than 60 s and not sealed (10,000 of each at most)"
        yield "ilt_audit_unsealed", text, len(waiting)
        yield "ilt_audit_unsealed_age_seconds", "Age of the oldest of them", self._age(min(waiting, default=None))

    def _sweep(self) -> Iterator[Number]:
        state = SweepState.objects.first()
        yield (
            "ilt_sweep_armed",
            "1 when the nightly sweep erases, 0 when it only counts",
            bool(state and state.armed_at),
        )
        age = self._age(state.marked_at if state else None)
        broken = (state.last_report or {}).get("broken", 0) if state else 0
        yield (
            "ilt_sweep_broken_records",
            "Records that the last sweep could not handle: a person must mend them",
            broken,
        )
        yield "ilt_sweep_age_seconds", "Time since the sweep last ran; 0 before its first run", age

    def _ledger(self) -> Iterator[Number]:
        # Not the numbers of all lines: each scrape would read both tables from end to end.
        uncopied = len(maintenance.missing_entries())
        yield "ilt_ledger_uncopied", "Lines of the key store's ledger that the main database does not have", uncopied
        unfiled = LedgerCopy.objects.filter(filed_at=None).count()
        yield "ilt_ledger_unfiled", "Lines of the main database that are not in the signed file yet", unfiled
        problems = len(maintenance.problems())
        yield "ilt_maintenance", "What is out of place after a restore; above 0 nothing is served", problems
        waits = renewal.need().oldest
        yield "ilt_ring_waits_seconds", "How long a destroyed key has waited for the ring's renewal", self._age(waits)
        orphans = DataKey.objects.filter(doubted_at__isnull=False, destroyed_at=None).count()
        yield "ilt_orphan_keys", "Data keys that no row names, seen once by the key collector", orphans

    def _logins(self) -> Iterator[Number]:
        text = "Logins of staff, or without a keyed hash, whose row does not say what the site wrote; 1000 at most"
        yield "ilt_logins_doubted", text, vouching.count_doubted()

    def _parts(self) -> Iterator[Number]:
        yield "ilt_broker_up", "1 when the broker answers", broker.answers()

    def _age(self, since: datetime.datetime | None) -> float:
        return max((self.now - since).total_seconds(), 0.0) if since else 0.0


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the gauges, to the holder of METRICS_TOKEN or to an address of METRICS_ALLOWED; to others 404."""
    if not may_scrape(request):
        return HttpResponse("not here\n", status=404, content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry()
    registry.register(Gauges(datetime.datetime.now(datetime.UTC)))
    body = prometheus_client.generate_latest(registry)
    return HttpResponse(body, content_type=prometheus_client.CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    """Whether the request carries METRICS_TOKEN; where none is set, whether it comes straight from an allowed
    address."""
    if settings.METRICS_TOKEN:
        return has_token(request)
    return "X-Forwarded-For" not in request.headers and _is_allowed(request.META.get("REMOTE_ADDR", ""))


def has_token(request: HttpRequest) -> bool:
    """Whether the request carries METRICS_TOKEN."""
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    return bool(settings.METRICS_TOKEN) and hmac.compare_digest(given.encode(), wanted.encode())


def _is_allowed(address: Any) -> bool:
    try:
        found = ipaddress.ip_address(address)
        return any(found in ipaddress.ip_network(one) for one in settings.METRICS_ALLOWED)
    except ValueError:
        return False
