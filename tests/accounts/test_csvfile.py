"""The reader is strict, repairs nothing, and never repeats a value."""

from pathlib import Path

import pytest

from accounts import columnmap, csvfile, spoiled
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


def test_a_tab_around_a_value_is_blank_and_one_inside_is_refused(tmp_path: Path) -> None:
    (row,) = csvfile.read(write(tmp_path, "ref,name,note\n1,\t=1+1,x\t\n"), COLUMNS)
    assert row.values == {"ref": "1", "name": "=1+1", "note": "x"}
    ((line, column, reason),) = problems_of(write(tmp_path, "ref,name,note\n1,Mill\tLane,x\n"))
    assert (line, column) == (2, "name") and "a tab" in reason


def test_lines_that_end_as_an_old_macintosh_ends_them_are_read_with_a_mark_before_the_header_too(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "\ufeffref,name,note\r1,Bø,x\r2,Çağla,y\r")
    assert [(row.line, row["name"]) for row in csvfile.read(path, COLUMNS)] == [(2, "Bø"), (3, "Çağla")]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,name,note\n1,a,b\n".encode("utf-8-sig"))
    assert [row["ref"] for row in csvfile.read(path, COLUMNS)] == ["1"]


@pytest.mark.parametrize(
    ("content", "line", "column", "words"),
    [
        ("ref,name\n1,2\n", 1, "", "Missing: note."),
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


def test_a_file_that_cannot_be_read_has_no_line_that_is_bad(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "none", "The file cannot be read: No such file or directory."),
        (tmp_path, "It is not a regular file: write what a pipe or a device gives into one first."),
    ):
        with pytest.raises(Problem) as refused:
            list(csvfile.read(path, COLUMNS))
        assert (refused.value.line, str(refused.value)) == (0, said)


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


def test_the_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    (row,) = csvfile.read(write(tmp_path, "note,name,ref\nc,b,a\n"), COLUMNS)
    assert row.values == {"ref": "a", "name": "b", "note": "c"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("ref,Name,note,shoe size", ["Spelt differently here: “Name” is name.", "Not known: “shoe size”."]),
        ("ref,naem,note", ["Spelt differently here: “naem” is name."]),
        ("ref,name,note,note", ["There twice: “note”."]),
        (
            "ref,note,ann@x.example,4155550199",
            ["Not known: the column at place 3, the column at place 4.", "Missing: name."],
        ),
    ],
)
def test_every_column_that_does_not_fit_is_named_with_the_way_out(tmp_path: Path, header: str, said: list[str]) -> None:
    ((line, column, reason),) = problems_of(write(tmp_path, f"{header}\n1,2,3\n"))
    assert (line, column) == (1, "")
    assert reason == " ".join(
        ["The columns do not fit.", *said, "Rename the columns, or say in a map which of yours is which of ours (--map FILE).",
         "See docs/imports.md."]
    )  # fmt: skip


def test_a_file_without_a_header_is_refused_without_its_first_record(tmp_path: Path) -> None:
    ((line, _, reason),) = problems_of(write(tmp_path, f"1,{SECRET},b\n2,c,d\n"))
    assert line == 1
    assert "must be the header" in reason and SECRET not in reason


@pytest.mark.parametrize("mark", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_with_the_way_out_and_read_by_a_map_that_says_so(tmp_path: Path, mark: str) -> None:
    path = write(tmp_path, "ref,name,note\n1,Zoë,\n".encode(mark))
    ((line, _, reason),) = problems_of(path)
    assert line == 1
    assert reason == csvfile.UTF16 and "CSV UTF-8" in reason
    if mark == "utf-16":
        (row,) = csvfile.read(path, COLUMNS, by=columnmap.parse({"file": {"encoding": "utf-16"}}, COLUMNS))
        assert row["name"] == "Zoë"


def test_windows_1252_is_named_with_the_way_out_and_read_by_a_map_that_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,name,note\n1,Zoë,“x”\n".encode("cp1252"))
    assert problems_of(path) == [(1, "", csvfile.NOT_UTF8)]
    (row,) = csvfile.read(path, COLUMNS, by=columnmap.parse({"file": {"encoding": "windows-1252"}}, COLUMNS))
    assert (row["name"], row["note"]) == ("Zoë", "“x”")


@pytest.mark.parametrize("beginning", [b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_a_workbook_is_named_as_one(tmp_path: Path, beginning: bytes) -> None:
    assert problems_of(write(tmp_path, beginning + b"\xff" * 40)) == [(1, "", csvfile.WORKBOOK)]


@pytest.mark.parametrize(("separator", "many", "name"), [(";", "Semicolons", "semicolon"), ("\t", "Tabs", "tab")])
def test_another_separator_is_named_and_read_by_a_map_that_says_so(
    tmp_path: Path, separator: str, many: str, name: str
) -> None:
    path = write(tmp_path, separator.join(COLUMNS) + "\n" + separator.join(["1", '"b,c"', "d"]) + "\n")
    ((_, _, reason),) = problems_of(path)
    assert reason.startswith(f"{many} stand where commas are expected.") and f"separator = “{name}”" in reason
    (row,) = csvfile.read(path, COLUMNS, by=columnmap.parse({"file": {"separator": name}}, COLUMNS))
    assert row["name"] == "b,c"


def test_lines_of_commas_are_no_records_and_a_blank_is_blank(tmp_path: Path) -> None:
    tally = csvfile.Tally()
    path = write(tmp_path, "ref,name,note,,\n,,,,\n\n1,\u00a0,b,,\n \u00a0,, ,,\n")
    (row,) = csvfile.read(path, COLUMNS, tally=tally)
    assert (row.line, row.values) == (4, {"ref": "1", "name": "", "note": "b"})
    assert (tally.lines, tally.empty) == (4, 3)


def test_a_value_in_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "ref,,name,note\n1,lost,b,c\n")
    assert problems_of(path) == [(2, "", "A value stands in a column without a name.")]


def test_all_that_is_wrong_with_a_line_is_said_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, f"ref,name,note\n1\x07,{SECRET} 4111 1111 1111 1111,9.78819E+09\n")
    assert [(line, column) for line, column, _ in problems_of(path)] == [(2, "ref"), (2, "name"), (2, "note")]


def test_what_cannot_be_seen_is_left_out_with_a_notice(tmp_path: Path) -> None:
    tally = csvfile.Tally()
    (row,) = csvfile.read(write(tmp_path, "ref,name,note\n1,\u202eAn\u200bn,\ufeff\n"), COLUMNS, tally=tally)
    assert (row["name"], row["note"]) == ("Ann", "")
    assert [(one.line, one.column) for one in tally.notices] == [(2, "name")]


@pytest.mark.parametrize(
    ("text", "notice"),
    [("MÃ¼ller", spoiled.MISREAD), ("ZieliÅ„ski", spoiled.MISREAD), ("M\ufffdller", spoiled.LOST), ("Müller", ""),
     ("Ã", ""), ("Łódź", ""), ("O’Brien", ""), ("王小明", ""), ("São Tomé", "")],
)  # fmt: skip
def test_text_that_was_decoded_twice_is_noticed(text: str, notice: str) -> None:
    assert spoiled.text(text) == notice


def test_a_field_that_is_not_read_may_go_on_over_several_lines(tmp_path: Path) -> None:
    by = columnmap.parse({"columns": {"Ref": "ref", "Name": "name"}, "left_out": {"Memo": "", "*": "x"}}, COLUMNS)
    tally = csvfile.Tally()
    text = 'Ref,Memo,Name,Tag\n1,"one, two\nthree\n""four""",Ann,x\n2,,Ben,y\n'
    rows = list(csvfile.read(write(tmp_path, text), ("ref",), by=by, tally=tally))
    assert [(row.line, row["ref"], row["name"]) for row in rows] == [(2, "1", "Ann"), (5, "2", "Ben")]
    assert (tally.lines, tally.continued) == (4, 2)


@pytest.mark.parametrize(
    ("text", "bad", "good"),
    [
        ('1,"one,Ann,x\n2,two",Ben,y\n3,,Cy,z\n', [2, 3], ["3"]),  # a mark is missing in two neighbouring lines
        ('1,"one,Ann,x\n3,,Cy,z\n2,two",Ben,y\n', [2, 4], ["3"]),
        ('1,,"Ann\nArcher",x\n2,,Ben,y\n', [2, 3], ["2"]),  # a name is one line, always
        ('1,"one,Ann,x\n2,,Ben,y\n', [2], ["2"]),
    ],
)
def test_a_missing_quotation_mark_never_joins_two_people(
    tmp_path: Path, text: str, bad: list[int], good: list[str]
) -> None:
    by = columnmap.parse({"columns": {"Ref": "ref", "Name": "name"}, "left_out": {"*": "x"}}, COLUMNS)
    found: list[Problem] = []
    rows = list(csvfile.read(write(tmp_path, "Ref,Memo,Name,Tag\n" + text), ("ref",), by=by, problems=found))
    assert [row["ref"] for row in rows] == good
    assert [one.line for one in found] == bad


@pytest.mark.parametrize("text", ["2026-2-3", "20260203", "03.02.2026", "2026-02-30", "", "２026-02-03"])
def test_a_day_is_written_in_one_way_only(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        csvfile.day(text)
