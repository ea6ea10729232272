"""Which tests run on Debian's servers too: those of what PostgreSQL 15 or Redis 7 may do otherwise than the newest.

That is SQL of our own, locks, triggers and roles, and what we ask of the broker. What the ORM compiles
Django tests on every version that it supports, and a page asks the databases nothing that the functions
below it do not ask in their own tests. Where most tests of a file carry out such statements the file is
chosen; where few of many do, these are, by name.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: A folder, a test file or a test of one, and what in it the server decides.
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
    "tests/ilt_site/test_startup.py::test_a_server_that_would_log_values_is_warned_of": "settings by their names",
    "tests/orders/test_import_race.py": "an import and an erasure that wait for each other",
    "tests/orders/test_models.py": "CHECK constraints on sealed columns",
    "tests/orders/test_services.py": "the next number of a document",
    "tests/privacy/requests/test_ended.py::test_why_something_ended_is_found_by_an_index_among_a_hundred_thousand_events": (
        "the plan of a query over all events"
    ),
    "tests/privacy/requests/test_ends.py": "a request locked by two processes",
    "tests/privacy/requests/test_execute.py::test_an_erasure_leaves_the_file_and_the_block_token_and_nothing_else": (
        "a whole erasure past every trigger"
    ),
    "tests/privacy/requests/test_execute.py::test_an_erasure_is_followed_by_signed_checkpoints_of_both_logs": (
        "the seals of both logs after what was committed"
    ),
    "tests/privacy/requests/test_execute.py::test_four_workers_at_once_do_each_step_once": (
        "a request locked by several processes"
    ),
    "tests/privacy/requests/test_execute.py::test_sixteen_filings_at_once_are_one_request": "likewise",
    "tests/privacy/requests/test_broker.py": "every task once and twice, with its lock",
    "tests/privacy/requests/test_filing.py": "advisory locks of an address that asks",
    "tests/privacy/sweep/test_nightly.py::test_a_clock_that_jumped_stops_the_sweep_until_somebody_looked": (
        "the database's clock"
    ),
    "tests/privacy/sweep/test_nightly.py::test_two_sweeps_never_run_at_once": "a lock that one session holds",
    "tests/privacy/sweep/test_nightly.py::test_a_run_that_is_killed_between_two_batches_is_finished_by_the_next": (
        "what was committed before a kill"
    ),
    "tests/privacy/gate/test_log.py": "rows and names in one statement, append-only tables, and a chain that a function ends",
    "tests/privacy/audit/test_audit.py": "append-only tables, and the horizon of a seal: the oldest transaction of the cluster",
    "tests/privacy/test_datamap.py": "a prepared statement and its plan",
    "tests/privacy/restore/test_replay.py": "the ledger's position in both databases",
    "tests/privacy/admin/test_lists.py": "statements that take too long are ended",
    "tests/privacy/vault": "every statement of the key store",
    "tests/ilt_site/test_bounds.py": "checks made from the models",
    "tests/rma/test_serials.py": "advisory locks of a serial number",
}

#: Where each module with SQL of its own is carried out by a test of WHY; the launcher speaks to its own servers only.
SQL = {
    "accounts/acts.py": "tests/accounts/test_acts.py",
    "accounts/activity.py": "tests/accounts/test_activity.py",
    "accounts/upgrades.py": "tests/accounts/test_upgrades.py",
    "accounts/vouching.py": "tests/accounts/test_vouching.py",
    "ilt_site/bounds.py": "tests/ilt_site/test_bounds.py",
    "ilt_site/health.py": "tests/ilt_site/test_health.py",
    "ilt_site/management/commands/grant_roles.py": "tests/ilt_site/test_grant_roles.py",
    "ilt_site/startup.py": "tests/ilt_site/test_startup.py::test_a_server_that_would_log_values_is_warned_of",
    "orders/services.py": "tests/orders/test_services.py",
    "privacy/admin/lists.py": "tests/privacy/admin/test_lists.py",
    "privacy/audit": "tests/privacy/audit/test_audit.py",
    "privacy/datamap": "tests/privacy/test_datamap.py",
    "privacy/gate/rows.py": "tests/privacy/gate/test_log.py",
    "privacy/requests/filing.py": "tests/privacy/requests/test_filing.py",
    "privacy/restore/replay.py": "tests/privacy/restore/test_replay.py",
    "privacy/sweep/arming.py": "tests/privacy/sweep/test_nightly.py::test_two_sweeps_never_run_at_once",
    "privacy/tasks.py": "tests/privacy/requests/test_broker.py",
    "privacy/vault": "tests/privacy/vault",
    "rma/serials.py": "tests/rma/test_serials.py",
}


def is_chosen(path: Path, test: str = "") -> bool:
    """Say whether a test of a file, or without a test's name the whole file, runs on Debian's servers too."""
    name = path.relative_to(ROOT)
    return f"{name}::{test}" in WHY or any(str(one) in WHY for one in (name, *name.parents))
