"""After a day's work nothing that identifies a person can be read in what is stored, and a leak would be found."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from tests import files
from tests.journeys import stack
from tests.running import Running, wait_for
from tests.scanner import Scanner

pytestmark = [pytest.mark.journey, pytest.mark.fault]


def canary(kind: str) -> str:
    return f"{kind}{secrets.token_hex(8)}"


CANARIES = {name: canary(name) for name in ("user", "name", "note", "bad", "query", "staff")} | {
    "email": f"{canary('mail')}@canary.example",
    "phone": f"+1978555{secrets.randbelow(10**4):04d}",
}


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with stack.site() as running:
        yield running


@pytest.fixture(scope="module")
def needles() -> list[str]:
    people = [row[name] for row in files.rows(files.CUSTOMERS) for name in ("email", "street", "phone")]
    ships = [row["ship_street"] for row in files.rows(files.ORDERS)]
    return [one for one in dict.fromkeys([*CANARIES.values(), *people, *ships]) if len(one) >= 6]


@pytest.fixture(scope="module")
def worked(site: Running, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """The site after import, sign-up, login, search, admin edit, a failed import, a failed query and an export."""
    assert stack.manage(site, "import_customers", str(files.CUSTOMERS)).returncode == 0
    assert stack.manage(site, "import_orders", str(files.ORDERS), "--lines", str(files.LINES)).returncode == 0

    visitor = stack.Browser(site)
    visitor.get("/accounts/signup/")
    password = secrets.token_urlsafe(20)
    assert (
        visitor.post(username=CANARIES["user"], email=CANARIES["email"], password1=password, password2=password) == 200
    )
    visitor.get("/accounts/login/")
    visitor.post(login=CANARIES["user"], password="not the password at all")
    visitor.get("/privacy/ask/")
    assert visitor.post(kind="access", email=files.rows(files.CUSTOMERS)[3]["email"]) == 200

    carol = stack.Browser(site)
    carol.sign_in("carol", stack.passwords(site)["carol"])
    row = files.rows(files.CUSTOMERS)[0]
    assert carol.get("/admin/accounts/customer/") == 200
    assert carol.post("/admin/accounts/customer/search/", q=row["email"]) == 200
    assert row["customer_ref"] in carol.page
    assert carol.post("/admin/accounts/customer/search/", q=CANARIES["query"]) == 200
    assert carol.post("/admin/accounts/customer/search/", q=row["email"]) == 200
    link = carol.page.split("/admin/accounts/customer/")[-1]
    number = next(part for part in carol.page.split("/admin/accounts/customer/") if part[36:44] == "/change/")[:36]
    assert link
    assert carol.post(f"/admin/accounts/customer/{number}/why/", reason="correction") == 200
    assert carol.get(f"/admin/accounts/customer/{number}/change/") == 200
    form = {
        "title": row["title"], "first_name": CANARIES["name"], "last_name": row["last_name"], "email": row["email"],
        "phone": CANARIES["phone"], "region": row["region"], "country": row["country"],
        "change_reason": "our mistake",
    }  # fmt: skip
    inlines = {
        f"{prefix}-{name}": value
        for prefix in ("addresses", "freight_accounts", "tax_identifiers")
        for name, value in {"TOTAL_FORMS": "0", "INITIAL_FORMS": "0"}.items()
    }
    assert carol.post(f"/admin/accounts/customer/{number}/change/", **form, **inlines) == 200
    assert "errornote" not in carol.page
    carol.get(f"/admin/accounts/customer/{number}/change/")
    assert CANARIES["name"] in carol.page

    bad = tmp_path_factory.mktemp("bad") / "customers.csv"
    header = files.CUSTOMERS.read_text().splitlines()[0]
    bad.write_text(
        f"{header}\nX1,,,{CANARIES['bad']},Last,not-an-address-{CANARIES['bad']},1,a,,b,MA,1,US,no,2020-01-01\n"
    )
    failed = stack.manage(site, "import_customers", str(bad))
    assert failed.returncode == 1
    assert CANARIES["bad"] not in failed.stdout + failed.stderr

    with (
        site.connect("ilt_app", "app", "ilt") as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.Error),
    ):
        cursor.execute("SELECT %s::int", [CANARIES["note"]])

    filed = stack.report(
        stack.manage(
            site, "request_file", "--kind", "access", "--customer", files.rows(files.CUSTOMERS)[1]["customer_ref"], "--channel", "phone",
            "--received-on", "2026-11-20", "--asked-by", "self", "--identity", "callback", "--json",
        )
    )  # fmt: skip
    reference = str(filed["reference"])
    out = tmp_path_factory.mktemp("copy") / "copy.zip"
    assert wait_for(lambda: stack.manage(site, "request_export", reference, "--out", str(out)).returncode == 0, 60)
    assert out.stat().st_mode & 0o777 == 0o600
    return site


def test_nothing_that_identifies_a_person_can_be_read_in_what_is_stored(worked: Running, needles: list[str]) -> None:
    scanner = Scanner(needles)
    finds = [find for where, blob in stack.stored(worked).items() for find in scanner.scan(where, blob)]
    assert finds == []


def test_the_same_scan_finds_each_planted_leak(worked: Running) -> None:
    """Fifteen leaks as they happen in practice, each with a canary of its own; every one must be named."""
    planted = [f"planted{number}-{secrets.token_hex(6)}@leak.example" for number in range(14)] + ["978-555-7741"]
    raw = [one.encode() for one in planted]
    session = b"." + base64.urlsafe_b64encode(zlib.compress(json.dumps({"account_login": planted[5]}).encode()))
    rows = {
        "ilt": [
            (planted[0], None, None),
            (None, raw[1], None),
            (None, None, json.dumps({"to": planted[2]})),
            (raw[3].hex(), None, None),
            (base64.b64encode(b"to: " + raw[4]).decode(), None, None),
            (session.decode(), None, None),
            (None, zlib.compress(raw[6]), None),
        ],
        "ilt_keystore": [
            (hashlib.sha256(raw[7]).hexdigest(), None, None),
            (None, hashlib.md5(raw[8]).digest(), None),
            (base64.b64encode(hashlib.sha1(raw[9]).digest()).decode(), None, None),
        ],
    }
    for database, leaks in rows.items():
        with worked.connect("postgres", "superuser", database) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE leak (t text, b bytea, j jsonb)")
            cursor.executemany("INSERT INTO leak VALUES (%s, %s, %s)", leaks)
    client = redis.Redis(port=worked.ports["valkey"], password=worked.secrets["broker"])
    client.set(f"cache:login:{planted[10]}", 1)
    client.rpush(
        "celery-leak", json.dumps({"body": base64.b64encode(json.dumps([[planted[11]], {}]).encode()).decode()})
    )
    with (worked.folder / "logs" / "worker.log").open("a") as log:
        log.write(json.dumps({"event": "mail.sent", "to": planted[12]}) + "\n")
    leaked = worked.folder / "state" / "leaked.csv.gz"
    leaked.write_bytes(gzip.compress(raw[13]))
    with (worked.folder / "logs" / "postgres.log").open("a") as log:
        log.write("DETAIL:  Key (phone)=(9785557741) already exists.\n")

    scanner = Scanner(planted)
    finds = {find.needle for where, blob in stack.stored(worked).items() for find in scanner.scan(where, blob)}
    assert finds == set(range(15))
    Path(leaked).unlink()
