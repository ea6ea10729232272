"""A worker killed at each checkpoint leaves nothing half done, and everything is done once."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Customer
from privacy import gate
from privacy.requests import procedures, services, sight
from privacy.requests.models import Request
from privacy.vault.keystore import identity
from privacy.vault.models import DataKey
from tests import factories
from tests.faults import workers
from tests.faults.measuring import until
from tests.journeys.asking import PAT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def test_killed_at_each_checkpoint_it_ends_executed_once(beat: workers.Celery, tmp_path: Path) -> None:
    assert identity.verify() == []  # as a first start does: ring, key store and main database belong together
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    cases = [workers.filed(checkpoint, number) for number, checkpoint in enumerate(procedures.checkpoints())]
    held = tmp_path / "held"
    first = workers.worker(tmp_path, len(cases) + 2, **workers.held_at(cases, held))
    with first as running:
        until(
            lambda: all(case.holder(held) for case in cases),
            lambda: [case.checkpoint for case in cases if not case.holder(held)],
        )
        assert not Request.objects.filter(state="closed").exists()
        between = next(case for case in cases if case.checkpoint == "between_commits")
        keys = DataKey.objects.filter(record=between.customer, envelope="account")
        assert [key.wrapped for key in keys] == [None]  # the key is gone and committed,
        assert Customer.objects.get(pk=between.customer).sealed_account is not None  # the row does not know yet
        running.kill()

    with workers.worker(tmp_path, 2):
        (planned,) = [case for case in cases if case.checkpoint == "plan"]
        until(lambda: Request.objects.get(pk=planned.request.pk).state == "planned", lambda: "the plan again")
        request = Request.objects.get(pk=planned.request.pk)
        with gate.acting(PAT):
            services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=timezone.now())
        until(lambda: len(workers.ended(cases)) == len(cases), lambda: workers.where(cases))

    for case in cases:
        assert Request.objects.get(pk=case.request.pk).tries[case.step] >= 2, case.checkpoint
        assert workers.doubled(case) == 0, case.checkpoint
    with gate.acting(PAT):
        assert Customer.objects.get(pk=bob.pk).email == "bob@example.com"
