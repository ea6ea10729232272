"""Every command of ours: says what it changes, can be tried without effect where it destroys, and refuses in one
way."""

from __future__ import annotations

import io
import json
import re
from datetime import date
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from accounts import blocked, factor
from ilt_site import maintenance
from privacy import vault
from privacy.work import progress
from tests import factories
from tests.shapes import SCHEMAS, shaped

OURS = sorted(name for name, app in get_commands().items() if app in maintenance.OUR_APPS)
DESTROYS = {
    "collect_keys", "end_staff", "keyring", "replay_ledger", "request_run", "request_second", "retention_sweep",
    "rotate_keys", "seal_logins",
}  # fmt: skip
WRITES_MUCH = {"import_customers", "import_orders", "seal_logins", "seal_requests"}
# A third-party command that we took over is none of ours to describe.
# What they say is for who installs: tables changed, rights given.
CHANGE_AN_INSTALLATION = {"grant_roles", "migrate", "prepare"}
LONG_WORK = {"collect_keys", "import_customers", "import_orders", "replay_ledger", "retention_sweep", "rotate_keys",
             "verify_audit"}  # fmt: skip


def command(name: str) -> Any:
    return load_command_class(get_commands()[name], name)


def options(name: str) -> set[str]:
    parser = command(name).create_parser("manage.py", name)
    return {word for action in parser._actions for word in action.option_strings}


def test_every_command_we_know_of_is_there() -> None:
    assert {"create_staff", "prepare", *DESTROYS, *WRITES_MUCH, *LONG_WORK} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_help_says_what_a_command_changes_and_how_it_ends(name: str) -> None:
    text = " ".join(command(name).help.split())
    assert 100 <= len(text) <= 900, len(text)
    assert "xit codes: 0" in text, "and how it ends"
    says = r"[Cc]hang|[Ww]rit|[Cc]reat|[Tt]ake|[Ee]nd|[Ee]ras|[Dd]estroy|[Ll]oad|[Ff]ile|[Pp]ut|[Aa]rm|[Gg]rant|[Ww]rap"
    assert re.search(says, text)


def test_each_argument_of_a_command_says_what_it_is() -> None:
    parsers = {name: command(name).create_parser("manage.py", name) for name in OURS}
    assert [(name, one.dest) for name, parser in parsers.items() for one in parser._actions if not one.help] == []


@pytest.mark.parametrize("name", sorted(DESTROYS | WRITES_MUCH))
def test_what_destroys_or_writes_much_can_be_tried_dry(name: str) -> None:
    assert "--dry-run" in options(name)


@pytest.mark.parametrize("name", OURS)
def test_a_wrong_word_is_refused_with_code_two(name: str) -> None:
    one = command(name)
    one._called_from_command_line = True
    with pytest.raises(SystemExit) as ended:
        one.create_parser("manage.py", name).parse_args(["--no-such-option"])
    assert ended.value.code == 2


def test_every_command_stands_in_the_docs() -> None:
    told = (SCHEMAS.parent / "commands.md").read_text()
    assert [name for name in OURS if not re.search(rf"\b{name}\b", told)] == []


@pytest.mark.parametrize("name", sorted(set(OURS) - CHANGE_AN_INSTALLATION))
def test_every_command_that_tells_something_tells_it_to_programs_too(name: str) -> None:
    assert "--json" in options(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("countries", []),
        ("login_dispute", []),
        ("seal_logins", []),
        ("seal_requests", []),
        ("retention_schedule", []),
        ("data_map", []),
        ("request_list", ["--all"]),
        ("request_second", []),
        ("hold", ["--list"]),
    ],
)
@pytest.mark.django_db
def test_what_they_print_for_programs_has_the_published_shape(name: str, words: list[str]) -> None:
    out = io.StringIO()
    call_command(name, *words, "--json", stdout=out)
    shaped(name, json.loads(out.getvalue()))


@pytest.mark.django_db
def test_a_factor_and_a_block_are_told_to_programs(settings: Any) -> None:
    carol = factories.login("carol", "carol@ilt.example")
    factor.enrol(carol)
    out = io.StringIO()
    call_command("factor_reset", "carol", "--reason", "lost", "--dry-run", "--json", stdout=out)
    assert shaped("factor_reset", json.loads(out.getvalue())) == {"reset": False, "sessions": 0, "dry_run": True}
    settings.DEMO, out = True, io.StringIO()
    call_command("demo_code", "carol", "--json", stdout=out, stderr=io.StringIO())
    assert shaped("demo_code", json.loads(out.getvalue()))["seconds"] > 0
    vault.blocks.add(blocked.NUMBER, "AW00029825", until=date(2030, 1, 1), now=factories.NOW)
    out = io.StringIO()
    call_command("lift_block", "--customer", "AW00029825", "--reason", "returned", "--json", stdout=out)
    told = {"lifted": True, "until": "2030-01-01", "dry_run": False}
    assert shaped("lift_block", json.loads(out.getvalue())) == told


@pytest.mark.parametrize("name", [name for name in OURS if "--json" in options(name)])
def test_what_a_program_may_read_has_a_published_shape(name: str) -> None:
    shape = {"request_run": "request_show"}.get(name, name)
    assert (SCHEMAS / f"{shape}.json").exists()


@pytest.mark.django_db
def test_progress_is_told_when_it_is_asked_for_and_goes_to_standard_error() -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("replay_ledger", stdout=out, stderr=err, verbosity=2)
    assert "Signed file: 0 lines added." in out.getvalue()
    said = io.StringIO()
    with progress.shown(said, 2):
        progress.tell("keys wrapped again", 1, 2)
    with progress.shown(said, 1):  # not a terminal here
        progress.tell("keys wrapped again", 2, 2)
    progress.tell("keys wrapped again", 3, 3)
    assert said.getvalue() == "1 of 2 keys wrapped again"


def test_an_address_for_a_new_login_can_come_by_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="No address") as refused:
        call_command("create_staff", "--username", "carol", "--email", "-", "--role", "sales")
    assert refused.value.returncode == 1
