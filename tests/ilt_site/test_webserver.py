"""gunicorn, as we configure it, without nginx before it: who says nothing keeps nobody waiting."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ilt_site.launcher.servers import dying_with, free_port
from ilt_site.webserver import SILENT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
THREADS = 4
IDLE = 60


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Start gunicorn by our configuration before a small application; yield its port."""
    number = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config",
        "python:ilt_site.webserver",
        "tests.ilt_site.hello:application",
    ]
    env = {**os.environ, "WEB_BIND": f"127.0.0.1:{number}", "WEB_WORKERS": "1", "WEB_THREADS": str(THREADS)}
    running = subprocess.Popen(command, env=env, cwd=ROOT, preexec_fn=dying_with(signal.SIGKILL))
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                assert ask(number, seconds=10) == "hello 0"
                break
            assert running.poll() is None and time.monotonic() < deadline, "gunicorn does not answer"
        yield number
    finally:
        running.terminate()
        running.wait(30)


def ask(port: int, *, seconds: float) -> str:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        line.request("GET", "/")
        return line.getresponse().read().decode()
    finally:
        line.close()


@contextlib.contextmanager
def connections(port: int, count: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port), 10, source_address=(f"127.0.5.{n + 1}", 0))
            )
            for n in range(count)
        ]
        for line in lines:
            line.sendall(said)
        yield lines


def test_sixty_idle_connections_keep_no_visitor_waiting(port: int) -> None:
    with connections(port, IDLE):
        begin = time.monotonic()
        for _ in range(10):
            assert ask(port, seconds=4) == "hello 0"
        assert time.monotonic() - begin < 4


def test_an_idle_connection_is_served_when_it_speaks_and_closed_when_it_does_not(port: int) -> None:
    with connections(port, 2) as (speaks, silent):
        ask(port, seconds=4)
        speaks.sendall(b"GET / HTTP/1.1\r\nHost: portal.example\r\n\r\n")
        assert speaks.recv(12) == b"HTTP/1.1 200"
        silent.settimeout(20)
        assert silent.recv(1) == b""


@pytest.mark.parametrize(
    "begun",
    [b"GET / HTTP/1.1\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: portal.example\r\nContent-Length: 9\r\n\r\na"],
    ids=["header", "body"],
)
def test_a_request_that_is_not_finished_gives_its_thread_back(port: int, begun: bytes) -> None:
    with connections(port, THREADS, begun):
        begin = time.monotonic()
        assert ask(port, seconds=4 * SILENT_SECONDS) == "hello 0"
        assert time.monotonic() - begin > SILENT_SECONDS / 2, "the control: until then every thread was taken"
