"""As long as nobody has armed the sweep no page, letter, copy, rule or plan promises that data ends
by itself (design 12, to 4)."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import Customer
from orders.models import Order
from privacy import vault
from privacy.gate.system import system
from privacy.models import Decision, Letter, Request
from privacy.requests import assessment, codes, export, services
from privacy.retention import assess, decided, rules
from privacy.sweep import arming, notices, second_letter
from privacy.work.broken import Findings
from tests import factories, pages
from tests.asked import NOW, TODAY, confirmed, filed, run
from tests.factories import an_order, an_rma, as_customer

pytestmark = pytest.mark.django_db
PROMISED = re.compile(
    r"(?<!who you are )(?<!prove who you are )\bby (itself|themselves)\b|without your asking again|at the date given"
    r"|removes data each night|with one of the next nightly runs|in the night that follows|need not ask again",
    re.I,
)
NOT_YET = re.compile(r"not switched on")
PATHS = ("/", "/privacy/", "/privacy/held/", "/privacy/requests/new/erasure/")
STATES = pytest.mark.parametrize("is_armed", [False, True], ids=["unarmed", "armed"])


@pytest.fixture(autouse=True)
def _quiet(settings: object, tmp_path: object) -> Iterator[None]:
    settings.EXPORT_DIR = str(tmp_path / "exports")  # type: ignore[attr-defined]
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    with time_machine.travel(NOW, tick=False):
        yield


def text_of(page: str) -> str:
    return " ".join(strip_tags(page).split())


def holds(text: str, *, is_armed: bool) -> None:
    """Armed, the words of `due` and no other promise; unarmed, that it is not switched on, and no promise at all."""
    if is_armed:
        assert not NOT_YET.search(text), text
        assert PROMISED.search(text)
    else:
        assert NOT_YET.search(text), text
        assert not PROMISED.search(text), PROMISED.search(text)


def arm(is_armed: bool) -> None:
    if is_armed:
        arming.arm(actor=None)


@pytest.fixture
def hers(alice: Customer, kept_order: Order) -> Client:
    an_order(customer=alice)
    return pages.signed_in(alice.subject.users.get(), again=True)


def test_each_page_says_what_runs_and_promises_nothing_else(hers: Client) -> None:
    for is_armed in (False, True):
        arm(is_armed)
        for path in PATHS:
            holds(text_of(hers.get(path).text), is_armed=is_armed)


@STATES
def test_so_do_plan_outcome_and_letter_of_a_removal(alice: Customer, hers: Client, is_armed: bool) -> None:
    arm(is_armed)
    an_rma(alice)
    plan = text_of(hers.post("/privacy/requests/new/erasure/", follow=True).text)
    assert "What stays, why and until when" in plan and "then it is due to go" in plan
    holds(plan, is_armed=is_armed)
    request = Request.objects.get()
    code = codes.new_code()
    Request.objects.update(outcome_code_hash=codes.hash_of_code(request, code))
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    services.confirm(request, made.hash, actor=as_customer(alice), now=NOW)
    waiting = text_of(hers.get(f"/privacy/requests/{request.pk}/").text)
    holds(waiting, is_armed=is_armed)
    mail.outbox = []
    run(request)
    answer = next(one for one in mail.outbox if "removed" in one.subject)
    outcome = Client().post("/privacy/outcome/", {"reference": request.reference, "code": code}).text
    for text in (text_of(outcome), " ".join(answer.body.split()), text_of(answer.alternatives[0][0])):
        assert "31 December 2031" in text
        holds(text, is_armed=is_armed)


@STATES
def test_so_does_the_letter_about_the_rest(alice: Customer, kept_order: Order, is_armed: bool) -> None:
    arm(is_armed)
    an_order(customer=alice)
    request = confirmed(alice)
    run(request)
    done = Decision.objects.filter(request=request, action="keep").order_by("pk")
    assert done.count() > 1
    vault.keys.destroy([(done[0].record_id, done[0].envelope)], now=NOW + timedelta(hours=1))
    assert not decided.change(done.filter(pk=done[0].pk), done_at=NOW + timedelta(hours=1), pinned=True)
    with vault.internal(), system("sweep"):
        assert second_letter.write(on=TODAY, now=NOW + timedelta(hours=2), findings=Findings()) == 1
        letter = Letter.objects.get(kind="rest_erased")
        for text in (" ".join(letter.text.split()), text_of(letter.html)):
            assert "Still kept" in text
            holds(text.replace("without your asking again", "", 1), is_armed=is_armed)  # of what was removed


@STATES
def test_so_does_a_copy(alice: Customer, kept_order: Order, is_armed: bool) -> None:
    arm(is_armed)
    request = confirmed(alice, "access")
    run(request)
    _, chunks = export.fetch(request, actor=as_customer(alice), now=NOW)
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as copy:
        page = next(copy.read(one).decode() for one in copy.namelist() if one.endswith("index.html"))
    holds(text_of(page), is_armed=is_armed)


def test_no_rule_and_no_sentence_that_is_stored_promises_anything(alice: Customer, kept_order: Order) -> None:
    """They stand in plans, letters and files of requests, and must not become untrue when somebody arms or disarms."""
    an_rma(alice)
    an_order(customer=alice)
    schedule = rules.load()
    said = [reason.plain for one in schedule.classes.values() for reason in one.reasons]
    said += [value for value in vars(assess).values() if isinstance(value, str)]
    draft = Request(kind="erasure", subject_id=alice.subject_id)
    said += map(str, assessment.warnings_of(draft, TODAY))
    made = services.make_plan(filed(alice), actor=as_customer(alice), now=NOW)
    said += [*made.summary(), *map(str, made.warnings), *(one.sentence for one in made.verdicts)]
    assert [one for one in said if PROMISED.search(one)] == []


@STATES
def test_a_warning_names_days_before_which_nothing_happens(is_armed: bool) -> None:
    arm(is_armed)
    customer = factories.customer(since=date(2020, 1, 1), last_active_on=date(2020, 1, 1))
    with system("sweep"):
        notices.warn(customer.subject_id, on=TODAY, ends_after=TODAY + timedelta(days=30), now=NOW)
    with vault.internal():
        letter = Letter.objects.get(kind="account_ending")
        path = letter.credentials["link"].partition("/privacy")[2]
        texts = [letter.text, text_of(letter.html)]
    for text in (*texts, text_of(Client().get(f"/privacy{path}").text)):
        assert "not before 20 December 2026" in text
        assert not PROMISED.search(text)
