"""The pages for newcomers name files that exist, and every page the commands and options that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class
from django.core.management.base import BaseCommand

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


# Commands that a page shows ------------------------------------------------------------------------------------------

#: What stands for a value, and one that the option takes.
STANDS_FOR = {
    "NUMBER": "01a22bc2-f226-7875-9343-44a7531cf5b6",
    "N": "2",
    "HASH": "0" * 64,
    "REFERENCE": "PR-2026-7K3M-9Q",
}
_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_BEFORE = re.compile(r"^(?:printf .*\| )?(?:ILT_DB_ROLE=owner )?(?:ilt |\./run manage |python manage\.py )?")
_OPTIONAL = re.compile(r"\[([^][]*)\]")


def typed(line: str) -> list[str]:
    """Return the words of the command that a line shows, none where it shows none.

    What stands in square brackets is typed, too.
    """
    line = _OPTIONAL.sub(r"\1", re.split(r"\s{3,}|\s#", _BEFORE.sub("", line.strip()))[0]).replace("…", "2026-7K3M-9Q")
    if not re.match(r"[a-z_]+(?: (?!=)|$)", line) or line.split()[0] not in get_commands():
        return []
    return [STANDS_FOR.get(word, word) for word in shlex.split(line)]


def shown_in(page: Path) -> Iterator[tuple[list[str], bool]]:
    """Yield the commands of a page, and whether each is shown whole: within a sentence a part may be meant."""
    text = page.read_text(encoding="utf-8")
    lines = [(line, True) for block in _BLOCK.findall(text) for line in block.split("\n")]
    lines += [(one, False) for one in re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))]
    yield from ((words, is_whole) for line, is_whole in lines if (words := typed(line)))


def fault(words: list[str], *, is_whole: bool) -> str:
    """Return what is wrong with a command that is shown, "" when nothing is."""
    app = get_commands()[words[0]]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, words[0])
    parser = command.create_parser("manage.py", words[0])
    if not is_whole:
        known = {name for action in parser._actions for name in action.option_strings}
        return ", ".join(word for word in words if word.startswith("--") and word.partition("=")[0] not in known)
    try:
        parser.parse_args(words[1:])
    except CommandError as error:
        return str(error)
    return ""


SHOW = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_command_that_a_page_shows_is_taken_as_it_stands_there() -> None:
    shown = [(page.name, words, is_whole) for page in SHOW for words, is_whole in shown_in(page)]
    assert sum(is_whole for *_, is_whole in shown) > 60 and len(shown) > 150
    wrong = {
        f"{page}: {' '.join(words)}": said for page, words, whole in shown if (said := fault(words, is_whole=whole))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "is_whole"),
    [
        ("ilt hold SO-1 --reasons claim", True),
        ("ilt request_run PR-… --plan", True),
        ("request_list --state nowhere", True),
        ("./run manage retention_sweep --on 2027-13-01", True),
        ("create_staff --boss", False),
    ],
)
def test_one_that_would_not_be_taken_is_found(line: str, is_whole: bool) -> None:
    assert fault(typed(line), is_whole=is_whole)
    assert (
        typed("prepare the databases = 1") != [] and typed('countries = "names"') == [] and typed("nothing here") == []
    )
