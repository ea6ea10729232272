"""What commands write to a terminal moves no cursor and wipes no line."""

from __future__ import annotations

import io

import pytest
from django.db import connections, models

import manage
from ilt_site import terminal
from privacy.requests.models import Request
from tests import factories
from tests.asked import filed


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[2K\rnone open", r"\u001b[2K\u000dnone open"),
        ("\x9b2K", r"\u009b2K"),
        ("a\u202eb", r"a\u202eb"),
        ("Łódź, 北京: é\t1\n", "Łódź, 北京: é\t1\n"),
    ],
)
def test_control_characters_are_spelled_and_words_are_not(written: str, shown: str) -> None:
    out = io.StringIO()
    terminal.Safe(out).write(written, ending="")
    assert out.getvalue() == shown


@pytest.mark.django_db
def test_what_stands_in_a_readable_column_wipes_no_line_of_what_is_doubted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = filed(factories.customer(), "access")
    models.QuerySet(Request).filter(pk=request.pk).update(scope="\x1b[2K\rnone", kind="\x1b[2K\rnone open\n")
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's own transaction goes on
    with pytest.raises(SystemExit):
        manage.command_line(["manage.py", "seal_requests"])
    said = capsys.readouterr().out
    assert request.reference in said and "\x1b" not in said and "\r" not in said and "\nnone" not in said


def test_the_commands_of_ours_are_found_and_djangos_are_not() -> None:
    assert {"request_list", "seal_requests", "request_show", "outbox"} <= manage.commands_of_ours()
    assert not {"check", "shell"} & manage.commands_of_ours()
