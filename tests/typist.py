"""Types commands as an operator does, each in a process of its own, without loading the product for each.

The product is loaded once; every command is a fork of that process, runs `manage.py` whole and ends with its exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTHING = Path(os.devnull)


class Typist:
    """Somebody at a shell with these variables."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._loaded = subprocess.Popen(
            [sys.executable, "-m", "tests.typist"], env=dict(env), cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *words: str, stdin: Path | None = NOTHING) -> subprocess.CompletedProcess[str]:
        """Type `manage.py` with these words, its input from a file, or closed (None); return what came of it."""
        assert self._loaded.stdin and self._loaded.stdout
        self._loaded.stdin.write(json.dumps([words, stdin and str(stdin)]) + "\n")
        self._loaded.stdin.flush()
        code, out, err = json.loads(self._loaded.stdout.readline())
        return subprocess.CompletedProcess(["manage.py", *words], code, out, err)

    def leave(self) -> None:
        """End the process that holds the product."""
        assert self._loaded.stdin
        self._loaded.stdin.close()
        self._loaded.wait(30)


def _run(words: list[str]) -> int:
    """Run manage.py in this process; return the exit code that Python would give it."""
    import manage

    sys.argv = ["manage.py", *words]
    try:
        manage.main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _take_input(file: str | None) -> None:
    """Read from the file; from None as Python begins with a closed input: there is no descriptor, and no stream."""
    if file is None:
        os.close(0)
        sys.stdin = None
        return
    with open(file, "rb") as reading:
        os.dup2(reading.fileno(), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  nothing was read from it yet


def _typed(words: list[str], stdin: str | None) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                _take_input(stdin)
                code = _run(words)
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
    django.setup()
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        answers.write(json.dumps(_typed(*json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
