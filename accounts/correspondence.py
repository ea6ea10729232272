"""Messages from and to people, kept and closed (P23, P27, P28, P31)."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from accounts import activity, records
from accounts.models import (
    Communication,
    Customer,
    User,
)
from privacy import audit, subjects
from privacy.actor import require_another
from privacy.calendar import days
from privacy.gate import Actor


class AlreadyClosed(Exception):
    """The communication was closed before."""


def record_communication(
    *,
    department: str,
    channel: str,
    received_on: date,
    actor: Actor | None,
    now: datetime,
    customer: Customer | None = None,
    in_reply_to: Communication | None = None,
    taken_by: User | None = None,
    direction: str = Communication.Direction.IN,
    topic: str = Communication.Topic.OTHER,
    is_order_related: bool = False,
    notice_given_on: date | None = None,
    **data: str,
) -> Communication:
    """Keep a message from or to a person with one of the five departments and return it (P23, P27, P28, P31).

    Somebody who is no customer gets a subject of their own. A reply belongs to the person of the first message and
    moves that one's clock. To have heard from a customer keeps the account as an order does. Raises AboutYourself for
    staff who write down a message of their own.
    """
    days.require(now=now, received_on=received_on, notice_given_on=notice_given_on)
    with transaction.atomic():
        if in_reply_to is not None:
            customer = in_reply_to.customer
            owner = in_reply_to.subject_id
        else:
            owner = customer.subject_id if customer else subjects.create(now=now).pk
        require_another(actor, about=[owner])
        message = Communication(
            subject_id=owner,
            customer=customer,
            in_reply_to=in_reply_to,
            taken_by=taken_by,
            department=department,
            channel=channel,
            direction=direction,
            topic=topic,
            is_order_related=is_order_related,
            received_on=received_on,
            last_message_on=received_on,
            notice_given_on=notice_given_on,
            **data,
        )
        if in_reply_to is not None:
            first = Communication.objects.filter(pk=in_reply_to.pk)
            first.filter(last_message_on__lt=received_on).update(last_message_on=received_on)
            first.update(closed_on=None)
        if customer is not None and direction == Communication.Direction.IN:
            activity.touch([customer.pk], on=received_on)
        return records.add(message, "communication.recorded", actor, now)


def close_communication(message: Communication, *, closed_on: date, actor: Actor | None, now: datetime) -> None:
    """Close a matter: the retention clock of P31 starts. Raises AlreadyClosed."""
    days.require(now=now, closed_on=closed_on)
    with transaction.atomic():
        records.require_write(actor, message, ["support"])
        if not Communication.objects.filter(pk=message.pk, closed_on=None).update(closed_on=closed_on):
            raise AlreadyClosed
        message.closed_on = closed_on
        audit.record(
            "communication.closed", actor=actor, now=now, subject=message.subject_id, record=records.name_of(message)
        )
