"""The schedule people read is the one the program follows."""

from io import StringIO
from pathlib import Path

from django.core.management import call_command

from privacy.retention import rules, schedule_page

SCHEDULE = rules.load(rules.HERE, overlays=())
PAGE = Path(__file__).resolve().parents[3] / "docs" / "retention.md"


def test_the_page_in_the_documentation_is_the_schedule_in_force() -> None:
    assert PAGE.read_text(encoding="utf-8") == schedule_page.as_markdown(SCHEDULE)
    call_command("retention_schedule", stdout=(out := StringIO()))
    assert out.getvalue() == PAGE.read_text(encoding="utf-8")


def test_every_class_and_every_reason_is_written_down() -> None:
    page = schedule_page.as_markdown(SCHEDULE)
    for name in SCHEDULE.classes:
        assert f"(`{name}`)" in page
        for reason in SCHEDULE.reasons(name):
            assert f"| {reason.name} |" in page


def test_an_overlay_appears_with_its_reason_only_where_it_is_on() -> None:
    assert "German vouchers" not in schedule_page.as_markdown(SCHEDULE)
    assert "German vouchers" in schedule_page.as_markdown(rules.load(rules.HERE, overlays=["DE8"]))


def test_as_data_it_says_how_long_and_why() -> None:
    order = next(one for one in schedule_page.as_json(SCHEDULE)["classes"] if one["name"] == "order")
    assert (
        order["reasons"][1]["how_long"]
        == "7 years, to the end of that year, from the last of invoiced, paid and shipped"
    )
