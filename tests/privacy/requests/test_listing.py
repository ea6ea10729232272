"""The list of requests for an operator: what is open, what is overdue, in whose hands; constant queries, no person."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from privacy.requests import history, listing
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import NOW, PRIVACY, filed, taken_in
from tests.shapes import shaped

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=60)


def listed(*words: str, now: Any = NOW) -> dict[str, Any]:
    out = io.StringIO()
    with time_machine.travel(now, tick=False):
        call_command("request_list", *words, "--json", stdout=out)
    return shaped("request_list", json.loads(out.getvalue()))


def said(*words: str, now: Any = NOW) -> list[str]:
    out = io.StringIO()
    with time_machine.travel(now, tick=False):
        call_command("request_list", *words, stdout=out)
    return out.getvalue().splitlines()


def test_the_open_ones_are_listed_and_the_overdue_ones_counted(alice: Any, bob: Any) -> None:
    mine, bobs = filed(alice), filed(bob, "access")
    assert {one["reference"] for one in listed()["requests"]} == {mine.reference, bobs.reference}
    assert listed()["overdue"] == 0 and listed("--overdue")["requests"] == []
    late = listed("--overdue", now=LATER)
    assert late["overdue"] == 2
    days = {one["reference"]: one["days_overdue"] for one in late["requests"]}
    assert days[mine.reference] == (LATER.date() - Request.objects.get(pk=mine.pk).due_on).days > 0


def test_they_are_narrowed_by_kind_state_and_end(alice: Any, bob: Any) -> None:
    mine, bobs = filed(alice), filed(bob, "access")
    Request.objects.filter(pk=bobs.pk).update(state="withdrawn")
    assert [one["reference"] for one in listed("--kind", "erasure")["requests"]] == [mine.reference]
    assert [one["reference"] for one in listed("--ended")["requests"]] == [bobs.reference]
    assert len(listed("--all")["requests"]) == 2
    for days, urgent in ((8, []), (7, [mine]), (-1, [mine])):
        today = mine.due_on - timedelta(days=days)
        assert list(listing.narrowed(Request.objects.all(), listing.Which.SOON, today=today)) == urgent
    assert listed("--all", "--state", "withdrawn")["requests"][0]["days_overdue"] == 0
    assert listed("--ended", now=LATER)["overdue"] == 0, "what has ended is not late any more"


def test_a_state_that_this_version_does_not_know_keeps_nobody_from_the_others(alice: Any, bob: Any) -> None:
    """A row that a newer version wrote, or somebody with the password of the database: each page and list goes on."""
    mine, bobs = filed(alice, "access"), filed(bob, "access")
    rma, carol = factories.an_rma(alice), pages.signed_in(factories.staff(roles=("privacy", "service", "sales")))
    Request.objects.filter(pk=mine.pk).update(state="adjourned")
    type(rma).objects.filter(pk=rma.pk).update(state="adjourned")
    assert any(
        line.startswith(f"{mine.reference}: copy of the data, our staff have to look at it") for line in said("--all")
    )
    programs = json.loads(said("--all", "--json")[0])["requests"]
    assert {one["reference"] for one in programs} == {mine.reference, bobs.reference}
    out = io.StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("request_show", mine.reference, stdout=out)
        with pytest.raises(CommandError, match="before you seal any"):  # it names the one that is doubted
            call_command("seal_requests", stdout=out)
        desk = [f"/admin/privacy/request/{which}" for which in ("", "?q=PR-", f"{mine.pk}/change/")]
        for url in (*desk, f"/admin/rma/rma/{rma.pk}/change/", "/admin/rma/rma/", "/admin/"):
            assert carol.get(url).status_code == 200, url
        hers = pages.signed_in(alice.user, again=True)
        for url in ("/privacy/held/", "/privacy/requests/", f"/rma/{rma.pk}/"):
            assert hers.get(url).status_code == 200, url
        assert hers.get(f"/privacy/requests/{mine.pk}/").status_code == 409, "told that it is not as the site wrote it"
    with pytest.raises(history.NotAllowed):
        history.move(mine, "closed", actor=None, now=NOW)


def test_people_read_sentences_without_a_name(alice: Any) -> None:
    mine = filed(alice)
    lines = said(now=LATER)
    assert lines[0].startswith(f"{mine.reference}: removal of the data, ")
    assert "; overdue by " in lines[0] and ", was to be answered by " in lines[0]
    assert lines[1] == "Requests: 1. Overdue: 1."
    assert "alice" not in "".join(lines).lower()
    assert said("--ended") == ["Requests: 0. Overdue: 0."]
    by_staff = taken_in("access", alice.subject_id, actor=PRIVACY, channel="mail", identity="staff")
    unknown = taken_in("erasure", None, actor=PRIVACY, channel="email", email="eve@example.com")
    lines = {line.partition(":")[0]: line for line in said()}
    assert "copy of the data, a second member of our staff has to look at it" in lines[by_staff.reference]
    assert lines[unknown.reference].endswith("; it is not proved yet who asks")


def test_it_asks_the_database_as_often_for_twelve_as_for_one(alice: Any) -> None:
    filed(alice)
    with CaptureQueriesContext(connection) as one:
        listed()
    for number in range(11):
        filed(factories.customer(f"Bob{number}", "Baker", email=f"bob{number}@example.com"))
    with CaptureQueriesContext(connection) as many:
        assert len(listed()["requests"]) == 12
    assert len(many) == len(one)
