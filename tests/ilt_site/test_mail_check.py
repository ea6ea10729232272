"""A missing or silent mail server is named, and one letter can be sent to see; settings are read as systemd reads
them."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ilt_site import startup
from privacy.letters.models import Letter
from privacy.vault import ring
from tests.mail_server import REFUSED, Server
from tests.shapes import shaped

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"


@pytest.fixture
def production(settings: Any, tmp_path: Path) -> Any:
    settings.DEMO = settings.DEBUG = False
    settings.KEY_RING_FILE = str(tmp_path / "ring.json")
    ring.write(tmp_path / "ring.json", ring.parse(settings.KEY_RING), new_file=True)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_TIMEOUT = 5
    return settings


@pytest.fixture
def server(production: Any) -> Iterator[Server]:
    made = Server()
    production.EMAIL_HOST, production.EMAIL_PORT = made.server_address
    yield made
    made.shutdown()
    made.server_close()


def test_a_mail_server_that_answers_is_no_finding(server: Server) -> None:
    assert startup.mail_server() == []


def test_a_missing_mail_server_is_named(production: Any) -> None:
    production.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    (found,) = startup.mail_server()
    assert found.id == "site.W003"
    assert "nobody is answered by mail" in found.msg


def test_a_mail_server_that_does_not_answer_is_named(production: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        production.EMAIL_HOST, production.EMAIL_PORT = closed.getsockname()
        (found,) = startup.mail_server()
    assert (found.id, found.msg) == (
        "site.W004",
        "The mail server of EMAIL_URL does not take our letters (ConnectionRefusedError).",
    )


def test_a_demo_needs_none(production: Any) -> None:
    production.DEMO = True
    production.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert startup.mail_server() == []


@pytest.mark.django_db
def test_one_letter_goes_out_and_nothing_of_it_stays(server: Server) -> None:
    out = StringIO()
    call_command("mail_check", "carol@example.com", stdout=out)
    assert server.accepted == ["carol@example.com"]
    assert out.getvalue().startswith("The mail server took the letter.")
    letter = Letter.objects.get()
    assert letter.sent_at is not None
    assert letter.sealed_letter is None


@pytest.mark.django_db
def test_for_programs_it_says_whether_the_letter_went(server: Server) -> None:
    out = StringIO()
    call_command("mail_check", "carol@example.com", json=True, stdout=out)
    assert shaped("mail_check", json.loads(out.getvalue())) == {"sent": True, "error": ""}
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("mail_check", REFUSED, json=True, stdout=out)
    assert shaped("mail_check", json.loads(out.getvalue())) == {"sent": False, "error": "SMTPRecipientsRefused"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        (REFUSED, 1, "The mail server did not take the letter: SMTPRecipientsRefused."),
        ("nonsense", 2, "That is not an e-mail address."),
        ("", 2, "That is not an e-mail address."),
    ],
)
def test_a_letter_that_does_not_go_says_why(server: Server, address: str, code: int, sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("mail_check", address)
    assert (refused.value.returncode, str(refused.value)) == (code, sentence)
    assert not Letter.objects.filter(sent_at=None, stopped_at=None).exists()


def test_without_a_mail_server_no_letter_is_begun(production: Any) -> None:
    production.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    with pytest.raises(CommandError, match="names no mail server") as refused:
        call_command("mail_check", "carol@example.com")
    assert refused.value.returncode == 3


# --- The file of settings --------------------------------------------------------------------------------------


def read(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "ilt.env").write_bytes(text.encode())
    return subprocess.run(
        ["sh", str(DEPLOY / "ilt"), "exec", "env", "-0"],
        env={"PATH": "/usr/bin:/bin", "ETC": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(one.split("=", 1) for one in done.stdout.split("\0") if one)


def test_a_value_with_blanks_and_signs_of_the_shell_is_what_it_says(tmp_path: Path) -> None:
    found = told(read(tmp_path, "# a comment\n\nCOMPANY_NAME=International Light Technologies\nA=$(id) `id` $HOME; x & y\nB=\"two words\"\nC=a=b#c\nD=\nE='one'\nline=1\nvalue=2\nnumber=3\nname=4"))  # fmt: skip
    assert found["COMPANY_NAME"] == "International Light Technologies"
    assert found["A"] == "$(id) `id` $HOME; x & y"
    assert (found["B"], found["C"], found["D"], found["E"]) == ("two words", "a=b#c", "", "one")
    assert [found[one] for one in ("line", "value", "number", "name")] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "line",
    ["NO_EQUALS", "1A=x", "A B=x", "=x", "A=x\\ny", 'A=x"y', "A= x", "A=x ", "export A=x", "A=1\r", "A=1\t2", "IFS=x"],
)
def test_what_systemd_would_read_otherwise_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    done = read(tmp_path, f"OK=1\n{line}\n")
    assert done.returncode == 2
    assert done.stderr.startswith("ilt: line 2 of ")


def test_the_example_is_read_and_names_only_settings_that_exist(tmp_path: Path) -> None:
    text = (DEPLOY / "ilt.env.example").read_text()
    found = told(read(tmp_path, text))
    assert found["COMPANY_ADDRESS"] == "10 Technology Drive, Peabody, MA 01960, USA"
    settings = (ROOT / "ilt_site" / "settings.py").read_text()
    for name in (line.split("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")):
        assert f'"{name}"' in settings, name
