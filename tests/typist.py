"""Types commands as an operator does, each in a process of its own, without loading the product for each.

A program is loaded once; every command is a fork of that process, runs the program whole and ends with its exit code.
Whoever uses a typist keeps one command that is started for itself, and compares.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTHING = Path(os.devnull)


class Typist:
    """Somebody at a shell with these variables, who types one of the PROGRAMS."""

    def __init__(self, env: Mapping[str, str], program: str = "manage.py", folder: Path = ROOT) -> None:
        self._program = program
        self._loaded = subprocess.Popen(
            [sys.executable, "-m", "tests.typist", program], env=dict(env), cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(
        self,
        *words: str,
        stdin: Path | None = NOTHING,
        env: Mapping[str, str] | None = None,
        gone: tuple[int, ...] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Type the program with these words; return what came of it.

        Its input is a file, or closed (None). With `env` it gets these variables instead of the typist's own, and
        `gone` are the streams (1 the output, 2 the errors) whose reader went away before it began.
        """
        assert self._loaded.stdin and self._loaded.stdout
        self._loaded.stdin.write(json.dumps([words, stdin and str(stdin), env and dict(env), gone]) + "\n")
        self._loaded.stdin.flush()
        code, out, err = json.loads(self._loaded.stdout.readline())
        return subprocess.CompletedProcess([self._program, *words], code, out, err)

    def leave(self) -> None:
        """End the process that holds the program."""
        assert self._loaded.stdin
        self._loaded.stdin.close()
        self._loaded.wait(30)


@contextlib.contextmanager
def at_work(env: Mapping[str, str], program: str = "manage.py", folder: Path = ROOT) -> Iterator[Typist]:
    """Yield a typist for as long as the block lasts."""
    made = Typist(env, program, folder)
    try:
        yield made
    finally:
        made.leave()


# The programs ---------------------------------------------------------------------------------------------------------


def _load_manage() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
    django.setup()


def _manage(words: list[str]) -> None:
    import manage

    sys.argv = ["manage.py", *words]
    manage.main()


def _load_run() -> None:
    import ilt_site.launcher.__main__  # noqa: F401

    del sys.modules["ilt_site.launcher.__main__"]  # each command runs it anew


def _run(words: list[str]) -> None:
    sys.argv = ["run", *words]
    runpy.run_module("ilt_site.launcher", run_name="__main__")


def _load_python() -> None:
    """Load what is the same under any settings, and none of them."""
    import django.core.management
    import django.core.wsgi  # noqa: F401

    from ilt_site import startup  # noqa: F401

    assert "ilt_site.settings" not in sys.modules, "each command reads settings of its own"


def _python(words: list[str]) -> None:
    """Run `-c CODE`, or manage.py with what follows it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
    option, *more = words
    if option == "-c":
        exec(more[0], {"__name__": "__main__"})
    else:
        _manage(more)


PROGRAMS: dict[str, tuple[Callable[[], None], Callable[[list[str]], None]]] = {
    "manage.py": (_load_manage, _manage),
    "run": (_load_run, _run),
    "python": (_load_python, _python),
}


# The process that holds one -------------------------------------------------------------------------------------------


def _code_of(program: Callable[[list[str]], None], words: list[str]) -> int:
    """Run the program in this process; return the exit code that Python would give it."""
    try:
        program(words)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _flushed(code: int) -> int:
    """Write what is still to be written; return the exit code, which is 120, with a complaint, where that cannot be:
    so Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:
            code = 120
            with contextlib.suppress(BaseException):
                traceback.print_exc()
    return code


def _take_input(file: str | None) -> None:
    """Read from the file; from None as Python begins with a closed input: there is no descriptor, and no stream."""
    if file is None:
        os.close(0)
        sys.stdin = None
        return
    with open(file, "rb") as reading:
        os.dup2(reading.fileno(), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  nothing was read from it yet


def _typed(
    program: Callable[[list[str]], None],
    words: list[str],
    stdin: str | None,
    env: Mapping[str, str] | None,
    gone: list[int],
) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                if gone:
                    reading, writing = os.pipe()
                    os.close(reading)
                    for stream in gone:
                        os.dup2(writing, stream)
                if env is not None:
                    os.environ.clear()
                    os.environ.update(env)
                _take_input(stdin)
                code = _flushed(_code_of(program, words))
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def main(name: str) -> None:
    load, program = PROGRAMS[name]
    load()
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        answers.write(json.dumps(_typed(program, *json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
