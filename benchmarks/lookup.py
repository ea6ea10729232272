"""One record by its address.

Plain Django asks one indexed column. The vault asks the key store for the token's records, then the main database for
the rows: two queries to two databases, so that no copy of the main database confirms a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db import connections

from benchmarks import harness
from benchmarks.harness import Goal, Table
from benchmarks.models import PlainContact, SealedContact
from benchmarks.profiling import explained
from benchmarks.rows import bare, empty, gated, settle
from privacy.vault import index, uuid7

RECORDS, LOOKUPS = 200_000, 100
PLAIN = "plain Django, .get() on an indexed column"
WHY = {
    "found": "The second query goes to the other database; Django's own share of the first is most of the base.",
    "opened": "Opening loads the data key, which is a third query.",
}


def run() -> list[Table]:
    """Measure look-ups by a blind index, without and with opening what was found, and one token."""
    rounds = harness.rounds(9)
    fill()
    settle(PlainContact, SealedContact)
    addresses = [address(number * 1_999 % RECORDS) for number in range(LOOKUPS)]

    def each(work: Callable[[str], None]) -> Callable[[], None]:
        def loop() -> None:
            for one in addresses:
                work(one)

        return loop

    candidates = {
        PLAIN: each(lambda one: assert_found(PlainContact.objects.get(email=one))),
        "vault, found, not opened": each(find),
        "vault, found and opened, bare": each(opened_bare),
        "vault, found and opened, gated": each(lambda one: gated(partial(opened, one))),
    }
    taken = harness.interleaved(candidates, rounds=rounds)
    base = taken[PLAIN]
    rows: list[list[object]] = [
        [name, f"{t.median / LOOKUPS * 1e6:,.0f}", f"{t.ratio(base):.2f}"] for name, t in taken.items()
    ]
    found = taken["vault, found, not opened"].ratio(base)
    read = taken["vault, found and opened, bare"].ratio(base)
    goals = [
        explained(
            Goal(
                "G10 found", "two-step look-up at most 1.6× plain .get()", 1.6, found, f"{found:.2f}×", why=WHY["found"]
            ),
            candidates["vault, found, not opened"],
        ),
        explained(
            Goal("G10 opened", "the same with opening at most 2.5×", 2.5, read, f"{read:.2f}×", why=WHY["opened"]),
            candidates["vault, found and opened, bare"],
        ),
    ]
    notes = [
        f"{LOOKUPS} look-ups each time.",
        "Each opening is a unit of work of its own, keys cold; gated commits a row of access log to disk each time.",
    ]
    table = Table(f"Look-up among {RECORDS:,} records", ["", "µs", "× plain"], rows, notes, rounds, goals)
    return [table, tokens()]


def address(number: int) -> str:
    """Return the address of one record, 31 characters."""
    return f"person{number:08}@mail.example.com"


def fill() -> None:
    """Write the records, in parts as an import does."""
    empty(PlainContact, SealedContact)
    for start in range(0, RECORDS, 10_000):
        numbers = range(start, min(start + 10_000, RECORDS))
        PlainContact.objects.bulk_create([PlainContact(email=address(n), subject_id=uuid7()) for n in numbers])
        SealedContact.objects.bulk_create([SealedContact(email=address(n), subject_id=uuid7()) for n in numbers])


def assert_found(record: PlainContact | SealedContact) -> None:
    """Fail when nothing was found: an empty answer is fast."""
    assert record.pk is not None


def find(one: str) -> None:
    """Find a record, touching nothing sealed."""
    assert_found(SealedContact.objects.find("benchmarks.contact.email", one).get())


def opened(one: str) -> None:
    """Find a record, open it and see that it is the one."""
    assert SealedContact.objects.find("benchmarks.contact.email", one).get().email == one


def opened_bare(one: str) -> None:
    """The same in the vault alone."""
    with bare():
        opened(one)


def tokens() -> Table:
    """Return what a token costs and what the two indexes weigh."""
    loops = 2_000
    blind = index.Exact("benchmarks.contact.email", "email")
    one = address(1)

    def loop() -> None:
        for _ in range(loops):
            index.token(blind.field, blind.scheme, one)

    timing = harness.interleaved({"token": loop}, rounds=harness.rounds(9))["token"]
    each = timing.median / loops * 1e6
    sizes = {}
    for alias, name in (("default", "benchmarks_plaincontact_email%"), ("keystore", "vault_token_value")):
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind = 'i' AND relname LIKE %s", [name]
            )
            sizes[alias] = cursor.fetchone()[0] / 2**20
    rows = [
        ["computing one token", f"{each:.1f} µs"],
        [f"plain indexes of {RECORDS:,} addresses", f"{sizes['default']:.1f} MiB"],
        [f"index of {RECORDS:,} tokens", f"{sizes['keystore']:.1f} MiB"],
    ]
    return Table("The token and its index", ["", "measured"], rows)
