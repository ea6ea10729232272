"""A site that was started with `./run`, for the tests that look at it, drive it, stop it or kill it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180
OURS = ("DATABASE", "KEYSTORE", "REDIS_URL", "KEY_RING", "SECRET_KEY", "STATE_DIR", "DEMO", "DJANGO_", "METRICS", "CI")


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without what `./test` put there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ilt_site.launcher", *arguments]


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher to its end."""
    return subprocess.run(
        command(*arguments), env=environment(**extra), cwd="/", capture_output=True, text=True, check=False, timeout=300
    )


def wait_for(condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(folder: Path) -> list[int]:
    """Return the processes that were started for the folder, by their command line or environment."""
    names = {str(folder).encode(), str((folder / "servers").resolve()).encode()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if any(name in told for name in names):
                found.append(int(entry.name))
    return found


@dataclass
class Running:
    """A site that somebody started with ./run."""

    folder: Path
    port: int
    process: subprocess.Popen[str]
    output: str = ""

    @property
    def secrets(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.folder / "secrets").read_text())
        return content

    @property
    def ports(self) -> dict[str, int]:
        content: dict[str, int] = json.loads((self.folder / "ports").read_text())
        return content

    @property
    def key_ring(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.keyring")

    def connect(self, role: str, password: str, database: str) -> Any:
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.ports["postgres"], user=role, password=self.secrets[password], dbname=database
        )
        connection.autocommit = True
        return connection

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def start(folder: Path, port: int, *, until: str = "They stand nowhere else", dev: str = "", **extra: str) -> Running:
    """Start the site and wait until it has printed its address and what comes after it."""
    process = subprocess.Popen(
        command("--data", str(folder), "--port", str(port), *filter(None, [dev])),
        env=environment(**extra),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    site = Running(folder, port, process)
    assert process.stdout is not None
    timer = time.monotonic() + START_SECONDS
    for line in process.stdout:
        site.output += line
        if until in line or time.monotonic() > timer:
            return site
    pytest.fail(f"the site did not start: {site.output}")


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("run: ")
    assert line.endswith(".")
    return line
