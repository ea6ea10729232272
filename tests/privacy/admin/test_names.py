"""What the lists, headings and groups of the back office are called: one thing has one name, and no running number is
one."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import Client

from accounts.models import ClaimReview, Communication, ContactPoint, Joining
from accounts.users import Joined
from privacy.admin.proving import StateIdentity
from privacy.admin.steps import Step
from privacy.admin.work import WorkAdmin
from privacy.gate import Actor
from privacy.models import Request
from privacy.registers import Acknowledgement
from privacy.requests import services
from privacy.sweep.models import EndNotice
from tests import factories, pages
from tests.asked import PRIVACY, taken_in

pytestmark = pytest.mark.django_db

EVERYBODY = Actor("staff", "x", None, frozenset({"sales", "service", "accounting", "privacy", "manager"}), "admin")
#: What waits is not the record of the list but something in it, and is called by that.
IN_A_RECORD: dict[str, str] = {
    "Disputed contacts": "customers",
    "Notices to post": "customers",
    "Letters to post": "privacy requests",
    "Possible breaches to assess": "privacy requests",
    "People who could not be told of a moved day": "privacy requests",
    "Unpaid invoices, by due date": "orders",
    "Serial numbers to settle": "returns",
}


def test_what_waits_is_called_as_the_list_that_it_stands_in() -> None:
    found = {}
    for one in admin.site._registry.values():
        if isinstance(one, WorkAdmin):
            for waiting in one.work_lists(EVERYBODY, factories.TODAY):
                found[waiting.title] = str(one.opts.verbose_name_plural)
    assert len(found) >= 8
    wrong = {title: name for title, name in found.items() if name.rpartition(" ")[2] not in title.lower()}
    assert {title for title in wrong if title not in IN_A_RECORD} == set()


def test_no_heading_is_a_running_number_or_a_day_in_figures() -> None:
    number, now = 190, factories.NOW
    records = [
        ContactPoint(pk=number, channel="login", since=now),
        ContactPoint(pk=number, channel="email", since=now),
        ClaimReview(pk=number, opened_at=now),
        Joining(pk=number, opened_at=now),
        Joined(pk=number, at=now),
        Communication(department="support", received_on=factories.TODAY),
        Acknowledgement(pk=number, kind="confidentiality", version="2026", expires_on=factories.TODAY),
        EndNotice(pk=number, given_on=factories.TODAY),
    ]
    for record in records:
        text = str(record)
        assert f"{now:%-d %B %Y}" in text, text
        assert str(number) not in text and not re.search(r"\d{4}-\d\d", text), text
    assert str(records[0]) == f"changed login address, since {now:%-d %B %Y}"


def test_a_link_calls_a_company_by_its_name_or_says_where_it_is_and_never_by_its_row() -> None:
    firm = factories.company("Ortega Lighting", country="DE")
    alice = factories.customer(company=firm)
    page = f"/admin/accounts/company/{firm.pk}/change/"

    def seen(browser: Client, path: str) -> str:
        text = pages.read(browser.get(path))
        assert str(firm.pk)[-12:] not in text.replace(str(firm.pk), ""), "no name of a row"
        found = re.search(r'field-company_linked">.*?<div class="readonly">(.*?)</div>', text)
        return found[1] if found else text

    signed = pages.signed_in(factories.staff(roles=("sales",)))
    covered = pages.signed_in(factories.staff("dan", "dan@ilt.example", roles=("sales",), acknowledged=False))
    for record in (alice, factories.an_order(alice), factories.an_rma(alice)):
        path = f"/admin/{record._meta.app_label}/{record._meta.model_name}/{record.pk}/change/"
        assert seen(signed, path) == f'<a href="{page}">Ortega Lighting</a>'
        assert seen(covered, path) == "A company (Germany)", "no link to a page that does not open"
    seen(signed, page)
    assert f'<a href="{page}">Ortega Lighting</a> &rsaquo; History' in seen(signed, page.replace("change", "history"))
    assert "<h1>A company (Germany)</h1>" in seen(covered, page)


def test_messages_stand_in_a_plan_by_their_day_in_words_the_earliest_first() -> None:
    customer = factories.customer()
    for month in (11, 2, 9):
        factories.communication(customer, received_on=factories.TODAY.replace(month=month, day=3))
    about = taken_in("erasure", customer.subject_id, channel="phone", identity="in_person", actor=PRIVACY)
    plan = services.make_plan(about, actor=PRIVACY, now=factories.NOW)
    found = [one.title for one in plan.verdicts if one.title.startswith("Message")]
    assert found == [f"Message with support, 3 {month} 2026" for month in ("February", "September", "November")]


@pytest.mark.parametrize(
    ("how", "asked", "group"),
    [
        ("callback", {"number", "first_fact", "first_said", "second_fact", "second_said"}, "Call-back"),
        ("post", {"code"}, "Code by post"),
        ("staff", {"note"}, "Written evidence"),
        ("in_person", set(), ""),
    ],
)
def test_an_identity_asks_how_it_was_proved_and_then_for_what_that_needs(how: str, asked: set[str], group: str) -> None:
    about = taken_in("access", factories.customer().subject_id, channel="phone", identity="pending", actor=PRIVACY)
    carol = pages.signed_in(factories.staff(roles=("privacy",)))
    path = f"/admin/privacy/request/{about.pk}/step/identity/"
    first = carol.get(path).text
    assert set(re.findall(r'name="(\w+)"', first)) & set(StateIdentity.base_fields) == {"how"}
    assert 'method="get"' in first and f'value="{how}"' in first
    second = carol.get(f"{path}?how={how}").text
    assert set(re.findall(r'name="(\w+)"', second)) & set(StateIdentity.base_fields) == {
        "how",
        "customer_number",
        *asked,
    }
    legends = re.findall(r'<legend class="fieldset-heading">(.*?)</legend>', second)
    assert legends == ([group] if group else [])
    assert str(Request.Identity(how).label) in second and 'href="?"' in second
    nonsense = carol.get(f"{path}?how=nonsense").text
    assert 'method="get"' in nonsense
    assert carol.post(path, {"how": "nonsense"}).status_code == 400


def every(step: type[Step]) -> set[type[Step]]:
    return {step} | {one for below in step.__subclasses__() for one in every(below)}


def test_each_step_that_cannot_be_undone_says_so_on_its_page() -> None:
    ends = [step for step in every(Step) if step.is_destructive]
    assert len(ends) >= 10
    assert [step.__name__ for step in ends if not step.help] == []
