"""F17: messages that an older or newer version of the program left in the broker do nothing, and cost no request its
end."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core import serializers
from django.utils import timezone

from privacy import gate, tasks
from privacy.audit.models import AuditEvent
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import execute, procedures, services, sight, writing
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import State
from privacy.retention.models import Decision
from tests import factories
from tests.figures import report
from tests.journeys import asking

pytestmark = [pytest.mark.figure, pytest.mark.django_db(transaction=True)]
Message = tuple[tuple[Any, ...], dict[str, Any]]


def foreign(request: Request) -> list[Message]:
    """Return messages about the request that this version never sends: other arguments, steps, versions."""
    number, step, version = str(request.pk), request.step, request.version
    return [
        ((number,), {}),
        ((number, step), {}),
        ((number, step, version, "and more"), {}),
        ((), {"request": number, "step": step}),
        ((number, "a_step_of_old", version), {}),
        ((number, "", version), {}),
        ((number, step, version - 1), {}),
        ((number, step, version + 1), {}),
        ((number, step, str(version)), {}),
        ((str(uuid4()), step, version), {}),
        (("not a number", step, version), {}),
    ]


def rows() -> list[Any]:
    """Return everything that a step could have changed."""
    return [
        serializers.serialize("json", model.objects.order_by("pk"))
        for model in (Request, RequestEvent, Decision, Letter, AuditEvent)
    ]


def test_a_message_of_another_version_does_nothing_and_the_request_ends() -> None:
    alice = factories.customer(user=factories.login())
    factories.address(alice)
    request = asking.ask(alice, "erasure", timezone.now())
    with gate.acting(asking.PAT):
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=timezone.now())
    effects = delivered = 0
    steps = set()
    for _ in range(40):
        request.refresh_from_db()
        if not request.step:
            break
        steps.add(request.step)
        before = rows()
        for positional, named in foreign(request):
            tasks.advance.apply(args=positional, kwargs=named)
            delivered += 1
        effects += rows() != before
        execute.advance(request.pk, now=request.next_action_at or timezone.now())
        with system("letter"):
            writing.send_due(now=timezone.now())
    assert request.state == State.CLOSED
    assert steps >= set(procedures.get("erasure").order()) - {"plan"}
    assert effects == 0
    report("F17", "steps at which a message of another version had an effect", effects, n=delivered, goal="0")
    report("F17", "requests that did not end", int(request.state != State.CLOSED), n=1, goal="0")
