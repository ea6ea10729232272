"""What the desk says when a record changes under the hands of who corrects it: another process was faster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection, connections, transaction
from django.test import Client

from accounts.models import Customer
from privacy import audit, vault
from tests import factories
from tests.privacy.admin.test_admin import at_work, page_of

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("at_now")]
REST = {"last_name": "Archer", "email": "alice@example.com", "phone": "978-555-0123", "region": "MA", "country": "US"}


def saved_too_late(browser: Client, alice: Customer, meanwhile: Callable[[], Any]) -> list[str]:
    """Save another name of Alice, let `meanwhile` happen while that waits for her row; return what the page says."""
    answers = []

    def save() -> None:
        try:
            answers.append(browser.post(page_of(alice), {"first_name": "Alicia", **REST}))
        finally:
            connections.close_all()

    saving = threading.Thread(target=save)
    with transaction.atomic():
        Customer.objects.select_for_update().get(pk=alice.pk)
        saving.start()
        with connection.cursor() as cursor:
            for _ in range(500):
                cursor.execute("SELECT pg_sleep(0.01), count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[1]:
                    break
        meanwhile()
    saving.join(20)
    return [str(one) for one in get_messages(answers[0].wsgi_request)]


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
        said = saved_too_late(at_work("sales"), alice, partial(meanwhile, alice))
        assert said == [f"This record was {what} while you were writing; nothing was saved."]
        assert bytes(Customer.objects.get(pk=alice.pk).sealed_account) == bytes(alice.sealed_account)
        assert not audit.history(record=("accounts.customer", alice.pk)).filter(action="record.corrected").exists()
