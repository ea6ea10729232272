"""A copy opens as text in a spreadsheet (B12), and its archive has names of ours only (B13)."""

from __future__ import annotations

import csv
import io
import re
from itertools import cycle

import pytest

from privacy import datamap
from tests.bad_input import planting
from tests.bad_input.test_injection import MAIL
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(1)", "=HYPERLINK(\"http://evil.example\",\"x\")", "=cmd|' /C calc'!A0", "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0", "@SUM(1+9)*cmd|' /C calc'!A0", "=IMPORTXML(\"http://evil.example\",\"//a\")",
    "=WEBSERVICE(\"http://evil.example\")", "\t=1+1", "\r=1+1", "\n=1+1", "\r\n=1+1", " =1+1", "\u00a0=1+1", "\ufeff=1+1", "\u200b=1+1",
    "＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "\"=1+1", "'=1+1", "\"\"=1+1\"", "a\"\n=1+1", "a\r\n=1+1,=2+2", "a,=1+1", "a;=1+1", "a\t=1+1",
    "%0A=1+1", "=1+1\x00", "DDE(\"cmd\";\"/C calc\";\"1\")", "=DDE(\"cmd\";\"/C calc\";\"1\")", "-", "+", "=", "@", "=A1", "−1+1", "|calc",
]  # fmt: skip
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, after what they skip (OWASP).
LIVE = re.compile(r"[\s\u00a0\ufeff\u200b]*[=+\-@＝＋－＠]")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# A blank between two numbers is in no formula of any of them, and digits alone are a number.
PHONE = re.compile(r"\+\d+( [\d()./-]+)*", re.ASCII)
CALCULATES = re.compile(r"\+\d+[-/.(]")


def cells(body: bytes) -> list[str]:
    text = body.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1, "a text broke out of its cell"
    return [cell for row in rows for cell in row]


def test_no_cell_of_a_copy_is_live(house: House) -> None:
    """Each text field gets another formula, in as many rounds as asked until each had each."""
    count, live, planted, shown = 0, [], 0, set()
    for number in range(tries(2, len(FORMULAS))):
        turn = cycle(FORMULAS[number:] + FORMULAS[:number])
        with undone():
            planted = planting.plant(
                house.world.bob, lambda name, turn=turn: "bob@post.example" if name in MAIL else next(turn)
            )
            files = planting.copy(house.world.bob)
        tables = [name for name in files if name.endswith(".csv")]
        assert len(tables) >= 8
        for name in tables:
            for cell in cells(files[name]):
                count += 1
                shown |= {one for one in FORMULAS if one in cell}
                is_phone = PHONE.fullmatch(cell) and not CALCULATES.match(cell)
                if LIVE.match(cell) and not NUMBER.fullmatch(cell) and not is_phone:
                    live.append(f"{name}: {cell!r}")
    assert not live, "\n".join(live[:10])
    assert len(shown) > len(FORMULAS) * 0.9, "hardly a formula is in a table: nothing was tried"
    report("B12", "live cells in the tables of a copy", 0, n=count, goal="0")
    report("B12", "formulas in each text field", len(FORMULAS), n=planted, goal="all")


NAMES = ["../../etc/passwd", "..\\..\\windows", "/etc/passwd", "C:\\boot.ini", "index.html", "data.json", "tables/orders-order.csv",
         "a\x00b", "con", "a" * 300, "../", ".", "tables/", "\u202egnp.exe", "%2e%2e/", "index.html\n"]  # fmt: skip


def test_the_names_in_the_archive_are_ours_whatever_a_person_is_called(house: House) -> None:
    ours = {
        "index.html",
        "data.json",
        "README.txt",
        *(f"tables/{one.label.replace('.', '-')}.csv" for one in datamap.declarations()),
    }
    count = 0
    for name in NAMES[:: tries(3, 1)]:
        with undone():
            planting.plant(house.world.bob, lambda field, name=name: "bob@post.example" if field in MAIL else name)
            files = planting.copy(house.world.bob)
        assert set(files) <= ours, name
        assert (
            name.strip("\x00\n")[:20] in files["data.json"].decode()
            or "\\" in name
            or "\u202e" in name
            or "\x00" in name
        )
        count += len(files)
    report("B13", "entries of the archive with a name from data", 0, n=count, goal="0")
