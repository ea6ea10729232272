"""The copy: everything about the person, nothing about anybody else, readable by nobody on the way."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import jsonschema
import pytest

from accounts.models import Customer
from orders.models import Order
from privacy import audit, datamap, gate, vault
from privacy.gate.log import AccessEntry
from privacy.gate.system import system
from privacy.requests import archive, assessment, contents, export, services, sight, steps
from privacy.requests.models import Export, Request
from privacy.requests.states import State
from privacy.retention.verdict import Verdict
from privacy.vault.models import DataKey
from tests import factories, pages, people, roles
from tests.asked import NOW, OPERATOR, PRIVACY, Clock, filed, outlived, run
from tests.beginnings import beginning
from tests.factories import BILL, SHIP, an_order, an_rma, as_customer
from tests.journeys.everybody import undone

PLANTED = "ffffffff-ffff-7fff-bfff-ffffffffffff"
SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


def copied(customer: Customer) -> tuple[Request, bytes]:
    clock = Clock()
    request = filed(customer, "access")
    run(request, clock)
    _, chunks = export.fetch(request, actor=as_customer(customer), now=clock())
    return request, b"".join(chunks)


def copy_of(customer: Customer) -> tuple[Request, zipfile.ZipFile]:
    request, content = copied(customer)
    return request, zipfile.ZipFile(io.BytesIO(content))


class Copy(NamedTuple):
    """The copy of alice, who has an order that stays."""

    kept_order: Order
    content: bytes

    @property
    def archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.content))


@beginning
def her_copy() -> Copy:
    alice = people.an_alice()
    order = people.a_kept_order(alice)
    return Copy(order, copied(alice)[1])


def text_of(archive: zipfile.ZipFile) -> str:
    return "\n".join(archive.read(name).decode() for name in archive.namelist())


def test_the_copy_holds_every_value_and_nothing_of_anybody_else(alice, bob, old_order, kept_order) -> None:
    factories.ssn(alice)
    an_order(bob, date(2026, 11, 2), ship_name="Bob Baker", ship_street="4 Stranger Street")
    request, archive = copy_of(alice)
    assert request.state == State.REPLIED
    for name in ("index.html", "data.json", "tables/accounts-customer.csv", "tables/orders-order.csv"):
        assert name in archive.namelist()
    page, data = pages.read(archive.read("index.html").decode()), archive.read("data.json").decode()
    whole = text_of(archive)
    for value in (
        "Alice", "Archer", "alice@example.com", "17 Quince Row", "Alice asks about a filter.", alice.reference,
        old_order.number, kept_order.number, SHIP["ship_street"], SHIP["notes"], BILL["invoice_name"], "1495",
    ):  # fmt: skip
        assert value in page.replace("1,495.00", "1495"), value
        assert value in data, value
    for value in ("Bob", "Baker", "4 Stranger Street", "bob@example.com", bob.reference):
        assert value not in whole, value
    assert "536-90-4399" not in whole and "4399" in page, "a social security number by its last four"
    assert "FA-77-1234" not in whole


def test_the_page_has_each_letter_of_article_15_for_this_person(her_copy: Copy) -> None:
    page = pages.read(her_copy.archive.read("index.html").decode())
    for anchor in (
        "purposes",
        "categories",
        "recipients",
        "periods",
        "rights",
        "complaint",
        "sources",
        "automated",
        "transfers",
    ):
        assert f'id="{anchor}"' in page, anchor
    assert "carrier" in page, "recipients are named"
    assert "31 December 2031" in page, "the period of her own order"
    assert "edpb.europa.eu" in page and "Information Commissioner" not in page, "she lives in Germany"
    assert "(h) Automated decisions and profiling" in page
    assert "No other decision about you is made by a program alone" in page


def test_data_json_is_what_its_schema_says(her_copy: Copy) -> None:
    archive = her_copy.archive
    schema = json.loads((SCHEMAS / "copy.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    data = json.loads(archive.read("data.json"))
    jsonschema.validate(data, schema)
    order = next(r for r in data["records"] if r["label"] == "orders.order")
    assert {k["until"] for k in order["kept"]} >= {"2031-12-31"}


def test_who_looked_is_in_the_copy_by_role(alice) -> None:
    carol = factories.staff()
    with gate.acting(carol.as_actor()):
        assert Customer.objects.get(pk=alice.pk).first_name == "Alice"
    _, archive = copy_of(alice)
    whole = text_of(archive)
    assert "sales" in archive.read("tables/privacy-accessentry.csv").decode()
    assert str(carol.pk) not in whole and "carol" not in whole


def test_a_planted_entry_and_one_under_a_planted_name_keep_nobody_from_the_copy_nor_from_the_page(alice) -> None:
    carol = factories.staff()
    for name in ("alice", "bob"):
        with gate.acting(carol.as_actor()):
            assert Customer.objects.get(pk=alice.pk).first_name == "Alice", name
    roles.run(
        "INSERT INTO privacy_accessname (id, subject_id, mac)"
        f" VALUES ('{PLANTED}', '{alice.subject_id}', repeat('0', 64))",
        "INSERT INTO privacy_accessentry (id, at, whose_id, actor_kind, actor_id, role, purpose, reason, envelopes, count,"
        f" encoding, mac) SELECT '{PLANTED}', at, '{PLANTED}', actor_kind, actor_id, role, purpose, 'because', envelopes,"
        " count, encoding, mac FROM privacy_accessentry ORDER BY id LIMIT 1",
    )
    roles.run(
        "INSERT INTO privacy_accessentry (id, at, whose_id, actor_kind, actor_id, role, purpose, reason, envelopes, count,"
        f" encoding, mac) SELECT '{PLANTED[:-1]}e', at, whose_id, actor_kind, actor_id, role, purpose, 'curiosity', '[1]',"
        f" count, encoding, mac FROM privacy_accessentry WHERE whose_id <> '{PLANTED}' ORDER BY id LIMIT 1",
    )
    _, archive = copy_of(alice)
    lines = parsed(archive, "privacy-accessentry")
    planted = [one for one in lines if one["What was opened"].startswith("This line was not written by our site")]
    assert planted and {one["Who"] + one["What for"] for one in planted} == {""}
    assert not {"because", "curiosity"} & set(text_of(archive).split())
    assert [one for one in lines if one["Who"].startswith("sales")], "the others say what they said"
    hers = pages.signed_in(alice.user, again=True)
    shown = pages.check(hers.get("/privacy/held/privacy.accessentry/"))
    assert "This line was not written by our site" in shown and "because" not in shown
    looked = pages.check(hers.get("/privacy/openings/"))
    assert "sales" in looked and "because" not in looked and "curiosity" not in looked


@pytest.mark.parametrize(
    "value", ["=1+1", "+1", "-x", "@SUM(A1)", "\tx", "\rx", "＝1", "+1-978-555-0101", "+1 978 A1", "+1 =1", "+1 +1 "]
)
def test_no_cell_is_a_formula(value) -> None:
    assert contents.cell(value)[0] == "'"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("+1 978 555 0101", "+1 978 555 0101"),
        ("+49 (89) 12-34/5", "+49 (89) 12-34/5"),
        ("+19785550101", "+19785550101"),
        ("-12.5", "-12.5"),
        (None, ""),
        (True, "yes"),
        (3, "3"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_other_cells_are_what_they_are(value, shown) -> None:
    assert contents.cell(value) == shown


def test_a_formula_typed_by_the_person_comes_back_as_text(alice) -> None:
    with system("demo"):
        alice.first_name = "=HYPERLINK(1)"
        alice.save()
    _, archive = copy_of(alice)
    table = archive.read("tables/accounts-customer.csv").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["First name"] == "'=HYPERLINK(1)"


def test_markup_typed_by_the_person_is_shown_not_run(alice) -> None:
    with system("demo"):
        alice.last_name = "<script>alert(1)</script>"
        alice.save()
    _, archive = copy_of(alice)
    assert "<script>" not in pages.read(archive.read("index.html").decode())


def test_on_disk_it_is_sealed_under_a_random_name(alice) -> None:
    request, _ = copy_of(alice)
    (path,) = export.folder().iterdir()
    assert path.read_bytes()[:2] != b"PK" and b"Alice" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "alice" not in path.name and request.reference not in path.name


def test_after_a_week_it_is_gone(alice) -> None:
    request = filed(alice, "access")
    clock = Clock()
    run(request, clock)
    with pytest.raises(export.NoCopy):
        export.fetch(request, actor=as_customer(alice), now=NOW + timedelta(days=8))
    assert export.expire(now=NOW + timedelta(days=6)) == 0
    assert export.expire(now=NOW + timedelta(days=8)) == 1
    assert export.expire(now=NOW + timedelta(days=8)) == 0
    assert not list(export.folder().iterdir())
    clock.now = NOW + timedelta(days=8)
    run(request, clock)
    assert request.state == State.CLOSED


def test_a_fetch_is_counted_audited_and_shown_to_the_person(alice) -> None:
    request = filed(alice, "access")
    run(request)
    assert export.build(request, now=NOW) == Export.objects.get(), "it is made once"
    with undone():
        Request.objects.filter(pk=request.pk).update(due_on=NOW + timedelta(days=999))
        with pytest.raises(export.NoCopy):  # of a request in doubt none goes out to anybody
            export.fetch(request, actor=OPERATOR, now=NOW, via="command")
    _, chunks = export.fetch(request, actor=OPERATOR, now=NOW, via="command")
    assert sum(map(len, chunks)) == Export.objects.get().size
    assert Export.objects.get().downloads == 1
    assert audit.history(reference=request.reference).filter(action="copy.fetched").count() == 1
    assert (
        AccessEntry.objects.filter(whose__subject_id=alice.subject_id, envelopes={"privacy.export/export": 1}).count()
        == 1
    )


def test_a_removal_destroys_the_copies_whose_week_is_over_and_no_other(alice) -> None:
    request = filed(alice, "access")
    run(request)
    assert steps.exports_destroyed(request, NOW).detail == {"copies": 0} and export.live(request) is not None
    assert steps.exports_destroyed(request, NOW + timedelta(days=8)).detail == {"copies": 1}
    assert export.live(request) is None and list(export.folder().iterdir()) == []


def test_a_copy_that_is_gone_is_neither_fetched_nor_destroyed_and_none_is_made_of_nobodys_data(alice) -> None:
    request = filed(alice, "access")
    run(request)
    vault.keys.destroy([(Export.objects.get().pk, export.ENVELOPE)], now=NOW)  # and the worker was killed here
    assert export.damaged(request) is None and export.live(request) is None, "it has ended, and is no damaged one"
    export.destroy(request, actor=as_customer(alice), now=NOW)
    for act in (export.fetch, export.destroy):
        with pytest.raises(export.NoCopy):
            act(request, actor=as_customer(alice), now=NOW)
    request.subject_id = None  # everything about her was erased meanwhile
    with pytest.raises(export.NoCopy):
        export.build(request, now=NOW)
    assert list(export.folder().iterdir()) == []
    assert export.live(request) is None
    assert not DataKey.objects.filter(envelope=export.ENVELOPE, destroyed_at=None).exists()


def test_what_is_open_may_go_before_its_last_day_and_says_so() -> None:
    kept = Verdict(
        record_id=UUID(int=1), label="orders.order", title="Order", envelope="order", data=("Name",), action="keep",
        code="KEEP_CONTRACT", ground="", authority="our policy", until=date(2031, 12, 31), sentence="It is not paid.",
        waits_for=("unpaid",),
    )  # fmt: skip
    assert contents._why(kept, ["Name"]) == {
        "data": ["Name"], "until": date(2031, 12, 31), "authority": "our policy",
        "reason": "Or earlier, when it is finished. It is not paid.",
    }  # fmt: skip
    assert contents.plain({1: {2.5}, "on": [date(2031, 12, 31), Decimal("1.50")]}) == {
        "1": [2.5], "on": ["2031-12-31", "1.5"],
    }  # fmt: skip


def test_few_and_many_records_are_judged_alike(alice, old_order, kept_order, monkeypatch) -> None:
    factories.address(alice)
    few = assessment.facts_of(alice.subject_id, whole=True)
    monkeypatch.setattr(assessment, "CHUNK", 1)
    assert assessment.facts_of(alice.subject_id, whole=True) == few and len(few) > 3


def test_bob_does_not_fetch_alices_copy(alice, bob) -> None:
    request = filed(alice, "access")
    run(request)
    with pytest.raises(sight.NotYours):
        export.fetch(request, actor=as_customer(bob), now=NOW)


def test_what_cannot_be_opened_stops_the_copy_and_leaves_no_file(alice, monkeypatch) -> None:
    request = filed(alice, "access")
    with (
        pytest.raises(contents.CopyIncomplete),
        gate.acting(as_customer(factories.customer("Eve", email="eve@example.com"))),
    ):
        export.build(request, now=NOW)
    assert not list(export.folder().iterdir())


def test_nobody_held_gets_a_copy_that_says_so(db) -> None:
    user = factories.login("zoe", "zoe@example.com")
    nobody = type("C", (), {"pk": user.pk, "subject_id": user.subject_id, "company_id": None})
    _, archive = copy_of(nobody)
    assert "zoe" in archive.read("data.json").decode()


def test_a_file_nobody_knows_is_removed(alice) -> None:
    orphan = export.folder() / f"{'0' * 32}{export.SUFFIX}"
    orphan.write_bytes(b"x")
    assert export.expire(now=NOW - timedelta(days=3650)) == 0
    assert export.expire(now=NOW + timedelta(days=3650)) == 1


def test_ten_times_the_records_need_as_many_queries_per_record(alice, django_assert_max_num_queries: Any) -> None:
    def queries() -> int:
        request = Request(
            kind="access", subject_id=alice.subject_id, owner_id=alice.subject_id, reference="x", country="DE"
        )
        with django_assert_max_num_queries(500) as seen, system("export", subject=alice.subject_id):
            sink = io.BytesIO()
            archive.write(sink, request, alice.subject_id, NOW)
        return len(seen)

    factories.address(alice)
    queries()  # this one is in the log of who looked, which stands in the others
    few = queries()
    for _ in range(10):
        factories.address(alice)
    assert queries() <= few + 3


def test_what_the_copy_itself_decided_is_not_in_it_but_what_was_decided_before_is(alice, kept_order) -> None:
    earlier = filed(alice, "erasure")
    services.make_plan(earlier, actor=PRIVACY, now=NOW)
    request, archive = copy_of(alice)
    assert request.decisions.count() > 3
    tables = csv.DictReader(io.StringIO(archive.read("tables/privacy-decision.csv").decode("utf-8-sig")))
    assert {row["record"] for row in tables} == {str(one.pk) for one in earlier.decisions.all()}


def test_what_looks_like_markup_stands_in_the_page_as_text(alice) -> None:
    factories.communication(alice, heading="<b>bold</b>", body="one\ntwo & <script>three</script>")
    page = pages.read(copy_of(alice)[1].read("index.html").decode())
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "one<br>two &amp; &lt;script&gt;three&lt;/script&gt;" in page
    assert "<script" not in page


def test_no_two_columns_of_a_table_have_one_title() -> None:
    """Rows are told by the titles of their columns: of two with one title the second would push the first out."""
    for declaration in datamap.declarations():
        if declaration.subject_path is None:
            continue  # it leads to nobody, and stands in no copy
        titles = [column.title for column in contents._columns(declaration)]
        assert len(titles) == len(set(titles)), declaration.label


def test_what_is_due_is_not_called_kept_and_what_is_open_and_kept_on_afterwards_has_no_day_yet(
    alice, old_order
) -> None:
    an_order(alice)
    _, archive = copy_of(alice)
    page = pages.read(archive.read("index.html").decode())
    records = json.loads(archive.read("data.json"))["records"]
    kept = {one["title"]: one["kept"] for one in records if one["label"] == "orders.order"}
    due = kept[f"Order {old_order.number}"]
    assert [(one["until"], one["reason"], one["authority"]) for one in due] == [(None, contents.DUE, "")] * 2
    assert contents.DUE in page and "Art. 17(1)(a)" not in page and "17(1)(a)" not in archive.read("data.json").decode()
    (is_open,) = (value for title, value in kept.items() if title != f"Order {old_order.number}")
    assert [one["until"] for one in is_open] == [None, None]
    assert all(
        one["reason"].startswith("This order is not finished") and " Afterwards: " in one["reason"] for one in is_open
    )


def parsed(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(archive.read(f"tables/{name}.csv").decode("utf-8-sig"))))


def test_data_come_first_and_explanations_after(her_copy: Copy) -> None:
    page, kept_order = her_copy.archive.read("index.html").decode(), her_copy.kept_order
    places = [page.index(text) for text in ('<h2 id="you">', "17 Quince Row", '<h2 id="orders">', kept_order.number)]
    assert places == sorted(places) and places[-1] < page.index('<h2 id="explanations">') < page.index('id="purposes"')


def test_every_row_carries_the_numbers_by_which_it_joins(alice, kept_order) -> None:
    rma = an_rma(alice, date(2026, 11, 2), serial="ILT2400-0042", order=kept_order)
    earlier = filed(alice, "erasure")
    services.make_plan(earlier, actor=PRIVACY, now=NOW)
    _, archive = copy_of(alice)
    for name, column in (
        ("orders-orderline", "Of which order"),
        ("orders-invoice", "Of which order"),
        ("orders-payment", "For which order"),
    ):
        assert {row[column] for row in parsed(archive, name)} == {kept_order.number}, name
    (returned,) = parsed(archive, "rma-rma")
    assert returned["With which order it was bought"] == kept_order.number
    assert returned["Which instrument"] == "ILT2400-0042"
    assert {row["Of which return"] for row in parsed(archive, "rma-rmaevent")} == {rma.number}
    assert earlier.reference in {row["Request"] for row in parsed(archive, "privacy-decision")}
    data = json.loads(archive.read("data.json"))
    lines = [one["values"] for one in data["records"] if one["label"] == "orders.orderline"]
    assert {one["Of which order"] for one in lines} == {kept_order.number}


def test_a_telephone_number_is_as_it_was_given_in_every_file(her_copy: Copy) -> None:
    archive = her_copy.archive
    assert {row["Phone number for this order"] for row in parsed(archive, "orders-order")} == {SHIP["phone"]}
    data = json.loads(archive.read("data.json"))
    assert {
        one["values"]["Phone number for this order"] for one in data["records"] if one["label"] == "orders.order"
    } == {SHIP["phone"]}
    assert SHIP["phone"] in archive.read("index.html").decode()


def test_what_is_due_is_not_said_to_be_kept(alice, old_order) -> None:
    page = copy_of(alice)[1].read("index.html").decode()
    record = page[page.index(f"<h3>Order {old_order.number}") :].split("</section>")[0]
    assert contents.DUE in record
    assert "Kept until" not in record and "Art. 17(1)" not in record


def test_what_was_erased_says_when_in_the_page_and_is_nothing_in_the_data(alice, kept_order) -> None:
    outlived(kept_order, "fulfilment")
    _, archive = copy_of(alice)
    page = archive.read("index.html").decode()
    assert "<dt>Delivery and contact of an order</dt><dd>erased on 20 November 2026, by period</dd>" in page
    order = next(one for one in json.loads(archive.read("data.json"))["records"] if one["label"] == "orders.order")
    assert order["values"]["Delivery notes"] is None


def test_a_person_in_the_united_states_reads_no_article_of_a_law_that_does_not_cover_her(db) -> None:
    customer = factories.customer("Ann", user=factories.login("ann", "ann@example.com"), country="US")
    an_order(customer, date(2024, 5, 2), invoiced=date(2024, 5, 10), shipped=date(2024, 5, 10), paid=date(2024, 5, 10))
    earlier = filed(customer, "erasure")
    services.make_plan(earlier, actor=PRIVACY, now=NOW)
    _, archive = copy_of(customer)
    for name in ("index.html", "data.json", "README.txt"):
        text = archive.read(name).decode()
        assert "Art. " not in text, text[max(0, text.index("Art. ") - 200) :][:400]


def test_the_readme_and_the_data_say_what_each_file_is(her_copy: Copy) -> None:
    archive = her_copy.archive
    readme, data = archive.read("README.txt").decode(), json.loads(archive.read("data.json"))
    assert {one["name"] for one in data["files"]} == set(archive.namelist())
    for name in archive.namelist():
        assert name in readme, name


def test_a_copy_of_the_format_before_is_still_what_the_schema_says() -> None:
    before = {
        "format": 1, "reference": "PR-2026-7K3F-9P", "made_at": "2026-11-20T15:00:00+00:00",
        "controller": {"name": "n", "address": "a", "email": "e", "phone": "p"}, "rights": [], "complaint": "c",
        "automated_decisions": "a", "transfers": "t", "kinds": [], "records": [],
    }  # fmt: skip
    schema = json.loads((SCHEMAS / "copy.json").read_text())
    jsonschema.validate(before, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(before | {"format": 2}, schema)


def test_a_password_is_not_said_to_be_in_it(her_copy: Copy) -> None:
    page = her_copy.archive.read("index.html").decode()
    assert "Password" not in page
