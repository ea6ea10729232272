"""Which tests run on Debian's servers too: those of what PostgreSQL 15 or Redis 7 may do otherwise than the newest.

That is SQL of our own, locks, triggers and roles, and what we ask of the broker. What the ORM compiles
Django tests on every version that it supports, and a page asks the databases nothing that the functions
below it do not ask in their own tests.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: A test file or folder, and what in it the server decides.
WHY = {
    "tests/accounts/test_activity.py": "the days of many customers, written by two statements of our own",
    "tests/accounts/test_acts.py": "two acts at once about one login: advisory locks",
    "tests/accounts/test_handles.py": "the table of logins without an address in it: look-ups that the key store answers",
    "tests/accounts/test_services.py": "advisory locks of an address",
    "tests/accounts/test_upgrades.py": "rows of before, changed in batches by statements of our own",
    "tests/accounts/test_vouching.py": "a lock of the contacts",
    "tests/faults/test_forged_messages.py": "the broker's lists and the rights of its account",
    "tests/faults/test_tampering.py": "triggers that the owner has switched off, and what a change leaves",
    "tests/ilt_site/test_caches.py": "a cache that is full, away and back",
    "tests/ilt_site/test_celery.py": "messages as the broker keeps them",
    "tests/ilt_site/test_grant_roles.py": "the rights of the application's roles",
    "tests/ilt_site/test_health.py": "what both servers answer about themselves",
    "tests/ilt_site/test_migrate.py": "tables made by migrations",
    "tests/ilt_site/test_startup.py": "a database that is another's",
    "tests/orders/test_import_race.py": "an import and an erasure that wait for each other",
    "tests/orders/test_models.py": "CHECK constraints on sealed columns",
    "tests/orders/test_services.py": "the next number of a document",
    "tests/privacy/requests/test_ended.py": "the plan of a query over all events",
    "tests/privacy/requests/test_ends.py": "a request locked by two processes",
    "tests/privacy/requests/test_execute.py": "a request locked by two processes",
    "tests/privacy/requests/test_broker.py": "every task once and twice, with its lock",
    "tests/privacy/requests/test_filing.py": "advisory locks of an address that asks",
    "tests/privacy/sweep/test_nightly.py": "the database's clock, and one sweep at a time",
    "tests/privacy/gate/test_log.py": "rows and names in one statement, append-only tables, and a chain that a function ends",
    "tests/privacy/audit/test_audit.py": "append-only tables, and the horizon of a seal: the oldest transaction of the cluster",
    "tests/privacy/test_datamap.py": "a prepared statement and its plan",
    "tests/privacy/restore/test_replay.py": "the ledger's position in both databases",
    "tests/privacy/admin/test_lists.py": "statements that take too long are ended",
    "tests/privacy/vault": "every statement of the key store",
    "tests/rma/test_serials.py": "advisory locks of a serial number",
}

#: Where each module with SQL of its own is carried out by a test of WHY; the launcher speaks to its own servers only.
SQL = {
    "accounts/acts.py": "tests/accounts/test_acts.py",
    "accounts/activity.py": "tests/accounts/test_activity.py",
    "accounts/upgrades.py": "tests/accounts/test_upgrades.py",
    "accounts/vouching.py": "tests/accounts/test_vouching.py",
    "ilt_site/health.py": "tests/ilt_site/test_health.py",
    "ilt_site/management/commands/grant_roles.py": "tests/ilt_site/test_grant_roles.py",
    "ilt_site/startup.py": "tests/ilt_site/test_startup.py",
    "orders/services.py": "tests/orders/test_services.py",
    "privacy/admin/lists.py": "tests/privacy/admin/test_lists.py",
    "privacy/audit": "tests/privacy/audit/test_audit.py",
    "privacy/datamap.py": "tests/privacy/test_datamap.py",
    "privacy/gate/rows.py": "tests/privacy/gate/test_log.py",
    "privacy/requests/filing.py": "tests/privacy/requests/test_filing.py",
    "privacy/restore/replay.py": "tests/privacy/restore/test_replay.py",
    "privacy/sweep/arming.py": "tests/privacy/sweep/test_nightly.py",
    "privacy/tasks.py": "tests/privacy/requests/test_broker.py",
    "privacy/vault": "tests/privacy/vault",
    "rma/serials.py": "tests/rma/test_serials.py",
}


def is_chosen(path: Path) -> bool:
    """Say whether the tests of a file run on Debian's servers too."""
    name = path.relative_to(ROOT)
    return any(str(one) in WHY for one in (name, *name.parents))
