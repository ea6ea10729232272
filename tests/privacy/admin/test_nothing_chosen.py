"""No question of the desk is answered before somebody answers it: a hold, a request, a payment."""

from __future__ import annotations

import pytest

from orders.admin import RecordPayment
from privacy.admin.filing import FileRequest
from privacy.admin.holding import HoldRecord
from privacy.admin.steps import Step
from privacy.models import Hold
from tests import factories, pages
from tests.factories import an_order

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("step", "names"),
    [(HoldRecord, ["reason"]), (FileRequest, ["kind", "channel"]), (RecordPayment, ["method"])],
)
def test_nothing_is_chosen_before_somebody_chooses(step: type[Step], names: list[str]) -> None:
    form = step()
    for name in names:
        first, *others = form.fields[name].choices  # type: ignore[attr-defined]
        assert first == ("", "Choose") and others and form.fields[name].required


def test_a_hold_without_a_reason_is_not_placed() -> None:
    order, carol = an_order(factories.customer()), pages.signed_in(factories.staff(roles=("privacy",)))
    add = "/admin/privacy/hold/add/"
    answer = carol.post(add, {"number": order.number, "reason": ""})
    assert answer.status_code == 400 and not Hold.objects.exists()
    assert '<option value="" selected>Choose</option>' in carol.get(add).text
    carol.post(add, {"number": order.number, "reason": "claim"})
    assert Hold.objects.count() == 1, "the control"


def test_no_card_payment_is_recorded_at_the_desk() -> None:
    order = an_order(factories.customer(), invoiced=factories.TODAY)
    erin = pages.signed_in(factories.staff(roles=("accounting",)))
    here = f"/admin/orders/order/{order.pk}/step/pay/"
    page = erin.get(here)
    assert "Of a card payment nothing is recorded here" in page.text and "arrive by themselves" not in page.text
    assert erin.post(here, {"method": "card"}).status_code == 400 and not order.payments.exists()
    erin.post(here, {"method": "transfer"})
    assert order.payments.get().method == "transfer", "the control"
