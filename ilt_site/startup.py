"""What the site refuses to start on, as checks of `manage.py check --deploy` and at the start of web, worker and beat.

Commands still run on an unsafe configuration: `manage.py keyring init` is how a missing ring gets there.
"""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from smtplib import SMTPException
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.db import OperationalError, connections
from django.utils import timezone

from privacy.files import owner, regular
from privacy.requests import authorities

logger = structlog.get_logger(__name__)

SECRET_LENGTH = 50
NO_LIMITS = ("DummyCache", "LocMemCache")


def _secret_key() -> Iterator[checks.CheckMessage]:
    if settings.DEBUG:
        return
    if settings.SECRET_KEY == settings.INSECURE_SECRET_KEY:
        yield checks.Error("SECRET_KEY is not set: give it 50 or more random characters.", id="site.E001")
    elif len(settings.SECRET_KEY) < SECRET_LENGTH or settings.SECRET_KEY.startswith("django-insecure"):
        yield checks.Error(
            "SECRET_KEY is too short or a known default: give it 50 or more random characters.", id="site.E001"
        )


def _public_host() -> Iterator[checks.CheckMessage]:
    public = ", ".join(settings.PUBLIC_HOSTS)
    if settings.DEBUG and public:
        yield checks.Error(f"DEBUG is on while ALLOWED_HOSTS names a public host ({public}).", id="site.E002")
    if settings.DEMO and public:
        yield checks.Error(f"DEMO is on while ALLOWED_HOSTS names a public host ({public}).", id="site.E003")
    if public and not settings.HTTPS:
        yield checks.Error(
            f"ALLOWED_HOSTS names a public host ({public}) while PORTAL_URL is not an https:// address.", id="site.E004"
        )


def _key_ring() -> Iterator[checks.CheckMessage]:
    if not settings.KEY_RING_FILE:
        if not settings.KEY_RING:
            yield checks.Error(
                "KEY_RING_FILE is not set: make a key ring with `manage.py keyring init`.", id="site.E005"
            )
        elif not (settings.DEMO or settings.DEBUG):
            yield checks.Error("KEY_RING is for demos and tests: put the key ring into KEY_RING_FILE.", id="site.E005")
        return
    path = Path(settings.KEY_RING_FILE)
    try:
        found = path.stat()
        regular.opened(path).close()
    except OSError as error:
        yield checks.Error(f"The key ring {path} cannot be read ({error.strerror}).", id="site.E006")
        return
    if stat.S_IMODE(found.st_mode) & 0o077:
        yield checks.Error(f"The key ring {path} is open to other users: set its mode to 0600.", id="site.E007")


def _cache() -> Iterator[checks.CheckMessage]:
    backend = settings.CACHES["default"]["BACKEND"]
    if backend.endswith(NO_LIMITS):
        name = backend.rpartition(".")[2]
        yield checks.Error(f"The cache is {name}: limits on logins and requests would not hold.", id="site.E008")


def _redis() -> Iterator[checks.CheckMessage]:
    """Find a Redis that lets everybody in who reaches its port: a message in it starts tasks, a value in it ends
    limits."""
    if settings.DEBUG or settings.DEMO:
        return
    for name in ("REDIS_URL", "CACHE_URL"):
        try:
            url = urlsplit(getattr(settings, name))
            has_password = bool(url.password or parse_qs(url.query).get("password"))
        except ValueError:
            has_password = False
        if not has_password:
            yield checks.Error(f"{name} holds no password: give Redis users with passwords.", id="site.E010")
            return


def _databases() -> Iterator[checks.CheckMessage]:
    places = [
        tuple(settings.DATABASES[alias].get(key) for key in ("HOST", "PORT", "NAME")) for alias in settings.DATABASES
    ]
    if len(set(places)) < len(places):
        yield checks.Error(
            "DATABASE_URL and KEYSTORE_DATABASE_URL name the same database: an erasure would not reach its backups.",
            id="site.E009",
        )
    users = {settings.DATABASES[alias].get("USER") for alias in settings.DATABASES}
    if len(users) < len(settings.DATABASES) and not settings.OWNER:
        yield checks.Warning(
            "DATABASE_URL and KEYSTORE_DATABASE_URL use the same role: give the key store one of its own.",
            id="site.W001",
        )


@checks.register(checks.Tags.security, deploy=True)
def unsafe_configuration(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Return everything that speaks against starting with these settings."""
    return [*_secret_key(), *_public_host(), *_key_ring(), *_cache(), *_redis(), *_databases()]


@checks.register("mail", deploy=True)
def mail_server(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning when no letter can leave: no mail server is named, or the one that is does not answer."""
    if settings.DEBUG or settings.DEMO:
        return []
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        text = "EMAIL_URL names no mail server: letters wait in the outbox, and nobody is answered by mail."
        return [checks.Warning(text, hint="EMAIL_URL=smtp+tls://user:password@host:587", id="site.W003")]
    try:
        with get_connection():
            return []
    except (OSError, SMTPException) as error:  # by its class: a server's answer may quote a name
        text = f"The mail server of EMAIL_URL does not take our letters ({type(error).__name__})."
        return [checks.Warning(text, hint="`mail_check ADDRESS` sends one letter.", id="site.W004")]


@checks.register("files", deploy=True)
def files_of_the_services(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Return an error when STATE_DIR holds what the services have to write and cannot."""
    told = owner.told()
    return [checks.Error(told, id="site.E011")] if told else []


@checks.register("authorities", deploy=True)
def authorities_looked_up(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a word to the operator as long as people are sent to authorities that nobody looked up within a year."""
    doubtful, there_are = authorities.not_looked_up(timezone.localdate())
    if not doubtful:
        return []
    text = f"Of {there_are} authorities to which people are told they can complain, {doubtful} were not looked up within a year."
    hint = "Look up those of the countries where your customers are, and write the day into privacy/requests/authorities.toml."
    return [checks.Info(text, hint=hint, id="site.I001")]


# What PostgreSQL must not be set to, because an error's text or a statement may quote a value.
QUIET = {
    "log_statement": {"none"},
    "log_min_error_statement": {"panic"},
    "log_min_messages": {"log", "fatal", "panic"},
    "log_min_duration_statement": {"-1"},
    "log_parameter_max_length_on_error": {"0"},
}


@checks.register(checks.Tags.database)
def talkative_server(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Return a warning for each database whose server may write personal data into its log."""
    found: list[checks.CheckMessage] = []
    for alias in databases or []:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(QUIET)])
            loud = sorted(name for name, value in cursor.fetchall() if value not in QUIET[name])
        if loud:
            hint = "docs/runbook.md sets the values; a superuser can set them for our roles alone by ALTER ROLE."
            text = f"The server of {alias!r} may log statements and values: {', '.join(loud)}."
            found.append(checks.Warning(text, hint=hint, id="site.W002"))
    return found


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured with the first error in one sentence."""
    if name := owner.anothers():
        raise ImproperlyConfigured(f"This process runs as root, and STATE_DIR belongs to {name}: start it as {name}.")
    for message in unsafe_configuration():
        if message.is_serious():
            raise ImproperlyConfigured(message.msg)


def refuse_foreign_parts() -> None:
    """Raise ImproperlyConfigured when key ring, key store and main database do not belong together.

    A database that is down now is no reason: the site then answers with an error page until it is back.
    """
    from privacy.vault.keystore import identity

    try:
        for alias in settings.DATABASES:
            connections[alias].ensure_connection()
    except OperationalError:
        logger.warning("start.database_unreachable")
        return
    finally:
        connections.close_all()
    if problems := identity.verify():
        raise ImproperlyConfigured(problems[0])
    connections.close_all()  # forked workers must not share one


def look_at_ledger() -> None:
    """Compare the databases with the ledger of erasures: behind it the process starts, but serves and does nothing."""
    from ilt_site import maintenance

    maintenance.look_at_start()
