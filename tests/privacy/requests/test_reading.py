"""An outcome is read by its person, or by reference and code, also when the account is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from privacy import personal_data
from privacy.requests import reading, services
from privacy.requests.states import State
from tests import factories
from tests.asked import (
    NOW,
    TODAY,
    confirmed,
    filed,
    run,
)
from tests.factories import as_customer


def test_the_outcome_stays_readable_with_reference_and_code_when_the_account_is_gone(alice, old_order) -> None:
    request = filed(alice)
    code = factories.code_of(request)
    made = services.make_plan(request, actor=as_customer(alice), now=NOW)
    services.confirm(request, made.hash, actor=as_customer(alice), now=NOW)
    run(request)
    found = reading.by_code(request.reference.lower(), code, now=NOW + timedelta(days=90))
    assert found["request"].state == State.CLOSED
    assert f"Order {old_order.number}" in {one["title"] for one in found["erased"]}
    assert found["leftovers"]
    for reference, typed in ((request.reference, "AAAA-AAAA-AAAA"), ("PR-2026-0000-00", code), ("nonsense", code)):
        with pytest.raises(reading.WrongCode):
            reading.by_code(reference, typed, now=NOW)


def test_a_file_outlives_the_person_and_leads_to_nobody(alice) -> None:
    subject = alice.subject_id
    request = confirmed(alice)
    run(request)
    assert request.subject_id is None and request.owner_id not in (None, subject)
    facts = personal_data.request_facts(request)
    assert facts.events["closed"] == TODAY and not facts.flags and facts.subject_id is None
