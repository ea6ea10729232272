"""Wrong arguments, as an operator types them: one code for all of them, and what is wrong is named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from ilt_site import arguments
from privacy.vault import ring
from tests.ilt_site.test_commands import OURS
from tests.ilt_site.test_startup import ROOT, key_ring, production, settings_of_production, start
from tests.running import environment, one_sentence, run
from tests.typist import NOTHING, Typist, at_work

__all__ = ["key_ring", "production"]


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    """An operator at a production installation whose servers are away: one process, forked for each command."""
    folder = tmp_path_factory.mktemp("production")
    ring.write(folder / "ring.json", ring.new(), new_file=True)
    with at_work(settings_of_production(folder, folder / "ring.json")) as made:
        yield made


@pytest.fixture(scope="module")
def at_run() -> Iterator[Typist]:
    """Somebody who types `./run`: one process, forked for each command."""
    with at_work(environment(), "run", Path("/")) as made:
        yield made


def same(forked: subprocess.CompletedProcess[str], alone: subprocess.CompletedProcess[str]) -> bool:
    """Say whether exit code and output are the same, and the last words on the other stream."""
    return (forked.returncode, forked.stdout, forked.stderr.splitlines()[-1:]) == (
        alone.returncode, alone.stdout, alone.stderr.splitlines()[-1:],
    )  # fmt: skip


DOWN = "A database does not answer, or ended the work: run the command again when it is back."


def test_a_forked_command_does_what_one_of_its_own_does(
    production: dict[str, str], typist: Typist, at_run: Typist
) -> None:
    """The control of this file's quick way: words, exit code and both streams are the same."""
    for words in (["bogus"], ["keyring", "status"], ["retention_schedule", "--json"], ["verify_audit"]):
        alone = start(production, "manage.py", *words)
        assert same(typist(*words), alone), words
        assert (alone.stderr.splitlines()[-1:] == [DOWN]) is (words == ["verify_audit"])
        assert "Traceback" not in alone.stderr
    for words in (["code"], ["--data", "/dev/null", "status"], ["code", "--help"]):
        assert same(at_run(*words), run(*words)), words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bogus"], "Unknown command: 'bogus'"),
        (["help", "bogus"], "Unknown command: 'bogus'"),
        (["retention_schedule", "--form", "json"], "there is no option --form"),
        (["retention_schedule", "--form=json"], "there is no option --form"),
        (["migrate", "--datab", "default"], "there is no option --datab"),
        (["retention_schedule", "--format", "xml"], "invalid choice: 'xml'"),
        (["keyring", "status", "--fil", "x"], "there is no option --fil"),
        (["login_dispute", "C1"], "A customer number and --confirm belong together, --dry-run to both."),
        (["login_dispute", "--confirm", "end"], "A customer number and --confirm belong together, --dry-run to both."),
        (["login_dispute", "--dry-run"], "A customer number and --confirm belong together, --dry-run to both."),
        (["login_dispute", "C1", "--confirm", "both"], "invalid choice: 'both'"),
        (["login_dispute", "C1", "C2", "--confirm", "end"], "unrecognized arguments: C2"),
        (["login_dispute", "C1", "--confrim", "end"], "there is no option --confrim"),
        (["lift_block", "--customer", "C1"], "the following arguments are required: --reason"),
        (["lift_block", "--customer", "", "--reason", "returned"], "The customer number is empty."),
        (["lift_block", "--reason", "returned"], "one of the arguments --customer --email is required"),
        (["lift_block", "--customer", "C1", "--reason", "because"], "invalid choice: 'because'"),
        (
            ["lift_block", "--email", "a@b.example", "--reason", "another"],
            "the address comes on standard input: --email -",
        ),
    ],
)
def test_what_is_typed_wrong_ends_with_two_and_is_named(typist: Typist, words: list[str], said: str) -> None:
    done = typist(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", OURS)
def test_every_command_names_what_is_wrong_in_one_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True
    parser = arguments.parser_of(command, "manage.py", name)
    with pytest.raises(SystemExit) as ended:
        arguments.refuse_unknown(parser, ["--no-such-option"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err == f"manage.py {name}: error: there is no option --no-such-option\n"


def test_a_mistyped_option_is_named_before_a_missing_one(typist: Typist) -> None:
    done = typist("keyring", "--knd", "erasure")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "manage.py keyring: error: there is no option --knd",
    )


def test_what_follows_two_dashes_is_no_option(typist: Typist) -> None:
    done = typist("keyring", "status", "--", "--x")
    assert done.returncode == 2
    assert "invalid int value: '--x'" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["retention_sweep", "--on", "0001-01-01"], "argument --on: no day before 1900 is judged by"),
        (["outbox", "--last", "99999999999999999999"], "argument --last: it is a number from 1 to 10,000"),
        (["outbox", "--last", "0"], "argument --last: it is a number from 1 to 10,000"),
    ],
)
def test_a_number_or_day_that_no_work_can_use_is_a_wrong_argument(typist: Typist, words: list[str], said: str) -> None:
    done = typist(*words)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"manage.py {words[0]}: error: {said}")


@pytest.mark.parametrize("words", [["retention_schedule", "--help"], ["help"], ["retention_schedule"], ["bogus"]])
@pytest.mark.parametrize("both", [False, True], ids=["output", "output and errors"])
def test_a_reader_that_has_read_enough_ends_a_command_without_a_word(
    production: dict[str, str], typist: Typist, words: list[str], both: bool
) -> None:
    if words == ["retention_schedule"]:  # the control: started for itself
        reading, writing = os.pipe()
        os.close(reading)  # before the command begins, so that its first line is one too many
        done = subprocess.run(
            [sys.executable, "manage.py", *words], env=production, cwd=ROOT, text=True, check=False,
            stdout=writing, stderr=writing if both else subprocess.PIPE,
        )  # fmt: skip
        os.close(writing)
    else:
        done = typist(*words, gone=(1, 2) if both else (1,))
    assert done.returncode in ((1, 2) if words == ["bogus"] else (0, 1))
    assert both or words == ["bogus"] or done.stderr == ""
    assert both or ("Traceback" not in done.stderr and "BrokenPipe" not in done.stderr)


def test_bytes_that_are_no_text_are_refused_before_they_get_anywhere(production: dict[str, str]) -> None:
    done = start(production, "manage.py", "request_show", os.fsdecode(b"PR-\xff"))
    assert (done.returncode, done.stderr) == (2, "An argument is not UTF-8.\n")


@pytest.mark.parametrize("words", [["verify_audit"], ["retention_sweep", "--dry-run"], ["migrate"]])
def test_a_database_that_is_down_is_one_sentence(typist: Typist, words: list[str]) -> None:
    done = typist(*words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == DOWN
    assert "Traceback" not in done.stderr


STDIN = {"closed": "ddress", "empty": "ddress", "no text": "is not UTF-8."}


@pytest.fixture(params=STDIN)
def stdin(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | None, str]:
    """An input from which no address can be read, None where it is closed, and what a command says of it."""
    bad = tmp_path / "bad"
    bad.write_bytes(b"carol\xff@ilt.example\n")
    return {"closed": None, "empty": NOTHING, "no text": bad}[request.param], STDIN[request.param]


@pytest.mark.parametrize(
    "words",
    [
        ["request_file", "--kind", "access", "--channel", "phone", "--email", "-"],
        ["create_staff", "--username", "x", "--role", "sales", "--email", "-"],
        ["lift_block", "--reason", "another", "--email", "-"],
    ],
)
def test_standard_input_that_is_closed_or_empty_or_no_text_is_one_sentence(
    typist: Typist, stdin: tuple[Path | None, str], words: list[str]
) -> None:
    done = typist(*words, stdin=stdin[0])
    assert done.returncode == 1
    assert stdin[1] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stdin", ["closed", "no text"], indirect=True)  # an empty input is a file like another
def test_a_forked_command_reads_its_input_as_one_of_its_own_does(
    production: dict[str, str], typist: Typist, stdin: tuple[Path | None, str]
) -> None:
    words, (file, said) = ["lift_block", "--reason", "another", "--email", "-"], stdin
    redirected = "<&-" if file is None else f'<"{file}"'
    alone = subprocess.run(
        ["sh", "-c", f'"$@" {redirected}', "sh", sys.executable, "manage.py", *words],
        env=production, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    forked = typist(*words, stdin=file)
    assert said in alone.stderr.splitlines()[-1] and "Traceback" not in alone.stderr
    assert same(forked, alone)


# --- ./run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dat", "x"], "there is no option --dat"),
        (["--dat=x"], "there is no option --dat"),
        (["status", "--json"], "there is no option --json"),
        (["code"], "code needs the name of one login and nothing else: ./run code carol"),
        (["code", "carol", "bob"], "code needs the name of one login and nothing else: ./run code carol"),
        (["code", "--last"], "code needs the name of one login and nothing else: ./run code carol"),
        (["--data", "", "status"], "argument --data: it names no folder"),
        (["--yes", "stop"], "--yes means nothing to stop: it belongs to reset"),
        (["--yes"], "--yes means nothing to start: it belongs to reset"),
        (["--yes", "manage", "help"], "--yes means nothing to manage: it belongs to reset"),
        (["--port", "8123", "stop"], "--port means nothing to stop: it belongs to start and dev"),
        (["--port", "8123", "code", "carol"], "--port means nothing to code: it belongs to start and dev"),
    ],
)
def test_run_names_what_is_wrong_in_its_own_words(at_run: Typist, words: list[str], said: str) -> None:
    done = at_run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"run: error: {said}"
    assert "demo_code" not in done.stderr


def test_the_help_of_code_is_that_of_run(at_run: Typist) -> None:
    done = at_run("code", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: run ") and "demo_code" not in done.stdout


@pytest.mark.parametrize(
    "words", [(), ("status",), ("stop",), ("reset", "--yes"), ("manage", "help"), ("code", "carol")]
)
def test_a_file_where_a_folder_is_wanted_is_said_to_be_none(
    tmp_path: Path, at_run: Typist, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("dear")
    for name in ("file", "file/below"):
        said = one_sentence(at_run("--data", str(tmp_path / name), *words))
        assert said == f"run: {tmp_path}/file is no folder: name another data folder with --data."
    assert (tmp_path / "file").read_text() == "dear"
