"""docs/reliability.md is written from the figures, and hides none that is missing or beside its goal."""

from __future__ import annotations

from typing import Any

import pytest

from tests import reliability

MACHINE, OUTCOME = ["Machine: one."], ["Tests: 3 passed, 0 failed, 0 skipped."]


def figure(test: str, value: float | str, goal: str, **more: Any) -> dict[str, Any]:
    return {"test": test, "what": "lost", "value": value, "unit": "", "n": 4, "goal": goal, **more}


def written(*figures: dict[str, Any], is_full: bool = True, outcome: list[str] = OUTCOME) -> list[str]:
    return reliability.document(figures, machine=MACHINE, outcome=outcome, is_full=is_full).splitlines()


def rows(lines: list[str], test: str) -> list[str]:
    return [line for line in lines if line.startswith(f"| {test} |")]


@pytest.mark.parametrize(
    ("value", "goal", "is_met"),
    [
        (0, "0", True),
        (1, "0", False),
        ("0 of 200", "0", True),
        ("299 of 300", "300 of 300", False),
        ("300 of 300", "300 of 300", True),
        (2.5, "≤ 2.5 s", True),
        (2.51, "≤ 2.5 s", False),
        (99.9, "≥ 100 %", False),
        (100, "100 %", True),
        ("1,200", ">= 1,000 rows/s", True),
        (0.1, "< 0.1 %", False),
        (17, "counted", None),
        ("fast", "≤ 3 s", None),
    ],
)
def test_a_figure_is_held_against_its_goal(value: float | str, goal: str, is_met: bool | None) -> None:
    assert reliability.met(value, goal) is is_met


def test_a_row_says_what_was_done_what_came_of_it_how_often_and_whether_that_is_the_goal() -> None:
    lines = written(figure("F2", 41.4, "≤ 45 s", what="p95 from the kill to the end", unit="s"))
    (row,) = rows(lines, "F2")
    assert row == (
        "| F2 | A whole worker killed (kill -9) amid erasures, and started again | p95 from the kill to the end: **41.4 s** "
        "| 4 | ≤ 45 s | yes |"
    )
    assert "- Machine: one." in lines


def test_a_goal_that_is_missed_and_a_figure_that_is_missing_stand_in_the_table() -> None:
    lines = written(figure("F1", 1, "0"), figure("F1", 0, "0"))
    assert [row.rpartition(" | ")[2] for row in rows(lines, "F1")] == ["**no** |", "yes |"]
    for test in set(reliability.TESTS) - {"F1"}:
        (row,) = rows(lines, test)
        assert "none: the test failed, or there is none" in row and row.endswith("**no** |")
    assert lines[-1].startswith("2 figures, 1 of them beside their goal. Without a figure: F2, F3")


@pytest.mark.parametrize("name", ["F99", "B99", "headers", "Fonts"])
def test_a_test_that_the_table_does_not_know_is_shown_as_well(name: str) -> None:
    (row,) = rows(written(figure(name, 0, "0")), name)
    assert row.endswith("yes |")


def test_a_bar_in_a_figure_does_not_break_the_table() -> None:
    (row,) = rows(written(figure("B2", 0, "0", what="a | b")), "B2")
    assert row.count("|") == 7


def test_small_sizes_and_failed_tests_are_said() -> None:
    junit = """<testsuites><testsuite><testcase classname="a" name="b"/><testcase classname="a" name="c"><failure/></testcase>
        <testcase classname="a" name="d"><skipped/></testcase></testsuite></testsuites>"""
    outcome = reliability.outcome_of(junit)
    assert outcome == ["Tests: 1 passed, 1 failed, 1 skipped.", "Failed: `a.c`."]
    lines = written(is_full=False, outcome=outcome)
    assert "- Failed: `a.c`." in lines
    assert any("small sizes" in line for line in lines)
    assert not any("small sizes" in line for line in written())


def test_every_promise_names_tests_of_the_table() -> None:
    for promise, shown in reliability.PROMISES.values():
        assert promise.endswith(".")
        for name in shown.split(", "):
            first, _, last = name.partition("–")
            assert {first, last or first} <= set(reliability.TESTS)


def test_a_figure_beside_its_goal_comes_with_its_reason_where_one_is_known() -> None:
    with_reason = f"- B20: {reliability.REASONS['B20']}"
    assert with_reason in written(figure("B20", 60, "≤ 50 ms"))
    assert with_reason not in written(figure("B20", 40, "≤ 50 ms"))
    assert with_reason not in written(figure("F1", 1, "0"))
