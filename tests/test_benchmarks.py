"""What the tables of docs/benchmarks.md are made with. How fast anything is, no test asks."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection

from benchmarks import harness, profiling, report, sections
from benchmarks.harness import Goal, Table, Timing

ROOT = Path(__file__).resolve().parents[1]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    mine, base = Timing((2.0, 30.0, 4.0)), Timing((1.0, 10.0, 4.0))
    assert mine.ratio(base) == 2.0
    assert mine.median / base.median == 1.0


def test_every_candidate_runs_once_a_round_in_an_order_that_turns_and_the_first_round_does_not_count() -> None:
    ran: list[str] = []
    taken = harness.interleaved(
        {name: lambda name=name: ran.append(name) for name in "abc"}, rounds=2, before=lambda name: ran.append("-")
    )
    assert "".join(ran) == "-a-b-c" + "-b-c-a" + "-c-a-b"
    assert {name: len(timing.seconds) for name, timing in taken.items()} == {"a": 2, "b": 2, "c": 2}


def test_the_command_line_may_name_another_number_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert harness.rounds(7) == 7
    monkeypatch.setenv(harness.ROUNDS, "3")
    assert harness.rounds(7) == 3


def test_a_section_is_replaced_where_it_stands_and_twice_is_once() -> None:
    text = report.replaced(report.replaced(report.page(""), "rows", "the former text"), "lookup", "other")
    once = report.replaced(text, "rows", "new \\1")
    assert report.replaced(once, "rows", "new \\1") == once
    assert "the former text" not in once
    assert once.index("new \\1") < once.index("other")
    assert report.page(once) == once


def test_a_goal_is_met_at_its_limit_and_says_why_when_it_is_missed() -> None:
    at_most = Goal("G3", "at most 1.1×", 1.1, 1.1, "1.10×", why="never shown")
    at_least = Goal("G11", "at least 20,000/s", 20_000, 19_000, "19,000/s", at_least=True, why="The disk.")
    text = report.with_goals(report.page(""), [at_least, at_most])
    assert (
        "| G3 | at most 1.1× | 1.10× | met |  |\n| G11 | at least 20,000/s | 19,000/s | **missed** | The disk. |"
        in text
    )


def test_every_section_and_every_goal_stands_in_the_document() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert [name for name in sections.NAMES if f"<!-- {name} -->" not in text] == []
    goals = {f"| {name}" for name in re.findall(r'"([GS]\d+(?: \w+)?)"', _source_of_sections())}
    assert len(goals) > 15 and [name for name in goals if f"\n{name} " not in text] == []


def _source_of_sections() -> str:
    return "".join((ROOT / "benchmarks" / f"{name}.py").read_text("utf-8") for name in sections.NAMES)


def test_a_busy_machine_is_said_under_the_section() -> None:
    assert report.BUSY in report.conditions(1_000.0, "Python")
    assert report.BUSY not in report.conditions(0.0, "Python")


def test_the_goals_of_one_section_leave_those_of_the_others() -> None:
    text = report.with_goals(report.page(""), [Goal("G3", "a", 1, 1, "1"), Goal("G10", "b", 1, 2, "2")])
    again = report.with_goals(text, [Goal("G3", "a", 1, 2, "2")])
    assert again.index("| G3 | a | 2 | **missed** |") < again.index("| G10 | b | 2 | **missed** |")
    assert again.count("| G3 |") == 1


def test_a_table_says_how_many_rounds_it_is_made_of() -> None:
    text = report.markdown(Table("T", ["", "s"], [["a|b", 1]], ["Note."], rounds=5))
    assert text == "### T\n\n|  | s |\n| --- | ---: |\n| a∣b | 1 |\n\nNote. 5 rounds."


def test_a_name_that_is_no_section_is_refused_in_one_sentence() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks", "values", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (2, "benchmarks/run: there is no section named nonsense.\n")


def test_a_wait_for_the_database_is_counted_in_full_and_the_rest_where_it_is_spent(db: None) -> None:
    def half_waiting() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass

    found = profiling.shares(half_waiting, repeat=False)
    assert set(found) <= {profiling.DATABASES, profiling.REST, "the rest of Django"}
    assert 0.25 < found[profiling.DATABASES] < 0.75
    assert sum(found.values()) == pytest.approx(1)


def test_each_area_of_the_product_names_what_is_there() -> None:
    ours = [path for path, _ in profiling.AREAS if path.startswith("privacy/")]
    assert len(ours) > 5
    assert [path for path in ours if not (ROOT / path).exists()] == []


def test_a_missed_goal_says_where_the_time_goes_and_a_met_one_is_not_run_again() -> None:
    def never() -> None:
        raise AssertionError

    met = Goal("G3", "at most 1.1×", 1.1, 1.0, "1.00×")
    assert profiling.explained(met, never) is met
    missed = Goal("G3", "at most 1.1×", 1.1, 2.0, "2.00×", why="The keys.")
    said = profiling.explained(missed, lambda: time.sleep(0.05), repeat=False).why
    assert said == "The keys. Sampled: 100 % the rest."
