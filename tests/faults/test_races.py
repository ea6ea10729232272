"""F10 and F11: the same question sixteen times at once, and two answers that exclude each other."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from http.cookiejar import CookieJar
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import corrections
from accounts.models import Customer
from accounts.records import CustomerErased
from orders.models import Order
from privacy import audit, gate
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import execute, filing, services, writing
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, State
from privacy.vault import RecordErased
from privacy.vault.models import DataKey
from rma.models import RMA
from rma.services import TransitionRefused, transition
from tests import factories
from tests.asked import taken_in
from tests.factories import DAN, an_order, an_rma, as_customer, moved
from tests.faults.together import together
from tests.figures import report, tries
from tests.journeys.asking import PAT
from tests.journeys.stack import CSRF

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
AT_ONCE = 16


@pytest.fixture(autouse=True)
def _apart(settings: Any, tmp_path: Any) -> None:
    """Copies in a folder of the test, and nobody at the broker: the tables are the truth."""
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


# F10 ------------------------------------------------------------------------------------------------------------------


class Browser:
    """A signed-in browser, whose cookies sixteen tabs share."""

    def __init__(self, base: str) -> None:
        self.base, self.cookies = base, CookieJar()
        for path in ("/accounts/login/", "/accounts/reauthenticate/"):
            self.open(path, self.open(path), login="alice", password=factories.PASSWORD)

    def open(self, path: str, page: str = "", **data: str) -> str:
        """Get a path, or post the form of `page` to it; return the page it led to."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        url, body = self.base + path, None
        if token := CSRF.search(page):
            body = urllib.parse.urlencode({**data, "csrfmiddlewaretoken": token[1]}).encode()
        with opener.open(urllib.request.Request(url, body, {"Referer": url}), timeout=120) as answer:
            return str(answer.read().decode())


def test_sixteen_identical_requests_at_once_are_one(live_server: Any) -> None:
    alice = factories.customer(user=factories.login())
    browser = Browser(live_server.url)
    rounds, twice = tries(4, 100), 0
    for number in range(rounds):
        kind = ("access", "erasure")[number % 2]
        path = f"/privacy/requests/new/{kind}/"
        form = browser.open(path)
        ends = together([lambda path=path, form=form: browser.open(path, form)] * AT_ONCE)
        assert not [end for end in ends if isinstance(end, Exception)]
        made = Request.objects.filter(subject_id=alice.subject_id, kind=kind, state__in=OPEN_STATES)
        twice += made.count() != 1
        request = made.get()
        assert all(request.reference in page for page in ends), "each is told the one reference"
        assert request.events.filter(kind="received").count() == AT_ONCE
        services.withdraw(request, actor=as_customer(alice), now=timezone.now())
        cache.clear()
    assert Request.objects.count() == rounds
    assert twice == 0
    report("F10", "rounds of 16 identical requests that made two", twice, n=rounds, goal="0")


def test_sixteen_questions_about_an_unknown_address_are_one() -> None:
    rounds, twice = tries(3, 100), 0
    for number in range(rounds):
        now = timezone.now()
        address = f"nobody{number}@example.com"

        def ask(address: str = address, now: datetime = now) -> None:
            filing.ask(kind="erasure", email=address, actor=gate.ANONYMOUS, now=now)

        ends = together([ask] * AT_ONCE)
        assert ends == [None] * AT_ONCE
        twice += Request.objects.find("request.email", address).count() != 1
    answers = Letter.objects.filter(kind="link_identity").count()
    assert (twice, answers) == (0, rounds)
    report("F10", "rounds of 16 identical questions without a login that made two", twice, n=rounds, goal="0")


# F11 ------------------------------------------------------------------------------------------------------------------


def told(error: Exception, *words: type[Exception]) -> bool:
    """Whether it is one of the refusals that say in a sentence what happened."""
    text = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    return isinstance(error, words) and len(text.split()) > 3


def erasure(customer: Customer, *, confirmed: bool = True) -> Request:
    """An erasure asked for in the portal, planned and, unless told otherwise, confirmed."""
    now, actor = timezone.now(), as_customer(customer)
    request = taken_in("erasure", customer.subject_id, identity="login", actor=actor, now=now)
    made = services.make_plan(request, actor=actor, now=now)
    if confirmed:
        services.confirm(request, made.hash, actor=actor, now=now)
    return request


def carry_out(request: Request) -> None:
    """Do what workers do, also when another process holds the request or a record for a moment."""
    for round_ in range(50):
        now = timezone.now() + timedelta(minutes=5 * round_)
        word = execute.run(request.pk, clock=lambda now=now: now, pause=lambda: time.sleep(0.02))
        with system("letter"):
            writing.send_due(now=now)
        if word == "idle":
            return
    pytest.fail(f"it does not end: {word}")


def test_a_confirmation_against_a_refusal_ends_in_one_of_them() -> None:
    rounds, inconsistent = tries(5, 200), 0
    for number in range(rounds):
        alice = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
        request = erasure(alice, confirmed=False)
        now = timezone.now()

        def confirm(row: Request = request, alice: Customer = alice, now: datetime = now) -> Request:
            return services.confirm(row, row.plan_hash, actor=as_customer(alice), now=now)

        def refuse(pk: UUID = request.pk, now: datetime = now) -> Request:
            row = Request.objects.get(pk=pk)
            return services.refuse(row, ground="It is not yours.", authority="", actor=PAT, now=now)

        confirmed, refused = together([confirm, refuse])
        request.refresh_from_db()
        events = list(request.events.filter(kind__in=["confirmed", "refused"]).values_list("kind", flat=True))
        # Whoever confirms can still be refused, and is told by letter; after a refusal nothing is confirmed.
        assert not isinstance(refused, Exception)
        if isinstance(confirmed, Exception):
            assert told(confirmed, NotAllowed)
        expected = ["refused"] if isinstance(confirmed, Exception) else ["confirmed", "refused"]
        told_by_letter = Letter.objects.filter(request=request, kind="refused").count()
        inconsistent += (request.state, events, told_by_letter) != (State.REFUSED, expected, 1)
        assert execute.advance(request.pk, now=now + timedelta(days=1)) == "idle"
    assert inconsistent == 0
    report("F11", "confirmation against refusal: inconsistent ends", inconsistent, n=rounds, goal="0")


def test_an_accepted_quote_against_a_declined_one_ends_in_one_of_them() -> None:
    rounds, inconsistent = tries(5, 200), 0
    alice = factories.customer()
    for _ in range(rounds):
        rma = moved(an_rma(alice), "authorised", "received", "quoted", quote=100)
        now = timezone.now()
        ends = together(
            [
                lambda rma=rma, now=now: transition(rma, "approved", actor=as_customer(alice), now=now),
                lambda rma=rma, now=now: transition(rma, "declined", actor=DAN, now=now),
            ]
        )
        lost = [end for end in ends if isinstance(end, Exception)]
        (won,) = [end for end in ends if isinstance(end, RMA)]
        stored = RMA.objects.get(pk=rma.pk)
        decided = list(stored.events.filter(to_state__in=["approved", "declined"]).values_list("to_state", flat=True))
        assert all(told(end, TransitionRefused) for end in lost)
        inconsistent += (len(lost), stored.state, decided) != (1, won.state, [won.state])
    assert inconsistent == 0
    report("F11", "approval against rejection: inconsistent ends", inconsistent, n=rounds, goal="0")


def at_any_step(number: int, request: Request, other: Callable[[], Any]) -> Any:
    """Carry out an erasure while `other` happens, which comes in at another step each time; return what it returned."""
    for _ in range(number % 7):
        execute.advance(request.pk, now=timezone.now())
    _, end = together([lambda: carry_out(request), other])
    carry_out(request)
    request.refresh_from_db()
    return end


def test_an_erasure_against_a_new_order_never_erases_somebody_with_an_open_order() -> None:
    rounds, inconsistent, placed = tries(7, 200), 0, 0
    for number in range(rounds):
        alice = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
        request = erasure(alice)
        order = at_any_step(number, request, lambda alice=alice: an_order(alice, timezone.localdate()))
        known = Customer.objects.filter(pk=alice.pk).first()
        if isinstance(order, Exception):
            assert told(order, CustomerErased), repr(order)
            inconsistent += (request.state, known, Order.objects.filter(customer=alice.pk).count()) != (
                "closed",
                None,
                0,
            )
        else:
            placed += 1
            with gate.acting(as_customer(alice)):
                held = known and (known.last_name, Order.objects.get(pk=order.pk).invoice_name)
            # The plan went back to the person, or what the open order needs was kept: nothing beside it is erased.
            inconsistent += request.state not in ("planned", "closed") or held != (f"Archer{number}", "Alice Whitfield")
    assert inconsistent == 0
    report(
        "F11",
        f"erasure against a new order ({placed} orders came first): inconsistent ends",
        inconsistent,
        n=rounds,
        goal="0",
    )


def test_an_erasure_against_a_new_return_never_erases_somebody_with_an_open_return() -> None:
    rounds, inconsistent = tries(4, 200), 0
    for number in range(rounds):
        alice = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
        request = erasure(alice)
        rma = at_any_step(number, request, lambda alice=alice: an_rma(alice, timezone.localdate()))
        known = Customer.objects.filter(pk=alice.pk).exists()
        if isinstance(rma, Exception):
            assert told(rma, CustomerErased), repr(rma)
        inconsistent += request.state not in ("planned", "closed") or known == isinstance(rma, Exception)
    assert inconsistent == 0
    report("F11", "erasure against a new return: inconsistent ends", inconsistent, n=rounds, goal="0")


def test_a_correction_against_an_erasure_is_kept_whole_or_refused() -> None:
    rounds, inconsistent, corrected = tries(7, 200), 0, 0
    for number in range(rounds):
        alice = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
        request = erasure(alice)
        now = timezone.now()

        def correct(alice: Customer = alice, now: datetime = now) -> tuple[str, ...]:
            row = Customer.objects.get(pk=alice.pk)
            return corrections.correct(row, {"last_name": "Archer-Bell"}, actor=as_customer(alice), now=now)

        end = at_any_step(number, request, correct)
        if isinstance(end, Exception):
            assert isinstance(end, Customer.DoesNotExist) or told(end, RecordErased), repr(end)
        else:
            corrected += 1
        # Whoever came first: the person is gone in the end, and no key of the record lives on.
        living = DataKey.objects.filter(record=alice.pk, wrapped__isnull=False).count()
        noted = audit.history(record=("accounts.customer", alice.pk)).filter(action="record.corrected").count()
        found = (request.state, Customer.objects.filter(pk=alice.pk).exists(), living, noted)
        inconsistent += found != ("closed", False, 0, 0 if isinstance(end, Exception) else 1)
    assert inconsistent == 0
    report(
        "F11",
        f"correction against erasure ({corrected} corrections came first): inconsistent ends",
        0,
        n=rounds,
        goal="0",
    )
