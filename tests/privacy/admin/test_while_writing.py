"""What is said to who writes when another process was faster: at the desk, and on the person's own pages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection, connections, transaction
from django.db.models import Model

from accounts.models import Customer
from privacy import audit, vault
from privacy.requests import services
from privacy.requests.states import State
from tests import asked, factories, pages
from tests.factories import as_customer
from tests.privacy.admin.test_admin import at_work, page_of

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("at_now", "quiet")]
REST = {"last_name": "Archer", "email": "alice@example.com", "phone": "978-555-0123", "region": "MA", "country": "US"}


def too_late(row: Model, act: Callable[[], Any], meanwhile: Callable[[], Any]) -> Any:
    """Begin `act`, let `meanwhile` happen while it waits for the row, and return what came of it."""
    answers = []

    def begin() -> None:
        try:
            answers.append(act())
        finally:
            connections.close_all()

    acting = threading.Thread(target=begin)
    with transaction.atomic():
        type(row)._default_manager.select_for_update(of=("self",)).get(pk=row.pk)
        acting.start()
        with connection.cursor() as cursor:
            for _ in range(500):
                cursor.execute("SELECT pg_sleep(0.01), count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[1]:
                    break
        meanwhile()
    acting.join(20)
    return answers[0]


def given_away(alice: Customer) -> None:
    new = factories.subject()
    Customer.objects.filter(pk=alice.pk).update(subject=new)
    vault.keys.hand_over([alice.pk], ("subject", new.pk), of=[alice.vault_owner()])


def test_what_another_process_did_to_a_record_meanwhile_is_told_and_nothing_is_saved() -> None:
    ends: dict[str, Callable[[Customer], Any]] = {
        "given to another person": given_away,
        "locked": lambda alice: vault.keys.restrict({(alice.pk, "account"): "order:2031-12-31"}),
        "erased": lambda alice: vault.keys.destroy([(alice.pk, "account")], now=factories.NOW),
    }
    for what, meanwhile in ends.items():
        alice = factories.customer()
        save = partial(at_work("sales").post, page_of(alice), {"first_name": "Alicia", **REST})
        answer = too_late(alice, save, partial(meanwhile, alice))
        said = [str(one) for one in get_messages(answer.wsgi_request)]
        assert said == [f"This record was {what} while you were writing; nothing was saved."]
        assert bytes(Customer.objects.get(pk=alice.pk).sealed_account) == bytes(alice.sealed_account)
        assert not audit.history(record=("accounts.customer", alice.pk)).filter(action="record.corrected").exists()
    bob = factories.customer("Bob", "Baker", email="alice@example.com", user=factories.login())
    own = pages.signed_in(bob.user, again=True)
    save = partial(own.post, "/account/details/edit/", {"first_name": "Robert", **REST})
    said = pages.read(too_late(bob, save, partial(given_away, bob)))
    assert "These data were joined with others while you were writing; nothing was saved." in said


def test_a_plan_is_not_confirmed_that_was_taken_back_in_another_window_meanwhile() -> None:
    alice = factories.customer(user=factories.login())
    request = asked.filed(alice)
    plan = services.make_plan(request, actor=as_customer(alice), now=factories.NOW)
    here = f"/privacy/requests/{request.pk}/"
    confirm = partial(pages.signed_in(alice.user, again=True).post, f"{here}confirm/", {"plan_hash": plan.hash})
    answer = too_late(
        request, confirm, partial(services.withdraw, request, actor=as_customer(alice), now=factories.NOW)
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, here)
    request.refresh_from_db()
    assert (request.state, request.confirmed_hash) == (State.WITHDRAWN, "")
