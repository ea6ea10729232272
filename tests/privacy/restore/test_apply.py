"""What a line of the ledger makes of a request, whatever a restored backup has of it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accounts.models import Customer
from privacy import vault
from privacy.gate.system import system_actor
from privacy.requests import bound, tombstones
from privacy.requests.models import Request
from privacy.restore import apply
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.vault.keystore import ledger
from tests import asked, factories

pytestmark = pytest.mark.django_db
NOW, SWEEP = factories.NOW, system_actor("sweep")


def kept(request: Request, customer: Customer) -> Decision:
    return Decision(
        request=request, label="accounts.customer", record_id=customer.pk, envelope="account", data=["email"],
        action="keep", code="TAX", ground="invoices", authority="§ 147 AO",
    )  # fmt: skip


def test_a_request_that_was_confirmed_anew_after_the_backup_is_closed_with_the_plan_of_the_ledger() -> None:
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker", email="bob@example.com")
    request = asked.confirmed(alice)
    assert request.decisions.filter(action="erase", done_at=None).exists()
    content = tombstones.content(request, [kept(request, alice)]) | {"plan_hash": "1" * 64}

    done = apply.close_again(request.reference, NOW, content, actor=SWEEP, now=NOW)

    request.refresh_from_db()
    assert (done.requests, request.state, request.plan_hash) == ([request.reference], "closed", "1" * 64)
    (decision,) = request.decisions.all()
    assert (decision.record_id, decision.code, decision.pinned) == (alice.pk, "TAX", True)
    assert decided.ours([decision]) == [decision] and not list(bound.doubted())
    assert Customer.objects.filter(pk=bob.pk).exists()
    assert apply.close_again(request.reference, NOW, content, actor=SWEEP, now=NOW) == apply.Done(), "twice is once"


def test_what_was_kept_after_the_backup_was_made_is_kept_again_and_ended_is_what_has_no_key() -> None:
    alice = factories.customer("Alice", "Archer")
    factories.address(alice)
    factories.freight_account(alice)
    request = asked.confirmed(alice)
    first, *others = request.decisions.filter(action="erase", label__startswith="accounts.").order_by("pk")
    gone, *living = others
    content = tombstones.content(request, [kept(request, alice)])
    content["kept"][0] |= {
        "label": first.label, "envelope": first.envelope, "record": ledger.pair_hash(first.record_id, first.envelope).hex()
    }  # fmt: skip
    vault.keys.destroy([(gone.record_id, gone.envelope)], now=NOW)

    apply.close_again(request.reference, NOW, content, actor=SWEEP, now=NOW)

    for one in (first, gone, *living):
        one.refresh_from_db()
    assert (first.action, first.pinned, first.done_at) == ("keep", True, None)
    assert (gone.action, gone.done_at) == ("erase", NOW)
    assert living and not [one for one in living if one.done_at]
    assert decided.ours(request.decisions.all()) == list(request.decisions.all())


def test_of_a_line_that_holds_the_reference_alone_no_request_is_made() -> None:
    assert apply.close_again("PR-2026-0000-00", NOW, {}, actor=SWEEP, now=NOW) == apply.Done()
    assert not Request.objects.exists()


def test_a_kind_of_record_that_no_row_holds_stands_nowhere() -> None:
    gone = apply.Gone(1, uuid4(), "export", "vault.stream", True)
    assert apply.standing([gone]) == 0
