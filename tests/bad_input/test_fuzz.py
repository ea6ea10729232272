"""Whatever is typed into a form or given to a command (B18): an answer in words, never a 500, never a traceback."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.bad_input.forms import Form, Sender
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

EXAMPLES = tries(4, 200)
OURS = ("accounts", "ilt_site", "orders", "privacy", "privacy.vault", "rma")
# Makes databases, keys or a company: an operator's tools before there is anything to protect.
NOT_HERE = {"prepare", "grant_roles", "demo_data"}

# Any text that a browser can send, what programs stumble over, and what looks nearly right.
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    st.sampled_from(
        ["", " ", "\x00", "0", "-1", "1e308", "NaN", "Infinity", "9" * 400, "١٢٣", "true", "null", "[]", "{}", "%s%n",
         "../../etc/passwd", "'; DROP TABLE privacy_request; --", "{{ 7*7 }}", "${7*7}", "\r\nBcc: x@example.com",
         "0000-00-00", "9999-12-31", "10000-01-01", "2026-02-30", "0001-01-01", "00000000-0000-0000-0000-000000000000",
         "a@b", "a@b.example", "\u202e", "a" * 5000, "=1+1", "PR-2026-0000-00", "-", "--help", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]
    ),
    st.integers().map(str), st.dates().map(str), st.uuids().map(str), st.floats().map(str), st.emails(),
)  # fmt: skip
QUIET = {
    "max_examples": EXAMPLES, "deadline": None, "derandomize": EXAMPLES < 100, "database": None,
    "phases": [Phase.generate], "suppress_health_check": list(HealthCheck),
}  # fmt: skip


def fuzz(sender: Sender, form: Form) -> None:
    """Send one form with up to four of its fields changed, as often as asked."""

    @settings(**QUIET)
    @given(st.dictionaries(st.sampled_from(sorted(form.data) or ["none"]), TEXT, max_size=4))
    def send(changed: dict[str, str]) -> None:
        with undone():
            answer = sender.post(form, changed)
        assert answer.status_code < 500 or sender.failed
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            assert b"Traceback" not in answer.content

    send()


def test_whatever_is_typed_into_a_form_is_answered(house: House, every_form: list[Form]) -> None:
    with Sender(house) as sender:
        for form in every_form:
            fuzz(sender, form)
    assert not sender.failed, "\n".join(dict.fromkeys(sender.failed))
    assert len(every_form) > 40
    report("B18", "answers of 5xx to what was typed", 0, n=sender.count, goal="0")
    report("B18", "forms walked", len(every_form), n=sender.count, goal="all")


# Commands -------------------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, list[argparse.Action]]]:
    """Return each command of ours with the arguments that take a value."""
    found = []
    for name, app in sorted(get_commands().items()):
        if app in OURS and name not in NOT_HERE:
            command = load_command_class(app, name)
            parser = command.create_parser("manage.py", name)
            standard = {
                "version",
                "verbosity",
                "settings",
                "pythonpath",
                "traceback",
                "no_color",
                "force_color",
                "skip_checks",
            }
            found.append((name, [one for one in parser._actions if one.dest not in standard and one.dest != "help"]))
    return found


def arguments(draw: Any, actions: list[argparse.Action], folder: Path) -> list[str]:
    """Draw a command line: flags on or off, values of any kind; a file to write is one of the test's own folder."""
    options: list[str] = []
    positional: list[str] = []
    for one in actions:
        if one.nargs == 0:
            if draw(st.booleans()):
                options.append(one.option_strings[-1])
            continue
        if not one.option_strings and one.nargs == "?" and draw(st.booleans()):
            continue
        if one.option_strings and not one.required and draw(st.booleans()):
            continue
        value = (
            draw(st.sampled_from([str(each) for each in one.choices]))
            if one.choices and draw(st.integers(0, 3))
            else draw(TEXT)
        )
        if one.dest in ("out", "file", "lines"):
            clean = "".join(c if c.isalnum() else "_" for c in value)[:60]
            (folder / "given.csv").write_text(value, encoding="utf-8", errors="replace")
            value = draw(
                st.sampled_from(
                    [str(folder / clean), str(folder / "given.csv"), str(folder), "", str(folder / "no" / "where")]
                )
            )
        if one.option_strings:
            options.append(f"{one.option_strings[-1]}={value}")
        else:
            positional.append(value)
    return [*options, "--", *positional] if positional else options


def give(
    name: str, actions: list[argparse.Action], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    """Call one command as often as asked; return how often, and what was not an answer in words."""
    count, wrong = 0, []

    @settings(**QUIET)
    @given(st.data())
    def call(data: Any) -> None:
        nonlocal count
        count += 1
        line = arguments(data.draw, actions, folder)
        monkeypatch.setattr("sys.stdin", io.StringIO(data.draw(TEXT) + "\n"))
        out = io.StringIO()
        with undone():
            try:
                call_command(name, *line, stdout=out, stderr=out)
            except CommandError as answer:
                if not str(answer).strip():
                    wrong.append(f"{name} {line!r:.200}: no word of why")
            except SystemExit:
                pass
            except Exception as error:
                wrong.append(f"{name} {line!r:.200}: {error!r:.200}")

    call()
    return count, wrong


def test_whatever_is_given_to_a_command_is_answered(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = commands()
    assert len(everything) >= 15
    done = [give(name, actions, tmp_path, monkeypatch) for name, actions in everything]
    wrong = [one for _, found in done for one in found]
    assert not wrong, "\n".join(wrong)
    report("B18", "tracebacks of commands", 0, n=sum(count for count, _ in done), goal="0")
