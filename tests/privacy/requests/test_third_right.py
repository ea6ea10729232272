"""A right more: one entry, one step and its templates, and every door, letter, page and command has it.

Nothing of the product is touched for it: the entry goes into the table, its templates stand in tests/data/third_right.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client

from accounts.models import Customer
from orders.models import Order
from privacy import audit, checks, gate, vault
from privacy.gate import matrix
from privacy.gate.context import current
from privacy.gate.purposes import ProgramPurpose
from privacy.letters.models import Letter
from privacy.requests import broker, execute, history, procedures, second, services, sight
from privacy.requests.models import Request
from privacy.requests.procedure import Does, Letters, Pages, Procedure, Step, Words
from privacy.requests.result import Done, Result
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW, TODAY, Clock, run
from tests.factories import an_order

pytestmark = pytest.mark.django_db

TEMPLATES = Path(__file__).parents[2] / "data" / "third_right"
KIND = "restriction"
DONE = [
    State.RECEIVED,
    State.IDENTITY,
    State.PLANNED,
    State.CONFIRMED,
    State.EXECUTING,
    State.EXECUTED,
    State.REPLIED,
    State.CLOSED,
]


def hold_off(request: Request, now: datetime) -> Result:
    """The step: what it does stands in the audit, and what of the person's data it could open."""
    customer = Customer.objects.get(subject=request.subject_id)
    opened = ["customer"] if customer.first_name == "Alice" else []
    opened += ["order" for order in Order.objects.filter(customer=customer) if order.invoice_name == "Alice Whitfield"]
    audit.record("test.held_off", actor=current(), now=now, reference=request.reference)
    return Done({"records": 0, "opened": opened})


def entry(*, is_confirmed: bool = True) -> Procedure:
    """The entry of the third right, confirmed by the person or not."""
    of_all = (procedures.IDENTITY, procedures.PLAN, *((procedures.CONFIRM,) if is_confirmed else ()))
    return Procedure(
        kind=KIND,
        words=Words(
            title="holding off the use of my data",
            choice="Hold off using my data",
            button="Have you hold off using my data",
            short="Hold off",
            tile="We keep it, and do not use it.",
            heading="Holding off the use of your data",
            heading_of_records="Holding off the use of the records with your address",
            asked="to hold off using the data we hold about you",
            asked_of_records="to hold off using the records that carry this e-mail address",
            asked_by_stranger="to hold off using personal data",
            nothing_done="Nothing was held off because of this request.",
            nothing_before="Nothing is held off",
            nothing_for_it="Nothing is held off for it.",
            plan_ready="The plan to hold off is ready.",
            plan_ready_of_records="The plan to hold off these records is ready.",
        ),
        steps=(
            *of_all,
            Step("hold_off", f"{__name__}.hold_off", State.EXECUTED, words="Use held off"),
            procedures.LETTER,
            procedures.CLOSE,
        ),
        letters=Letters(
            answer="restriction_done",
            plan_ready="restriction_plan",
            plan_changed="restriction_plan_changed",
            plan_confirmed="restriction_confirmed",
            titles={
                "restriction_done": "Answer: use held off",
                "restriction_plan": "Plan to hold off",
                "restriction_plan_changed": "Plan to hold off has changed",
                "restriction_confirmed": "Plan to hold off confirmed for the person",
            },
        ),
        pages=Pages(
            new="privacy/new_restriction.html",
            confirm="privacy/confirm_restriction.html",
            confirmed="privacy/confirmed_restriction.html",
        ),
        at_gate=ProgramPurpose("restriction", "to hold off using your data", ("accounts.customer/account:r",)),
        does=Does.NOTHING,
        is_confirmed=is_confirmed,
    )


@pytest.fixture
def third(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Procedure:
    """The third right, in the table for one test; the gate reads its page anew, as it does when the program starts."""
    return add(settings, monkeypatch, entry())


@pytest.fixture(autouse=True)
def _page_of_the_gate() -> Iterator[None]:
    yield
    matrix.forget()


def add(settings: Any, monkeypatch: pytest.MonkeyPatch, one: Procedure) -> Procedure:
    """Put an entry into the table, with the folder of its templates."""
    monkeypatch.setitem(procedures.TABLE, one.kind, one)
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], TEMPLATES]}]
    matrix.forget()
    return one


def browser_of(alice: Customer) -> Client:
    return pages.signed_in(alice.user, again=True)


def letter(request: Request, kind: str) -> str:
    """The text of the only letter of this kind about the request."""
    with vault.internal():
        (found,) = [one.text for one in Letter.objects.filter(request=request, kind=kind)]
    return str(found)


def states(request: Request) -> list[str]:
    return [one.kind for one in request.events.order_by("pk") if one.kind in State.values]


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", pages.check(answer)).split())


def link_in(request: Request, kind: str) -> str:
    """The path of the link that the last letter of this kind gives."""
    with vault.internal():
        found = Letter.objects.filter(request=request, kind=kind).latest("queued_at").credentials["link"]
    return "/" + str(found).split("/", 3)[3]


# The portal -----------------------------------------------------------------------------------------------------------


def test_it_is_asked_for_in_the_portal_confirmed_carried_out_and_answered(alice: Customer, third: Procedure) -> None:
    with time_machine.travel(NOW, tick=False):
        browser = browser_of(alice)
        assert "Have you hold off using my data" in text_of(browser.get("/privacy/requests/"))
        assert "We keep it, and do not use it." in text_of(browser.get("/privacy/"))
        assert "Hold off using your data" in text_of(browser.get(f"/privacy/requests/new/{KIND}/"))
        asked = browser.post(f"/privacy/requests/new/{KIND}/")
        request = Request.objects.get()
        assert asked.headers["Location"] == f"/privacy/requests/{request.pk}/confirm/"
        assert (request.kind, request.due_on.isoformat()) == (KIND, "2026-12-20")
        assert "You ask us to hold off using the data we hold about you." in letter(request, "acknowledgement")
        assert execute.run(request.pk, clock=Clock(), pause=lambda: None) == "idle"
        page = text_of(browser.get(f"/privacy/requests/{request.pk}/"))
        assert "Holding off the use of your data" in page and "Nothing is held off until you have looked at it" in page
        shown = browser.get(asked.headers["Location"])
        plan_hash = re.search(r'name="plan_hash" value="(\w+)"', shown.text)
        assert plan_hash and "What would be held off" in shown.text
        confirmed = browser.post(asked.headers["Location"], {"plan_hash": plan_hash[1]})
        assert f"We hold off: {request.reference}" in confirmed.text
    run(request, Clock())
    request.refresh_from_db()
    assert states(request) == DONE
    assert list(request.events.filter(kind="step").values_list("step", flat=True)) == ["hold_off", "letter", "close"]
    assert "You asked us to hold off using the data we hold about you." in letter(request, "restriction_done")
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        browser = browser_of(alice)
        assert "Holding off the use of your data" in text_of(browser.get("/privacy/requests/"))
        page = text_of(browser.get(f"/privacy/requests/{request.pk}/"))
        assert "Use held off" in page and "Answer sent" in page and "Removal" not in page and "Copy" not in page


def test_its_purpose_opens_what_the_entry_says_of_this_person_alone_and_is_told_in_its_words(
    alice: Customer, bob: Customer, third: Procedure
) -> None:
    an_order(alice)
    with time_machine.travel(NOW, tick=False):
        browser = browser_of(alice)
        browser.post(f"/privacy/requests/new/{KIND}/")
        request = Request.objects.get()
        execute.run(request.pk, clock=Clock(), pause=lambda: None)
        request.refresh_from_db()
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=NOW)
    run(request, Clock())
    assert request.events.get(kind="step", step="hold_off").detail["opened"] == ["customer"]
    role = gate.Actor(kind="task", id="x", subject=alice.subject_id, roles=frozenset({f"system:{KIND}"}), purpose=KIND)
    of_alice, of_bob = ("subject", alice.subject_id), ("subject", bob.subject_id)
    assert gate.may(role, "accounts.customer", "account", "read", of_alice)
    assert not gate.may(role, "accounts.customer", "account", "write", of_alice)
    assert not gate.may(role, "accounts.customer", "account", "read", of_bob)
    assert gate.may(role, "accounts.customer", "account", "read", of_alice, "account:2030-12-31")
    of_nobody = replace(role, subject=None)
    assert not gate.may(of_nobody, "accounts.customer", "account", "read", of_alice)
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        assert "to hold off using your data" in text_of(browser_of(alice).get("/privacy/openings/"))


def test_what_the_page_of_the_gate_says_of_a_purpose_goes_before_the_entry(
    third: Procedure, settings: Any, tmp_path: Path
) -> None:
    page = Path(settings.ACCESS_MATRIX).read_text()
    other = tmp_path / "access.toml"
    other.write_text(f'{page}{KIND} = ["orders.order/order:r"]\n')
    role = frozenset({f"system:{KIND}"})
    file = ("privacy.request", "request_file")
    assert matrix.rights(role, True, "read")[1] == {("accounts.customer", "account"), file}
    settings.ACCESS_MATRIX = str(other)
    matrix.forget()
    assert matrix.rights(role, True, "read")[1] == {("orders.order", "order")}


def test_manage_py_finds_nothing_wrong_with_it(third: Procedure) -> None:
    assert [*checks.check_rights(), *checks.check_access_matrix(), *checks.check_restricted()] == []


def test_one_that_needs_no_confirmation_is_carried_out_as_it_is(
    alice: Customer, settings: Any, monkeypatch: Any
) -> None:
    add(settings, monkeypatch, entry(is_confirmed=False))
    with time_machine.travel(NOW, tick=False):
        asked = browser_of(alice).post(f"/privacy/requests/new/{KIND}/")
    request = Request.objects.get()
    assert asked.headers["Location"] == f"/privacy/requests/{request.pk}/"
    run(request, Clock())
    run(request, Clock(NOW + timedelta(minutes=5)))
    assert states(request) == DONE


def test_bob_the_stranger_sees_nothing_of_it(alice: Customer, third: Procedure) -> None:
    with time_machine.travel(NOW, tick=False):
        browser_of(alice).post(f"/privacy/requests/new/{KIND}/")
        bob = pages.signed_in(factories.login("bob", "bob@example.com", subject=factories.subject()), again=True)
        path = f"/privacy/requests/{Request.objects.get().pk}/"
        assert bob.get(path).status_code == 404 and bob.get(f"{path}confirm/").status_code == 404
        assert browser_of(alice).get(path).status_code == 200


def test_it_can_be_taken_back_and_says_what_was_not_done(alice: Customer, third: Procedure) -> None:
    with time_machine.travel(NOW, tick=False):
        browser = browser_of(alice)
        browser.post(f"/privacy/requests/new/{KIND}/")
        request = Request.objects.get()
        assert "Nothing is held off for it." in text_of(browser.get(f"/privacy/requests/{request.pk}/withdraw/"))
        browser.post(f"/privacy/requests/{request.pk}/withdraw/")
        page = text_of(browser.get(f"/privacy/requests/{request.pk}/"))
    assert "Nothing was held off because of this request." in page


# Without a login ------------------------------------------------------------------------------------------------------


def test_it_is_asked_for_without_a_login_and_its_outcome_is_read_by_code(third: Procedure) -> None:
    customer = factories.customer("Dora", "Dale", email="dora@example.com")
    with time_machine.travel(NOW, tick=False):
        browser = Client()
        assert "Hold off using my data" in text_of(browser.get("/privacy/ask/"))
        browser.post("/privacy/ask/", {"kind": KIND, "email": "dora@example.com"})
        request = Request.objects.get()
        assert request.subject_id == customer.subject_id
        assert "asked us to hold off using the data we hold about you." in letter(request, "link_identity")
        went = browser.post(link_in(request, "link_identity"))
        assert went.headers["Location"] == f"/privacy/requests/{request.pk}/confirm/"
        with vault.internal():
            code = Letter.objects.get(request=request, kind="acknowledgement").credentials["code"]
        assert execute.run(request.pk, clock=Clock(), pause=lambda: None) == "idle"
        assert "The plan to hold off is ready." in letter(request, "link_result")
        plan_hash = Request.objects.get().plan_hash
        confirmed = browser.post(went.headers["Location"], {"plan_hash": plan_hash})
        assert "We hold off" in confirmed.text
    run(request, Clock())
    assert states(request) == DONE
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        found = Client().post("/privacy/outcome/", {"reference": request.reference, "code": code})
        assert "Holding off the use of your data" in text_of(found) and "Use held off" in text_of(found)


def test_a_stranger_is_told_what_was_asked_and_no_more(third: Procedure) -> None:
    customer = factories.customer("Dora", "Dale", email="shared@example.com")
    factories.customer("Eve", "Early", email="shared@example.com")
    with time_machine.travel(NOW, tick=False):
        Client().post("/privacy/ask/", {"kind": KIND, "email": "shared@example.com"})
    request = Request.objects.get()
    assert request.subject_id is None and customer.subject_id is not None
    assert "asked us to hold off using personal data" in letter(request, "not_identified")


def test_without_an_answer_it_ends_on_the_due_day(alice: Customer, third: Procedure) -> None:
    with time_machine.travel(NOW, tick=False):
        Client().post("/privacy/ask/", {"kind": KIND, "email": "alice@example.com"})
    request = Request.objects.get()
    execute.advance(request.pk, now=NOW + timedelta(days=31))
    request.refresh_from_db()
    assert request.state == State.EXPIRED and Letter.objects.filter(request=request, kind="expired").exists()


# Staff and operators --------------------------------------------------------------------------------------------------


def test_staff_file_it_confirm_it_for_the_person_and_a_second_person_lets_it_go_on(
    alice: Customer, third: Procedure
) -> None:
    order = an_order(alice)
    with time_machine.travel(NOW, tick=False):
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        answer = carol.post(
            "/admin/privacy/request/add/",
            {
                "kind": KIND, "channel": "phone", "received_on": TODAY.isoformat(), "customer_number": order.number, "email": "",
                "name": "", "asked_by": "self", "identity": "in_person", "note": "",
            },
            follow=True,
        )  # fmt: skip
        request = Request.objects.get()
        assert "answer due on 20 December 2026" in answer.text
        here = f"/admin/privacy/request/{request.pk}/"
        assert "Holding off the use of my data" in carol.get("/admin/privacy/request/").text.replace(
            "holding", "Holding"
        )
        assert f"{here}step/confirm/" in carol.get(f"{here}change/").text
        execute.run(request.pk, clock=Clock(), pause=lambda: None)
        request.refresh_from_db()
        carol.post(
            f"{here}step/confirm/",
            {"plan_hash": request.plan_hash, "agreed": "phone", "number": "", "answered_on": ""},
            follow=True,
        )
        request.refresh_from_db()
        assert request.state == State.CONFIRMED
        assert "You asked us to hold off using the data we hold about you." in letter(request, "restriction_confirmed")
        assert execute.run(request.pk, clock=Clock(), pause=lambda: None) == "waiting", "a second person looks first"
        assert not request.events.filter(kind=State.EXECUTING).exists()
        mona = pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=("manager",)))
        look = request.second_looks.order_by("pk").first()
        pages.decide(mona, f"/admin/privacy/secondlook/{look.pk}/step/decide/", {"outcome": "go_on", "words": ""})
    run(request, Clock(NOW + timedelta(hours=1)))
    assert states(request) == DONE
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        page = pages.read(pat.get(f"{here}change/"))
        assert "Answer: use held off" in page and "Plan to hold off confirmed for the person" in page
        assert "Use held off" in page and second.gone_out(request) == second.CARRIED_OUT
        page = pages.read(pat.get(f"/admin/privacy/secondlook/{look.pk}/change/"))
        assert "What was asked was begun or carried out." in page


def printed(name: str, *words: str) -> str:
    out = io.StringIO()
    call_command(name, *words, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_operators_file_list_show_and_run_it(alice: Customer, third: Procedure) -> None:
    order = an_order(alice)
    with time_machine.travel(NOW, tick=True):
        said = printed(
            "request_file", "--kind", KIND, "--customer", order.number, "--channel", "mail", "--identity", "in_person"
        )
        request = Request.objects.get()
        assert f"{request.reference}: holding off the use of my data, received on 20 November 2026" in said
        assert "holding off the use of my data" in printed("request_list", "--kind", KIND)
        assert "holding off the use of my data" in printed("request_show", request.reference)
        assert "Nothing was changed" in printed("request_run", request.reference, "--dry-run")
        printed("request_run", request.reference, "--yes")
        shown = json.loads(printed("request_show", request.reference, "--json"))
    assert shown["kind"] == KIND and [one["name"] for one in shown["steps"]] == ["plan", "hold_off", "letter", "close"]
    assert states(request) == DONE
    assert "restriction by mail" in audit.history(reference=request.reference).values_list("reason", flat=True)
    assert audit.history(reference=request.reference).filter(action="test.held_off").count() == 1


def test_the_poller_wakes_it_and_a_killed_step_is_done_again_once(
    alice: Customer, third: Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(NOW, tick=False):
        browser_of(alice).post(f"/privacy/requests/new/{KIND}/")
    request = Request.objects.get()
    assert broker.poll(now=NOW) == 1
    execute.run(request.pk, clock=Clock(NOW + timedelta(minutes=1)), pause=lambda: None)
    request.refresh_from_db()
    actor = sight.acting_as(request)
    services.confirm(request, request.plan_hash, actor=actor, now=NOW)
    assert "hold_off" in procedures.checkpoints()

    class Killed(BaseException):
        pass

    def killed(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("privacy.work.checkpoints.reach", killed)
        execute.advance(request.pk, now=NOW)
    assert broker.poll(now=NOW + timedelta(minutes=1)) == 1
    run(request, Clock(NOW + timedelta(minutes=5)))
    assert states(request) == DONE
    assert audit.history(reference=request.reference).filter(action="test.held_off").count() == 1


def test_the_law_of_the_person_and_the_entry_decide_the_clock(alice: Customer, settings: Any, monkeypatch: Any) -> None:
    add(settings, monkeypatch, replace(entry(), laws=frozenset()))
    with time_machine.travel(NOW, tick=False):
        browser_of(alice).post(f"/privacy/requests/new/{KIND}/")
        browser_of(alice).post("/privacy/requests/new/access/")
    third, access = Request.objects.get(kind=KIND), Request.objects.get(kind="access")
    assert history.due_dates(access).regime.name == "eu" and history.due_dates(third).regime.name == "policy"


def test_a_door_that_it_has_not_is_shut(alice: Customer, settings: Any, monkeypatch: Any) -> None:
    from privacy.requests.procedure import Door

    add(settings, monkeypatch, replace(entry(), doors=frozenset({Door.STAFF})))
    with time_machine.travel(NOW, tick=False):
        browser = browser_of(alice)
        assert browser.get(f"/privacy/requests/new/{KIND}/").status_code == 404
        assert browser.post(f"/privacy/requests/new/{KIND}/").status_code == 404
        assert str(entry().words.tile) not in browser.get("/privacy/").text
        assert str(entry().words.choice) not in browser.get("/privacy/ask/").text
        Client().post("/privacy/ask/", {"kind": KIND, "email": "alice@example.com"})
        assert not Request.objects.exists()
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        assert "holding off the use of my data" in carol.get("/admin/privacy/request/add/").text
