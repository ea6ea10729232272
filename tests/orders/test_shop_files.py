"""Orders of every state come in, from our own files and from those of shops: each whole, once, and every line accounted
for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from django.core.management import CommandError, call_command

from accounts import columnmap
from accounts import imports as people
from accounts.csvfile import Problem
from accounts.models import Customer
from orders import importfile
from orders.importfile import ORDER_COLUMNS
from orders.imports import MAPS, Report, import_orders
from orders.models import Order, Payment
from privacy import vault
from tests import files
from tests.factories import TASK, a_customer
from tests.orders.test_imports import LINE, NOW, ORDER, SCHEMA, fingerprint, places, write

pytestmark = pytest.mark.django_db(databases="__all__")

SHOPS = files.FOLDER / "shops"
PLAIN = ORDER | {"account_number": "", "card_number": "", "card_expiry": ""}
TOTAL = Decimal(ORDER["total"])


@pytest.fixture
def take(tmp_path: Any) -> Callable[..., Report]:
    a_customer("C-1001", first_name="Harriet", last_name="Quayle", email="harriet@post.example")

    def import_one(order: dict[str, str], line: dict[str, str] | None = None, **options: Any) -> Report:
        lines = [LINE | {"order_number": order["order_number"]} | (line or {})]
        columns = (*ORDER_COLUMNS, *(name for name in order if name not in ORDER_COLUMNS))
        return import_orders(
            write(tmp_path / "orders.csv", columns, [order]),
            write(tmp_path / "lines.csv", importfile.LINE_COLUMNS, lines),
            actor=TASK, now=NOW, **options,
        )  # fmt: skip

    return import_one


def days(order: Order) -> tuple[str, ...]:
    named = (order.invoiced_on, order.paid_on, order.shipped_on, order.closed_on)
    return (order.state, *(day.isoformat() if day else "" for day in named))


PLACED, SENT = ORDER["placed_on"], ORDER["shipped_on"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, ("closed", SENT, SENT, SENT, SENT)),
        ({"shipped_on": ""}, ("placed", "", "", "", "")),
        ({"shipped_on": "", "state": "open"}, ("placed", "", "", "", "")),
        ({"shipped_on": "", "paid_on": "2025-06-01"}, ("placed", "2025-06-01", "2025-06-01", "", "")),
        ({"paid_on": ""}, ("shipped", SENT, "", SENT, "")),
        ({"paid_on": "2025-06-01"}, ("closed", "2025-06-01", "2025-06-01", SENT, SENT)),
        ({"shipped_on": "", "state": "cancelled"}, ("cancelled", "", "", "", PLACED)),
        ({"shipped_on": "", "cancelled_on": "2025-06-02"}, ("cancelled", "", "", "", "2025-06-02")),
        ({"state": "refunded"}, ("closed", SENT, SENT, SENT, SENT)),
        ({"shipped_on": "", "state": "refunded", "cancelled_on": "2025-06-02"},
         ("cancelled", PLACED, PLACED, "", "2025-06-02")),
        ({"refunded": "10"}, ("closed", SENT, SENT, SENT, SENT)),
    ],
)  # fmt: skip
def test_an_order_comes_in_with_the_days_of_its_state(
    take: Callable[..., Report], columns: dict[str, str], expected: tuple[str, ...]
) -> None:
    report = take(PLAIN | columns)
    assert (report.errors, report.created) == ([], 1)
    assert days(Order.objects.get()) == expected
    before = fingerprint()
    assert take(PLAIN | columns).unchanged == 1
    assert fingerprint() == before


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, []),
        ({"payment_method": "check"}, [("check", "charged", TOTAL)]),
        ({"card_number": "XXXX-XXXX-XXXX-4242"}, [("card", "charged", TOTAL)]),
        ({"card_number": "4242", "shipped_on": ""}, []),
        ({"state": "refunded"}, [("other", "refunded", TOTAL)]),
        ({"state": "refunded", "payment_method": "transfer"}, [("transfer", "refunded", TOTAL)]),
        ({"refunded": "10", "card_number": "4242"}, [("card", "charged", TOTAL), ("card", "refunded", Decimal(10))]),
        ({"shipped_on": "", "state": "cancelled", "payment_method": "card"}, []),
    ],
)
def test_what_was_paid_and_paid_back_is_known(
    take: Callable[..., Report], columns: dict[str, str], expected: list[tuple[str, str, Decimal]]
) -> None:
    assert take(PLAIN | columns).created == 1
    found = [(one.method, one.state, one.amount) for one in Payment.objects.order_by("state")]
    assert found == expected
    with vault.internal():
        charged = {one.last_four for one in Payment.objects.filter(method="card", state="charged")}
    assert charged == ({"4242"} if expected and "card_number" in columns else set())
    assert take(PLAIN | columns).unchanged == 1


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ({"state": "lost"}, "state"),
        ({"state": "open"}, "shipped_on"),
        ({"state": "cancelled"}, "shipped_on"),
        ({"state": "shipped", "shipped_on": ""}, "shipped_on"),
        ({"cancelled_on": "2025-05-01"}, "cancelled_on"),
        ({"refunded": "99999"}, "refunded"),
        ({"subtotal": "-100.00"}, "subtotal"),
        ({"payment_method": "bitcoin"}, "payment_method"),
        ({"currency": "dollars"}, "currency"),
        ({"card_number": "424"}, "card_number"),
        ({"invoice_country": "USA"}, "invoice_country"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_column(
    take: Callable[..., Report], columns: dict[str, str], where: str
) -> None:
    assert places(take(PLAIN | columns)) == [(2, where)]


def test_all_reasons_of_an_order_are_told_at_once_and_every_line_is_accounted_for(take: Callable[..., Report]) -> None:
    bad = PLAIN | {"channel": "x", "placed_on": "y", "total": "z"}
    report = take(bad, {"quantity": "0", "unit_price": "free"}, skip_bad=True)
    assert places(report) == [
        (2, "channel"),
        (2, "placed_on"),
        (2, "total"),
        (2, "lines.quantity"),
        (2, "lines.unit_price"),
    ]
    assert (report.of_orders.lines, report.of_orders.bad, report.of_lines.lines, report.of_lines.bad) == (1, 1, 1, 1)


def test_an_open_order_is_compared_when_it_was_sent_meanwhile(take: Callable[..., Report]) -> None:
    take(PLAIN | {"shipped_on": ""})
    assert take(PLAIN).differing == [{"line": 2, "columns": ["state", "shipped_on"]}]


def test_an_order_without_a_number_of_its_customer_finds_who_has_the_address(take: Callable[..., Report]) -> None:
    order = PLAIN | {"customer_ref": "", "email": "Harriet@POST.example"}
    assert take(order).created == 1
    assert Order.objects.get().customer == Customer.objects.get()
    a_customer("C-1002", email="harriet@post.example")
    (problem,) = take(order | {"order_number": "T-2"}).errors
    assert (problem.column, "several customers" in problem.reason) == ("email", True)
    assert "give the customer's number (customer_ref)." in problem.reason
    (problem,) = take(order | {"order_number": "T-3", "email": "nobody@post.example"}).errors
    assert (problem.column, "import the customers first" in problem.reason) == ("email", True)
    (problem,) = take(order | {"order_number": "T-4", "email": ""}).errors
    assert problem.column == "customer_ref"


def test_the_way_out_of_a_shared_address_is_one_that_the_file_has(tmp_path: Any) -> None:
    """Shopify's file has no column with the customer's number; a copy of its map can name one that was added."""
    theirs = columnmap.load("shopify", folder=people.MAPS, columns=people.COLUMNS)
    people.import_customers(SHOPS / "shopify_customers.csv", actor=TASK, now=NOW, by=theirs)
    with vault.internal():
        shared = [str(one.email) for one in Customer.objects.all() if one.email]
    for number, email in enumerate(shared):
        a_customer(f"C-900{number}", email=email)
    said = {
        one.reason
        for one in import_orders(SHOPS / "shopify_orders.csv", None, actor=TASK, now=NOW, by=by("shopify")).errors
    }
    (reason,) = said
    assert "give the customer's number" not in reason
    assert "Add one, and name it as customer_ref in a copy of the map (--map)" in reason
    own = replace(by("shopify"), columns=by("shopify").columns | {"Customer number": ("customer_ref",)})
    rows = (SHOPS / "shopify_orders.csv").read_text(encoding="utf-8").splitlines()
    with_number = tmp_path / "orders.csv"
    with_number.write_text(
        "\n".join([f"{rows[0]},Customer number", *(f"{row}," for row in rows[1:])]), encoding="utf-8"
    )
    said = {one.reason for one in import_orders(with_number, None, actor=TASK, now=NOW, by=own).errors}
    (reason,) = said
    assert reason.endswith("give the customer's number (“Customer number”).")


def test_the_order_of_an_erased_address_is_blocked(take: Callable[..., Report]) -> None:
    vault.blocks.add("email", "gone@post.example", until=date(2033, 1, 1), now=NOW)
    report = take(PLAIN | {"customer_ref": "", "email": "gone@post.example"})
    assert (report.blocked, report.created, report.errors) == (1, 0, [])


def by(name: str) -> columnmap.ColumnMap:
    return columnmap.load(name, folder=MAPS, columns=importfile.ALL_COLUMNS)


def shop(name: str, customers: tuple[str, str]) -> Report:
    path = SHOPS / customers[1]
    theirs = columnmap.load(customers[0], folder=people.MAPS, columns=people.COLUMNS)
    people.import_customers(path, actor=TASK, now=NOW, by=theirs)
    return import_orders(SHOPS / f"{name}_orders.csv", None, actor=TASK, now=NOW, by=by(name))


def taken() -> dict[str, tuple[Any, ...]]:
    found = {}
    with vault.internal():
        for order in Order.objects.with_details().order_by("number"):
            lines = [(one.description, one.quantity) for one in order.lines.all()]
            where = (str(order.ship_name), str(order.ship_city), str(order.invoice_city), order.currency)
            found[order.number] = (order.state, order.channel, order.total, order.shipped_on, where, lines)
    return found


def test_the_orders_of_shopify_come_in_by_its_map() -> None:
    report = shop("shopify", ("shopify", "shopify_customers.csv"))
    assert (report.errors, report.created, report.lines, report.subtotals_off) == ([], 4, 5, 0)
    of = report.of_orders
    assert (of.lines, of.further, of.continued, of.bad) == (6, 1, 1, 0)
    gdansk = ("Łucja", "Gdańsk", "Gdańsk", "EUR")
    assert taken() == {
        "2001": ("closed", "web", Decimal(129), date(2025, 10, 8), ("Jon Vandersloot", "Beverly", "Ipswich", "USD"),
                 [("Fibre patch cord", 2), ("Engraving", 1)]),
        "2002": ("placed", "web", Decimal("41.5"), None, gdansk, [("Lens cap", 1)]),
        "2003": ("cancelled", "web", Decimal("41.5"), None, gdansk, [("Lens cap", 1)]),
        "2004": ("closed", "in_person", Decimal("41.5"), date(2025, 6, 3), gdansk, [("Lens cap", 1)]),
    }  # fmt: skip
    assert [(one.order.number, one.state) for one in Payment.objects.order_by("order__number")] == [
        ("2001", "charged"), ("2004", "refunded"),
    ]  # fmt: skip
    again = import_orders(SHOPS / "shopify_orders.csv", None, actor=TASK, now=NOW, by=by("shopify"))
    assert (again.unchanged, again.created, again.differs) == (4, 0, 0)


def test_the_orders_of_woocommerce_come_in_by_its_map() -> None:
    report = shop("woocommerce", ("woocommerce-orders", "woocommerce_orders.csv"))
    assert (report.errors, report.created, report.lines) == ([], 3, 4)
    oulu = ("Sanna Mäki", "Oulu", "Oulu", "USD")
    assert taken() == {
        "3001": ("closed", "web", Decimal(100), date(2025, 8, 3), ("Dov Lerner", "Worcester", "Worcester", "USD"),
                 [("Lens cap", 2), ("Cleaning cloth", 1)]),
        "3002": ("placed", "web", Decimal(30), None, oulu, [("Lens cap", 1)]),
        "3003": ("cancelled", "web", Decimal(30), None, oulu, [("Lens cap", 1)]),
    }  # fmt: skip
    again = import_orders(SHOPS / "woocommerce_orders.csv", None, actor=TASK, now=NOW, by=by("woocommerce"))
    assert (again.unchanged, again.created, again.differs) == (3, 0, 0)


def test_a_further_line_that_says_something_else_leaves_the_order_out_whole(tmp_path: Any) -> None:
    a_customer("C-1001", email="harriet@post.example")
    names = {"Order": "order_number", "Mail": "email", "Day": "placed_on", "Sum": "total", "What": "product",
             "SKU": "sku", "Number": "quantity", "Each": "unit_price"}  # fmt: skip
    theirs = columnmap.parse({"columns": names, "constants": {"channel": "web"}}, importfile.ALL_COLUMNS)
    path = tmp_path / "orders.csv"
    path.write_text(
        ",".join(names) + "\n"
        "1,harriet@post.example,2026-01-02,30.00,Cap,CAP,1,10.00\n"
        "1,,,,Lens,LENS,1,20.00\n"
        "2,harriet@post.example,2026-01-02,30.00,Cap,CAP,1,10.00\n"
        "2,harriet@post.example,2026-01-03,,Lens,LENS,0,20.00\n"
    )
    report = import_orders(path, None, actor=TASK, now=NOW, by=theirs, skip_bad=True)
    assert places(report) == [(5, "placed_on"), (5, "quantity")]
    assert (report.created, report.lines, report.of_orders.bad, report.of_lines.bad) == (1, 2, 1, 2)
    assert Order.objects.get().subtotal == Decimal(30)


@pytest.mark.parametrize(
    ("broken", "left_out"),
    [
        ('T-2,ILT-B,"Sensor 5" wide,1,50.00', ["T-2"]),  # it is no record, and names its order
        ("T-2,ILT-B,Sensor,1", ["T-2"]),
        (
            "t-2,ILT-B,Sensor,1,50.00",
            ["T-2"],
        ),  # it names no order of the file: the one that lacks something may be meant
        ("T-9,ILT-B,Sensor,1,50.00", ["T-2"]),
        ('"ILT-B,Sensor,1,50.00', ["T-2"]),
    ],
)
def test_an_order_of_which_a_line_is_lost_is_not_taken_in_by_halves(
    tmp_path: Any, broken: str, left_out: list[str]
) -> None:
    a_customer("C-1001")
    plain = PLAIN | {"tax": "0", "freight": "0"}
    orders = [plain | {"order_number": "T-1", "subtotal": "50", "total": "50"},
              plain | {"order_number": "T-2", "subtotal": "100", "total": "100"}]  # fmt: skip
    lines = write(
        tmp_path / "l.csv", importfile.LINE_COLUMNS,
        [LINE | {"order_number": number, "quantity": "1", "unit_price": "50"} for number in ("T-1", "T-2")],
    )  # fmt: skip
    lines.write_text(lines.read_text() + broken + "\n")
    report = import_orders(write(tmp_path / "o.csv", ORDER_COLUMNS, orders), lines, actor=TASK, now=NOW, skip_bad=True)
    assert sorted({"T-1", "T-2"} - set(Order.objects.values_list("number", flat=True))) == left_out
    assert (report.created, report.of_orders.bad, report.of_lines.bad, report.of_lines.lines) == (1, 1, 2, 3)


def test_the_lines_of_a_bad_order_make_no_other_order_doubtful(tmp_path: Any) -> None:
    a_customer("C-1001")
    orders = write(tmp_path / "o.csv", ORDER_COLUMNS, [PLAIN | {"subtotal": "1"}])
    orders.write_text(orders.read_text() + "T-2,C-1001,too short\n")
    lines = write(tmp_path / "l.csv", importfile.LINE_COLUMNS, [LINE, LINE | {"order_number": "T-2"}])
    report = import_orders(orders, lines, actor=TASK, now=NOW, skip_bad=True)
    assert (report.created, report.subtotals_off, places(report)) == (1, 1, [(3, ""), (3, "lines.order_number")])


def test_the_command_takes_a_shops_file_and_its_report_can_be_read(capsys: Any) -> None:
    theirs = columnmap.load("shopify", folder=people.MAPS, columns=people.COLUMNS)
    people.import_customers(SHOPS / "shopify_customers.csv", actor=TASK, now=NOW, by=theirs)
    call_command("import_orders", str(SHOPS / "shopify_orders.csv"), map="shopify")
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [
        "6 lines under the header:",
        "        4  taken in, with 5 lines of orders",
        "        1  a further line of an order above",
        "        1  the rest of a field that is not read, such as a note of several lines",
    ]
    assert told[4].startswith("Columns that were not read: Financial Status, ")
    call_command("import_orders", str(SHOPS / "shopify_orders.csv"), map="shopify", json=True)
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, SCHEMA)
    assert (report["unchanged"], report["read"]["orders"]["lines"]) == (4, 6)


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "--map FILE, or: shopify, woocommerce"), ({"map": "shopify", "lines": "x"}, "leave --lines out"),
     ({"map": "nosuch"}, "no ready map")],
)  # fmt: skip
def test_lines_and_map_that_do_not_go_together_are_an_error_of_usage(options: dict[str, str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        call_command("import_orders", str(SHOPS / "shopify_orders.csv"), **options)
    assert refused.value.returncode == 2


def test_a_refused_file_says_what_became_of_each_line(tmp_path: Any, capsys: Any) -> None:
    a_customer("C-1001")
    path = write(tmp_path / "o.csv", ORDER_COLUMNS, [PLAIN, PLAIN | {"order_number": "T-2", "total": "x"}])
    lines = write(tmp_path / "l.csv", importfile.LINE_COLUMNS, [LINE, LINE | {"order_number": "T-2"}])
    with pytest.raises(SystemExit):
        call_command("import_orders", str(path), lines=str(lines))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Nothing was taken in.",
        "2 lines under the header:",
        "        1  left out: all reasons are listed",
        "        1  could be taken in",
        "Mend the files, or take in the good orders with --skip-bad.",
    ]


@pytest.mark.parametrize(("is_dry", "said"), [(True, "Nothing would be taken in."), (False, "Nothing was taken in.")])
def test_a_refused_file_accounts_for_what_is_on_file_and_for_what_could_come_in(
    tmp_path: Any, capsys: Any, is_dry: bool, said: str
) -> None:
    a_customer("C-1001")
    lines = write(
        tmp_path / "l.csv", importfile.LINE_COLUMNS, [LINE | {"order_number": f"T-{number}"} for number in range(1, 5)]
    )
    of = [PLAIN | {"order_number": f"T-{number}"} for number in range(1, 5)]
    import_orders(write(tmp_path / "o.csv", ORDER_COLUMNS, of[:2]), lines, actor=TASK, now=NOW, skip_bad=True)
    of = [of[0], of[1] | {"ship_city": "Elsewhere"}, of[2], of[3] | {"total": "x"}]
    path = write(tmp_path / "o.csv", ORDER_COLUMNS, of)
    with pytest.raises(SystemExit):
        call_command("import_orders", str(path), lines=str(lines), dry_run=is_dry)
    assert capsys.readouterr().err.splitlines()[1:] == [
        said,
        "4 lines under the header:",
        "        1  left out: all reasons are listed",
        "        1  could be taken in",
        "        1  on file already, the same",
        "        1  on file already, different: what is on file stays",
        "Line 3 differs from what is on file in: ship_city.",
        "Mend the files, or take in the good orders with --skip-bad.",
    ]


def test_a_file_of_lines_is_named_in_its_refusal_and_read_as_the_map_says(tmp_path: Any) -> None:
    a_customer("C-1001")
    path = write(
        tmp_path / "o.csv", ORDER_COLUMNS, [PLAIN | {"order_number": "#7", "tax": "", "freight": "", "subtotal": ""}]
    )
    lines = tmp_path / "l.csv"
    theirs = columnmap.parse(
        {"file": {"encoding": "windows-1252"}, "formats": {"references": "ours", "numbers": "1.234,56"},
         "columns": {name: name for name in ORDER_COLUMNS}},
        importfile.ALL_COLUMNS,
    )  # fmt: skip
    path.write_text(path.read_text().replace("4053.4880", '"4.053,00"'))
    lines.write_text('order_number,sku,product,quantity,unit_price\n#7,ILT-X,Prüfgerät,1,"4.053,00"\n', "cp1252")
    report = import_orders(path, lines, actor=TASK, now=NOW, by=theirs)
    assert (report.errors, report.created, report.subtotals_off) == ([], 1, 0)
    assert Order.objects.get().lines.get().description == "Prüfgerät"
    lines.write_text("order_number,sku\n")
    with pytest.raises(Problem) as refused:
        import_orders(path, lines, actor=TASK, now=NOW, by=theirs)
    assert (refused.value.line, refused.value.column) == (1, "lines")


def test_an_order_that_names_nobody_is_refused_with_what_it_lacks(take: Callable[..., Report]) -> None:
    (problem,) = take(PLAIN | {"customer_ref": "", "email": ""}).errors
    assert (problem.line, problem.column) == (2, "customer_ref")
    assert problem.reason.startswith("There is neither a customer number nor an e-mail address")
    (control,) = take(PLAIN | {"customer_ref": "#17", "email": ""}).errors
    assert "capital letters" in control.reason
