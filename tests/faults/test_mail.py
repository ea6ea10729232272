"""F14: the mail server is down, slow, or refuses one address: requests go on, and each letter goes out once (R3)."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from privacy import letters, tasks
from privacy.gate.system import system
from privacy.letters import sending
from privacy.letters.models import Letter
from privacy.requests import writing
from tests import factories
from tests.asked import taken_in
from tests.factories import as_customer
from tests.faults.together import together
from tests.figures import report, tries
from tests.mail_server import REFUSED, Server

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
SLOW = tries(4, 30)  # seconds until the slow server answers
TIMEOUT = tries(2, 10)  # seconds until we give up: EMAIL_TIMEOUT, which is 10


@pytest.fixture
def server(settings: Any, tmp_path: Any) -> Iterator[Server]:
    made = Server()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = made.server_address
    settings.EMAIL_TIMEOUT = TIMEOUT
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    yield made
    made.shutdown()
    made.server_close()


def queued(*addresses: str) -> None:
    for number, address in enumerate(addresses):
        message = EmailMultiAlternatives("News", "Text", to=[address])
        letters.queue_message(message, f"news:{number}", now=timezone.now())


def sent(now: datetime) -> int:
    with system("letter"):
        return writing.send_due(now=now)


def addresses(number: int) -> list[str]:
    return [f"person{one}@example.com" for one in range(number)]


def named(text: str) -> list[str]:
    """Return the lines of a log that name somebody."""
    return [line for line in text.splitlines() if "@example.com" in line]


def test_a_server_that_is_down_is_tried_again_and_each_letter_goes_out_once(
    server: Server, settings: Any, caplog: Any, capfd: Any
) -> None:
    count = tries(20, 200)
    queued(*addresses(count))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = closed.getsockname()[1]
    now = timezone.now()
    assert [sent(now), sent(now + timedelta(seconds=15))] == [0, 0]
    assert Letter.objects.filter(last_error="ConnectionRefusedError", sent_at=None).exists()
    settings.EMAIL_PORT = server.server_address[1]
    for round_ in range(60):
        together([lambda: sent(now + timedelta(minutes=5 * round_))] * 2)  # noqa: B023
        if not Letter.objects.filter(sent_at=None).exists():
            break
    times = Counter(server.accepted)
    wrong = sum(times[address] != 1 for address in addresses(count))
    assert (len(times), wrong) == (count, 0)
    told = named(caplog.text + "".join(capfd.readouterr()))
    assert told == []
    report("F14", "letters lost or doubled, mail server down", wrong, n=count, goal="0")
    report("F14", "addresses in the log", len(told), n=count, goal="0")


def test_a_refused_address_delays_nobody_else(server: Server, caplog: Any, capfd: Any) -> None:
    people = addresses(tries(5, 49))  # with the refused one no more than one round sends
    queued(REFUSED, *people)
    now = timezone.now()
    assert sent(now) == len(people)
    refused = Letter.objects.get(sent_at=None)
    assert (refused.last_error, refused.attempts) == ("SMTPRecipientsRefused", 1)
    assert refused.next_attempt_at and refused.next_attempt_at > now
    for round_ in range(sending.MOST_ATTEMPTS):
        sent(now + timedelta(days=round_ + 1))
    refused.refresh_from_db()
    assert (refused.attempts, refused.next_attempt_at) == (sending.MOST_ATTEMPTS, None), "a person must look"
    assert Counter(server.accepted) == Counter(people)
    assert named(caplog.text + "".join(capfd.readouterr())) == []
    report("F14", "letters lost or doubled beside a refused address", 0, n=len(people), goal="0")


def test_a_slow_server_holds_up_neither_pages_nor_requests(server: Server, live_server: Any, caplog: Any) -> None:
    server.delay = SLOW
    people = addresses(tries(8, 50))
    queued(*people)
    alice = factories.customer(user=factories.login())
    now = timezone.now()
    request = taken_in("access", alice.subject_id, identity="login", actor=as_customer(alice), now=now)
    took: list[float] = []

    def pages() -> None:
        for _ in range(tries(20, 100)):
            begun = time.monotonic()
            with urllib.request.urlopen(f"{live_server.url}/accounts/login/", timeout=60) as answer:
                assert answer.status == 200
            took.append(time.monotonic() - begun)

    def work() -> tuple[str, float]:
        """What a worker does: each step, and after it the letters that wait."""
        begun = time.monotonic()
        for _ in range(10):
            request.refresh_from_db()
            if request.state == "executed":
                break
            tasks.advance(str(request.pk), request.step, request.version)
        return request.state, time.monotonic() - begun

    ends = together([pages, work])
    assert not [end for end in ends if isinstance(end, Exception)], ends
    state, seconds = ends[1]
    assert state == "executed"
    assert server.accepted == []
    tried = sum(Letter.objects.values_list("attempts", flat=True))
    most = 1 + seconds // sending.AWAY_FOR.total_seconds()
    assert tried <= most, "while the server does not answer nobody waits for it again"
    server.delay = 0
    for round_ in range(60):
        sent(now + timedelta(minutes=5 * (round_ + 1)))
        if not Letter.objects.filter(sent_at=None).exists():
            break
    times = Counter(server.accepted)
    wrong = sum(times[address] != 1 for address in people)
    assert wrong == 0
    assert named(caplog.text) == []
    report("F14", "p95 of a page while the mail server is slow", round(sorted(took)[int(len(took) * 0.95)], 2),
           n=len(took), goal="told, no limit", unit="s")  # fmt: skip
    report("F14", f"a request carried out while the mail server takes {SLOW} s", round(seconds, 1),
           n=1, goal="told, no limit", unit="s")  # fmt: skip
    report("F14", "letters lost or doubled, mail server slow", wrong, n=len(people), goal="0")
