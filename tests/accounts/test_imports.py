"""Importing customers: all or nothing, never overwritten, never brought back, opened again it equals the file."""

import csv
import hashlib
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from accounts import corrections, imports, spoiled
from accounts.csvfile import Row
from accounts.models import Address, Company, ContactPoint, Customer
from privacy import vault
from privacy.audit import AuditEvent
from privacy.gate import Actor
from privacy.vault.models import DataKey, Token
from tests import factories, files

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = factories.NOW
OPERATOR = Actor("operator", "test", None, frozenset({"system:import"}), "import")
ALICE = {
    "customer_ref": "AW00000001", "company": "", "title": "", "first_name": "Alice", "last_name": "Archer",
    "email": "alice@example.com", "phone": "1 (11) 500 555-0110", "street": "12 Elm Street", "street2": "",
    "city": "Salem", "region": "MA", "postal_code": "01970", "country": "US", "marketing_opt_in": "no",
    "since": "2016-05-31",
}  # fmt: skip
BOB = ALICE | {"customer_ref": "AW00000002", "first_name": "Bob", "last_name": "Björk", "email": "bob@example.com"}
CONTACT = ALICE | {
    "customer_ref": "AW00000003", "company": "Health Spa, Limited", "first_name": "Robin", "email": "robin@spa.example",
}  # fmt: skip


def file_of(tmp_path: Path, *rows: dict[str, str], columns: tuple[str, ...] = imports.COLUMNS) -> Path:
    path = tmp_path / "customers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def take(path: Path, **options: bool) -> imports.Report:
    return imports.import_customers(path, actor=OPERATOR, now=NOW, **options)


def counts(report: imports.Report) -> tuple[int, int, int, int, int]:
    return report.created, report.unchanged, report.differs, report.blocked, len(report.errors)


def everything() -> dict[str, str]:
    """A hash of every table of both databases."""
    found = {}
    for alias in ("default", "keystore"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            for (table,) in cursor.fetchall():
                cursor.execute(
                    f"SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{table}\" t"
                )
                found[f"{alias}.{table}"] = cursor.fetchone()[0]
    return found


def as_on_file(reference: str) -> dict[str, str]:
    customer = Customer.objects.select_related("company").get(reference=reference)
    address = customer.addresses.get()
    with vault.internal():
        return {
            "customer_ref": customer.reference,
            "company": str(customer.company.name) if customer.company else "",
            **{name: getattr(customer, name) for name in imports.PERSON},
            **{name: getattr(address, name) for name in imports.ADDRESS},
            "since": customer.since.isoformat(),
        }


def test_every_row_opened_again_equals_the_file(tmp_path: Path) -> None:
    report = take(file_of(tmp_path, ALICE, BOB, CONTACT))
    assert counts(report) == (3, 0, 0, 0, 0)
    for row in (ALICE, BOB, CONTACT):
        assert as_on_file(row["customer_ref"]) == {k: v for k, v in row.items() if k != "marketing_opt_in"}


def test_a_second_import_changes_no_byte_of_either_database(tmp_path: Path) -> None:
    path = file_of(tmp_path, ALICE, BOB, CONTACT)
    take(path)
    before = everything()
    assert counts(take(path)) == (0, 3, 0, 0, 0)
    assert everything() == before


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    before = everything()
    report = take(file_of(tmp_path, ALICE, BOB), dry_run=True)
    assert counts(report) == (2, 0, 0, 0, 0)
    assert everything() == before


def test_a_corrected_record_survives_a_later_import(tmp_path: Path) -> None:
    path = file_of(tmp_path, ALICE, BOB)
    take(path)
    alice = Customer.objects.get(reference="AW00000001")
    corrections.correct(alice, {"last_name": "Able"}, actor=factories.acting_as(alice), now=NOW)
    report = take(path)
    assert counts(report) == (0, 1, 1, 0, 0)
    assert report.differing == [{"line": 2, "columns": ["last_name"]}]
    assert as_on_file("AW00000001")["last_name"] == "Able"


def test_an_erased_person_is_not_created_again_by_reference_or_by_address(tmp_path: Path) -> None:
    vault.blocks.add("customer_ref", "AW00000001", until=date(2030, 1, 1), now=NOW)
    vault.blocks.add("email", "BOB@example.com", until=date(2030, 1, 1), now=NOW)
    assert counts(take(file_of(tmp_path, ALICE, BOB, CONTACT))) == (1, 0, 0, 2, 0)
    assert list(Customer.objects.values_list("reference", flat=True)) == ["AW00000003"]


def test_each_line_of_an_erased_person_is_named_with_why_and_what_to_do(tmp_path: Path) -> None:
    vault.blocks.add("customer_ref", "AW00000001", until=date(2030, 1, 1), now=NOW)
    vault.blocks.add("email", "bob@example.com", until=date(2030, 1, 1), now=NOW)
    path = file_of(tmp_path, ALICE, BOB | {"email": "BOB@Example.COM"}, CONTACT)
    report = take(path)
    assert [(one.line, one.column) for one in report.blocked_lines] == [(2, "customer_ref"), (3, "email")]
    assert all("lift_block" in one.reason for one in report.blocked_lines)
    out = io.StringIO()
    call_command("import_customers", str(path), stdout=out)
    assert "Left out: Line 2, customer_ref: Somebody with this customer number was erased." in out.getvalue()
    assert "Left out: Line 3, email: Somebody with this address was erased" in out.getvalue()


def test_a_number_that_only_looks_like_that_of_an_erased_person_comes_in(tmp_path: Path) -> None:
    vault.blocks.add("customer_ref", "FXS-1", until=date(2030, 1, 1), now=NOW)
    report = take(file_of(tmp_path, ALICE | {"customer_ref": "FXS1"}, BOB | {"customer_ref": "FXS-1"}))
    assert (report.created, [one.line for one in report.blocked_lines]) == (1, [3])
    assert Customer.objects.get().reference == "FXS1"


def erased(customer: Customer, address: str) -> None:
    """Leave what the erasure of a customer leaves."""
    vault.blocks.add("customer_ref", customer.reference, until=date(2030, 1, 1), now=NOW)
    vault.blocks.add("email", address, until=date(2030, 1, 1), now=NOW)
    vault.keys.destroy([(customer.pk, "account")], now=NOW)


def test_a_living_colleague_at_the_same_mailbox_comes_in_and_the_line_is_named(tmp_path: Path) -> None:
    shared = {"email": "info@shared.example"}
    take(file_of(tmp_path, ALICE | shared, BOB | shared))
    erased(Customer.objects.get(reference="AW00000001"), "info@shared.example")
    cid = CONTACT | shared
    report = take(file_of(tmp_path, cid))
    assert (report.created, report.blocked, report.blocked_lines) == (1, 0, [])
    assert [(one.line, one.column) for one in report.notices] == [(2, "email")]
    assert "was erased" in report.notices[0].reason
    # when the last who had it is erased, nobody comes in by it any more, and a file is no living person
    erased(Customer.objects.get(reference="AW00000002"), "info@shared.example")
    erased(Customer.objects.get(reference="AW00000003"), "info@shared.example")
    report = take(file_of(tmp_path, cid | {"customer_ref": "N1"}, cid | {"customer_ref": "N2"}))
    assert (report.created, [(one.line, one.column) for one in report.blocked_lines]) == (
        0,
        [(2, "email"), (3, "email")],
    )


def test_an_address_that_somebody_only_typed_or_who_is_leaving_brings_nobody_back(tmp_path: Path) -> None:
    vault.blocks.add("email", "gone@post.example", until=date(2030, 1, 1), now=NOW)
    factories.customer("Mallory", email="gone@post.example", came=ContactPoint.Came.PERSON)
    leaving = factories.customer("Lea", email="gone@post.example")
    vault.blocks.add("customer_ref", leaving.reference, until=date(2030, 1, 1), now=NOW)
    report = take(file_of(tmp_path, ALICE | {"email": "gone@post.example"}))
    assert [(one.line, one.column) for one in report.blocked_lines] == [(2, "email")]
    factories.customer("Bob", email="gone@post.example")  # the control: he has it
    assert take(file_of(tmp_path, ALICE | {"email": "gone@post.example"})).created == 1


def lifted(*args: str) -> str:
    out = io.StringIO()
    call_command("lift_block", *args, stdout=out)
    return out.getvalue()


def test_an_operator_lifts_a_block_with_a_reason_and_the_audit_says_so_but_not_whose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, value in (("customer_ref", "AW00000001"), ("email", "alice@example.com")):
        vault.blocks.add(kind, value, until=date(2030, 1, 1), now=NOW)
    before = everything()
    assert "would be lifted. It ends on 1 January 2030" in lifted(
        "--customer", "AW00000001", "--reason", "returned", "--dry-run"
    )
    assert everything() == before
    assert "is lifted" in lifted("--customer", "AW00000001", "--reason", "returned")
    assert [one.column for one in take(file_of(tmp_path, ALICE)).blocked_lines] == ["email"]
    monkeypatch.setattr("sys.stdin", io.StringIO("ALICE@example.com\n"))
    lifted("--email", "-", "--reason", "another")
    assert take(file_of(tmp_path, ALICE)).created == 1
    events = AuditEvent.objects.filter(action="block.lifted").order_by("pk")
    assert [(one.fields, one.reason) for one in events] == [
        (["customer_ref"], "the person wants to be a customer again"), (["email"], "it is another person"),
    ]  # fmt: skip
    assert not any(part in str(list(events.values())).casefold() for part in ("alice", "aw000"))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--customer", "NOBODY-1", "--reason", "returned"], "1"),
        (["--customer", "", "--reason", "returned"], "2"),
        (["--customer", "NOBODY-1"], "usage"),
        (["--customer", "A", "--email", "-", "--reason", "returned"], "usage"),
        (["--reason", "returned"], "usage"),
        (["--customer", "A", "--reason", "because"], "usage"),
        (["--email", "alice@example.com", "--reason", "returned"], "usage"),
    ],
)
def test_what_is_no_block_ends_with_1_and_wrong_arguments_do_nothing(args: list[str], code: str) -> None:
    before = everything()
    with pytest.raises(CommandError) as refused:
        lifted(*args)
    assert everything() == before
    assert "alice@example.com" not in str(refused.value)
    # the parser's own refusals end with 2 on a command line (tests/ilt_site/test_arguments.py)
    assert code == "usage" or str(refused.value.returncode) == code


def test_one_bad_line_refuses_the_whole_file(tmp_path: Path) -> None:
    before = everything()
    report = take(file_of(tmp_path, ALICE, BOB | {"since": "31.5.2016"}))
    assert [(one.line, one.column, one.reason) for one in report.errors] == [
        (3, "since", "It is not a date written as YYYY-MM-DD.")
    ]
    assert (report.created, report.is_written, everything()) == (0, False, before)


def test_skip_bad_takes_in_the_good_lines(tmp_path: Path) -> None:
    report = take(file_of(tmp_path, BOB | {"since": "31.5.2016"}, ALICE), skip_bad=True)
    assert counts(report) == (1, 0, 0, 0, 1)
    assert Customer.objects.get().reference == "AW00000001"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("customer_ref", "aw 1"),
        ("customer_ref", ""),
        ("email", "Zanzibar at example"),
        ("phone", "Zanzibar"),
        ("country", "Zanzibar"),
        ("since", "Zanzibar"),
        ("marketing_opt_in", "Zanzibar"),
        ("street", "Zanzibar 4111 1111 1111 1111"),
        ("last_name", "Zanzibar " * 50),
        ("city", "Zanzibar\x00"),
        ("first_name", "Zanzibar\x1b"),
    ],
)
def test_a_bad_value_is_named_by_its_place_and_never_repeated(tmp_path: Path, column: str, value: str) -> None:
    (problem,) = take(file_of(tmp_path, ALICE | {column: value})).errors
    assert (problem.line, problem.column) == (2, column)
    assert "Zanzibar" not in str(problem)
    assert problem.reason.count(".") >= 1


def test_a_reference_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    (problem,) = take(file_of(tmp_path, ALICE, BOB, ALICE)).errors
    assert (problem.line, problem.column) == (4, "customer_ref")


def test_all_reasons_of_a_line_are_told_at_once(tmp_path: Path) -> None:
    row = ALICE | {"customer_ref": "a_1", "email": "x", "country": "USA", "since": "31.5.2016", "marketing_opt_in": "",
                   "company": "Smith 123-45-6789", "street": "4111 1111 1111 1111"}  # fmt: skip
    errors = take(file_of(tmp_path, row)).errors
    assert {one.line for one in errors} == {2}
    assert sorted(one.column for one in errors) == [
        "company", "country", "customer_ref", "email", "marketing_opt_in", "since", "street",
    ]  # fmt: skip


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    vault.blocks.add("customer_ref", "GONE-1", until=date(2030, 1, 1), now=NOW)
    take(file_of(tmp_path, ALICE, BOB))
    path = file_of(
        tmp_path, ALICE, BOB | {"city": "Lynn"}, CONTACT, CONTACT | {"customer_ref": "GONE-1"}, dict.fromkeys(ALICE, ""),
        BOB | {"customer_ref": "x", "since": "x"},
    )  # fmt: skip
    report = take(path, skip_bad=True)
    parts = (report.created, report.unchanged, report.differs, report.blocked, report.bad, report.empty)
    assert (parts, report.lines) == ((1, 1, 1, 1, 1, 1), 6)
    refused = take(path)
    assert (refused.good, refused.bad, refused.empty, refused.created) == (4, 1, 1, 0)


@pytest.mark.parametrize(
    "row",
    [
        {"last_name": ""},
        {"first_name": "", "last_name": "Madonna"},
        {"first_name": "", "last_name": "", "company": "Acme Optics GmbH"},
        {"first_name": "\u00a0", "street": " ", "street2": "\u00a0", "city": "", "postal_code": "", "region": "MA"},
        {"street": "", "street2": "PO Box 77", "city": ""},
        {"street": "", "city": "", "region": "", "postal_code": "D02 X285", "country": "IE"},
        {"street": "", "city": "", "region": "", "postal_code": "", "country": ""},
        {"customer_ref": "7"},
    ],
)
def test_a_customer_may_have_one_name_and_a_part_of_an_address(tmp_path: Path, row: dict[str, str]) -> None:
    path = file_of(tmp_path, ALICE | row)
    assert counts(take(path)) == (1, 0, 0, 0, 0)
    assert counts(take(path)) == (0, 1, 0, 0, 0)
    with vault.internal():
        found = [{name: getattr(one, name).strip() for name in imports.PLACE} for one in Address.objects.all()]
    given = {name: (ALICE | row)[name].strip() for name in imports.PLACE}
    assert found == ([given] if any(given.values()) else [])


@pytest.mark.parametrize(
    ("first_name", "last_name"),
    [
        ("Jan", "Null"), ("False", "None"), ("nan", "NA"), ("Maeve", "D’Arcy"), ("Maeve", "D'Arcy"), ("רונית", "שפירא"),
        ("فاطمة", "الزهراء"), ("🌻 Ines", "Źdźbło"), ("N/A", "undefined"), ("Uvuvwevwevwe", "Onyetenyevwe Ugwemuhwem Osas"),
    ],
)  # fmt: skip
def test_a_name_that_a_program_may_take_for_nothing_comes_in_as_it_is(
    tmp_path: Path, first_name: str, last_name: str
) -> None:
    row = ALICE | {"first_name": first_name, "last_name": last_name}
    assert counts(take(file_of(tmp_path, row))) == (1, 0, 0, 0, 0)
    on_file = as_on_file(ALICE["customer_ref"])
    assert (on_file["first_name"], on_file["last_name"]) == (first_name, last_name)


@pytest.mark.parametrize(
    ("column", "most"),
    [("first_name", 100), ("last_name", 100), ("street", 200), ("city", 100), ("postal_code", 20)],
)
def test_what_is_longer_than_its_field_is_named_with_line_column_and_limit(
    tmp_path: Path, column: str, most: int
) -> None:
    assert counts(take(file_of(tmp_path, ALICE | {column: "L" * most}), dry_run=True)) == (1, 0, 0, 0, 0)
    (problem,) = take(file_of(tmp_path, BOB, ALICE | {column: "L" * (most + 1)})).errors
    assert (problem.line, problem.column) == (3, column)
    assert f"at most {most} characters (it has {most + 1})" in problem.reason
    assert "LLLLL" not in problem.reason


def test_a_part_of_an_address_is_no_place_for_a_code_by_post(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE, BOB | {"street": "", "street2": ""}))
    whole = ContactPoint.objects.filter(channel=ContactPoint.Channel.POST)
    assert [one.customer.reference for one in whole] == [ALICE["customer_ref"]]


def test_somebody_without_any_name_is_refused(tmp_path: Path) -> None:
    (problem,) = take(file_of(tmp_path, ALICE | {"first_name": "\u00a0", "last_name": ""})).errors
    assert (problem.column, problem.reason) == ("last_name", "There is neither a name nor a company.")


def test_an_address_without_a_country_is_refused(tmp_path: Path) -> None:
    (problem,) = take(file_of(tmp_path, ALICE | {"country": "", "region": ""})).errors
    assert problem.column == "country"


@pytest.mark.parametrize("company", ["Smith 123-45-6789", "x" * 201, "Card 4111 1111 1111 1111"])
def test_a_company_is_checked_like_the_rest(tmp_path: Path, company: str) -> None:
    (problem,) = take(file_of(tmp_path, ALICE | {"company": company})).errors
    assert (problem.line, problem.column) == (2, "company")


def test_an_address_that_stands_twice_or_is_on_file_is_reported(tmp_path: Path) -> None:
    take(file_of(tmp_path, BOB))
    path = file_of(
        tmp_path, ALICE, CONTACT | {"email": "Alice@EXAMPLE.com"}, CONTACT | {"customer_ref": "N-1", "email": BOB["email"]},
        CONTACT | {"customer_ref": "N-2", "email": "own@spa.example"},
    )  # fmt: skip
    expected = [{"line": 2, "lines": [3], "on_file": 0}, {"line": 3, "lines": [2], "on_file": 0},
                {"line": 4, "lines": [], "on_file": 1}]  # fmt: skip
    assert take(path, dry_run=True).shared == expected
    assert take(path).shared == expected
    assert take(path).shared == []  # nobody is new


def test_whose_address_is_on_file_is_asked_once_however_many(tmp_path: Path, django_assert_num_queries: Any) -> None:
    for count in (2, 30):
        rows = [Row(n, {"customer_ref": f"Q{n}", "email": f"q{n}@x.example"}) for n in range(count)]
        with django_assert_num_queries(1, using="keystore"), django_assert_num_queries(0):
            assert imports._shared(rows, rows) == []


@pytest.mark.parametrize(
    ("code", "country", "is_noticed"),
    [
        ("1970", "US", True),
        ("601", "US", True),
        ("1970-0123", "US", True),
        ("01970", "US", False),
        ("1970", "NO", False),
    ],
)
def test_a_postal_code_that_lost_its_zero_is_noticed_and_taken_in(
    tmp_path: Path, code: str, country: str, is_noticed: bool
) -> None:
    report = take(file_of(tmp_path, ALICE | {"postal_code": code, "country": country, "region": ""}))
    assert (report.created, [one.column for one in report.notices]) == (1, ["postal_code"] * is_noticed)


def test_a_number_that_a_spreadsheet_shortened_is_refused(tmp_path: Path) -> None:
    (problem,) = take(file_of(tmp_path, ALICE | {"phone": "1.97882E+09"})).errors
    assert (problem.column, "spreadsheet" in problem.reason) == ("phone", True)


def test_a_yes_to_marketing_without_proof_is_counted_and_stored_nowhere(tmp_path: Path) -> None:
    yes, no = file_of(tmp_path, ALICE | {"marketing_opt_in": "yes"}), None
    assert take(yes).consent_without_proof == 1
    no = file_of(tmp_path, ALICE)
    assert counts(take(no)) == (0, 1, 0, 0, 0)


def test_contacts_of_one_company_share_it_also_across_files(tmp_path: Path) -> None:
    second = CONTACT | {"customer_ref": "AW00000004", "first_name": "Kim", "email": "kim@spa.example"}
    third = CONTACT | {"customer_ref": "AW00000005", "first_name": "Lee", "email": "lee@spa.example"}
    take(file_of(tmp_path, CONTACT, second))
    take(file_of(tmp_path, third))
    company = Company.objects.get()
    assert set(company.contacts.values_list("reference", flat=True)) == {"AW00000003", "AW00000004", "AW00000005"}
    assert set(Customer.objects.values_list("kind", flat=True)) == {"contact"}


def test_a_company_of_a_similar_name_is_another_company(tmp_path: Path) -> None:
    other = CONTACT | {"customer_ref": "AW00000004", "company": "Health-Spa Limited", "email": "kim@spa.example"}
    take(file_of(tmp_path, CONTACT, other))
    assert Company.objects.count() == 2


def test_a_phone_shared_by_several_people_is_no_problem(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE, BOB))
    assert Customer.objects.find("customer.phone", ALICE["phone"]).count() == 2


def test_a_formula_is_only_text(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE | {"last_name": "=HYPERLINK(1)"}))
    assert as_on_file("AW00000001")["last_name"] == "=HYPERLINK(1)"


def test_each_customer_created_is_one_event_without_values(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE, BOB))
    events = AuditEvent.objects.filter(action="customer.imported")
    assert events.count() == 2
    assert not any("lice" in str(event.fields) + event.reason for event in events)


def test_the_columns_hold_nothing_in_clear(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE, CONTACT))
    for table in (Customer, Address, Company):
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SELECT string_agg(t::text, '') FROM {table._meta.db_table} t")
            row = cursor.fetchone()[0]
        for value in ("Alice", "alice@example.com", "Elm Street", "Salem", "Health Spa"):
            assert value not in row
            assert value.encode().hex() not in row


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("import_customers", *arguments, stdout=out, stderr=err)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_the_command_prints_its_report_as_json(tmp_path: Path) -> None:
    code, out, _ = run(str(file_of(tmp_path, ALICE)), "--json")
    assert code == 0
    assert json.loads(out) == {
        "created": 1, "unchanged": 0, "differs": 0, "blocked": 0, "lines": 1, "bad": 0, "good": 0, "empty": 0, "repeated": 0,
        "continued": 0, "consent_without_proof": 0, "since_today": 0, "errors": [], "notices": [], "shared_addresses": [],
        "differing": [], "blocked_lines": [], "columns_left_out": [],
        "columns_missing": [],
    }  # fmt: skip


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_the_command_says_one_sentence_per_error_and_fails(tmp_path: Path) -> None:
    code, out, err = run(str(file_of(tmp_path, ALICE | {"since": "x"}, BOB | {"country": "y"})))
    assert code == 1
    assert err.splitlines() == [
        "Line 2, since: It is not a date written as YYYY-MM-DD.",
        "Line 3, country: Use the two-letter code of a country (ISO 3166-1).",
    ]
    assert out.splitlines() == [
        "Nothing was taken in.",
        "2 lines under the header:",
        "        2  something is wrong with it: all reasons are listed",
    ]


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_the_command_says_what_became_of_every_line(tmp_path: Path) -> None:
    take(file_of(tmp_path, ALICE))
    again = BOB | {"email": "ALICE@example.com", "postal_code": "1970", "marketing_opt_in": "yes"}
    path = file_of(tmp_path, ALICE, again, dict.fromkeys(ALICE, ""), CONTACT | {"since": "x"})
    code, out, _ = run(str(path))
    assert (code, out.splitlines()) == (
        1,
        ["Nothing was taken in.",
         "4 lines under the header:",
         "        1  something is wrong with it: all reasons are listed",
         "        2  could be taken in",
         "        1  empty",
         "Mend the file, or take in the good lines with --skip-bad."],
    )  # fmt: skip
    refused = out.splitlines()
    code, out, _ = run(str(path), "--dry-run")
    assert (code, out.splitlines()) == (1, ["Nothing would be taken in.", *refused[1:]])
    code, out, _ = run(str(path), "--skip-bad")
    assert (code, out.splitlines()) == (
        0,
        ["4 lines under the header:",
         "        1  created",
         "        1  on file already, the same",
         "        1  left out: something is wrong with it",
         "        1  empty",
         f"Notice: Line 3, postal_code: {spoiled.ZIP}",
         "Notice: Line 3, email: The address stands on line 2, too; it identifies nobody.",
         "Yes to marketing: 1. Without proof that is no consent, and none is stored."],
    )  # fmt: skip


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_map_that_is_none_is_an_error_of_usage(tmp_path: Path) -> None:
    path = file_of(tmp_path, ALICE)
    (tmp_path / "mine.toml").write_text('[columns]\n"A" = "shoe_size"\n')
    for named, words in (("nosuch", "There is no ready map"), (str(tmp_path / "mine.toml"), "shoe_size")):
        with pytest.raises(CommandError, match=words) as refused:
            run(str(path), "--map", named)
        assert refused.value.returncode == 2


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_the_command_refuses_another_header(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    code, out, _ = run(str(path), "--json")
    assert code == 1
    assert json.loads(out)["errors"][0]["line"] == 1


def test_the_file_of_tests_data_is_taken_in_whole_and_equals_itself() -> None:
    report = take(files.CUSTOMERS)
    assert counts(report) == (36, 0, 0, 0, 0)
    assert report.consent_without_proof == 13
    assert Company.objects.count() == 9
    for row in files.rows(files.CUSTOMERS):
        assert as_on_file(row["customer_ref"]) == {k: v for k, v in row.items() if k != "marketing_opt_in"}
    before = DataKey.objects.count(), Token.objects.count(), AuditEvent.objects.count(), _sealed()
    assert counts(take(files.CUSTOMERS)) == (0, 36, 0, 0, 0)
    assert (DataKey.objects.count(), Token.objects.count(), AuditEvent.objects.count(), _sealed()) == before


def _sealed() -> str:
    digest = hashlib.sha256()
    for sealed in Customer.objects.order_by("pk").values_list("sealed_account", flat=True):
        digest.update(bytes(sealed))
    return digest.hexdigest()
