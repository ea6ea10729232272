"""The reader is strict, repairs nothing, and never repeats a value."""

from pathlib import Path

import pytest

from accounts import csvfile
from accounts.csvfile import Problem

COLUMNS = ("ref", "name", "note")
SECRET = "Zanzibar-Quux"


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def problems_of(path: Path, **options: int) -> list[tuple[int, str, str]]:
    found: list[Problem] = []
    try:
        list(csvfile.read(path, COLUMNS, problems=found, **options))
    except Problem as problem:
        found.append(problem)
    return [(one.line, one.column, one.reason) for one in found]


def test_rows_come_with_the_line_on_which_they_begin(tmp_path: Path) -> None:
    path = write(tmp_path, 'ref,name,note\r\n\r\n1,Ann,"with ""quotes"", and a comma"\r\n2,Bö,\n')
    rows = list(csvfile.read(path, COLUMNS))
    assert [(row.line, row.values) for row in rows] == [
        (3, {"ref": "1", "name": "Ann", "note": 'with "quotes", and a comma'}),
        (4, {"ref": "2", "name": "Bö", "note": ""}),
    ]


def test_a_stray_quote_loses_its_own_line_and_reads_nobody_into_anybody(tmp_path: Path) -> None:
    path = write(tmp_path, 'ref,name,note\n1,Ann,a\n2,Ada,"Unit 5\n3,Ben,b\n4,Eve,Flat 3"\n5,Fay,c\n')
    found: list[Problem] = []
    rows = list(csvfile.read(path, COLUMNS, problems=found))
    assert [row["ref"] for row in rows] == ["1", "3", "5"]
    assert [(one.line, "quotation mark" in one.reason) for one in found] == [(3, True), (5, True)]


@pytest.mark.parametrize("char", list("\t\v\f\x1c\x1e\x85\u2028\u2029"))
def test_no_line_break_of_any_kind_stands_in_a_field(tmp_path: Path, char: str) -> None:
    ((line, column, reason),) = problems_of(write(tmp_path, f'ref,name,note\n1,"{SECRET}{char}x",3\n'))
    assert (line, column) == (2, "name")
    assert "line break" in reason


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_line_break_in_a_quoted_field_is_refused_with_its_line(tmp_path: Path, end: str) -> None:
    found = problems_of(write(tmp_path, f'ref,name,note\n1,"{SECRET}{end}Row 2",3\n'))
    assert [(line, column) for line, column, _ in found] == [(2, ""), (3, "")]


def test_nothing_is_trimmed_and_a_formula_stays_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,name,note\n1, =cmd() ,@x\n")
    (row,) = csvfile.read(path, COLUMNS)
    assert row.values == {"ref": "1", "name": " =cmd() ", "note": "@x"}


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,name,note\n1,a,b\n".encode("utf-8-sig"))
    assert [row["ref"] for row in csvfile.read(path, COLUMNS)] == ["1"]


@pytest.mark.parametrize(
    ("content", "line", "column", "words"),
    [
        ("name,ref,note\n1,2,3\n", 1, "", "header must be: ref, name, note"),
        ("", 1, "", "empty"),
        (b"ref,name,note\n1,\xff\xfe,3\n", 1, "", "not UTF-8"),
        (f"ref,name,note\n1,{SECRET}\n", 2, "", "2 fields instead of 3"),
        (f"ref,name,note\n1,{SECRET}\x00,3\n", 2, "name", "NUL"),
        (f"ref,name,note\n1,{SECRET}\x07,3\n", 2, "name", "control character"),
        (f'ref,name,note\n1,"{SECRET}"x,3\n', 2, "", "not proper CSV"),
        (f"ref,name,note\n1,{SECRET} 4111 1111 1111 1111,3\n", 2, "name", "card number"),
        ("ref,name,note\n1," + SECRET * 5000 + ",3\n", 2, "", "longer than 20,000 characters"),
    ],
)
def test_a_bad_file_is_named_by_line_and_column_and_never_by_value(
    tmp_path: Path, content: str | bytes, line: int, column: str, words: str
) -> None:
    ((at, where, reason),) = problems_of(write(tmp_path, content))
    assert (at, where) == (line, column)
    assert words in reason
    assert SECRET not in reason


def test_reading_goes_on_after_a_bad_line(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,name,note\n1,a\n2,b,c\n" + "3," + "x" * 10_000_000 + ",y\n4,d,e\n")
    found: list[Problem] = []
    rows = list(csvfile.read(path, COLUMNS, problems=found))
    assert [row["ref"] for row in rows] == ["2", "4"]
    assert [one.line for one in found] == [2, 4]


def test_without_a_list_the_first_problem_is_raised(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Line 2"):
        list(csvfile.read(write(tmp_path, "ref,name,note\n1,a\n"), COLUMNS))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        list(csvfile.read(tmp_path / "none.csv", COLUMNS))


def test_the_limit_of_the_csv_module_is_as_before(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    list(csvfile.read(write(tmp_path, "ref,name,note\n1,a,b\n"), COLUMNS))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("text", ["2026-2-3", "20260203", "03.02.2026", "2026-02-30", "", "２026-02-03"])
def test_a_day_is_written_in_one_way_only(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        csvfile.day(text)
