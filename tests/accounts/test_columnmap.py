"""A map says what each column of a file is; what it does not say is named, and what it makes is always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accounts import accounted, columnheader, columnmap, imports, spoiled
from accounts.columnmap import ColumnMap, Dates, MapRefused
from accounts.models import Customer
from orders import importfile
from orders import imports as orders_imports
from privacy import vault
from privacy.gate import Actor
from tests import factories, files

COLUMNS = imports.COLUMNS


def test_what_steers_a_terminal_is_written_out_in_a_refusal() -> None:
    with pytest.raises(MapRefused) as told:
        columnmap.parse({"\x1b[31mpart\u202e": {}}, COLUMNS)
    assert "\\x1b[31mpart\\x202e" in str(told.value) and str(told.value).isprintable()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"file": {"repeats": "no"}}, "repeats is true or false"),
        ({"constants": {"first_name": True}}, "first_name is a text or a number"),
        ({"values": {"first_name": {"x": False}}}, "first_name is a table of texts"),
    ],
)
def test_a_word_is_no_truth_and_a_truth_no_word(page: dict[str, Any], words: str) -> None:
    with pytest.raises(MapRefused, match=words):
        columnmap.parse(page, COLUMNS)
    assert columnmap.parse({"file": {"repeats": False}}, COLUMNS).repeats is False, "control"


def test_a_page_is_read_twice_alike() -> None:
    page = {"left_out": {"Memo": "", "*": "not ours"}}
    first = columnmap.parse(page, COLUMNS)
    assert columnmap.parse(page, COLUMNS) == first
    assert (first.left_out, first.leaves_others_out) == ({"memo"}, True)


def parsed(**page: Any) -> ColumnMap:
    return columnmap.parse(page, COLUMNS)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"colums": {}}, "colums"),
        ({"columns": {"A": "shoe_size"}}, "shoe_size"),
        ({"columns": "A"}, "table"),
        ({"constants": {"shoe_size": "9"}}, "shoe_size"),
        ({"file": {"encoding": "latin-1"}}, "utf-8, utf-16, windows-1252"),
        ({"file": {"separator": "|"}}, "separator"),
        ({"file": {"colour": "red"}}, "colour"),
        ({"formats": {"dates": "DD.MM.YY"}}, "YYYY, MM and DD"),
        ({"formats": {"numbers": "1'234.56"}}, "numbers is one of"),
        ({"formats": {"countries": "flags"}}, "codes, names"),
        ({"formats": {"references": "theirs"}}, "references"),
        ({"formats": {"dates": [1]}}, "dates is a text"),
        ({"formats": {"numbers": ["1234.56"]}}, "are texts"),
        ({"file": {"encoding": ["utf-8"]}}, "encoding is a text"),
        ({"columns": {"A": 1}}, "A is the name of a column"),
        ({"columns": {"A": [["email"]]}}, "A is the name of a column"),
        ({"made": {"customer_ref": "x"}}, "customer_ref is a table"),
        ({"made": {"customer_ref": {"from": "E-mail"}}}, "customer_ref is a table"),
        ({"values": {"country": "x"}}, "country is a table"),
        ({"constants": {"country": ["DE"]}}, "country is a text"),
        ({"leading": {"phone": 0}}, "phone is a text"),
        ({"left_out": "Notes"}, "left_out is a table"),
    ],
)
def test_a_map_that_says_what_is_not_so_is_refused_with_the_place(page: dict[str, Any], words: str) -> None:
    with pytest.raises(MapRefused, match=words):
        parsed(**page)


def test_a_map_that_is_no_toml_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = = b")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5_000)
    (tmp_path / "long.toml").write_text("a = " + "9" * 5_000)
    for named, words in ((str(tmp_path / "bad.toml"), "not proper TOML"), (str(tmp_path / "none.toml"), "cannot be read"),
                         (str(tmp_path / "deep.toml"), "not proper TOML"), (str(tmp_path / "long.toml"), "not proper TOML"),
                         (str(tmp_path), "cannot be read")):  # fmt: skip
        with pytest.raises(MapRefused, match=words):
            columnmap.load(named, folder=imports.MAPS, columns=COLUMNS)


@pytest.mark.parametrize(
    ("folder", "columns"), [(imports.MAPS, COLUMNS), (orders_imports.MAPS, importfile.ALL_COLUMNS)]
)
def test_every_ready_map_can_be_used_and_never_reads_a_card_or_a_secret(folder: Path, columns: tuple[str, ...]) -> None:
    assert set(columnmap.ready(folder)) >= {"shopify", "woocommerce"}
    for name in columnmap.ready(folder):
        found = columnmap.load(name, folder=folder, columns=columns)
        assert found.title and found.leaves_others_out
        assert not {"card_number", "card_expiry"} & {to for tos in found.columns.values() for to in tos}
        assert not any(
            word in one.casefold() for one in found.columns for word in ("password", "token", "hash", "note")
        )


@pytest.mark.parametrize(
    ("patterns", "text", "day"),
    [
        (("YYYY-MM-DD",), "2026-03-05 14:22:10 -0500", "2026-03-05"),
        (("YYYY-MM-DD",), "2026-03-05T14:22:10Z", "2026-03-05"),
        (("MM/DD/YYYY",), "3/5/2026", "2026-03-05"),
        (("DD.MM.YYYY", "YYYY-MM-DD"), "05.03.2026", "2026-03-05"),
        (("MM/DD/YYYY",), "2026-03-05", None),
        (("MM/DD/YYYY",), "25/03/2026", None),
        (("DD.MM.YYYY",), "05.03.26", None),
        (("YYYY-MM-DD",), "2026-03-05 or so", None),
    ],
)
def test_a_day_is_read_as_the_map_says_and_no_other_way(patterns: tuple[str, ...], text: str, day: str | None) -> None:
    if day is None:
        with pytest.raises(ValueError, match=patterns[0]):
            Dates(patterns).read(text)
    else:
        assert Dates(patterns).read(text) == day


@pytest.mark.parametrize(
    ("numbers", "text", "amount"),
    [
        ("1,234.56", "1,240.00", "1240.00"),
        ("1,234.56", "$1,240", "1240"),
        ("1,234.56", "-$5.50", "-5.50"),
        ("1.234,56", "1.240,50 €", "1240.50"),
        ("1 234,56", "1\u00a0240,50", "1240.50"),
        ("1234.56", "1240.5", "1240.5"),
        ("1,234.56", "1.240,50", None),
        ("1.234,56", "1,240.50", None),
        ("1,234.56", "12,40.00", None),
        ("1234.56", "1,240.00", None),
        ("1,234.56", "1e3", None),
    ],
)
def test_an_amount_is_read_as_the_map_says_and_no_other_way(numbers: str, text: str, amount: str | None) -> None:
    by = columnmap.parse({"formats": {"numbers": numbers}}, importfile.ALL_COLUMNS)
    if amount is None:
        with pytest.raises(ValueError, match="not an amount"):
            by.mapped("total", text)
    else:
        assert by.mapped("total", text) == amount


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("United States", "US"),
        ("USA", "US"),
        ("germany", "DE"),
        ("United Kingdom", "GB"),
        ("US", "US"),
        ("Nowhere", "Nowhere"),
    ],
)
def test_a_country_by_name_becomes_its_code_and_anything_else_stays(written: str, code: str) -> None:
    assert parsed(formats={"countries": "names"}).mapped("country", written) == code


def test_other_spellings_of_a_number_become_ours_only_where_the_map_says_so() -> None:
    assert parsed(formats={"references": "ours"}).mapped("customer_ref", "#cust_12") == "CUST-12"
    assert parsed().mapped("customer_ref", "#cust_12") == "#cust_12"
    assert parsed(leading={"*": "'"}).mapped("phone", "'+1 978") == "+1 978"


def test_a_made_number_is_the_same_for_the_same_person_and_tells_nothing() -> None:
    made = columnmap.Made("X-", ("Email",))
    assert made.of(["Ann@x.example"]) == made.of([" ann@X.example "]) != made.of(["ben@x.example"])
    assert made.of([""]) == ""
    assert len(made.of(["a"])) == 14 and "ann" not in made.of(["ann@x.example"]).casefold()


# --- the files of other programs -------------------------------------------------------------------------------------

SHOPS = files.FOLDER / "shops"
OPERATOR = Actor("operator", "test", None, frozenset({"system:import"}), "import")


def take(name: str, file: str) -> imports.Report:
    by = columnmap.load(name, folder=imports.MAPS, columns=COLUMNS)
    return imports.import_customers(SHOPS / file, actor=OPERATOR, now=factories.NOW, by=by)


def on_file() -> list[dict[str, str]]:
    found = []
    with vault.internal():
        for customer in Customer.objects.select_related("company").order_by("pk"):
            address = customer.addresses.first()
            values = {
                name: str(getattr(customer, name)) for name in ("reference", *imports.PERSON, "region", "country")
            }
            values["company"] = str(customer.company.name) if customer.company else ""
            values["since"] = customer.since.isoformat()
            values |= {name: str(getattr(address, name)) for name in imports.PLACE} if address else {}
            found.append({key: value for key, value in values.items() if value})
    return found


TODAY = factories.NOW.date().isoformat()
EXPECTED: list[tuple[str, str, dict[str, int], list[dict[str, str]]]] = [
    (
        "shopify", "shopify_customers.csv", {"lines": 4, "continued": 1, "since_today": 3, "consent_without_proof": 1},
        [
            {"reference": "6120034500017", "first_name": "Imke", "last_name": "Vandersloot", "email": "imke.v@shop.example",
             "phone": "+19785550141", "region": "MA", "country": "US", "since": TODAY, "street": "4 Tanner Row",
             "street2": "Flat 2", "city": "Ipswich", "postal_code": "01938"},
            {"reference": "6120034500021", "last_name": "Osei", "email": "k.osei@lab.example", "company": "Osei Optics",
             "country": "GH", "since": TODAY},
            {"reference": "6120034500034", "first_name": "Łucja", "email": "lucja@shop.example", "phone": "+48585550123",
             "country": "PL", "since": TODAY, "street": "ul. Polna 3", "city": "Gdańsk", "postal_code": "80-001"},
        ],
    ),
    (
        "woocommerce", "woocommerce_customers.csv", {"lines": 2},
        [
            {"last_name": "Berit Aune", "email": "berit@woo.example", "country": "NO", "since": "2024-05-06", "city": "Tromsø",
             "postal_code": "9008"},
            {"last_name": "Dov Lerner", "email": "dov@woo.example", "region": "MA", "country": "US", "since": "2025-01-09",
             "city": "Worcester", "postal_code": "01608"},
        ],
    ),
    (
        "woocommerce-orders", "woocommerce_orders.csv", {"lines": 6, "continued": 2, "repeated": 2},
        [
            {"first_name": "Dov", "last_name": "Lerner", "email": "dov@woo.example", "phone": "5085550117", "region": "MA",
             "country": "US", "since": "2025-08-03", "street": "7 Mill Lane", "city": "Worcester", "postal_code": "01608"},
            {"first_name": "Sanna", "last_name": "Mäki", "email": "sanna@valo.example", "company": "Valo Oy", "country": "FI",
             "since": "2026-01-05", "street": "Rantatie 1", "city": "Oulu", "postal_code": "90100"},
        ],
    ),
    (
        "magento", "magento_customers.csv", {"lines": 1},
        [{"title": "Dr.", "first_name": "Petra", "last_name": "Kolář", "email": "petra.kolar@mage.example",
          "since": "2023-04-17"}],
    ),
    (
        "quickbooks", "quickbooks_customers.csv", {"lines": 2, "since_today": 2},
        [
            {"last_name": "Aoife Brennan", "email": "aoife@books.example", "phone": "(978) 555-0166", "region": "MA",
             "country": "US", "since": TODAY, "street": "19 Canal Walk", "city": "Lowell", "postal_code": "01852"},
            {"email": "ap@tamarack.example", "company": "Tamarack Labs", "region": "MA", "country": "US", "since": TODAY,
             "street": "PO Box 31", "city": "Lynn", "postal_code": "01901"},
        ],
    ),
    (
        "hubspot", "hubspot_contacts.csv", {"lines": 2},
        [
            {"reference": "77101", "first_name": "Noor", "last_name": "Haddad", "email": "noor@hub.example",
             "phone": "+1 617 555 0128", "region": "MA", "country": "US", "since": "2024-03-05", "city": "Salem"},
            {"reference": "77102", "email": "hello@prism.example", "company": "Prism GmbH", "country": "DE",
             "since": "2025-07-01", "street": "Lange Str. 8", "city": "Jena", "postal_code": "07743"},
        ],
    ),
]  # fmt: skip


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(("name", "file", "counts", "people"), EXPECTED, ids=[one[0] for one in EXPECTED])
def test_the_customers_of_another_program_come_in_by_its_map(
    name: str, file: str, counts: dict[str, int], people: list[dict[str, str]]
) -> None:
    report = take(name, file)
    assert (report.errors, report.created) == ([], len(people))
    assert {key: getattr(report, key) for key in counts} == counts
    assert report.lines == report.created + report.continued + report.repeated
    found = on_file()
    made = [one.pop("reference") for one in found if "reference" not in people[0]]
    assert all(len(one.rpartition("-")[2]) == 12 for one in made)
    assert found == people
    again = take(name, file)
    assert (again.created, again.unchanged, again.differs) == (0, len(people), 0)


@pytest.mark.django_db(databases="__all__")
def test_somebody_of_both_files_of_one_shop_is_one_customer() -> None:
    take("woocommerce", "woocommerce_customers.csv")
    report = take("woocommerce-orders", "woocommerce_orders.csv")
    assert (report.created, report.differs) == (1, 1)
    assert report.shared == []


@pytest.mark.django_db(databases="__all__")
def test_what_is_not_read_is_named_in_the_report() -> None:
    assert take("hubspot", "hubspot_contacts.csv").columns_left_out == [
        "Lead Status", "Marketing contact status", "Contact owner", "Favourite colour",
    ]  # fmt: skip


@pytest.mark.parametrize("file", ["shopify_customers.csv", "magento_customers.csv", "hubspot_contacts.csv"])
def test_the_file_of_another_program_is_recognised_and_its_map_named(file: str) -> None:
    with pytest.raises(imports.Problem, match=f"give --map {file.partition('_')[0]}"):
        imports.import_customers(SHOPS / file, actor=OPERATOR, now=factories.NOW)


def test_a_column_that_the_map_needs_is_named_as_the_map_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("First Name,Last Name,Email\nAnn,Archer,ann@x.example\n")
    with pytest.raises(imports.Problem, match=r"Missing: customer_ref \(in the map: Record ID or Contact ID\)"):
        imports.import_customers(
            path, actor=OPERATOR, now=factories.NOW, by=columnmap.load("hubspot", folder=imports.MAPS, columns=COLUMNS)
        )


@pytest.mark.django_db(databases="__all__")
def test_a_column_that_the_file_lacks_is_named_in_the_report(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("Record ID,First Name,Email\n5,Ann,ann@x.example\n")
    by = columnmap.load("hubspot", folder=imports.MAPS, columns=COLUMNS)
    report = imports.import_customers(path, actor=OPERATOR, now=factories.NOW, by=by)
    assert report.created == 1
    assert report.columns_missing == [
        "title", "last_name", "phone", "company", "street", "city", "region", "postal_code", "country", "since",
    ]  # fmt: skip


@pytest.mark.django_db(databases="__all__")
def test_an_older_export_of_shopify_comes_in_too(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(
        "First Name,Last Name,Email,Accepts Email Marketing,Company,Address1,Address2,City,Province,Province Code,Country,"
        "Country Code,Zip,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Tags,Note,Tax Exempt\n"
        "Ann,Archer,ann@x.example,no,,1 Elm St,,Salem,Massachusetts,MA,United States,US,'01970,,no,0.00,0,,,no\n"
    )
    by = columnmap.load("shopify", folder=imports.MAPS, columns=COLUMNS)
    assert imports.import_customers(path, actor=OPERATOR, now=factories.NOW, by=by).created == 1
    (found,) = on_file()
    assert found.pop("reference").startswith("SHOP-")
    assert found == {
        "first_name": "Ann", "last_name": "Archer", "email": "ann@x.example", "region": "MA", "country": "US", "since": TODAY,
        "street": "1 Elm St", "city": "Salem", "postal_code": "01970",
    }  # fmt: skip


def customers_of(tmp_path: Path, name: str, text: str) -> imports.Report:
    path = tmp_path / f"{name}.csv"
    path.write_text(text)
    by = columnmap.load(name, folder=imports.MAPS, columns=COLUMNS)
    return imports.import_customers(path, actor=OPERATOR, now=factories.NOW, by=by)


@pytest.mark.parametrize("text", ["0000-00-00 00:00:00", "2023-02-29", "2/30/2023"])
def test_a_day_that_no_calendar_has_is_told_from_one_that_is_written_otherwise(text: str) -> None:
    with pytest.raises(ValueError, match="it is no day of the calendar"):
        Dates(("MM/DD/YYYY", "YYYY-MM-DD")).read(text)
    with pytest.raises(ValueError, match="which the map says"):
        Dates(("MM/DD/YYYY", "YYYY-MM-DD")).read("30 Feb 2023")


@pytest.mark.parametrize(
    "first", ["The Lamp Shop LLC", "Maud Penrose,,3 Weir St,Lowell,MA,USA,01852,,maud@books.example,,$0.00"]
)
def test_a_file_that_does_not_begin_with_its_header_is_refused_and_repeats_nothing(tmp_path: Path, first: str) -> None:
    header = "Name,Company name,Street Address,City,State,Country,Zip,Phone,Email,Attachments,Open Balance"
    with pytest.raises(imports.Problem, match="it must be the header, with nothing above it") as refused:
        customers_of(tmp_path, "quickbooks", f"{first}\n{header}\nAnn Archer,,,,,,,,ann@x.example,,\n")
    assert not any(word in str(refused.value) for word in ("Lamp", "Maud", "maud@", "Weir"))


@pytest.mark.django_db(databases="__all__")
def test_what_a_program_writes_under_a_list_and_what_looks_like_several_values_is_noticed(tmp_path: Path) -> None:
    report = customers_of(
        tmp_path,
        "quickbooks",
        "Name,Company name,Country,Email\n"
        "Ann &amp; Ben Archer,,,ann@x.example\n"
        "Cora Dale,Dale Ltd;Dale Optics,US,cora@x.example\n"
        "Total,,,\n"
        "Eve & Finn; Sons,,US,eve@x.example\n",
    )
    assert report.created == 4
    assert [(one.line, one.column, one.reason) for one in report.notices] == [
        (2, "last_name", spoiled.ENTITY),
        (3, "company", spoiled.SEVERAL),
        (4, "last_name", spoiled.ONLY_A_NAME),
    ]


def test_a_report_says_what_the_file_calls_the_columns_that_it_names(tmp_path: Path) -> None:
    report = customers_of(tmp_path, "woocommerce", "Name,Sign up,Email\nAnn,2023-02-29,\n")
    assert [one.column for one in report.errors] == ["since", "customer_ref"]
    assert accounted.legend((one.column for one in report.errors), report.called) == [
        "In the file since is “Sign up”; customer_ref is made of “Email”."
    ]
    assert accounted.legend(["email"], {}) == []


def refused(*names: str, by: ColumnMap, maps: dict[str, ColumnMap] | None = None) -> str:
    """Return what is said of this header, which does not fit."""
    with pytest.raises(columnheader.Unfit) as told:
        columnheader.read(names, by, required=("first_name", "email"), maps=maps or {})
    return str(told.value)


def test_a_header_is_repeated_only_where_it_can_be_no_record() -> None:
    ours = columnmap.ours(("first_name", "email", "phone"))
    assert "Not known: “Nickname”" in refused("first_name", "email", "Nickname", by=ours), "control"
    for name in ("n" * 61, " ".join("4111111111111111"), "a@b.example", "Suite 100"):
        text = refused("first_name", "email", name, by=ours)
        assert "Not known: the column at place 3." in text and name not in text
    assert "must be the header" in refused("first_name", "Smith", by=ours), "one known word makes no header"
    assert "“First nam” is first_name" in refused("First nam", "email", "phone", by=ours)


def test_the_way_out_names_a_map_that_knows_most_of_the_header_and_is_not_the_one_at_hand() -> None:
    shop = parsed(columns={"Given": "first_name", "Mail": "email", "Ref": "customer_ref"})
    ours, maps = columnmap.ours(("first_name", "email")), {"shop": shop}
    assert "give --map shop" in refused("Given", "Mail", "Ref", "Tag", by=ours, maps=maps)
    assert "--map" not in refused("Given", "Ref", "Tag", by=shop, maps=maps)


def test_thousands_are_written_in_threes() -> None:
    by = columnmap.parse({"formats": {"numbers": "1,234.56"}}, importfile.ALL_COLUMNS)
    assert by.mapped("total", "$1,234,567.80") == "1234567.80"
    for text in ("1234,567.80", ",567.80", "1,23.00"):
        with pytest.raises(ValueError, match="not an amount"):
            by.mapped("total", text)
