"""An application that says hello, for tests of the web server around it."""

from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        read = len(environ["wsgi.input"].read(length))
    except OSError:
        read = -1
    start_response("200 OK", [("Content-Type", "text/html")])
    return [f"hello {read}".encode() * (200 if environ["PATH_INFO"] == "/long/" else 1)]
