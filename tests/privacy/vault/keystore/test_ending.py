"""However a key ends, one function ends it: its row, its tokens and its line of the ledger, together or not at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import CaptureQueriesContext

from privacy.vault import rekey, unit
from privacy.vault.envelope import key_id
from privacy.vault.keystore import keys, pseudonyms
from privacy.vault.keystore.collect import collect
from privacy.vault.keystore.sql import cursor
from privacy.vault.models import DataKey, Token, Tombstone
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import again, rolled_back

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

# Who may write what: the statements that end a key or take a token away, and the one place of each --------------------

ENDS = {
    "a key destroyed": re.compile(r"UPDATE vault_datakey .*\bdestroyed_at = |\bdestroyed_at = coalesce"),
    "a key marked as destroyed": re.compile(r"INSERT INTO vault_datakey \([^)]*\bdestroyed_at\b"),
    "a key deleted": re.compile(r"(DELETE FROM|TRUNCATE) vault_datakey"),
    "a token deleted": re.compile(r"(DELETE FROM|TRUNCATE) vault_token"),
}
OURS = ("accounts", "ilt_site", "orders", "privacy", "rma")


def found_in(source: str) -> Iterator[str]:
    """Yield what of ENDS a module does, in SQL or through its models."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = " ".join(node.value.split())
            yield from (name for name, pattern in ENDS.items() if pattern.search(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = ast.unparse(node.func.value)
            named = {keyword.arg for keyword in node.keywords}
            if node.func.attr == "update" and {"destroyed_at", "wrapped"} & named:
                yield "a key destroyed"
            if node.func.attr in ("delete", "_raw_delete") and re.search(r"\b(DataKey|Token)\b", on):
                yield "a key deleted" if "DataKey" in on else "a token deleted"


def test_each_way_to_end_a_key_or_take_a_token_away_stands_in_one_place() -> None:
    places: dict[str, list[str]] = {name: [] for name in ENDS}
    for app in OURS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            if "migrations" not in path.parts:
                for name in found_in(path.read_text(encoding="utf-8")):
                    places[name].append(str(path.relative_to(settings.BASE_DIR)))
    assert places == {
        "a key destroyed": ["privacy/vault/keystore/ending.py"],
        "a key marked as destroyed": ["privacy/vault/keystore/ending.py"],
        "a key deleted": [],
        "a token deleted": ["privacy/vault/keystore/tokens.py"],
    }


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('x("UPDATE vault_datakey d\\n SET wrapped = NULL, destroyed_at = %s WHERE id = 1")', "a key destroyed"),
        ("DataKey.objects.filter(pk=1).update(wrapped=None, destroyed_at=now)", "a key destroyed"),
        ('x(f"INSERT INTO vault_datakey (id, destroyed_at) SELECT {y}")', "a key marked as destroyed"),
        ("models.DataKey.objects.filter(pk=1).delete()", "a key deleted"),
        ('x("DELETE FROM vault_token t USING vault_datakey d")', "a token deleted"),
        ("Token.objects.filter(record=1).delete()", "a token deleted"),
    ],
)
def test_the_walk_sees_what_it_looks_for(source: str, name: str) -> None:
    assert name in set(found_in(source))


def test_tokens_go_with_an_ended_key_or_when_a_crashed_save_is_taken_up_again() -> None:
    room = Path(settings.BASE_DIR, "privacy", "vault")
    callers = [
        path.name for path in sorted(room.rglob("*.py")) if re.search(r"\btokens\.delete\(", path.read_text("utf-8"))
    ]
    assert callers == ["ending.py", "making.py"]


# Each way in which a key ends -----------------------------------------------------------------------------------------


def later(time: str) -> None:
    with cursor() as cur:
        cur.execute(
            "UPDATE vault_datakey SET created_at = created_at - %s::interval, doubted_at = doubted_at - %s::interval",
            [time, time],
        )


def by_erasure(alice: Person) -> None:
    keys.destroy([(alice.pk, "account"), (alice.pk, "note"), (uuid4(), "account")], now=NOW)


def by_correction(alice: Person) -> None:
    old = key_id(alice.sealed_account)
    alice.email = "new@x.example"
    alice.save()
    keys.finish([key_id(alice.sealed_account)], [alice.pk])
    assert DataKey.objects.get(pk=old).destroyed_at is not None


def by_rekeying(alice: Person) -> None:
    rekey(alice, ["account", "note"])
    fresh = again(alice)
    keys.finish([key_id(fresh.sealed_account), key_id(fresh.sealed_note)], [alice.pk, alice.pk])


def by_the_collector_after_a_crash(alice: Person) -> None:
    alice.email = "new@x.example"
    alice.save()  # what runs on commit never runs in this test
    for _ in range(2):
        later("2 hours")
        collect()


def by_the_collector_after_a_rollback(alice: Person) -> None:
    with rolled_back():
        alice.email = "never@x.example"
        alice.save()
    for _ in range(2):
        later("2 hours")
        collect()


def by_the_collector_without_a_row(alice: Person) -> None:
    with rolled_back():
        Person(name="Dora", email="dora@x.example").save()
    for _ in range(2):
        later("8 days")
        collect()


def by_the_collector_with_an_empty_envelope(alice: Person) -> None:
    Person.objects.filter(pk=alice.pk).update(sealed_note=None)
    for _ in range(2):
        later("8 days")
        collect()


def by_a_line_put_back(alice: Person) -> None:
    old = key_id(alice.sealed_note)
    entry, pairs = uuid4(), [(alice.pk, "account"), (uuid4(), "note")]
    for _ in range(2):  # twice is once
        keys.destroy_again(entry, pairs, [old], kind="keys", reference=None, at=NOW, counts={"keys": 2}, content={})


def by_the_end_of_a_pseudonym(alice: Person) -> None:
    subject = uuid4()
    pseudonyms.pseudonym(subject)
    keys.destroy([(subject, pseudonyms.ENVELOPE)], now=NOW)


WAYS = [
    by_erasure,
    by_correction,
    by_rekeying,
    by_the_collector_after_a_crash,
    by_the_collector_after_a_rollback,
    by_the_collector_without_a_row,
    by_the_collector_with_an_empty_envelope,
    by_a_line_put_back,
    by_the_end_of_a_pseudonym,
]


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_a_key_that_ends_takes_its_tokens_along_and_writes_its_line_in_one_transaction(
    way: Callable[[Person], None], alice: Person, work: unit.Unit
) -> None:
    with CaptureQueriesContext(connections["keystore"]) as captured:
        way(alice)
    ended = DataKey.objects.filter(destroyed_at__isnull=False)
    assert ended and not ended.filter(wrapped__isnull=False)
    assert set(ended.values_list("destroyed_in", flat=True)) <= set(Tombstone.objects.values_list("seq", flat=True))
    assert not Token.objects.filter(key__in=ended.values("pk"))
    assert not Token.objects.filter(next_key__in=ended.values("pk"))
    sql = [" ".join(one["sql"].split()) for one in captured.captured_queries]
    ends = [place for place, text in enumerate(sql) if text.startswith("UPDATE vault_datakey SET wrapped = NULL")]
    assert ends
    for place in ends:
        until = next(at for at in range(place, len(sql)) if sql[at].startswith(("RELEASE", "COMMIT", "ROLLBACK")))
        since = max(at for at in range(place) if sql[at].startswith(("SAVEPOINT", "BEGIN")))
        said = " ".join(sql[since:until])
        assert "INTO vault_tombstone" in said and "SET destroyed_in" in said and "DELETE FROM vault_token" in said


@pytest.mark.django_db
def test_a_line_put_back_in_the_middle_of_a_correction_leaves_the_tokens_of_what_was_not_corrected(
    alice: Person, work: unit.Unit
) -> None:
    """A backup of the key store taken between the two commits of a correction holds tokens that
    the new key is to take over."""
    old = key_id(alice.sealed_account)
    alice.phone = "+1 978 555 0199"
    alice.save()  # the old key has not gone yet
    keys.destroy_again(uuid4(), [], [old], kind="keys", reference=None, at=NOW, counts={"keys": 1}, content={})
    assert Person.objects.find("tests.person.email", "alice@x.example").get() == alice
    assert Person.objects.find_words("tests.person.name", "alice").get() == alice
    assert not Person.objects.find("tests.person.phone", "+1 978 555 0100")
