"""The page before an act that its person cannot undo: what will happen, what is lost, the way back, and the act.

What must never happen: something irreversible done by the press of one button in a list. So the button in the list is a
link to this page, a GET changes nothing, and only the POST of the form on it acts. How a mistake is undone: it is not,
which is why the page says so before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What such a page says. Every sentence is true in the state in which it is shown.

    `title` asks, `act` is what the button says, `back` the URL of the page of before and `up` its name;
    `about` shows what it is about as names and values, `sent` goes with the form, `is_changed` says what is
    different since the person looked.
    """

    title: str
    happens: Sequence[str]
    lost: Sequence[str]
    act: str
    back: str
    up: str
    about: Sequence[tuple[str, Any]] = ()
    sent: Mapping[str, str] = field(default_factory=dict)
    is_changed: str = ""
    is_removal: bool = True


def page(request: HttpRequest, check: Check) -> HttpResponse:
    """Return the page; nothing is done by it."""
    return render(request, "check.html", {"check": check})
