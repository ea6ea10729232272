"""All settings, read from the environment (docs/operations.md lists every variable).

Nothing secret has a usable default: what is missing stops production in `ilt_site.startup`.
"""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery.schedules import crontab

from ilt_site.environment import Environment
from ilt_site.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- What kind of installation this is -------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
DEMO = env.bool("DEMO", default=False)  # the launcher's own servers: demo data, one person, one machine
PROCESS = env.str("ILT_PROCESS", default="task")  # "web" (set by wsgi.py) or "task": worker, beat, commands
WEB = PROCESS == "web"
PORTAL_URL = env.str("PORTAL_URL", default="http://127.0.0.1:8000").rstrip("/")
HTTPS = PORTAL_URL.startswith("https://")
INSECURE_SECRET_KEY = "insecure-development-only"  # noqa: S105  startup.py refuses it outside DEBUG
SECRET_KEY = env.str("SECRET_KEY", default=INSECURE_SECRET_KEY)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PORTAL_URL] if HTTPS else [])
COMPANY = {
    "name": env.str("COMPANY_NAME", default="International Light Technologies"),
    "address": env.str("COMPANY_ADDRESS", default="10 Technology Drive, Peabody, MA 01960, USA"),
    "email": env.str("COMPANY_EMAIL", default="privacy@intl-lighttech.example"),
    "phone": env.str("COMPANY_PHONE", default="+1 978 818 6180"),
}

# --- Applications ----------------------------------------------------------------------------------------------

ROOT_URLCONF = "ilt_site.urls"
WSGI_APPLICATION = "ilt_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "ilt_site",
    "rma",
    "orders",
    "accounts",
    "privacy",
    "privacy.vault",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_structlog",
]
MIDDLEWARE = [
    "accounts.middleware.EvenTimeMiddleware",  # around everything, so that the others' time counts too
    "ilt_site.logs.RequestLogMiddleware",
    # Outside of what looks at the name of the host, so that the answer to a foreign one carries them too.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "ilt_site.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "ilt_site.headers.MethodsMiddleware",  # after those, so that a refused method carries every header too
    "ilt_site.static.StaticMiddleware",  # after those, so that files carry their headers too
    "privacy.calendar.undated.UndatedMiddleware",  # before the first that reads a row
    "ilt_site.maintenance.MaintenanceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "privacy.gate.middleware.GateMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.LoginMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "ilt_site.context.company",
            ],
        },
    },
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # one field template for all forms: templates/django/forms/

# --- Two databases, three roles --------------------------------------------------------------------------------
# The application role holds no right to create or alter; migrations run with ILT_DB_ROLE=owner.

DATABASE_ROUTERS = ["ilt_site.routers.KeystoreRouter"]
OWNER = env.str("ILT_DB_ROLE", default="app") == "owner"


def _database(app: str, owner: str) -> dict[str, Any]:
    """The configuration for one alias, with the time-outs of a web process or of a task."""
    config: dict[str, Any] = env.db_url(owner if OWNER and env.str(owner, default="") else app)
    seconds = 30 if WEB else 600
    timeouts = f"-c statement_timeout={seconds}s -c lock_timeout=5s -c idle_in_transaction_session_timeout=60s"
    config["OPTIONS"] = {
        "connect_timeout": 3,
        **config.get("OPTIONS", {}),
        "options": timeouts,
        "application_name": f"ilt-{PROCESS}",
    }
    config["CONN_MAX_AGE"] = 60
    config["CONN_HEALTH_CHECKS"] = True
    return config


DATABASES = {
    "default": _database("DATABASE_URL", "DATABASE_OWNER_URL"),
    "keystore": _database("KEYSTORE_DATABASE_URL", "KEYSTORE_OWNER_URL"),
}
# Tables on which the application role may only insert and read: `manage.py grant_roles` takes the rest away.
APPEND_ONLY_TABLES = {
    "default": [
        "privacy_auditevent",
        "privacy_auditlink",
        "privacy_accessentry",
        "privacy_accesslink",
        "privacy_chainfloor",
        "privacy_requestevent",
    ],
    "keystore": ["vault_tombstone"],
}
# Tables whose rows the database alone numbers: the application role writes every column but the number.
NUMBERED_TABLES = {"default": ["privacy_ledgercopy"]}

# --- Keys, personal data, retention ----------------------------------------------------------------------------

KEY_RING_FILE = env.str("KEY_RING_FILE", default="")
KEY_RING_COPY = env.str("KEY_RING_COPY", default="")  # on another disk: with it the ring is renewed by itself
KEYSTORE_BACKUP = env.str("KEYSTORE_BACKUP", default="ilt-backup keystore")  # prints the path of the dump it made
KEY_RING = env.str("KEY_RING", default="")  # tests and demos only; startup.py refuses it elsewhere
ACCESS_MATRIX = env.str("ACCESS_MATRIX", default=str(BASE_DIR / "ilt_site" / "access.toml"))
RETENTION_SCHEDULE = env.str("RETENTION_SCHEDULE", default=str(BASE_DIR / "privacy" / "retention" / "schedule.toml"))
RETENTION_OVERLAYS = env.list("RETENTION_OVERLAYS", default=[])
# Whether the company counts by California's law for Californians (privacy/requests/regimes.toml); off
# until a lawyer confirmed it.
CALIFORNIA = env.bool("CALIFORNIA", default=False)
CONNECTICUT = env.bool("CONNECTICUT", default=False)  # likewise, for people in Connecticut
STATE_DIR = Path(env.str("STATE_DIR", default=str(BASE_DIR / ".local" / "state")))
EXPORT_DIR = env.str("EXPORT_DIR", default=str(STATE_DIR / "exports"))
CHECKPOINT_DIR = env.str("CHECKPOINT_DIR", default=str(STATE_DIR / "checkpoints"))
# How often each process compares the ledger's three places (privacy.restore); 0: at the start only.
MAINTENANCE_CHECK_SECONDS = env.float("MAINTENANCE_CHECK_SECONDS", default=15.0)

# --- Cache and Celery ------------------------------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL")  # the broker's
CACHE_URL = env.str("CACHE_URL", default=REDIS_URL)  # a user of its own in production (docs/runbook.md)
CACHES = {
    "default": {
        "BACKEND": env.str("CACHE_BACKEND", default="ilt_site.caches.FallbackRedisCache"),
        "LOCATION": CACHE_URL,
        "KEY_FUNCTION": "ilt_site.caches.keyed",
        "OPTIONS": {"socket_timeout": 0.25, "socket_connect_timeout": 0.25},
    },
}

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT = "ilt_site.transport:Transport"  # signs each message; what somebody else wrote is dropped
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "retry_on_timeout": False,
}
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # it tells every setting, and stops work, to whoever writes to the broker
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=2)
CELERY_TIMEZONE = "America/New_York"
CELERY_BEAT_SCHEDULE_FILENAME = str(STATE_DIR / "beat")
# Every task takes its own advisory lock, so that a second beat does no harm. A run that nobody fetched before
# the next one is due is dropped ("expires"): the tables are the truth, a queue of nudges is not.
CELERY_BEAT_SCHEDULE = {
    "poller": {"task": "privacy.tasks.poll", "schedule": 15.0, "options": {"expires": 15}},
    "letters": {"task": "privacy.tasks.send_letters", "schedule": 15.0, "options": {"expires": 15}},
    "audit-sealer": {"task": "privacy.tasks.seal_audit", "schedule": 10.0, "options": {"expires": 10}},
    "ledger": {"task": "privacy.tasks.follow_ledger", "schedule": 15.0, "options": {"expires": 15}},
    "joinings": {"task": "accounts.tasks.settle_joinings", "schedule": 60.0, "options": {"expires": 60}},
    "unconfirmed": {
        "task": "accounts.tasks.end_unconfirmed",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "audit-checkpoint": {
        "task": "privacy.tasks.checkpoint_audit",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "retention-sweep": {
        "task": "privacy.tasks.sweep",
        "schedule": crontab(hour="2", minute="10"),
        "options": {"expires": 6 * 3600},
    },
    "key-collector": {
        "task": "privacy.tasks.collect_keys",
        "schedule": crontab(hour="3", minute="40"),
        "options": {"expires": 6 * 3600},
    },
}

# --- Login -----------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "home"
PASSWORD_HASHERS = ["accounts.hashing.BoundedArgon2"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_FAILURE_VIEW = "ilt_site.views.csrf_failure"

# --- allauth -----------------------------------------------------------------------------------------------------
# The user model has no e-mail column: addresses live behind opaque handles (accounts.handles).

AUTHENTICATION_BACKENDS = ["accounts.backends.LoginBackend"]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "add_email": "accounts.forms.AddEmailForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.signup.SignupForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
    "confirm_email_verification_code": "accounts.forms.CodeForm",
    "user_token": "accounts.forms.UserTokenForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]  # P16: nothing else
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_USER_DISPLAY = "accounts.adapter.display"
ACCOUNT_USERNAME_MIN_LENGTH = 3
ACCOUNT_USERNAME_BLACKLIST = ["admin", "administrator", "root", "support", "privacy", "staff", "system"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# By a code that is typed into the browser that asked: a link would confirm the address for whoever had typed it.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = 15 * 60
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS = 3
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True  # one address; the old one ends when the new one is verified
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]  # no code by mail: the mailbox alone is no second proof
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = {  # the others: allauth's own
    "login_failed": "10/m/ip,5/5m/key",
    "confirm_email": "1/m/key,10/d/key",  # each is a letter to somebody who may not have asked for it
    "privacy_ask": "10/h/ip",
    "privacy_outcome": "10/m/ip",
    # Signed in, each is a row, a key and perhaps a letter: more than anybody needs, less than a program could make.
    "privacy_request": "20/h/user",
    "rma_open": "50/d/user",
    "rma_message": "120/h/user",
}
EVEN_TIME_STEP = 0.5  # seconds: more than a login or a sign-up takes on an idle machine, Argon2 included
HELD_AT_ONCE = max(1, env.int("WEB_THREADS", default=16) // 2)  # answers that a web process holds back at once
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("ALLAUTH_TRUSTED_PROXY_COUNT", default=0)
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_TOTP_TOLERANCE = 1  # the code before and the one after count as well: clocks differ, typing takes time
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = (
    True  # else nobody with a second factor could correct the address; logins need a verified one
)
SESSION_IDLE_AGE = 30 * 60
STAFF_SESSION_AGE = 8 * 3600
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=True)  # in a demo `./run code NAME` prints the code
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # sealed, as sessions are

# --- Mail ------------------------------------------------------------------------------------------------------
# Without EMAIL_URL nothing leaves the machine: letters stay sealed in the outbox, never in a file or on a terminal.

EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=COMPANY["email"])
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Headers ---------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics/$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("TRUST_PROXY_HTTPS_HEADER", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
FILE_UPLOAD_HANDLERS = ["ilt_site.uploads.NoFiles"]

# --- Static files, language, time ------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(STATE_DIR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site draws with our files
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
LANGUAGE_CODE = "en-us"
# As its own post writes it in an address.
COUNTRIES_OVERRIDE = {"US": "United States"}
USE_I18N = True
USE_TZ = True
TIME_ZONE = "America/New_York"
FORMAT_MODULE_PATH = ["ilt_site.formats"]

# --- Logs: JSON on stderr, redacted ----------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = logging_config(LOG_LEVEL)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG  # a line every ten seconds tells nobody anything
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_ALLOWED = env.list("METRICS_ALLOWED", default=["127.0.0.0/8", "::1"])  # asked only where there is no token
PUBLIC_HOSTS = [host for host in ALLOWED_HOSTS if host not in {"127.0.0.1", "localhost", "[::1]"}]
PORTAL_HOST = urlsplit(PORTAL_URL).hostname or "localhost"
