"""One person reads one law: a record that names no country is explained by the law of the person's other records."""

from __future__ import annotations

import pytest

from accounts.models import Customer
from privacy import datamap
from privacy.letters.models import Letter
from privacy.requests import answer, assessment
from privacy.retention.models import HeldValue
from tests import factories
from tests.asked import NOW, TODAY, filed

pytestmark = pytest.mark.django_db

POLICY = "Our privacy policy: "


@pytest.mark.parametrize(("country", "law"), [("US", POLICY), ("DE", "Art. "), ("GB", "Art. ")])
def test_letters_and_held_values_are_explained_by_the_law_of_the_person(country: str, law: str) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country=country)
    Letter.objects.create(
        kind="message",
        key="one",
        by="email",
        subject_id=alice.subject_id,
        queued_at=NOW,
        sent_at=NOW,
        to="a@example.com",
    )
    held(alice)
    verdicts = list(assessment.assess_all(alice.subject_id, today=TODAY, asked=False))
    found = {one.label: one.authority for one in verdicts}
    assert found["privacy.letter"].startswith(law) and found["privacy.held_value"].startswith(law)
    letters = datamap.for_label("privacy.letter"), list(Letter.objects.all())
    (alone,) = assessment.assess_rows([letters], alice.subject_id, today=TODAY)
    assert alone.authority == found["privacy.letter"], "so does a page of letters and nothing else"
    assert all(("UK GDPR" in one) == (country == "GB") for label, one in found.items() if label.startswith("privacy."))


def test_so_does_the_plan_of_a_request() -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country="US")
    held(alice)
    plan = assessment.plan_for(filed(alice), today=TODAY)
    assert [one.authority[: len(POLICY)] for one in plan.kept if one.label == "privacy.held_value"] == [POLICY]


def test_the_last_backup_of_a_key_is_gone_eight_days_later() -> None:
    assert (answer.backups_until(NOW) - TODAY).days == 8


def held(customer: Customer) -> None:
    HeldValue.objects.create(
        label="accounts.customer", record_id=customer.pk, of_envelope="account", subject_id=customer.subject_id, kept_at=NOW,
        was={"Last name": "Arrow"},
    )  # fmt: skip
