"""Each promise that a page, a letter or the copy gives has what makes it true: `promises.toml` names it,
and no template changes unseen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests import promises

ROWS = promises.table()
SAID = promises.of_templates() | promises.of_modules()


def test_every_promise_stands_in_the_table_with_what_makes_it_true() -> None:
    """A sentence that is new or was changed has no row: look what makes it true, and write that down in
    promises.toml."""
    entered = {one for row in ROWS for one in row.says}
    unnamed = [f"{key[0]}: {text}" for key, text in SAID.items() if key not in entered]
    assert not unnamed, "Nothing is said to make these true:\n" + "\n".join(unnamed)


def test_no_row_is_about_a_sentence_that_stands_nowhere_and_none_stands_twice() -> None:
    entered = Counter(one for row in ROWS for one in row.says)
    assert [one for one in entered if one not in SAID] == []
    assert [one for one, count in entered.items() if count > 1] == []


def test_each_row_names_tests_and_code_that_exist_or_the_people_who_keep_it() -> None:
    assert promises.missing_tests(name for row in ROWS for name in row.tests) == []
    assert [name for row in ROWS for name in row.code if not (promises.ROOT / name).is_file()] == []
    assert all(bool(row.tests and row.code) is not bool(row.people) for row in ROWS)
    assert sum(bool(row.people) for row in ROWS) == 1, "what only people keep stands in one place"


def test_a_promise_that_somebody_adds_or_changes_is_found(tmp_path: Path) -> None:
    """The control: new words in a page and in a letter have no row; another line break, tag or sign is no change."""
    (tmp_path / "privacy" / "email").mkdir(parents=True)
    page, letter = tmp_path / "privacy" / "link.html", tmp_path / "privacy" / "email" / "late.txt"
    page.write_text("<h1>A heading</h1><p>We erase it within\n  <b>the hour</b>.</p><p>Is that so? Please wait.</p>")
    letter.write_text("Our answer is late\n\n{% if x %}Nobody but {{ name }} reads it.{% endif %}\n")
    found = promises.of_templates(tmp_path)
    assert list(found.values()) == ["Nobody but … reads it.", "We erase it within the hour."]
    entered = {one for row in ROWS for one in row.says}
    assert not entered & found.keys()
    page.write_text("{% load i18n %}{% blocktranslate trimmed %}We erase it\nwithin the hour.{% endblocktranslate %}")
    assert promises.of_templates(tmp_path).keys() == found.keys()


def test_a_module_that_nobody_named_is_read_and_only_what_is_shown_counts(tmp_path: Path) -> None:
    (tmp_path / "privacy" / "newroom").mkdir(parents=True)
    (tmp_path / "privacy" / "migrations").mkdir()
    (tmp_path / "privacy" / "newroom" / "said.py").write_text(
        '"""We never say this."""\nTOLD = _("We keep it for 99 years.")\nlogger.error("We never keep it here.")\n'
    )
    for silent in ("migrations/0001_initial.py", "checks.py"):
        (tmp_path / "privacy" / silent).write_text('X = "We never keep anything at all."\n')
    found = promises.of_modules(root=tmp_path)
    said = {text for (place, _), text in found.items() if place.endswith(".py")}
    assert said == {"We keep it for 99 years."}


def test_what_is_called_silent_is_there() -> None:
    assert [name for name in promises.SILENT if not (promises.ROOT / name).exists()] == []


def test_a_test_that_does_not_exist_is_named() -> None:
    here = "tests/test_promises.py::test_a_test_that_does_not_exist_is_named"
    assert promises.missing_tests([here, f"{here}_no", "tests/nowhere.py::test_x"]) == [
        f"{here}_no",
        "tests/nowhere.py::test_x",
    ]
