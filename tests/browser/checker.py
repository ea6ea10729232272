"""The Nu HTML checker, vnu.jar 26.9.27: `.ci/run` fetches it with npm into `.local/`; VNU_JAR names another place."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests import machine

JAR = Path(os.environ.get("VNU_JAR") or Path(__file__).resolve().parents[2] / ".local" / "vnu.jar")
SHA256 = "22f15dd39a33bed929d2a5c0cddf5946849a647eca9272bf4d5d00bc7e7a4d47"


def errors(pages: Mapping[str, str]) -> list[str]:
    """Check pages by name in one call and return what is wrong, each with the name of its page and the place.

    Skips the test where Java or the checker is absent, which CI does not accept.
    """
    java = machine.needed("Java")
    if not JAR.is_file():
        machine.lack(machine.CHECKER)
    assert hashlib.sha256(JAR.read_bytes()).hexdigest() == SHA256, "not the checker that was chosen"
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for number, (name, text) in enumerate(pages.items()):
            file = Path(folder, f"{number:04d}.html")
            file.write_text(text)
            names[file.name] = name
        command = [java, "-Xss4m", "-jar", str(JAR), "--format", "json", "--stdout", "--exit-zero-always", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found = []
    for one in json.loads(done.stdout)["messages"]:
        if one["type"] == "error" or one["type"] == "non-document-error":
            page = names.get(re.sub(".*/", "", one.get("url", "")), "")
            found.append(f"{page}: {one['message']} at {one.get('extract', '')!r}")
    return found
