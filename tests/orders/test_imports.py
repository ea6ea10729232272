"""The import of orders: exact, once, all or nothing, and never a card number."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from accounts.imports import import_customers
from accounts.models import Company, Customer, FreightAccount
from orders.importfile import LINE_COLUMNS, ORDER_COLUMNS, SHIP_TEXT
from orders.imports import Report, import_orders
from orders.models import Order, OrderLine, Payment, Product
from privacy import gate, vault
from privacy.audit import AuditEvent
from privacy.gate.system import system
from privacy.vault.models import DataKey, Token
from tests import files
from tests.factories import TASK, a_customer

pytestmark = pytest.mark.django_db

SCHEMA = json.loads((Path(settings.BASE_DIR) / "docs" / "schemas" / "import_orders.json").read_text(encoding="utf-8"))
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
ORDER = {
    "order_number": "T-30001", "customer_ref": "C-1001", "channel": "phone", "placed_on": "2025-05-31",
    "shipped_on": "2025-06-07", "ship_street": "18 Kiln Brook Road", "ship_street2": "", "ship_city": "Peabody",
    "ship_region": "MA", "ship_postal_code": "01960", "ship_country": "US", "account_number": "10-4020-000676",
    "card_number": "77777462752259", "card_expiry": "02/2027", "subtotal": "4049.9880", "tax": "1.5", "freight": "2",
    "total": "4053.4880",
}  # fmt: skip
LINE = {"order_number": "T-30001", "sku": "ILT-LM2400", "product": "Light meter, black", "quantity": "2",
        "unit_price": "2024.994"}  # fmt: skip


def write(path: Path, columns: tuple[str, ...], records: list[dict[str, str]]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)
    return path


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Report]:
    """Write the two files and import them."""

    def import_files(orders: list[dict[str, str]], lines: list[dict[str, str]], **options: Any) -> Report:
        return import_orders(
            write(tmp_path / "orders.csv", ORDER_COLUMNS, orders),
            write(tmp_path / "lines.csv", LINE_COLUMNS, lines),
            actor=TASK,
            now=options.pop("now", NOW),
            **options,
        )

    return import_files


def fingerprint() -> str:
    """Return a hash over every row of both databases."""
    digest = hashlib.sha256()
    for alias in ("default", "keystore"):
        connection = connections[alias]
        for table in sorted(connection.introspection.table_names()):
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
                digest.update(repr((table, cursor.fetchall())).encode())
    return digest.hexdigest()


def places(report: Report) -> list[tuple[int, str]]:
    return [(problem.line, problem.column) for problem in report.errors]


# The files ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def imported() -> Report:
    import_customers(files.CUSTOMERS, actor=TASK, now=NOW)
    return import_orders(files.ORDERS, files.LINES, actor=TASK, now=NOW)


def test_the_files_come_in_whole_and_open_again_as_they_were(imported: Report) -> None:
    assert (Customer.objects.count(), Order.objects.count(), OrderLine.objects.count()) == (36, 59, 132)
    assert (imported.created, imported.lines, imported.unchanged, imported.differs) == (59, 132, 0, 0)
    assert (imported.blocked, imported.errors, imported.subtotals_off) == (0, [], 3)

    lines = defaultdict(list)
    for row in files.rows(files.LINES):
        lines[row["order_number"]].append(
            (row["sku"], row["product"], int(row["quantity"]), Decimal(row["unit_price"]))
        )
    customers = {row["customer_ref"]: row for row in files.rows(files.CUSTOMERS)}
    with system("import"):
        orders = {order.number: order for order in Order.objects.with_details()}
        for row in files.rows(files.ORDERS):
            order = orders[row["order_number"]]
            assert order.customer.reference == row["customer_ref"]
            assert (order.channel, order.ship_country) == (row["channel"], row["ship_country"])
            assert order.placed_on.isoformat() == row["placed_on"]
            shipped = date.fromisoformat(row["shipped_on"])
            assert {order.shipped_on, order.invoiced_on, order.paid_on, order.closed_on} == {shipped}
            for name in SHIP_TEXT:
                assert getattr(order, name) == row[name]
                assert getattr(order, name.replace("ship_", "invoice_")) == row[name]
            customer = customers[row["customer_ref"]]
            assert order.invoice_name == f"{customer['first_name']} {customer['last_name']}"
            assert order.invoice_company == customer["company"]
            for name in ("subtotal", "tax", "freight", "total"):
                assert getattr(order, name) == Decimal(row[name])
            found = [(one.product.sku, one.description, one.quantity, one.unit_price) for one in order.lines.all()]
            assert found == lines[row["order_number"]]
            cards = [(one.last_four, one.expiry, one.token) for one in order.payments.all()]
            assert cards == ([(row["card_number"][-4:], row["card_expiry"], "")] if row["card_number"] else [])


def test_freight_accounts_come_in_unless_their_period_is_over(imported: Report) -> None:
    last: dict[tuple[str, str], date] = {}
    for row in files.rows(files.ORDERS):
        if row["account_number"]:
            key = (row["customer_ref"], row["account_number"])
            last[key] = max(last.get(key, date.min), date.fromisoformat(row["shipped_on"]))
    live = {key: day for key, day in last.items() if day >= date(2024, 11, 22)}
    assert imported.freight_accounts == len(live) > 0
    assert imported.freight_accounts_past == len(last) - len(live) > 0
    with system("import"):
        found = {
            (account.customer.reference, account.number): account.last_shipment_on
            for account in FreightAccount.objects.select_related("customer")
        }
    assert found == live


def test_no_card_number_is_stored_anywhere(imported: Report) -> None:
    numbers = {row["card_number"] for row in files.rows(files.ORDERS)} - {""}
    with system("import"):
        opened = [
            str(getattr(record, name))
            for record in (*Payment.objects.with_owner(), *Order.objects.with_owner())
            for names in type(record).envelopes().values()
            for name in names
        ]
    assert not numbers & set(opened)
    assert not any(number in text for text in opened if text.isdigit() for number in numbers)


def test_a_second_import_changes_nothing_at_all(imported: Report) -> None:
    before = fingerprint()
    counts = DataKey.objects.using("keystore").count(), Token.objects.using("keystore").count()
    audited = AuditEvent.objects.count()
    again = import_orders(files.ORDERS, files.LINES, actor=TASK, now=NOW + timedelta(days=9))
    assert (again.created, again.unchanged, again.differs, again.blocked) == (0, 59, 0, 0)
    assert fingerprint() == before
    assert counts == (DataKey.objects.using("keystore").count(), Token.objects.using("keystore").count())
    assert AuditEvent.objects.count() == audited


def test_the_import_is_audited_order_by_order(imported: Report) -> None:
    assert AuditEvent.objects.filter(action="order.imported").count() == 59


def test_the_import_costs_few_statements(django_assert_max_num_queries: Any) -> None:
    import_customers(files.CUSTOMERS, actor=TASK, now=NOW)
    with django_assert_max_num_queries(50):
        import_orders(files.ORDERS, files.LINES, actor=TASK, now=NOW)


# Small files: what is taken in ---------------------------------------------------------------------------------------


@pytest.fixture
def alice() -> Customer:
    return a_customer("C-1001", first_name="Harriet", last_name="Quayle")


@pytest.mark.usefixtures("alice")
def test_one_order_comes_in(take: Callable[..., Report]) -> None:
    report = take([ORDER], [LINE])
    assert (report.created, report.lines, report.freight_accounts, report.subtotals_off) == (1, 1, 1, 0)
    assert Product.objects.get().name == "Light meter, black"
    assert Customer.objects.get().last_active_on == date(2025, 6, 7)


def test_the_last_shipment_counts_as_activity_of_customer_and_company(take: Callable[..., Report]) -> None:
    company = Company.objects.create(name="Northgate Optics", country="US")
    contact = a_customer("C-1001", company=company)
    newer = ORDER | {"order_number": "SO2", "placed_on": "2025-07-01", "shipped_on": "2025-07-02"}
    take([newer, ORDER], [LINE, LINE | {"order_number": "SO2"}])
    for record in (contact, company):
        record.refresh_from_db()
        assert record.last_active_on == date(2025, 7, 2)
    older = ORDER | {"order_number": "SO3", "placed_on": "2020-07-01", "shipped_on": "2020-07-02"}
    take([older], [LINE | {"order_number": "SO3"}])
    for record in (contact, company):
        record.refresh_from_db()
        assert record.last_active_on == date(2025, 7, 2)


@pytest.mark.usefixtures("alice")
def test_a_dry_run_writes_nothing_and_tells_the_same(take: Callable[..., Report]) -> None:
    before = fingerprint()
    dry = take([ORDER], [LINE], dry_run=True)
    assert (dry.created, dry.lines, dry.freight_accounts, dry.is_written) == (1, 1, 1, False)
    assert fingerprint() == before


@pytest.mark.parametrize(
    ("shipped", "taken"), [("2024-11-21", 0), ("2024-11-22", 1), ("2025-06-07", 1)]
)  # fmt: skip
def test_a_freight_account_lives_24_months_from_its_last_shipment(
    take: Callable[..., Report], alice: Customer, shipped: str, taken: int
) -> None:
    report = take([ORDER | {"placed_on": "2024-11-01", "shipped_on": shipped}], [LINE])
    assert (report.freight_accounts, report.freight_accounts_past) == (taken, 1 - taken)
    assert alice.freight_accounts.count() == taken


def test_a_known_freight_account_gets_its_later_shipment_and_no_second_record(
    take: Callable[..., Report], alice: Customer
) -> None:
    take([ORDER], [LINE])
    later = ORDER | {"order_number": "SO2", "placed_on": "2026-01-05", "shipped_on": "2026-01-09"}
    report = take([ORDER, later], [LINE, LINE | {"order_number": "SO2"}])
    assert (report.created, report.unchanged, report.freight_accounts) == (1, 1, 0)
    assert alice.freight_accounts.get().last_shipment_on == date(2026, 1, 9)


@pytest.mark.usefixtures("alice")
def test_amounts_that_do_not_add_up_are_a_notice(take: Callable[..., Report]) -> None:
    report = take([ORDER | {"subtotal": "4049.9881"}], [LINE])
    assert (report.created, report.subtotals_off, report.off, report.errors) == (1, 1, [2], [])
    assert Order.objects.get().subtotal == Decimal("4049.9881")


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("order", "line", "columns"),
    [
        ({"ship_street": "1 Other Road"}, {}, ["ship_street"]),
        ({"total": "4053.4881"}, {}, ["total"]),
        ({"card_number": "77777462752250"}, {}, ["card_number"]),
        ({"card_expiry": "03/2027"}, {}, ["card_expiry"]),
        ({"account_number": "10-4020-000001"}, {}, ["account_number"]),
        ({"channel": "web", "shipped_on": "2025-06-08"}, {}, ["channel", "shipped_on"]),
        ({}, {"quantity": "3"}, ["lines"]),
        ({}, {"product": "Light meter, silver"}, ["lines"]),
    ],
)
def test_an_order_that_differs_is_reported_and_not_overwritten(
    take: Callable[..., Report], order: dict[str, str], line: dict[str, str], columns: list[str]
) -> None:
    take([ORDER], [LINE])
    before = fingerprint()
    report = take([ORDER | order], [LINE | line])
    assert (report.created, report.unchanged, report.differs) == (0, 0, 1)
    assert report.differing == [{"line": 2, "columns": columns}]
    assert fingerprint() == before


@pytest.mark.usefixtures("alice")
def test_a_correction_survives_the_next_import(take: Callable[..., Report]) -> None:
    take([ORDER], [LINE])
    with vault.internal():
        order = Order.objects.with_owner().get()
        order.ship_street = "1 New Road"
        order.save()
    report = take([ORDER], [LINE])
    assert report.differing == [{"line": 2, "columns": ["ship_street"]}]
    with vault.internal():
        assert Order.objects.get().ship_street == "1 New Road"


def test_what_was_erased_does_not_come_back(take: Callable[..., Report], alice: Customer) -> None:
    take([ORDER], [LINE])
    order, payment = Order.objects.get(), Payment.objects.get()
    vault.keys.destroy([(order.pk, "fulfilment"), (order.pk, "order"), (payment.pk, "payment")], now=NOW)
    alice.freight_accounts.all().delete()
    before = fingerprint()
    report = take([ORDER], [LINE])
    assert (report.created, report.unchanged, report.differs) == (0, 1, 0)
    assert fingerprint() == before


def test_orders_of_an_erased_customer_are_blocked(take: Callable[..., Report], alice: Customer) -> None:
    vault.blocks.add("customer_ref", alice.reference, until=date(2033, 12, 31), now=NOW)
    before = fingerprint()
    report = take([ORDER], [LINE])
    assert (report.blocked, [(one.line, one.column) for one in report.blocked_lines]) == (1, [(2, "customer_ref")])
    assert "lift_block" in report.blocked_lines[0].reason
    assert fingerprint() == before
    alice.delete()
    report = take([ORDER], [LINE])
    assert (report.blocked, report.created, report.errors) == (1, 0, [])
    a_customer(alice.reference.replace("-", ""))  # another number, which only looks alike
    other = ORDER | {"order_number": "T-30002", "customer_ref": alice.reference.replace("-", "")}
    assert take([other], [LINE | {"order_number": "T-30002"}]).created == 1


def test_orders_of_a_customer_whose_key_is_destroyed_are_blocked(take: Callable[..., Report], alice: Customer) -> None:
    vault.keys.destroy([(alice.pk, "account")], now=NOW)
    report = take([ORDER], [LINE])
    assert (report.blocked, [(one.line, one.column) for one in report.blocked_lines]) == (1, [(2, "")])
    assert Order.objects.count() == 0


# Bad input -----------------------------------------------------------------------------------------------------------

BAD_ORDERS = [
    ("order_number", "", "order_number"),
    ("order_number", "SO 1", "order_number"),
    ("order_number", "X" * 41, "order_number"),
    ("customer_ref", "AW99999999", "customer_ref"),
    ("customer_ref", "nobody@x.example", "customer_ref"),
    ("channel", "telepathy", "channel"),
    ("placed_on", "2025-02-30", "placed_on"),
    ("placed_on", "31.05.2025", "placed_on"),
    ("placed_on", "20250531", "placed_on"),
    ("shipped_on", "2025-05-30", "shipped_on"),
    ("ship_country", "USA", "ship_country"),
    ("ship_street", "4242 4242 4242 4242", "ship_street"),
    ("ship_street", "x" * 201, "ship_street"),
    ("ship_street", "x" * 10_000_000, ""),
    ("ship_city", "Aus\x00tell", "ship_city"),
    ("ship_city", "Aus\x1btell", "ship_city"),
    ("account_number", "4242424242424242", "account_number"),
    ("card_number", "four-two-four-two", "card_number"),
    ("card_number", "123", "card_number"),
    ("card_expiry", "02/27", "card_expiry"),
    ("subtotal", "1e3", "subtotal"),
    ("subtotal", "NaN", "subtotal"),
    ("tax", "-1", "tax"),
    ("freight", "1.23456", "freight"),
    ("total", "12345678901", "total"),
]
BAD_LINES = [
    ("order_number", "SO99999", "lines.order_number"),
    ("sku", "", "lines.sku"),
    ("product", "x" * 201, "lines.product"),
    ("quantity", "0", "lines.quantity"),
    ("quantity", "1.5", "lines.quantity"),
    ("quantity", "-1", "lines.quantity"),
    ("unit_price", "free", "lines.unit_price"),
]


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(("column", "value", "where"), BAD_ORDERS)
def test_a_bad_order_is_one_sentence_and_nothing_is_written(
    take: Callable[..., Report], column: str, value: str, where: str
) -> None:
    before = fingerprint()
    good = ORDER | {"order_number": "SO1"}
    bad = ORDER | {column: value}
    number = bad["order_number"]
    report = take([good, bad], [LINE | {"order_number": "SO1"}, LINE | {"order_number": number}])
    assert (3, where) in places(report)
    assert report.created == 0
    assert not report.is_written
    assert value == "" or value not in json.dumps(report.as_dict())
    assert fingerprint() == before


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(("column", "value", "where"), BAD_LINES)
def test_a_bad_line_is_one_sentence_and_nothing_is_written(
    take: Callable[..., Report], column: str, value: str, where: str
) -> None:
    before = fingerprint()
    report = take([ORDER], [LINE, LINE | {column: value}])
    assert places(report) == [(3, where)]
    assert value == "" or value not in json.dumps([problem.reason for problem in report.errors])
    assert fingerprint() == before


@pytest.mark.usefixtures("alice")
def test_a_number_that_stands_twice_is_refused(take: Callable[..., Report]) -> None:
    report = take([ORDER, ORDER], [LINE])
    assert places(report) == [(3, "order_number")]
    assert Order.objects.count() == 0


@pytest.mark.usefixtures("alice")
def test_an_order_without_lines_is_refused(take: Callable[..., Report]) -> None:
    report = take([ORDER, ORDER | {"order_number": "SO2"}], [LINE])
    assert places(report) == [(3, "order_number")]
    assert Order.objects.count() == 0


@pytest.mark.usefixtures("alice")
def test_with_skip_bad_the_good_orders_come_in(take: Callable[..., Report]) -> None:
    bad_line = ORDER | {"order_number": "SO2"}
    bad_order = ORDER | {"order_number": "SO3", "placed_on": "yesterday"}
    unknown = ORDER | {"order_number": "SO4", "customer_ref": "AW99999999"}
    numbers = ("T-30001", "SO2", "SO3", "SO4")
    lines = [LINE | {"order_number": number} for number in numbers] + [LINE | {"order_number": "SO2", "quantity": "x"}]
    report = take([ORDER, bad_line, bad_order, unknown], lines, skip_bad=True)
    assert places(report) == [(4, "placed_on"), (5, "customer_ref"), (6, "lines.quantity")]
    assert (report.created, report.is_written) == (1, True)
    assert list(Order.objects.values_list("number", flat=True)) == ["T-30001"]


# The command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["orders", "lines"])
def test_the_command_refuses_a_wrong_header_with_1(tmp_path: Path, capsys: Any, which: str) -> None:
    orders = write(tmp_path / "o.csv", ORDER_COLUMNS, [ORDER])
    lines = write(tmp_path / "l.csv", LINE_COLUMNS, [LINE])
    target = orders if which == "orders" else lines
    target.write_text("a,b\n1,2\n", encoding="utf-8")
    before = fingerprint()
    for options in ({}, {"skip_bad": True}):
        with pytest.raises(SystemExit) as ended:
            call_command("import_orders", str(orders), lines=str(lines), json=True, **options)
        assert ended.value.code == 1
        told = json.loads(capsys.readouterr().out)
        jsonschema.validate(told, SCHEMA)
        assert (told["created"], [error["line"] for error in told["errors"]]) == (0, [1])
    assert fingerprint() == before


@pytest.mark.usefixtures("alice")
def test_the_command_tells_the_shape_and_then_that_nothing_changed(tmp_path: Path, capsys: Any) -> None:
    orders = write(tmp_path / "o.csv", ORDER_COLUMNS, [ORDER])
    lines = write(tmp_path / "l.csv", LINE_COLUMNS, [LINE])
    call_command("import_orders", str(orders), lines=str(lines), json=True)
    first = json.loads(capsys.readouterr().out)
    jsonschema.validate(first, SCHEMA)
    assert (first["created"], first["errors"]) == (1, [])
    call_command("import_orders", str(orders), lines=str(lines), json=True)
    second = json.loads(capsys.readouterr().out)
    assert (second["created"], second["unchanged"]) == (0, 1)
    call_command("import_orders", str(orders), lines=str(lines))
    assert "        1  on file already, the same\n" in capsys.readouterr().out


def test_the_command_names_the_place_and_never_the_value(tmp_path: Path, capsys: Any) -> None:
    orders = write(tmp_path / "o.csv", ORDER_COLUMNS, [ORDER])
    lines = write(tmp_path / "l.csv", LINE_COLUMNS, [LINE])
    with pytest.raises(SystemExit) as ended:
        call_command("import_orders", str(orders), lines=str(lines))
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "Line 2, customer_ref: There is no such customer." in told.err
    assert not any(value in told.out + told.err for value in ORDER.values() if len(value) > 4)


def test_nobody_acts_after_the_command(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        call_command("import_orders", str(tmp_path / "none.csv"), lines=str(tmp_path / "none.csv"))
    assert gate.current() is None


def test_an_ean_is_no_card_number_in_a_line_and_a_card_number_is_one_everywhere(take: Callable[..., Report]) -> None:
    a_customer("C-1001")
    ean = "4006381330060"  # with the check digits of both
    fine = take([ORDER | {"order_number": "5712345678903"}],
                [LINE | {"order_number": "5712345678903", "sku": ean, "product": f"Light meter {ean}"}])  # fmt: skip
    assert (fine.created, fine.errors) == (1, [])
    assert Order.objects.get().number == "5712345678903" and Product.objects.get(sku=ean).name == f"Light meter {ean}"
    card = "4111111111111111"
    for line in ({"sku": card}, {"product": f"Light meter {card}"}, {"sku": "4222222222222"}):
        assert f"lines.{next(iter(line))}" in [column for _, column in places(take([ORDER], [LINE | line]))], line
    wrong = take([ORDER | {"order_number": card}], [LINE | {"order_number": card}])
    assert "order_number" in [column for _, column in places(wrong)]


def test_an_order_of_a_customer_number_that_points_at_somebody_else_is_not_taken(take: Callable[..., Report]) -> None:
    owner, other = a_customer("C-1001"), a_customer("C-1002")
    was = owner.subject_id
    Customer.objects.filter(pk=owner.pk).update(subject_id=other.subject_id)
    told = take([ORDER], [LINE])
    assert [str(one).split(": ", 1)[-1][:51] for one in told.errors] == [
        "The row of this customer names another person than "
    ]
    assert not Order.objects.exists(), "the name would be sealed for the other one"
    Customer.objects.filter(pk=owner.pk).update(subject_id=was)
    assert take([ORDER], [LINE]).created == 1, "control"
