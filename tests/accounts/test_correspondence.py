"""Messages with the five departments: kept, answered, closed."""

from datetime import date
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts import correspondence
from accounts.models import Communication
from tests import factories
from tests.accounts.test_services import carol, opened, write
from tests.factories import NOW, TODAY

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.mark.parametrize("department", ["calibration", "quality", "support", "engineering", "accounting"])
@pytest.mark.parametrize("channel", ["web", "phone", "fax", "email", "mail", "in_person"])
def test_each_department_takes_messages_by_each_channel(department: str, channel: str) -> None:
    message = write(department=department, channel=channel, contact_name="Ann Lee", company_name="Lumen Works")
    assert opened(message, "contact_name") == "Ann Lee"


def test_a_message_names_department_and_channel() -> None:
    for wrong in ({"department": "sales"}, {"channel": "pigeon"}):
        with pytest.raises(ValidationError):
            write(**wrong)


def test_somebody_who_is_no_customer_gets_a_subject_of_their_own() -> None:
    first, second = write(email="ann@example.com"), write(email="ann@example.com")
    assert first.subject_id != second.subject_id
    assert None not in (first.subject_id, second.subject_id)


def test_a_reply_moves_the_clock_of_the_matter_and_opens_it_again() -> None:
    alice = factories.customer()
    first = write(customer=alice, received_on=date(2026, 1, 5))
    correspondence.close_communication(first, closed_on=date(2026, 1, 9), actor=carol("service"), now=NOW)
    reply = write(in_reply_to=first, received_on=date(2026, 3, 1))
    first.refresh_from_db()
    assert (first.last_message_on, first.closed_on) == (date(2026, 3, 1), None)
    assert (reply.subject_id, reply.customer) == (alice.subject_id, alice)


def test_to_have_heard_from_a_customer_keeps_the_account_as_an_order_does() -> None:
    long_ago = date(2023, 5, 2)
    alice = factories.customer("Alice", company=factories.company(last_active_on=long_ago), last_active_on=long_ago)

    def heard(day: date, **more: Any) -> tuple[date | None, date | None]:
        write(customer=alice, received_on=day, **more)
        alice.refresh_from_db()
        assert alice.company is not None
        alice.company.refresh_from_db()
        return alice.last_active_on, alice.company.last_active_on

    assert heard(TODAY, direction="out") == (long_ago, long_ago), "what we write is no sign of life"
    assert heard(date(2026, 11, 2)) == (date(2026, 11, 2), date(2026, 11, 2))
    assert heard(date(2026, 10, 2)) == (date(2026, 11, 2), date(2026, 11, 2)), "one of before changes nothing"


def test_a_matter_is_closed_once() -> None:
    message = write()
    correspondence.close_communication(message, closed_on=TODAY, actor=carol("service"), now=NOW)
    with pytest.raises(correspondence.AlreadyClosed):
        correspondence.close_communication(message, closed_on=TODAY, actor=carol("service"), now=NOW)


def test_a_card_number_in_a_message_is_refused_and_not_kept() -> None:
    with pytest.raises(ValidationError):
        write(body="charge 4111 1111 1111 1111 please")
    assert not Communication.objects.exists()
