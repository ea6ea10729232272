"""The desk names the requests that somebody has to look at, in as many queries for many as for few."""

from __future__ import annotations

import io
import re

import pytest
import time_machine
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from privacy.requests import in_doubt
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages, roles
from tests.asked import NOW, confirmed, filed, run

pytestmark = [pytest.mark.django_db(databases="__all__")]
LIST = "Requests that somebody has to look at, open or ended within 30 days"


TO_LOOK = "our staff have to look at it"


def customers(count: int) -> list[Customer]:
    return [factories.customer(email=f"no{number}@example.com") for number in range(count)]


def test_the_desk_lists_what_is_not_as_the_site_wrote_it_open_or_ended_and_nothing_else() -> None:
    changed, unplanned, asked, ended, _ = (confirmed(one) for one in customers(5))
    run(ended)
    assert ended.state == State.CLOSED and not in_doubt.among(Request.objects.all()).exists(), "control"
    with time_machine.travel(NOW, tick=False):
        pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        assert LIST not in pat.get("/admin/").text
        roles.run(f"UPDATE privacy_request SET due_on = due_on + 1 WHERE id = '{changed.pk}'")
        roles.run(f"DELETE FROM privacy_decision WHERE request_id = '{unplanned.pk}' AND action = 'erase'")
        roles.run(
            "INSERT INTO privacy_secondlook (request_id, why, asked_at, outcome, decided_kind, decided_by)"
            f" VALUES ('{asked.pk}', 'not_me', now(), '', '', '')"
        )
        roles.run(f"UPDATE privacy_decision SET done_at = NULL WHERE request_id = '{ended.pk}' AND action = 'erase'")
        text = pages.read(pat.get("/admin/"))
    section = re.search(rf"<h2>{LIST}</h2>(.*?)</section>", text)
    wrong = {one.reference for one in (changed, unplanned, asked, ended)}
    assert section and set(re.findall(r"PR-[0-9A-Z-]+", section[1])) == wrong
    assert {one.reference for one in in_doubt.among(Request.objects.all())} == wrong


def test_many_requests_are_looked_at_in_as_many_queries_as_one() -> None:
    people, counts = customers(12), []
    for some in (people[:1], people[1:]):
        for one in some:
            filed(one)
        with (
            CaptureQueriesContext(connections["default"]) as main,
            CaptureQueriesContext(connections["keystore"]) as keys,
        ):
            assert list(in_doubt.among(Request.objects.all())) == []
        counts.append((len(main), len(keys)))
    assert counts[0] == counts[1]


def said(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def row_of(request: Request, text: str) -> str:
    """Return the row of a request in a list of the desk, which names all states beside it, to choose from."""
    found = re.search(rf"<tr>(?:(?!</tr>).)*{request.reference}.*?</tr>", text, re.S)
    return found[0] if found else ""


def test_no_list_page_or_command_calls_carried_out_what_somebody_wrote_into_a_row() -> None:
    alice = factories.customer(email="alice@example.com", user=factories.login("alice", "alice@example.com"))
    planned = filed(alice)
    with time_machine.travel(NOW, tick=False):
        hers, pat = (
            pages.signed_in(alice.user),
            pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",))),
        )

        def places() -> dict[str, str]:
            return {
                "account": pages.read(hers.get("/account/")),
                "list": pages.read(hers.get("/privacy/requests/")),
                "front page": pages.read(pat.get("/admin/")),
                "desk list": row_of(planned, pages.read(pat.get("/admin/privacy/request/?work=all"))),
                "desk page": pages.read(pat.get(f"/admin/privacy/request/{planned.pk}/change/")),
                "person's page": pages.read(pat.get(f"/admin/accounts/customer/{alice.pk}/change/")),
                "request_list": said("request_list", "--all"),
                "request_show": said("request_show", planned.reference),
            }

        assert not [name for name, text in places().items() if TO_LOOK in text], "control"
        roles.run(f"UPDATE privacy_request SET state = 'executed', step = 'letter' WHERE id = '{planned.pk}'")
        said_of_it = places()
    assert not [name for name, text in said_of_it.items() if TO_LOOK not in text.lower()]
    assert not [name for name, text in said_of_it.items() if re.search(r"\bcarried out\b", text, re.I)]
