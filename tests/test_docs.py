"""The pages for newcomers name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/architecture.md", "docs/how-to-add.md")
#: A file of the project by its path, or a folder: what stands between backquotes and ends like
#: one. `<kind>.txt` names none.
NAMED = re.compile(r"`([A-Za-z_][\w./-]*(?:\.(?:py|toml|md|html|txt)|/))`")
LINKED = re.compile(r"\]\((?!https?:)([^)#]+)\)")
#: Of each app, so named without a folder.
OF_EACH_APP = {"personal_data.py", "forms.py", "__init__.py"}


def names(page: str) -> set[Path]:
    """Return where the files that a page names should be; a room of privacy may be named by itself."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {one for one in NAMED.findall(text) if one not in OF_EACH_APP}
    rooms = {one for one in named if (ROOT / "privacy" / one.split("/")[0]).exists()}
    linked = {(ROOT / page).parent / one for one in LINKED.findall(text)}
    return {ROOT / "privacy" / one for one in rooms} | {ROOT / one for one in named - rooms} | linked


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_for_newcomers_names_exists(page: str) -> None:
    wanted = names(page)
    assert len(wanted) > 15, "the page names files"
    assert not {str(one.relative_to(ROOT)) for one in wanted if not one.exists()}


def test_every_room_of_privacy_stands_in_the_architecture() -> None:
    text = (ROOT / PAGES[0]).read_text(encoding="utf-8")
    rooms = {f"{one.name}/" for one in (ROOT / "privacy").iterdir() if (one / "__init__.py").exists()}
    files = {one.name for one in (ROOT / "privacy").glob("*.py")} - {"__init__.py"}
    assert not {one for one in (rooms - {"migrations/"}) | files if f"`{one}`" not in text}


def test_every_room_of_privacy_says_what_it_is_for() -> None:
    doors = {"management", "migrations", "templatetags"}
    inits = [one / "__init__.py" for one in (ROOT / "privacy").iterdir() if one.is_dir() and one.name not in doors]
    rooms = [one for one in inits if one.exists()]
    assert len(rooms) > 12
    assert not [str(one.relative_to(ROOT)) for one in rooms if not one.read_text(encoding="utf-8").startswith('"""')]
