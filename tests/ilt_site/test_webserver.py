"""gunicorn, as we configure it, without nginx before it: who says nothing keeps nobody waiting."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ilt_site.launcher.servers import dying_with, free_port
from ilt_site.webserver import SILENT_SECONDS
from tests import machine

pytestmark = pytest.mark.fault  # it stands idle for ten seconds to see what becomes of whom

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
        opened = begin = time.monotonic()
        while True:  # a busy machine may serve us before it has given every thread to one of them
            assert ask(port, seconds=4 * SILENT_SECONDS) == "hello 0"
            waited, begin = time.monotonic() - begin, time.monotonic()
            if waited > 1 or begin - opened > SILENT_SECONDS / 2:
                break
        assert waited > SILENT_SECONDS / 4, "the control: until then every thread was taken"


# Behind the nginx that we ship ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def behind_nginx(folder: Path, port: int, *, without: str = "") -> Iterator[int]:
    """Start nginx with the shipped site in a configuration that compresses, as Debian's does; yield its port for
    TLS."""
    program, tls, plain = machine.needed("nginx"), free_port(), free_port()
    subprocess.run(
        [machine.needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=portal.example",
         "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    site = re.sub(r"^ *listen \[::\].*\n", "", (ROOT / "docs/deploy/nginx.conf").read_text(), flags=re.MULTILINE)
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ": f"listen 127.0.0.1:{tls} ",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{port}",
        "/etc/ilt/tls": str(folder),
        "/var/log/nginx/ilt-error.log": f"{folder}/error.log",
        "/run/ilt-nginx/": f"{folder}/",
        **({without: ""} if without else {}),
    }.items():
        assert old in site
        site = site.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/http-{kind};\n" for kind in kinds)
    whole = folder / "nginx.conf"
    whole.write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\ngzip on;\n{temporary}{site}}}\n"
    )
    running = subprocess.Popen(
        [program, "-c", str(whole), "-e", f"{folder}/error.log"], preexec_fn=dying_with(signal.SIGKILL)
    )
    try:
        yield tls
    finally:
        running.terminate()
        running.wait(30)


@pytest.mark.parametrize(("without", "coding"), [("", None), ("gzip off;", "gzip")], ids=["as shipped", "control"])
def test_no_page_is_compressed_behind_the_nginx_that_we_ship(
    port: int, tmp_path: Path, without: str, coding: str | None
) -> None:
    context = ssl._create_unverified_context()
    with behind_nginx(tmp_path, port, without=without) as tls:
        deadline = time.monotonic() + 20
        while True:
            line = http.client.HTTPSConnection("127.0.0.1", tls, timeout=10, context=context)
            try:
                line.request("GET", "/long/", headers={"Host": "portal.example", "Accept-Encoding": "gzip"})
                answer = line.getresponse()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
            finally:
                line.close()
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, coding)
