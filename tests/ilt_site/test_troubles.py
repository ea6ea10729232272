"""What keeps `./run` from starting is said in one sentence that names it: space, network,
packages, servers, loopback."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ilt_site.launcher import Problem, binaries, throwaway
from ilt_site.launcher.servers import Servers, check_machine
from tests import machine
from tests.running import command, environment, free_port, one_sentence, run, start

ROOT = Path(__file__).resolve().parents[2]


# --- The Python environment ------------------------------------------------------------------------------------


def bare(folder: Path) -> Path:
    """Return a checkout in which only the environment can be made, with a Python and no uv on the path."""
    (folder / "requirements").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    shutil.copy(ROOT / "ilt_site" / "launcher" / "environment.sh", folder)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare(tmp_path_factory.mktemp("clone"))


def test_an_interruption_is_called_one_and_ends_what_installs(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    (clone / "requirements" / "demo.txt").write_text("")
    installer = clone / "bin" / "uv"
    installer.write_text(f"#!/bin/sh\necho $$ >{clone}/pid.new && mv {clone}/pid.new {clone}/pid\nexec sleep 60\n")
    installer.chmod(0o755)
    making = subprocess.Popen(
        ["sh", "-c", f"ROOT={clone}; NAME=run; . {clone}/environment.sh; make_environment demo"],
        env={"PATH": f"{clone}/bin:/usr/bin:/bin", "HOME": str(clone)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: (clone / "pid").exists())
    os.killpg(making.pid, signal.SIGINT)  # as Ctrl-C does
    _, said = making.communicate(timeout=30)
    assert making.returncode == 1
    assert said.splitlines()[1:] == ["run: interrupted while the packages were installed; the next time it goes on."]
    assert not Path("/proc", (clone / "pid").read_text().strip()).exists()


def test_the_second_command_says_that_it_waits_for_the_first(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    (clone / ".venv").mkdir()
    (clone / "requirements" / "demo.txt").write_text("")
    with (clone / ".venv" / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            ["sh", "-c", f"ROOT={clone}; NAME=run; . {clone}/environment.sh; make_environment demo"],
            env={"PATH": f"{clone}/bin:/usr/bin:/bin", "HOME": str(clone)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert waiting.stderr is not None
        assert (
            waiting.stderr.readline()
            == "run: another command is installing the environment; this one waits for it ...\n"
        )
        os.killpg(waiting.pid, signal.SIGKILL)  # with the program that waits: it holds the pipe, and the lock is ours
        waiting.communicate()


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, a minute at most."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def install(clone: Path, lock: str, **extra: str) -> str:
    """Make the environment of a lock; return what was said, which must be a failure."""
    (clone / "requirements" / "demo.txt").write_text(lock)
    done = subprocess.run(
        ["sh", "-c", f"ROOT={clone}; NAME=run; . {clone}/environment.sh; make_environment demo"],
        env={
            "PATH": f"{clone}/bin:/usr/bin:/bin",
            "HOME": str(clone),
            "PIP_RETRIES": "1",
            "PIP_CONFIG_FILE": os.devnull,
            **extra,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


PACKAGE = "no-such-package-of-ours==1.0 \\\n    --hash=sha256:" + 64 * "0" + "\n"


def test_no_network_and_no_such_package_are_told_apart(clone: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        said = install(clone, PACKAGE, PIP_INDEX_URL=nowhere)
    assert "run: installing the 1 locked packages into .venv" in said
    assert "run: no package index answers: is this machine on the network?" in said
    assert "no-such-package" not in said
    said = install(clone, PACKAGE, PIP_NO_INDEX="1")
    assert "run: the package index has no no-such-package-of-ours==1.0 for Python 3." in said
    assert "network" not in said
    assert said.splitlines()[-1] == "run: .venv/install.log has all that was said."


def test_a_lock_that_pip_cannot_read_keeps_pips_own_words(clone: Path) -> None:
    said = install(clone, "!!!\n", PIP_NO_INDEX="1")
    assert "ERROR: Invalid requirement: '!!!'" in said


def test_a_disk_without_room_for_the_packages_is_named_before_anything_is_done(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    script = (clone / "environment.sh").read_text()
    assert "DEMO_MB=400" in script
    (clone / "environment.sh").write_text(script.replace("DEMO_MB=400", "DEMO_MB=400000000"))
    said = install(clone, PACKAGE)
    assert f"MB are free where {clone} lies, and the Python environment needs 400000000 MB." in said
    assert not (clone / ".venv" / "bin").exists()


def test_a_full_folder_for_temporary_files_is_named_before_anything_is_done(tmp_path: Path) -> None:
    clone = bare(tmp_path)
    script = (clone / "environment.sh").read_text()
    assert "UNPACKING_MB=100" in script
    (clone / "environment.sh").write_text(script.replace("UNPACKING_MB=100", "UNPACKING_MB=100000000"))
    said = install(clone, PACKAGE, TMPDIR=str(tmp_path))
    assert f"MB are free in {tmp_path}, and unpacking the packages needs 100000000 MB there." in said
    assert not (clone / ".venv" / "bin").exists()


def test_what_python_itself_says_against_the_environment_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    clone = bare(tmp_path / "a:b")
    assert "Refusing to create a venv" in install(clone, PACKAGE, PATH=f"{tmp_path}/a:b/bin:/usr/bin:/bin")


@pytest.mark.parametrize(("asked", "code"), [("status", 3), ("stop", 0)])
def test_a_question_about_the_site_installs_nothing(tmp_path: Path, asked: str, code: int) -> None:
    shutil.copy(ROOT / "run", tmp_path)
    (tmp_path / "ilt_site" / "launcher").mkdir(parents=True)
    shutil.copy(ROOT / "ilt_site" / "launcher" / "environment.sh", tmp_path / "ilt_site" / "launcher")
    done = subprocess.run(
        [tmp_path / "run", "--data", "start", asked], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (code, "Nothing is installed here yet, so nothing runs from here.\n")
    assert not (tmp_path / ".venv").exists()


# --- The machine and its servers -------------------------------------------------------------------------------


def test_a_disk_without_room_for_the_data_is_named(tmp_path: Path) -> None:
    check_machine(tmp_path, needed_mb=1)
    with pytest.raises(Problem, match=f"MB are free where {tmp_path} lies, and 900000000 MB are needed"):
        check_machine(tmp_path, needed_mb=900_000_000)


def test_a_machine_that_cannot_reach_itself_is_told_how(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        machine.lack(machine.ROOT)
    began = time.monotonic()
    done = subprocess.run(
        ["unshare", "--net", *command("--data", str(tmp_path / "data"))],
        env=environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "cannot reach itself at 127.0.0.1" in one_sentence(done)
    assert time.monotonic() - began < 30  # not the minute that a server is given


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:  # the servers' account can enter it
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.mark.fault
@pytest.mark.parametrize(("broken", "name"), [("valkey", "Valkey"), ("postgres", "PostgreSQL")])
def test_the_server_that_died_is_named_and_only_logs_that_exist(folder: Path, broken: str, name: str) -> None:
    good = binaries.embedded(lambda: folder)
    (folder / "bin").mkdir(mode=0o755)
    for program in ("initdb", "postgres", "valkey-server"):
        wrapper = folder / "bin" / program
        is_broken = program.startswith(broken)
        real = good.valkey if program == "valkey-server" else good.postgres / program
        wrapper.write_text(
            "#!/bin/sh\n" + ("echo FATAL: broken on purpose; exit 1\n" if is_broken else f'exec {real} "$@"\n')
        )
        wrapper.chmod(0o755)
    made = Servers(
        folder=folder,
        binaries=binaries.Binaries(folder / "bin", folder / "bin" / "valkey-server"),
        who=binaries.account(),
        password="x" * 20,
        broker_password="y" * 20,
        logs=folder,
        throw_away=True,
        postgres_port=throwaway.free_port(),
        valkey_port=throwaway.free_port(),
    )
    with pytest.raises(Problem) as problem:
        try:
            made.start()
        finally:
            made.stop()
    log = folder / f"{broken}.log"
    assert str(problem.value) == f"{name} ended while it was starting: FATAL: broken on purpose ({log} has the rest)."
    assert log.is_file()


@pytest.mark.fault
def test_a_start_waits_for_the_postgresql_of_a_launcher_that_was_killed(folder: Path) -> None:
    made = Servers(
        folder=folder,
        binaries=binaries.embedded(lambda: folder),
        who=binaries.account(),
        password="x" * 20,
        broker_password="y" * 20,
        logs=folder,
        postgres_port=throwaway.free_port(),
        valkey_port=throwaway.free_port(),
    )
    made.start()
    last = made.processes["postgres"]
    holding = made.connect("postgres")  # a smart end waits for this connection
    last.send_signal(signal.SIGTERM)
    ender = threading.Timer(2, holding.close)
    ender.start()
    made.processes.pop("valkey").kill()
    try:
        made.start()
        assert last.poll() is not None
        assert made.processes["postgres"].poll() is None
    finally:
        ender.join()
        made.stop()


def test_a_lock_file_of_postgresql_that_nobody_stands_behind_delays_nothing(folder: Path) -> None:
    made = Servers(folder, binaries.embedded(lambda: folder), binaries.account(), "x" * 20, "y" * 20, logs=folder)
    made.cluster.mkdir()
    for left in ("", "no number\n", f"{os.getpid()}\n", "999999999\n"):
        (made.cluster / "postmaster.pid").write_text(left)
        assert not made._is_the_last_one_there(), left


# --- Reset and development -------------------------------------------------------------------------------------


def test_reset_without_a_terminal_wants_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    said = one_sentence(run("reset", "--data", str(tmp_path)))
    assert said.endswith("would be gone for good: say --yes.")
    assert (tmp_path / "lock").exists()


def test_a_key_ring_and_a_file_of_settings_are_never_taken_into_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    for name in (".env", ".local.keyring", "elsewhere.keyring"):
        assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0, name


@pytest.mark.fault
def test_development_takes_up_changed_code_and_shows_its_own_errors(folder: Path) -> None:
    site = start(folder / "data", free_port(), dev="dev")
    try:
        assert site.get("/")[0] == 200
        status, page = site.get("/nowhere/")
        assert status == 404 and "DEBUG = True" in page
        os.utime(ROOT / "ilt_site" / "views.py")
        assert site.process.stdout is not None
        seen = ""
        for line in site.process.stdout:
            seen += line
            if "views.py changed, reloading" in seen and "the worker was started again" in seen:
                break
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _answers(site):
            time.sleep(0.2)
        assert site.get("/")[0] == 200
    finally:
        site.process.terminate()
        site.process.wait(60)


def _answers(site: object) -> bool:
    try:
        return bool(site.get("/")[0] == 200)  # type: ignore[attr-defined]
    except OSError:
        return False
