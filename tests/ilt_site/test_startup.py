"""What production refuses to start on: the checks themselves, and some in a process as an operator would see them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from ilt_site import startup
from privacy.vault import ring
from tests.typist import Typist, at_work

ROOT = Path(__file__).resolve().parents[2]
INHERITED = {"PATH", "HOME", "LANG", "VIRTUAL_ENV"}
START = "import ilt_site.wsgi"


@pytest.fixture
def key_ring(tmp_path: Path) -> Path:
    path = tmp_path / "ring.json"
    ring.write(path, ring.new(), new_file=True)
    return path


def settings_of_production(folder: Path, key_ring: Path) -> dict[str, str]:
    """Return the environment of a production installation in which nothing is wrong, and whose servers are away."""
    (folder / "state" / "static").mkdir(parents=True)
    return {
        **{name: value for name, value in os.environ.items() if name in INHERITED},
        "DATABASE_URL": "postgres://ilt_app:none@127.0.0.1:1/ilt",
        "KEYSTORE_DATABASE_URL": "postgres://ilt_keystore:none@127.0.0.1:1/ilt_keystore",
        "REDIS_URL": "redis://:none@127.0.0.1:1/0",
        "SECRET_KEY": "a" * 25 + "b" * 25,
        "KEY_RING_FILE": str(key_ring),
        "PORTAL_URL": "https://portal.example",
        "ALLOWED_HOSTS": "portal.example",
        "STATE_DIR": str(folder / "state"),
    }


@pytest.fixture
def production(tmp_path: Path, key_ring: Path) -> dict[str, str]:
    return settings_of_production(tmp_path, key_ring)


def start(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def typist() -> Iterator[Typist]:
    """A Python in which what is the same under any settings is loaded, forked for each start."""
    with at_work({name: value for name, value in os.environ.items() if name in INHERITED}, "python") as made:
        yield made


def refusal(typist: Typist, env: dict[str, str]) -> str:
    done = typist("-c", START, env=env)
    assert done.returncode != 0
    return last_words(done)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1].removeprefix("django.core.exceptions.ImproperlyConfigured: ")


def test_production_settings_in_which_nothing_is_wrong_start(production: dict[str, str]) -> None:
    done = start(production, "-c", START)
    assert done.returncode == 0
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["start.database_unreachable"]


def test_a_forked_start_is_refused_as_one_of_its_own_is(typist: Typist, production: dict[str, str]) -> None:
    """The control of this file's quick way."""
    for missing, words in (("SECRET_KEY", ["-c", START]), ("DATABASE_URL", ["manage.py", "check"])):
        env = {name: value for name, value in production.items() if name != missing}
        alone, forked = start(env, *words), typist(*words, env=env)
        assert (forked.returncode, forked.stdout) == (alone.returncode, alone.stdout) == (1, "")
        assert last_words(forked) == last_words(alone) != ""


def test_the_default_secret_key_is_refused(typist: Typist, production: dict[str, str]) -> None:
    del production["SECRET_KEY"]
    assert refusal(typist, production) == "SECRET_KEY is not set: give it 50 or more random characters."


@pytest.mark.parametrize("name", ["DEBUG", "DEMO"])
def test_debug_and_demo_are_refused_with_a_public_host(typist: Typist, production: dict[str, str], name: str) -> None:
    production[name] = "true"
    assert refusal(typist, production) == f"{name} is on while ALLOWED_HOSTS names a public host (portal.example)."


def test_a_public_host_without_https_is_refused(typist: Typist, production: dict[str, str]) -> None:
    production["PORTAL_URL"] = "http://portal.example"
    assert "is not an https:// address" in refusal(typist, production)


def test_no_key_ring_at_all_is_refused(typist: Typist, production: dict[str, str]) -> None:
    del production["KEY_RING_FILE"]
    assert refusal(typist, production) == "KEY_RING_FILE is not set: make a key ring with `manage.py keyring init`."


@pytest.mark.parametrize("name", ["REDIS_URL", "CACHE_URL"])
def test_a_redis_without_a_password_is_refused(typist: Typist, production: dict[str, str], name: str) -> None:
    production[name] = "redis://127.0.0.1:1/0"
    assert refusal(typist, production) == f"{name} holds no password: give Redis users with passwords."


@pytest.mark.parametrize("url", ["redis://ilt_cache:none@127.0.0.1:1/0", "unix:///run/redis.sock?password=none"])
def test_a_redis_with_a_password_is_taken(safe: Any, url: str) -> None:
    settings, _ = safe
    settings.REDIS_URL = settings.CACHE_URL = url
    assert [one for one in startup.unsafe_configuration() if one.id == "site.E010"] == []
    settings.CACHE_URL = "unix:///run/redis.sock"
    assert "site.E010" in [one.id for one in startup.unsafe_configuration()]


@pytest.mark.parametrize("signal", ["worker_init", "beat_init"])
def test_worker_and_beat_refuse_as_well(typist: Typist, production: dict[str, str], signal: str) -> None:
    Path(production["KEY_RING_FILE"]).chmod(0o644)
    code = f"from ilt_site import celery_app; from celery import signals; signals.{signal}.send(None)"
    done = typist("-c", code, env=production)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("is open to other users: set its mode to 0600.")


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("DEBUG", "maybe", "true or false"),
        ("TRUST_PROXY_HTTPS_HEADER", "ja", "true or false"),
        ("MAINTENANCE_CHECK_SECONDS", "soon", "a number"),
        ("ALLAUTH_TRUSTED_PROXY_COUNT", "one", "a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_without_a_traceback(
    typist: Typist, production: dict[str, str], name: str, value: str, kind: str
) -> None:
    done = typist("manage.py", "check", env={**production, name: value})
    assert done.returncode == 1
    assert done.stderr == f"{name} has to be {kind}.\n", "one sentence, without the value"


def test_a_missing_variable_is_named_without_a_traceback(typist: Typist, production: dict[str, str]) -> None:
    del production["DATABASE_URL"]
    done = typist("manage.py", "check", env=production)
    assert (done.returncode, done.stderr) == (1, "Set the DATABASE_URL environment variable\n")


# --- The checks themselves -------------------------------------------------------------------------------------


@pytest.fixture
def safe(settings: Any, key_ring: Path) -> Any:
    """Settings in which the checks find nothing."""
    settings.DEBUG = settings.DEMO = False
    settings.SECRET_KEY = "a" * 50
    settings.KEY_RING_FILE, settings.KEY_RING = str(key_ring), ""
    databases = {
        "default": {"HOST": "db", "PORT": 5432, "NAME": "ilt", "USER": "ilt_app"},
        "keystore": {"HOST": "db", "PORT": 5432, "NAME": "ilt_keystore", "USER": "ilt_keystore"},
    }
    # Only the checks look at this copy: Django keeps its connections.
    return settings, databases


def findings(safe: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    settings, databases = safe
    monkeypatch.setitem(settings._wrapped.__dict__, "DATABASES", databases)
    return [message.id or "" for message in startup.unsafe_configuration()]


def test_safe_settings_have_no_findings(safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(safe, monkeypatch) == []


def test_a_short_secret_key_is_found(safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    safe[0].SECRET_KEY = "a" * 49
    assert findings(safe, monkeypatch) == ["site.E001"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_ring_that_others_can_read_is_found(
    safe: Any, key_ring: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    key_ring.chmod(mode)
    assert findings(safe, monkeypatch) == ["site.E007"]


def test_a_missing_key_ring_is_found(safe: Any, key_ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_ring.unlink()
    assert findings(safe, monkeypatch) == ["site.E006"]


def test_a_key_ring_in_the_environment_is_found(safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    safe[0].KEY_RING_FILE, safe[0].KEY_RING = "", ring.new().as_json()
    assert findings(safe, monkeypatch) == ["site.E005"]


@pytest.mark.parametrize("name", ["dummy.DummyCache", "locmem.LocMemCache"])
def test_a_cache_in_which_limits_do_not_hold_is_found(safe: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    safe[0].CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{name}"}}
    assert findings(safe, monkeypatch) == ["site.E008"]


def test_one_database_for_both_purposes_is_found(safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    safe[1]["keystore"] = dict(safe[1]["default"])
    assert findings(safe, monkeypatch) == ["site.E009", "site.W001"]


def test_one_role_for_both_databases_is_warned_of(safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    safe[1]["keystore"]["USER"] = "ilt_app"
    assert findings(safe, monkeypatch) == ["site.W001"]


@pytest.mark.django_db
def test_a_server_that_would_log_values_is_warned_of() -> None:
    assert startup.talkative_server(databases=["default", "keystore"]) == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL log_min_error_statement = error")
    (warning,) = startup.talkative_server(databases=["default"])
    assert (warning.id, warning.msg) == (
        "site.W002",
        "The server of 'default' may log statements and values: log_min_error_statement.",
    )
