"""The day on which a customer was last active only moves forward."""

from datetime import date
from typing import Any

import pytest

from accounts import activity
from tests import factories
from tests.factories import TODAY

pytestmark = pytest.mark.django_db(databases="__all__")


def test_touch_only_moves_forward() -> None:
    alice = factories.customer(company=factories.company(last_active_on=date(2020, 1, 1)), last_active_on=TODAY)
    activity.touch([alice.pk], on=date(2025, 1, 1))
    alice.refresh_from_db()
    assert (alice.last_active_on, alice.company.last_active_on) == (TODAY, date(2025, 1, 1))


def test_many_customers_and_their_companies_move_forward_in_two_statements(
    django_assert_num_queries: Any,
) -> None:
    long_ago = date(2020, 1, 1)
    firm = factories.company(last_active_on=long_ago)
    alice = factories.customer(company=firm, last_active_on=long_ago)
    bob = factories.customer("Bob", "Baker", company=firm, last_active_on=date(2026, 11, 19))
    dora = factories.customer("Dora", "Dale", last_active_on=long_ago)
    with django_assert_num_queries(2):
        activity.touch_all({alice.pk: date(2026, 11, 18), bob.pk: date(2026, 11, 12)})
    for one in (alice, bob, dora, firm):
        one.refresh_from_db()
    assert (alice.last_active_on, bob.last_active_on) == (date(2026, 11, 18), date(2026, 11, 19))
    assert (firm.last_active_on, dora.last_active_on) == (date(2026, 11, 18), long_ago)
