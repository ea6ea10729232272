"""Commands run as the user to whom STATE_DIR belongs, and what root left there all the same is named."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from ilt_site import health, startup
from ilt_site.launcher import binaries
from ilt_site.management.commands import prepare
from privacy.files import owner
from tests import machine
from tests.ilt_site.test_startup import key_ring, production, start, typist
from tests.typist import Typist

__all__ = ["key_ring", "production", "typist"]

WRAPPER = Path(__file__).resolve().parents[2] / "docs" / "deploy" / "ilt"
# Stands where Python stands: tells under which user, with which home and which words it was started.
TELLS = '#!/bin/sh\necho "$(id -u) $HOME $(basename "$1") $2 $(pwd)"\n'


@pytest.fixture
def services() -> binaries.Account:
    """The user of the services."""
    who = binaries.account()
    if who is None:
        machine.lack(machine.ROOT)
    return who


@pytest.fixture
def folder(services: binaries.Account) -> Iterator[Path]:
    """A server's folders, with a STATE_DIR that belongs to the services' user; every user can come here."""
    with tempfile.TemporaryDirectory(prefix="ilt-owner-") as made:
        here = Path(made)
        here.chmod(0o755)
        for name in ("etc", "state", "code", "code/.venv", "code/.venv/bin"):
            (here / name).mkdir(mode=0o755)
        os.chown(here / "state", services.uid, services.gid)
        (here / "etc" / "ilt.env").write_text(f"STATE_DIR={here}/state\n")
        (here / "etc" / "owner.env").touch(mode=0o600)
        python = here / "code" / ".venv" / "bin" / "python"
        python.write_text(TELLS)
        python.chmod(0o755)
        yield here


def ilt(folder: Path, *words: str, uid: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/root", "ETC": f"{folder}/etc", "ILT": f"{folder}/code", **more}
    return subprocess.run(
        ["sh", str(shutil.copy(WRAPPER, folder / "ilt")), *words],
        env=env, cwd=folder, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=False,
    )  # fmt: skip


# --- `ilt` ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("replay_ledger", "--new-file"), ("request_run",), ("keyring", "status"), ("check",)]
)
def test_what_root_types_runs_as_the_services_user(
    folder: Path, services: binaries.Account, words: tuple[str, ...]
) -> None:
    done = ilt(folder, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{services.uid} / manage.py {words[0]} {folder}\n"
    assert ilt(folder, *words, uid=services.uid).stdout.startswith(f"{services.uid} "), "the user itself types it"


# Tells the number of the terminal that controls a process, 0 for none, and hands on what it reads.
TERMINAL = '#!/bin/sh\ncut -d" " -f7 /proc/self/stat\nid -u\n[ "$2" = check ] || cat\nexit 3\n'


@pytest.mark.parametrize("words", ["check", "read <in >out 2>&1; code=$?; cat out; exit $code"])
def test_nothing_of_the_services_gets_the_terminal_at_which_root_types(
    folder: Path, services: binaries.Account, words: str
) -> None:
    (folder / "code" / ".venv" / "bin" / "python").write_text(TERMINAL)
    shutil.copy(WRAPPER, folder / "ilt")
    (folder / "in").write_text("a line of a file\n")
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "ETC": f"{folder}/etc", "ILT": f"{folder}/code"}
    child, terminal = pty.fork()
    if child == 0:  # a new session, which the new terminal controls
        os.chdir(folder)
        os.execve("/bin/sh", ["sh", "-c", f'cut -d" " -f7 /proc/self/stat; sh ./ilt {words}'], env)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(terminal, 1000):
            shown += more
    os.close(terminal)
    roots, theirs, uid, *rest = shown.decode().split("\r\n")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert int(uid) == services.uid
    assert int(roots) > 0
    assert theirs != roots
    assert rest == ([""] if words == "check" else ["a line of a file", ""])


# Says which of its three are a terminal, lets a process stay behind that reads what is typed, and writes to both.
STAYS = """#!/bin/sh
for one in 0 1 2; do [ -t $one ] && printf "terminal " || printf "none "; done >"$STATE_DIR/has"
ls -l /proc/$$/fd >"$STATE_DIR/open"
(trap '' HUP; timeout 20 cat >"$STATE_DIR/read"; echo ended >>"$STATE_DIR/read") <&0 >/dev/null 2>&1 &
echo for the file
echo for the eye >&2
exit 3
"""


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (">out; code=$?", ["for the eye", "3", "for the file"]),
        ("2>out; code=$?", ["for the file", "3", "for the eye"]),
        ("| cat >out; code=0", ["for the eye", "0", "for the file"]),
        ("3</dev/tty </dev/null >out; code=$?", ["for the eye", "3", "for the file"]),
    ],
)
def test_a_process_left_behind_reads_nothing_that_root_types_where_one_end_is_a_file(
    folder: Path, services: binaries.Account, words: str, seen: list[str]
) -> None:
    (folder / "code" / ".venv" / "bin" / "python").write_text(STAYS)
    shutil.copy(WRAPPER, folder / "ilt")
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "ETC": f"{folder}/etc", "ILT": f"{folder}/code"}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        typed = f"sh ./ilt check {words}; echo $code; cat out; read -r typed; echo got $typed"
        os.execve("/bin/sh", ["sh", "-c", typed], env)
    shown = b""
    while seen[-1].encode() not in shown or seen[0].encode() not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"a password of root\n")
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(terminal, 1000):
            shown += more
    os.close(terminal)
    os.waitpid(child, 0)
    lines = shown.decode().split("\r\n")
    assert [line for line in lines if line in seen] == seen
    assert "got a password of root" in lines, "root's own shell reads it"
    assert (folder / "state" / "has").read_text() == "none none none "
    assert "/dev/pts/" not in (folder / "state" / "open").read_text()
    assert "password" not in (folder / "state" / "read").read_text()


def test_no_settings_that_the_services_wrote_are_read_by_what_root_types(folder: Path) -> None:
    done = ilt(folder, "exec", "sh", "-c", 'echo "$PSQLRC $PSQL_HISTORY"; touch "$HOME/.psqlrc"')
    assert done.stdout == "/dev/null /dev/null\n"
    assert done.returncode != 0
    assert "ermission denied" in done.stderr


def test_a_file_that_a_program_makes_is_the_services(folder: Path, services: binaries.Account) -> None:
    done = ilt(folder, "exec", "sh", "-c", 'echo x > "$STATE_DIR/made"')
    assert (done.returncode, done.stderr) == (0, "")
    found = (folder / "state" / "made").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (services.uid, services.gid, 0o600)


@pytest.mark.parametrize(
    "words", [("renew_ring", "--if-due"), ("keyring", "add"), ("keyring", "init"), ("keyring", "retire")]
)
def test_what_writes_the_ring_runs_as_root_whose_folder_it_is(folder: Path, words: tuple[str, ...]) -> None:
    assert ilt(folder, *words).stdout == f"0 /root manage.py {words[0]} {folder}\n"


def test_no_process_of_the_services_user_gets_the_owners_passwords(folder: Path) -> None:
    assert ilt(folder, "prepare", ILT_DB_ROLE="owner").stdout == f"0 /root manage.py prepare {folder}\n"


def test_who_is_neither_root_nor_the_services_is_told_so_in_one_sentence(
    folder: Path, services: binaries.Account
) -> None:
    stranger, name = (
        12345,
        subprocess.run(["id", "-un", str(services.uid)], capture_output=True, text=True).stdout.strip(),
    )
    done = ilt(folder, "check", uid=stranger)
    said = f"ilt: type it as root, with sudo, or as {name}, to whom {folder}/state belongs.\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", said)
    (folder / "etc" / "ilt.env").chmod(0o640)
    done = ilt(folder, "check", uid=stranger)
    said = f"ilt: type it as root, or with sudo: {stranger} cannot read {folder}/etc/ilt.env.\n"
    assert (done.returncode, done.stderr) == (3, said)
    done = ilt(folder, "prepare", uid=services.uid, ILT_DB_ROLE="owner")
    assert done.returncode == 3


def test_a_server_without_settings_is_named(folder: Path) -> None:
    (folder / "etc" / "ilt.env").unlink()
    done = ilt(folder, "check")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert done.stderr.startswith(f"ilt: there is no {folder}/etc/ilt.env")


def test_where_the_folder_is_roots_root_stays_root(folder: Path) -> None:
    os.chown(folder / "state", 0, 0)
    assert ilt(folder, "check").stdout.startswith("0 /root ")


# --- manage.py and the services ---------------------------------------------------------------------------------------


@pytest.fixture
def state(folder: Path, settings: Any) -> Path:
    """STATE_DIR of this process: the services' folder."""
    here = folder / "state"
    settings.STATE_DIR = here
    settings.CHECKPOINT_DIR, settings.EXPORT_DIR = str(here / "checkpoints"), str(here / "exports")
    return here


@pytest.mark.parametrize(
    "words", [("replay_ledger", "--new-file"), ("request_run", "PR-2026-7K3M-9Q", "--yes"), ("shell", "-c", "print(1)")]
)
def test_a_command_that_root_starts_stops_before_it_writes(
    typist: Typist, production: dict[str, str], folder: Path, services: binaries.Account, words: tuple[str, ...]
) -> None:
    env = {**production, "STATE_DIR": str(folder / "state")}
    done = typist("manage.py", *words, env=env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1), done.stderr
    assert f"type `ilt {words[0]} ...`" in done.stderr
    assert list((folder / "state").iterdir()) == []
    assert typist("manage.py", words[0], "--help", env=env).returncode == 0


def test_neither_web_nor_worker_starts_as_root_in_the_folder_of_another(
    production: dict[str, str], folder: Path
) -> None:
    done = start({**production, "STATE_DIR": str(folder / "state")}, "-c", "import ilt_site.wsgi")
    assert done.returncode != 0
    assert "This process runs as root, and STATE_DIR belongs to" in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("state")
def test_the_services_do_not_start_as_root(state: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="start it as"):
        startup.refuse_unsafe_start()


def test_a_ring_that_root_makes_is_the_services(state: Path, folder: Path, services: binaries.Account) -> None:
    call_command("keyring", "init", "--file", str(folder / "etc" / "ring.json"))
    assert (folder / "etc" / "ring.json").stat().st_uid == services.uid


def test_what_is_handed_over_is_nothing_but_what_root_made(state: Path, folder: Path) -> None:
    for name in ("roots", "theirs", "linked to"):
        (folder / name).touch()
    os.chown(folder / "theirs", 12345, 12345)
    (folder / "link").symlink_to(folder / "roots")
    os.link(folder / "linked to", folder / "second name")
    with pytest.raises(OSError):
        owner.hand_over(folder / "link")
    owner.hand_over(folder / "second name")
    owner.hand_over(folder / "theirs")
    assert [(folder / name).stat().st_uid for name in ("roots", "linked to", "theirs")] == [0, 0, 12345]


def test_root_writes_in_the_folder_of_the_services_as_they_do(
    state: Path, folder: Path, services: binaries.Account
) -> None:
    with owner.as_services():
        (state / "theirs").touch()
        with pytest.raises(PermissionError):
            (folder / "etc" / "planted").touch()
    assert (state / "theirs").stat().st_uid == services.uid
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_static_files_are_collected_through_no_link_that_the_services_put_there(
    state: Path, folder: Path, services: binaries.Account, settings: Any
) -> None:
    (folder / "roots").mkdir()
    (folder / "roots" / "kept").touch()
    (state / "static").symlink_to(folder / "roots")
    settings.STATIC_ROOT = str(state / "static")
    with pytest.raises(CommandError, match=r"cannot be written .*: `rm -r "):
        prepare.collect_static()
    assert [one.name for one in (folder / "roots").iterdir()] == ["kept"]
    assert (folder / "roots" / "kept").stat().st_uid == 0
    (state / "static").unlink()
    prepare.collect_static()
    made = [one.lstat().st_uid for one in (state / "static").rglob("*")]
    assert len(made) > 10
    assert set(made) == {services.uid}


# --- Found afterwards -------------------------------------------------------------------------------------------------


def test_what_the_services_cannot_write_is_named_with_the_command_that_mends_it(
    state: Path, services: binaries.Account
) -> None:
    assert owner.told() == ""
    (state / "checkpoints").mkdir()
    (state / "checkpoints" / "ledger.jsonl").touch(mode=0o600)
    name = owner.anothers()
    said = f"{name} cannot write checkpoints and 1 more in STATE_DIR: `chown -R {name}: {state}` as root mends it."
    assert owner.told() == said
    assert [(one.id, one.msg) for one in startup.files_of_the_services()] == [("site.E011", said)]
    assert "files_of_the_services" in {one.__name__ for one in checks.registry.registry.deployment_checks}
    assert health.ALL["files"]() == said
    assert binaries.as_account(services, lambda: owner.told() == said), "as the services themselves see it"
    subprocess.run(["chown", "-R", f"{name}:", str(state)], check=True)
    assert owner.told() == ""
    assert binaries.as_account(services, lambda: owner.told() == "")


def test_a_place_outside_the_folder_is_named_by_its_own_path(state: Path, folder: Path, settings: Any) -> None:
    settings.EXPORT_DIR = str(folder / "copies of files")
    (folder / "copies of files").mkdir()
    assert owner.told().endswith(f": '{folder}/copies of files'` as root mends it.")


def test_a_folder_of_a_number_without_a_name_is_called_by_it_and_where_none_is_nothing_is_wrong(
    state: Path, folder: Path, services: binaries.Account, settings: Any
) -> None:
    name = owner.anothers()
    assert owner.refusal("shell").startswith(f"STATE_DIR belongs to {name}") and owner.refusal("check") == ""
    (state / "checkpoints").mkdir(mode=0o700)
    assert binaries.as_account(services, lambda: f"{name} cannot write checkpoints in STATE_DIR" in owner.told())
    os.chown(state, 54321, 54321)
    assert owner.anothers() == "54321"
    settings.STATE_DIR, settings.CHECKPOINT_DIR = str(folder / "none"), str(state / "checkpoints")
    assert owner.anothers() == owner.refusal("shell") == owner.told() == ""
