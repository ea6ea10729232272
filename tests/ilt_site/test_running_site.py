"""`./run` as a person at a terminal meets it: the real launcher, real servers, a data folder of its own."""

import contextlib
import os
import re
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from ilt_site.launcher import roles, throwaway
from tests import machine
from tests.running import Running, free_port, one_sentence, processes_of, run, start, wait_for

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    # Not pytest's own folder: this one the servers' account can enter, as in an ordinary checkout.
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:
        Path(made).chmod(0o711)
        running = start(Path(made) / "data", free_port())
        yield running
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(60)
        run("reset", "--yes", "--data", str(running.folder))


# --- A running site --------------------------------------------------------------------------------------------


def test_it_says_demo_first_and_prints_address_and_logins(site: Running) -> None:
    assert site.output.startswith("Demo mode: ")
    assert f"Ready: http://127.0.0.1:{site.port}/" in site.output


def test_the_health_page_tells_a_stranger_nothing_but_ok(site: Running) -> None:
    assert wait_for(lambda: site.get("/health/") == (200, "ok\n"), 20)
    assert site.get("/health/live/") == (200, "ok\n")


def test_metrics_want_the_token(site: Running) -> None:
    assert site.get("/metrics/")[0] == 404
    assert site.get("/metrics/", Authorization="Bearer wrong")[0] == 404
    status, body = site.get("/metrics/", Authorization=f"Bearer {site.secrets['metrics_token']}")
    assert status == 200
    assert "ilt_requests_overdue 0.0" in body


def test_a_second_launcher_is_refused(site: Running) -> None:
    said = one_sentence(run("--data", str(site.folder)))
    assert f"is running already (process {site.process.pid})" in said


def test_a_taken_port_is_named(site: Running, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    done = run("--data", str(folder), "--port", str(site.port))
    assert f"Port {site.port} is taken" in one_sentence(done)
    assert done.stdout == "", "nothing was said to start"
    assert not processes_of(folder)
    run("reset", "--yes", "--data", str(folder))


def test_status_tells_the_address(site: Running) -> None:
    done = run("status", "--data", str(site.folder))
    assert (done.returncode, done.stdout) == (
        0,
        f"Running: http://127.0.0.1:{site.port} (process {site.process.pid})\n",
    )


def test_manage_uses_the_servers_of_the_running_site(site: Running) -> None:
    code = "from django.db import connection as c; c.ensure_connection(); print(c.settings_dict['PORT'])"
    done = run("--data", str(site.folder), "manage", "shell", "--no-imports", "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, str(site.ports["postgres"]))


def test_manage_hands_on_the_exit_code(site: Running) -> None:
    done = run("--data", str(site.folder), "manage", "shell", "--no-imports", "-c", "raise SystemExit(3)")
    assert done.returncode == 3


def test_reset_refuses_while_the_site_runs(site: Running) -> None:
    assert "`./run stop` first" in one_sentence(run("reset", "--yes", "--data", str(site.folder)))


@pytest.mark.parametrize(
    ("role", "password", "database"),
    [("ilt_app", "app", "ilt_keystore"), ("ilt_keystore", "keystore", "ilt"), ("ilt_app", "app", "postgres")],
)
def test_no_role_can_connect_to_the_other_side(site: Running, role: str, password: str, database: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        site.connect(role, password, database)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE privacy_auditevent SET action = 'x'",
        "DELETE FROM privacy_auditevent",
        "TRUNCATE privacy_auditlink",
        "UPDATE privacy_accessentry SET reason = 'x'",
        "DELETE FROM privacy_accessentry",
        "DELETE FROM privacy_accesslink",
        "DELETE FROM privacy_chainfloor",
        "DELETE FROM privacy_requestevent",
        "INSERT INTO privacy_auditlink (position, event_id, row_hash, chain_hash, sealed_at, horizon)"
        " VALUES (9223372036854775807, 999999999, repeat('0', 64), repeat('0', 64), now(), '0')",
        "SELECT privacy_end_chain('access', 10, 'x', now(), 'y')",
        "ALTER TABLE privacy_auditevent DISABLE TRIGGER ALL",
        "CREATE TABLE mine (id int)",
        "SET session_replication_role = replica",
    ],
)
def test_the_application_role_cannot_touch_what_is_append_only(site: Running, statement: str) -> None:
    cursor = site.connect("ilt_app", "app", "ilt").cursor()
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(statement)


def test_the_application_roles_are_no_superusers(site: Running) -> None:
    with site.connect("postgres", "superuser", "postgres") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls")
        assert cursor.fetchall() == [("postgres",)]


def test_the_servers_listen_on_this_machine_only(site: Running) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = {f"{port:04X}" for port in site.ports.values()}
    found = {tuple(row[1].split(":")) for row in listening if row[3] == "0A" and row[1].split(":")[1] in wanted}
    assert found == {("0100007F", port) for port in wanted}


def test_passwords_are_in_one_0600_file_and_on_no_command_line(site: Running) -> None:
    for path in (site.folder / "secrets", site.folder / "lock", site.key_ring, *(site.folder / "logs").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    lines = b"".join((Path("/proc") / str(pid) / "cmdline").read_bytes() for pid in processes_of(site.folder))
    assert not [name for name, secret in site.secrets.items() if secret.encode() in lines]


def test_the_log_of_postgresql_holds_no_value_of_a_failing_statement(site: Running) -> None:
    statements = (
        "SELECT 'canary-cast'::uuid",
        "INSERT INTO django_session_canary VALUES ('canary-table')",
        "SELECT pg_sleep(0) FROM privacy_subject WHERE id = 'canary-where'",
        "DO $$ BEGIN RAISE EXCEPTION 'canary-raise'; END $$",
        "DO $$ BEGIN RAISE WARNING 'canary-warning'; END $$",
    )
    with site.connect("ilt_app", "app", "ilt") as connection, connection.cursor() as cursor:
        for statement in statements:
            with contextlib.suppress(psycopg2.Error):
                cursor.execute(statement)
        with pytest.raises(psycopg2.Error):
            cursor.execute("INSERT INTO privacy_subject (id) VALUES (%s)", ("canary-parameter",))
    log = (site.folder / "logs" / "postgres.log").read_text()
    assert "database system is ready" in log
    assert "canary" not in log


def test_a_dead_worker_is_started_again(site: Running) -> None:
    def workers() -> set[int]:
        found = set()
        for pid in processes_of(site.folder):
            line = (Path("/proc") / str(pid) / "cmdline").read_bytes()
            if b"\0worker\0" in line:
                found.add(pid)
        return found

    before = workers()
    assert before
    os.kill(min(before), signal.SIGKILL)
    assert wait_for(lambda: workers() - before, 30), "no new worker came"
    assert wait_for(lambda: not workers() & before, 10), "the killed worker's children stayed"


def test_kill_9_leaves_nothing_and_the_data_is_there_afterwards(site: Running) -> None:
    code = "from privacy.subjects import Subject; print(Subject.objects.count())"
    shell = ("--data", str(site.folder), "manage", "shell", "--no-imports", "-c", code)
    before = run(*shell).stdout
    assert int(before) > 0
    site.process.kill()
    site.process.wait()
    assert wait_for(lambda: not processes_of(site.folder), 15), "processes outlived the launcher"
    again = run(*shell)  # starts the servers for itself, since the site is not up
    assert (again.returncode, again.stdout) == (0, before)
    assert wait_for(lambda: not processes_of(site.folder), 5)


def logins(output: str) -> dict[str, str]:
    return dict(re.findall(r"^  (\w+) +(\w{4}(?:-\w{4})+)  \w+$", output, re.MULTILINE))


def test_a_restart_draws_new_passwords_for_unused_logins_only_and_writes_none_down(site: Running) -> None:
    code = (
        "from accounts.models import User; alice = User.objects.named('alice').get(); "
        "alice.must_change_password = False; alice.save(update_fields=['must_change_password'])"
    )
    assert run("--data", str(site.folder), "manage", "shell", "--no-imports", "-c", code).returncode == 0
    running = start(site.folder, site.port)
    try:
        first, second = logins(site.output), logins(running.output)
        assert list(first) == ["alice", "bob", "carol", "dan", "erin", "pat", "mona"]
        assert list(second) == ["bob", "carol", "dan", "erin", "pat", "mona"]
        assert not set(first.values()) & set(second.values())
        assert "alice has chosen a password of their own." in running.output
        for path in site.folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not [name for name, one in {**first, **second}.items() if one.encode() in content], path
    finally:
        running.process.terminate()
        running.process.wait(60)


def test_stop_ends_a_restarted_site_and_reset_removes_it(site: Running) -> None:
    running = start(site.folder, site.port)
    assert wait_for(lambda: running.get("/health/") == (200, "ok\n"), 20)
    done = run("stop", "--data", str(site.folder))
    assert (done.returncode, done.stdout) == (0, "Stopped.\n")
    assert running.process.wait(10) == 0
    assert not processes_of(site.folder)
    run("reset", "--yes", "--data", str(site.folder))
    assert not site.folder.exists()
    assert not site.key_ring.exists()


# --- As root from a closed checkout ----------------------------------------------------------------------------


def test_root_s_closed_folder_works_and_stays_closed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        machine.lack(machine.ROOT)  # only root has a folder that the servers' account cannot enter
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    done = run("--data", str(data), "manage", "shell", "--no-imports", "-c", "print('reached')")
    assert (done.returncode, done.stdout.strip()) == (0, "reached"), done.stderr
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    outpost = (data / "servers").resolve()
    assert outpost.parent.name == "ilt-privacy"
    run("reset", "--yes", "--data", str(data))
    assert not outpost.exists()


# --- With servers of one's own ---


def test_given_servers_are_used_and_none_is_started(tmp_path: Path) -> None:
    passwords = {"owner": "owner-password", "app": "app-password", "keystore": "keystore-password"}
    with throwaway.servers() as own:
        roles.make(own, passwords)
        given = {**roles.urls(own, passwords), **roles.owner_urls(own, passwords)}
        folder = tmp_path / "data"
        site = start(folder, free_port(), until="create_staff", **given)
        try:
            assert wait_for(lambda: site.get("/health/") == (200, "ok\n"), 20)
            assert "Demo" not in site.output
            assert not (folder / "servers").exists()
            lines = [(Path("/proc") / str(pid) / "cmdline").read_bytes() for pid in processes_of(folder)]
            assert not [line for line in lines if b"bin/postgres" in line or b"valkey" in line]
            with own.connect("ilt") as connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM privacy_subject")
                assert cursor.fetchone() == (0,)
        finally:
            site.process.terminate()
            site.process.wait(60)


# --- Ended while it starts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_demo_ended_while_it_is_loaded_is_loaded_by_the_next_start(by: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:
        Path(made).chmod(0o711)
        site = start(Path(made) / "data", free_port(), until="Starting the site")

        def is_underway() -> int:
            connection = site.connect("ilt_keystore", "keystore", "ilt_keystore")
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM vault_token WHERE field = 'user.username'")
                return int(cursor.fetchone()[0])

        try:
            assert wait_for(is_underway, 60), "the demo was not loaded"
            site.process.send_signal(by)
            assert site.process.wait(30) in (0, -by), "loading the demo was not interrupted"
            again = start(site.folder, free_port())
            assert "Ready: " in again.output and "alice" in again.output
            again.process.terminate()
            assert again.process.wait(60) == 0
        finally:
            run("reset", "--yes", "--data", str(site.folder))
