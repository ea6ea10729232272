"""The running site of a browser's test, and what its workers would have done by now."""

from __future__ import annotations

from typing import NamedTuple

from django.utils import timezone

from accounts.models import Customer, User
from privacy.gate.system import system
from privacy.requests import execute, writing
from privacy.requests.models import Request


class Site(NamedTuple):
    """A running site with the demo company behind it, whose logins all have the password of the factories."""

    url: str

    def customer(self, name: str) -> Customer:
        """Return the customer of one of the demo's logins."""
        return Customer.objects.get(user=User.objects.named(name).get())

    def work(self) -> None:
        """Do what the workers would do by now: carry requests on and send letters."""
        for number in Request.objects.values_list("pk", flat=True):
            execute.run(number, clock=timezone.now, pause=lambda: None)
        with system("letter"):
            writing.send_due(now=timezone.now())
