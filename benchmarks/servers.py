"""Where measurements run: servers of their own that keep what they commit, and for each section fresh databases
and a process of its own, so that no section sees another's rows, memory or warm caches."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ilt_site.launcher import throwaway
from ilt_site.launcher.servers import Servers

# Writes are measured as they are in use: with fsync, and acknowledged when they are on disk.
AS_IN_USE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica"}
DATABASES = {"DATABASE_URL": "ilt", "KEYSTORE_DATABASE_URL": "ilt_keystore"}

Result = TypeVar("Result")


@contextmanager
def running() -> Iterator[Servers]:
    """Yield servers with migrated databases, and set the environment of the processes that measure on them."""
    with throwaway.servers(**AS_IN_USE) as made:
        environment = throwaway.environment(made)
        ring = made.folder / "ring.json"
        ring.touch(mode=0o600)
        ring.write_text(environment.pop("KEY_RING"))  # a file, as in use: its cost is part of what is measured
        os.environ.update(
            environment,
            KEY_RING_FILE=str(ring),
            DJANGO_SETTINGS_MODULE="benchmarks.settings",
            LOG_LEVEL="WARNING",
        )
        with _connected(made) as execute:
            for database in DATABASES.values():
                execute(f"CREATE DATABASE {database}")
        in_a_process(migrate)
        yield made


def on_fresh_databases(made: Servers, function: Callable[..., Result], *arguments: Any) -> Result:
    """Return what the function returns in a process of its own, on copies of the migrated databases."""
    own = {variable: f"{database}_measured" for variable, database in DATABASES.items()}
    with _connected(made) as execute:
        for variable, database in DATABASES.items():
            execute(f"CREATE DATABASE {own[variable]} TEMPLATE {database}")
    for variable, database in own.items():
        os.environ[variable] = made.database_url("postgres", made.password, database)
    try:
        return in_a_process(function, *arguments)
    finally:
        with _connected(made) as execute:
            for database in own.values():
                execute(f"DROP DATABASE {database} WITH (FORCE)")


def in_a_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Return what the function returns in a new process, or raise what it raised."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def migrate() -> None:
    """Make the tables of both databases, those of the measured models too, and bind the two to the ring."""
    import django

    django.setup()
    from django.core.management import call_command

    from privacy.vault.keystore import identity

    for alias in ("default", "keystore"):
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
    if problems := identity.verify():
        raise RuntimeError(" ".join(problems))


@contextmanager
def _connected(made: Servers) -> Iterator[Callable[[str], None]]:
    connection = made.connect("postgres")
    try:
        yield lambda statement: connection.cursor().execute(statement)
    finally:
        connection.close()
