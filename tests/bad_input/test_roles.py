"""Five kinds of staff at every page of the back office, by every side entrance of Django's admin (B6).

Who may do what is the table in tests/journeys/test_url_table.py; fields and steps: tests/privacy/admin/test_admin.py.
"""

from __future__ import annotations

import pytest

from privacy.actor import STAFF_ROLES
from privacy.gate import matrix
from tests import factories, pages
from tests.bad_input.forms import Sender
from tests.figures import report, tries
from tests.journeys import doors, importing
from tests.journeys.doors import House
from tests.journeys.everybody import undone
from tests.journeys.test_url_table import TABLE, TRACES, done_by_looking, events

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

ROLES: list[str | None] = [*sorted(STAFF_ROLES), None]
SIDE = ("?_popup=1", "?_to_field=id", "?_to_field=subject&_popup=1", "?_changelist_filters=q%3Dbob", "?subject__id__exact=1",
        "?user__password__startswith=a", "?e=1", "?all=", "?o=1.2.3", "?p=-1", "?q=bob")  # fmt: skip
BULK = {"action": "delete_selected", "index": "0", "select_across": "1", "post": "yes"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_and_does_what_the_table_says_by_every_side_entrance(house: House, role: str | None) -> None:
    readable, _ = matrix.rights(frozenset({role} if role else ()), False, "read")
    surprises, count = [], 0
    bob = house.world.bob
    with undone(), Sender(house) as sender:
        dan = factories.staff("dan", "dan@ilt.example", roles=(role,) if role else ())
        browser = pages.signed_in(dan, again=True)
        before, told = importing.fingerprint(TRACES), events()
        for row in (one for one in TABLE if one.pattern.startswith("/admin/")):
            path = house.path(row)
            straight, _ = doors.knock(browser, "GET", path) if row.methods != "POST" else ("405", "")
            if "logout" in path:
                continue
            for side in SIDE[:: tries(4, 1)]:
                outcome, shown = doors.knock(browser, "GET", path + side)
                count += 1
                seen = {one[:3] for one in bob.seen_in(shown) if (one.label, one.envelope) not in readable}
                if seen or outcome.startswith("5"):
                    surprises.append(f"GET {path}{side}: {outcome}, shows {seen}")
                if straight in ("403", "404") and outcome == "200":
                    surprises.append(f"GET {path}{side}: {outcome}, straight {straight}")
            if "step" in row.pattern or row.pattern.endswith(("/add/", "/change/", "/search/")):
                continue  # forms with an effect of their own: tests/journeys/effects.py says who may
            rows = [str(one.pk) for one in bob.records.values() if hasattr(one, "pk")]
            answer = browser.post(path, {**BULK, "_selected_action": rows})
            count += 1
            if answer.status_code >= 500:
                surprises.append(f"bulk at {path}: {answer.status_code}")
        tables = done_by_looking(before, told)
        surprises += [f"something was done: {tables}"] if tables else []
        surprises += sender.failed
    assert not surprises, "\n".join(surprises)
    report("B6", f"surprises in the back office as {role or 'staff without a role'}", 0, n=count, goal="0")


@pytest.mark.parametrize("role", ROLES)
def test_no_role_completes_names_of_people(house: House, role: str | None) -> None:
    count = 0
    with undone():
        browser = pages.signed_in(factories.staff("dan", "dan@ilt.example", roles=(role,) if role else ()), again=True)
        for app, model, field in (
            ("accounts", "customer", "company"), ("accounts", "customer", "user"), ("orders", "order", "customer"),
            ("rma", "rma", "customer"), ("privacy", "request", "subject"), ("accounts", "claimreview", "customer"),
        ):  # fmt: skip
            path = f"/admin/autocomplete/?app_label={app}&model_name={model}&field_name={field}&term="
            for term in ("", "b", "bob", house.world.bob.of("accounts.customer", "first_name")[0]):
                answer = browser.get(path + term)
                assert answer.status_code in (403, 404), (path, answer.status_code)
                assert not house.world.bob.seen_in(answer.text.replace(term, "")) if term else True
                count += 1
    report("B6", f"names completed for {role or 'staff without a role'}", 0, n=count, goal="0")
