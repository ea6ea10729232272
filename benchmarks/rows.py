"""Many rows: written, listed, read.

Five texts of 35 characters a row. Plain Django has five text columns, each library five of its own, the vault one
envelope; every row has a data key, so a read with cold keys is the worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import connections

from benchmarks import harness
from benchmarks.harness import Goal, Table, Timing
from benchmarks.models import LIBRARIES, NAMES, Plain, Sealed
from benchmarks.profiling import explained
from privacy import gate
from privacy.vault import unit, uuid7

ROWS, PAGE = 5_000, 50
PLAIN = "plain Django"
ACTOR = gate.Actor("staff", "benchmark", None, frozenset({"privacy"}), "benchmark")
WHY = {
    "G3": "Each row has a uuid and sealed bytes to read where a plain one has a number and texts, and points at its result set.",
    "G4": "About a third of the difference is the keys: a row of the key store for each, unwrapped and held against its "
    "commitment. A third is opening and reading JSON, the rest Python that asks, notes and takes out again.",
    "G6": "As for G4; the libraries have one key for all rows and none to load.",
    "G7": "Each row has a second one in the key store, with its indexes, which is on disk before the first is written.",
    "G5": "Opening, reading JSON and noting what must be taken out again is Python for each row.",
    "G9": "A page has a second query to another database; it weighs most where the first one is small.",
}


def run() -> list[Table]:
    """Measure bulk writes, lists that touch nothing, reads of every field, and a page of 50 people."""
    return [writing(), reading(), page(), libraries()]


def values(number: int) -> dict[str, str]:
    """Return the five texts of one row, 35 characters each."""
    return {name: f"{name} {number:07} Käthe Müller-Lüdenscheidt"[:35].ljust(35, "x") for name in NAMES}


def write(model: Any, rows: int, **same: Any) -> None:
    """Make and insert the rows."""
    model.objects.bulk_create([model(**values(number), **same) for number in range(rows)])


def empty(*models: Any) -> None:
    """Take all rows out, keys and access log with them."""
    with connections["default"].cursor() as cursor:
        tables = ", ".join([model._meta.db_table for model in models] + ["privacy_accessentry"])
        # The log refuses it to everybody but a superuser with the triggers off, and its chain would name it.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"TRUNCATE {tables}, privacy_accesslink, privacy_accessname")
        cursor.execute("RESET session_replication_role")
    with connections["keystore"].cursor() as cursor:
        cursor.execute("TRUNCATE vault_datakey, vault_token")


def list_rows(model: Any, rows: int) -> None:
    """List the rows, touching no text."""
    assert len(list(model.objects.all()[:rows])) == rows


def read(model: Any, rows: int, names: tuple[str, ...] = NAMES) -> None:
    """List the rows and read these fields of each."""
    last = ""
    for row in model.objects.all()[:rows]:
        for name in names:
            last = getattr(row, name)
    assert len(last) == 35, repr(last)


def everything(opening: unit.Opening) -> bool:
    """Let everything be opened and write nothing down: the vault without the gate."""
    return True


@contextmanager
def bare() -> Iterator[unit.Unit]:
    """Open a unit of work of the vault alone."""
    before = unit.set_guard(everything)
    mine = unit.begin()
    try:
        yield mine
    finally:
        unit.end(mine)
        unit.set_guard(before)


def in_bare(work: Callable[[], None]) -> None:
    """Do the work in a unit of the vault alone, keys cold."""
    with bare():
        work()


def gated(work: Callable[[], None]) -> None:
    """Do the work as a member of staff, with the matrix's decision and the access log."""
    with gate.acting(ACTOR):
        work()


def writing() -> Table:
    """Return what writing costs."""
    rounds = harness.rounds(9)
    candidates = {
        PLAIN: partial(write, Plain, ROWS),
        "vault, bare": partial(in_bare, partial(write, Sealed, ROWS)),
        "vault, gated": partial(gated, partial(write, Sealed, ROWS)),
    }
    taken = harness.interleaved(candidates, rounds=rounds, before=lambda name: empty(Plain, Sealed))
    ratio = taken["vault, bare"].ratio(taken[PLAIN])
    goal = Goal(
        "G7",
        "bulk_create, a new data key a row, at most 1.7× plain Django",
        1.7,
        ratio,
        f"{ratio:.2f}×",
        why=WHY["G7"],
    )
    goals = [explained(goal, candidates["vault, bare"])]
    return Table(
        f"Writing {ROWS:,} rows with bulk_create",
        ["", "µs a row", "× plain"],
        lines(taken, ROWS),
        ["Making the objects is part of it. Writing asks the gate nothing: sealing shows nobody anything."],
        rounds,
        goals,
    )


def lines(taken: dict[str, Timing], rows: int) -> list[list[object]]:
    """Return the usual rows of a table: name, µs a row, ratio to plain Django."""
    base = taken[PLAIN] if PLAIN in taken else next(iter(taken.values()))
    return [[name, f"{t.median / rows * 1e6:.1f}", f"{t.ratio(base):.2f}"] for name, t in taken.items()]


def reading() -> Table:
    """Return what listing and reading costs."""
    rounds = harness.rounds(9)
    empty(Plain, Sealed)
    for model in (Plain, Sealed):
        write(model, ROWS)
    settle(Plain, Sealed)
    kept: list[Any] = []

    def warm(name: str) -> None:
        if name == "all read, keys warm, bare":
            context = bare()
            kept.append((context, context.__enter__()))
            read(Sealed, ROWS)

    def with_warm_keys() -> None:
        read(Sealed, ROWS)
        context, _ = kept.pop()
        context.__exit__(None, None, None)

    candidates = {
        PLAIN: partial(list_rows, Plain, ROWS),
        "plain Django, all read": partial(read, Plain, ROWS),
        "listed, bare": partial(in_bare, partial(list_rows, Sealed, ROWS)),
        "listed, gated": partial(gated, partial(list_rows, Sealed, ROWS)),
        "all read, keys cold, bare": partial(in_bare, partial(read, Sealed, ROWS)),
        "all read, keys warm, bare": with_warm_keys,
        "all read, keys cold, gated": partial(gated, partial(read, Sealed, ROWS)),
    }
    taken = harness.interleaved(candidates, rounds=rounds, before=warm)
    plain = taken["plain Django, all read"]
    rows = [
        [name, f"{t.median / ROWS * 1e6:.1f}", f"{t.ratio(taken[PLAIN] if 'read' not in name else plain):.2f}"]
        for name, t in taken.items()
    ]
    listed = taken["listed, bare"].ratio(taken[PLAIN])
    cold = taken["all read, keys cold, bare"].ratio(plain)
    hot = taken["all read, keys warm, bare"].ratio(plain)
    goals = [
        explained(
            Goal("G3", "list untouched at most 1.1× plain Django", 1.1, listed, f"{listed:.2f}×", why=WHY["G3"]),
            candidates["listed, bare"],
        ),
        explained(
            Goal("G4", "read all, keys cold, at most 3.25× plain Django", 3.25, cold, f"{cold:.2f}×", why=WHY["G4"]),
            candidates["all read, keys cold, bare"],
        ),
        Goal("G5", "read all, keys warm, at most 2× plain Django", 2.0, hot, f"{hot:.2f}×", why=WHY["G5"]),
    ]
    with bare():
        read(Sealed, ROWS)
        goals[-1] = explained(goals[-1], partial(read, Sealed, ROWS))
    notes = ["All rows are of one owner: the access log gets one row a list."]
    return Table(f"Listing and reading {ROWS:,} rows", ["", "µs a row", "× plain"], rows, notes, rounds, goals)


def settle(*models: Any) -> None:
    """Let the database do now what autovacuum would do in the middle of a measurement."""
    for alias, tables in (
        ("default", [m._meta.db_table for m in models]),
        ("keystore", ["vault_datakey", "vault_token"]),
    ):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {', '.join(tables)}")


def page() -> Table:
    """Return what a page of 50 people costs, two fields of each read: the keys cold, each row another person's."""
    rounds = harness.rounds(9)
    empty(Plain, Sealed)
    for model in (Plain, Sealed):
        model.objects.bulk_create([model(**values(number), subject_id=uuid7()) for number in range(PAGE)])
    settle(Plain, Sealed)
    pages = 40

    def repeated(work: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            for _ in range(pages):
                work()

        return loop

    two = partial(read, Sealed, PAGE, NAMES[:2])
    candidates = {
        PLAIN: repeated(partial(read, Plain, PAGE, NAMES[:2])),
        "vault, bare": repeated(partial(in_bare, two)),
        "vault, gated": repeated(partial(gated, two)),
    }
    taken = harness.interleaved(candidates, rounds=rounds)
    ratio = taken["vault, bare"].ratio(taken[PLAIN])
    rows = [[name, f"{t.median / pages * 1e3:.2f}", f"{t.ratio(taken[PLAIN]):.2f}"] for name, t in taken.items()]
    goals = [
        explained(
            Goal("G9", f"page of {PAGE} people, keys cold, at most 2.4×", 2.4, ratio, f"{ratio:.2f}×", why=WHY["G9"]),
            candidates["vault, bare"],
        ),
    ]
    notes = [f"{PAGE} owners, so gated writes {PAGE} rows of access log and commits them to disk before it ends."]
    return Table(f"A page of {PAGE} people, two fields read", ["", "ms", "× plain"], rows, notes, rounds, goals)


def libraries() -> Table:
    """Return what the same rows cost with other libraries, which decrypt while they list."""
    rounds = harness.rounds(3)
    rows_each = ROWS // 5
    models = {PLAIN: Plain, "vault, bare": Sealed, **LIBRARIES}
    empty(*models.values())
    writes = {name: partial(in_bare, partial(write, model, rows_each)) for name, model in models.items()}
    written = harness.interleaved(writes, rounds=rounds, before=lambda name: empty(models[name], Sealed))
    empty(*models.values())
    for work in writes.values():
        work()
    settle(*models.values())
    listed, opened = (
        harness.interleaved(
            {name: partial(in_bare, partial(work, model, rows_each)) for name, model in models.items()}, rounds=rounds
        )
        for work in (list_rows, read)
    )
    kinds = (written, listed, opened)
    rows = [[name, *[f"{kind[name].ratio(kind[PLAIN]):.1f}" for kind in kinds]] for name in models]
    goals = []
    for kind, text, limit in ((opened, "read all, keys cold", 3.8), (listed, "list untouched", 10.0)):
        times = min(kind[name].ratio(kind["vault, bare"]) for name in LIBRARIES)
        text = f"{text} at least {limit:g} times as fast as the fastest of the four libraries"
        name = "G6 read" if kind is opened else "G6 list"
        goal = Goal(
            name, text, limit, times, f"{times:.1f} times", at_least=True, why=WHY["G6" if kind is opened else "G3"]
        )
        work = partial(in_bare, partial(read if kind is opened else list_rows, Sealed, rows_each))
        goals.append(explained(goal, work))
    columns = ["× plain", "written", "listed", "all read"]
    return Table(f"The same beside four libraries, {rows_each:,} rows", columns, rows, [], rounds, goals)
