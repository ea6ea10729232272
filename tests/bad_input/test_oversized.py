"""Too much of anything (B3), and files (B1): refused with 400, 413, 414 or 431, by a small page, without growing."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests.bad_input.forms import Form, Sender
from tests.figures import report
from tests.journeys import importing
from tests.journeys.doors import House
from tests.journeys.everybody import undone
from tests.journeys.test_url_table import LOGS, changed
from tests.running import free_port

pytestmark = pytest.mark.figure

ROOT = Path(configured.BASE_DIR)
MEGABYTE = 1_048_576
REFUSED = {400, 413, 414, 431}


@pytest.mark.django_db
def test_a_form_that_is_too_large_is_refused_before_it_is_read(house: House, every_form: list[Form]) -> None:
    before, wrong = importing.fingerprint(LOGS), []
    with Sender(house) as sender:
        for form in every_form:
            name = (form.free or ("text",))[0]
            large = {
                "10 MB in one field": f"{name}=".encode() + b"a" * (10 * MEGABYTE),
                "2,000 fields": "&".join(f"f{n}=1" for n in range(2000)).encode(),
            }
            for title, body in large.items():
                if (status := sender.raw(form, body).status_code) not in REFUSED:
                    wrong.append(f"{form}, {title}: {status}")
    assert not sender.failed and not wrong, "\n".join([*sender.failed, *wrong])
    assert changed(before, importing.fingerprint(LOGS)) == []
    report("B3", "oversized forms taken", 0, n=sender.count, goal="0")


@pytest.mark.django_db
def test_no_page_takes_a_file(house: House, every_form: list[Form]) -> None:
    """The product takes no uploads at all (B1), so every file is refused, whatever it is called and whatever is in
    it."""
    before, wrong, count = importing.fingerprint(LOGS), [], 0
    files = [
        SimpleUploadedFile("passport.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 2 * MEGABYTE, "image/png"),
        SimpleUploadedFile("../../x.svg", b"<svg onload=alert(1)>", "image/svg+xml"),
        SimpleUploadedFile("empty.pdf", b"", "application/pdf"),
    ]
    with Sender(house) as sender:
        for form in every_form:
            for file in files:
                file.seek(0)
                body = encode_multipart(BOUNDARY, {**form.data, "file": file})
                count += 1
                if (status := sender.raw(form, body, MULTIPART_CONTENT).status_code) != 400:
                    wrong.append(f"{form}, {file.name}: {status}")
    assert not wrong, "\n".join(wrong)
    assert changed(before, importing.fingerprint(LOGS)) == []
    report("B1", "files taken by a product without uploads", 0, n=count, goal="0")


@pytest.mark.django_db
def test_many_parameters_and_deep_data_are_no_error_of_ours(house: House) -> None:
    many = "&".join(f"p{n}=1" for n in range(10_000))
    deep = ("[" * 100_000 + "]" * 100_000).encode()
    count = 0
    with Sender(house) as sender:
        for by, path in (("anonymous", "/"), ("anonymous", "/accounts/login/"), ("bob", "/orders/"), ("pat", "/admin/orders/order/"),
                         ("anonymous", "/privacy/ask/"), ("pat", "/admin/")):  # fmt: skip
            assert sender.get(by, f"{path}?{many}").status_code in REFUSED | {200}, path
            for kind in (
                "application/json",
                "text/plain",
                "application/xml",
                "multipart/form-data; boundary=x",
                "multipart/form-data",
                "x",
            ):
                with undone():
                    answer = sender.browser(by).post(path, deep, content_type=kind)
                assert answer.status_code < 500, (path, kind)
                count += 1
    assert not sender.failed, "\n".join(sender.failed)
    report("B3", "answers of 5xx to many parameters and deep data", 0, n=sender.count + count, goal="0")


# Against the real web server ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield port and process id of the web server with one worker, as the launcher starts it."""
    port = free_port()
    static = folder / "static"
    environment = {**os.environ, "WEB_BIND": f"127.0.0.1:{port}", "WEB_WORKERS": "1", "WEB_THREADS": "4", "PYTHONPATH": str(ROOT), "STATIC_ROOT": str(static), "STATE_DIR": str(folder / "state")}  # fmt: skip
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
        env=environment,
        cwd=ROOT,
        check=True,
    )
    command = [sys.executable, "-m", "gunicorn", "-c", "python:ilt_site.webserver", "ilt_site.wsgi"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        else:
            pytest.fail((folder / "web.log").read_text()[-2000:])
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory(pid: int) -> int:
    """Return the resident megabytes of a server and its workers."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in [pid, *children(pid)])
    return pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE


def spoken(port: int, request: bytes) -> tuple[int, float, bytes]:
    """Return status, seconds and answer of a raw request; a server may hang up before it has read everything."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(65536):
                answer += part
    took = time.monotonic() - begin
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0, took, answer


def test_the_web_server_refuses_what_is_too_large_and_does_not_grow(tmp_path: Path) -> None:
    head = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    form = b"POST /accounts/login/ HTTP/1.1\r\n" + head + b"Content-Type: application/x-www-form-urlencoded\r\n"
    form += b"Cookie: csrf=" + b"a" * 32 + b"\r\n"  # else the form is refused unread
    requests = {
        "a header of 1 MB": b"GET /accounts/login/ HTTP/1.1\r\n" + head + b"X-Large: " + b"a" * MEGABYTE + b"\r\n\r\n",
        "a cookie of 1 MB": b"GET /accounts/login/ HTTP/1.1\r\n" + head + b"Cookie: a=" + b"a" * MEGABYTE + b"\r\n\r\n",
        "10,000 headers": b"GET / HTTP/1.1\r\n" + head + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n",
        "10,000 parameters": b"GET /?" + b"&".join(b"p%d=1" % n for n in range(10_000)) + b" HTTP/1.1\r\n" + head + b"\r\n",
        "a path of 1 MB": b"GET /" + b"a" * MEGABYTE + b" HTTP/1.1\r\n" + head + b"\r\n",
        "a form of 10 MB": form + b"Content-Length: 10485766\r\n\r\nlogin=" + b"a" * (10 * MEGABYTE),
        "2,000 fields": form + b"Content-Length: 11999\r\n\r\n" + b"&".join(b"aaa=1" for _ in range(2000)),
        "a form that says it is 1 TB": form + b"Content-Length: 1099511627776\r\n\r\nlogin=a",
    }  # fmt: skip
    with gunicorn(tmp_path) as (port, pid):
        for _ in range(20):
            assert spoken(port, b"GET /accounts/login/ HTTP/1.1\r\n" + head + b"\r\n")[0] == 200
        before, slowest = memory(pid), 0.0
        for title, request in requests.items():
            for _ in range(3):
                status, took, answer = spoken(port, request)
                slowest = max(slowest, took)
                # 0: it hung up while the rest was still on its way; nothing was answered, so nothing was taken.
                assert status in REFUSED or (status == 0 and not answer), (title, status)
                assert b"Traceback" not in answer
        growth = memory(pid) - before
        assert spoken(port, b"GET /accounts/login/ HTTP/1.1\r\n" + head + b"\r\n")[0] == 200, "still there"
    assert growth <= 50, growth
    for line in (tmp_path / "web.log").read_text().splitlines():
        assert "Traceback" not in line
    report("B3", "oversized requests that the web server took", 0, n=3 * len(requests), goal="0")
    report("B3", "growth of the web server", growth, unit="MB", n=3 * len(requests), goal="≤ 50 MB")
    report(
        "B3", "longest answer to an oversized request", round(slowest, 2), unit="s", n=3 * len(requests), goal="≤ 1 s"
    )
