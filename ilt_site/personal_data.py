"""What other people's models hold about people, and the stores that are no tables.

Our own apps declare theirs in their own `personal_data.py`. Until-dates are those of privacy/retention/schedule.toml.
"""

from __future__ import annotations

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session

from privacy import datamap
from privacy.datamap import Datum, Declaration, Life, Machinery, Store, Titled

LOGIN = ("account", "security")
SECURITY = ("security",)
SELF = "the person"
US = "ourselves"

datamap.register(
    Declaration(
        model=EmailAddress,
        title="Stand-in for the address of a login",
        life=Life.TECHNICAL,
        noun=("stand-in for the address of a login", "stand-ins for addresses of logins"),
        subject_path="user__subject",
        data={
            "user": Datum("Whose address it is", "link", LOGIN, US, plain="a random number"),
            "email": Datum(
                "Stand-in for the address",
                "contact",
                LOGIN,
                US,
                plain="a random handle; the address itself is sealed",
                export="no",
            ),
            "verified": Datum("Whether the address is verified", "login", LOGIN, US, plain="yes or no"),
        },
        impersonal={"primary": Machinery("a switch")},
        follows="user",
    ),
    Declaration(
        model=EmailConfirmation,
        title="Confirmation of an address by a link",
        life=Life.TECHNICAL,
        noun=("confirmation of an address by a link", "confirmations of addresses by a link"),
        subject_path="email_address__user__subject",
        data={
            "email_address": Datum("Which address", "link", LOGIN, US, plain="a number"),
            "created": Datum("Asked for", "dates", LOGIN, US, plain="a time"),
            "sent": Datum("Sent", "dates", LOGIN, US, plain="a time"),
        },
        impersonal={"key": Machinery("random characters")},
        follows="email_address",
    ),
    Declaration(
        model=Authenticator,
        title="Second factor of a login",
        life=Life.SIGNING_IN,
        gist=(
            "type",
            "created_at",
        ),
        noun=("second factor", "second factors"),
        subject_path="user__subject",
        data={
            "user": Datum("Whose second factor it is", "link", LOGIN, US, plain="a random number"),
            "data": Datum("Secret", "login", LOGIN, US, plain="sealed under a key of the ring", export="no"),
            "type": Datum("Kind of second factor", "login", LOGIN, SELF, plain="one word of a short list"),
            "created_at": Datum("Since", "dates", LOGIN, US, plain="a time"),
            "last_used_at": Datum("Last used", "dates", LOGIN, US, plain="a time"),
        },
        follows="user",
    ),
    Declaration(
        model=LogEntry,
        title="What staff did in the back office",
        life=Life.TECHNICAL,
        gist=("action_time",),
        noun=("entry of what staff did", "entries of what staff did"),
        subject_path="user__subject",
        data={
            "user": Datum("Which member of staff", "link", SECURITY, US, plain="a random number"),
            "action_time": Datum("When", "dates", SECURITY, US, plain="a time"),
            "object_id": Datum("Which record", "link", SECURITY, US, plain="a random number"),
        },
        impersonal={
            "content_type": Machinery("the name of a model"),
            "object_repr": Titled("no record's text names anybody (tests/privacy/test_datamap.py holds it)", "Record"),
            "action_flag": Titled("a number for added, changed, removed", "What was done"),
            "change_message": Machinery("names of fields, never values"),
        },
        follows="user",
    ),
    Declaration(
        model=Session,
        title="Django's own session table (unused: sessions are ours)",
        impersonal=dict.fromkeys(("session_key", "session_data", "expire_date"), "always empty"),
    ),
    Declaration(
        model=Group,
        title="Role of staff",
        noun=("role", "roles"),
        impersonal={"name": "the name of a role", "permissions": "names of permissions"},
    ),
    Declaration(
        model=Permission,
        title="Permission",
        impersonal={
            "name": "words of the program",
            "content_type": "the name of a model",
            "codename": "words of the program",
        },
    ),
    Declaration(
        model=ContentType,
        title="Register of models",
        impersonal={"app_label": "words of the program", "model": "words of the program"},
    ),
)

datamap.store(
    Store(
        name="export files",
        holds="copies of a person's data that were asked for",
        where="settings.EXPORT_DIR, each sealed under a key of its own",
        until="7 days",
        erased_by="destruction of the file's key and deletion at the end; an erasure leaves a finished copy its week, for the "
        "person to fetch by reference and code or to have destroyed",
        told="Copies that were asked for: files on our server, each sealed under a key of its own, for seven days.",
    ),
    Store(
        name="sealed outbox",
        holds="letters and mail, with the address",
        where="main database, envelope `letter`",
        until="retention class `letter`",
        erased_by="destruction of the data key",
    ),
    Store(
        name="mail",
        holds="what was sent, on its way and in the recipient's mailbox",
        where="the company's mail provider (EMAIL_URL)",
        until="as the mail provider's contract says; the recipient's mailbox is the recipient's own",
        erased_by="the mail provider; nothing is kept here once it was accepted, save the sealed letter",
        told="Letters by e-mail, at the company that delivers our mail, as long as its contract says; the one in your mailbox is yours.",
    ),
    Store(
        name="program logs",
        holds="method, route, status, duration and a user's random number; no name, address, IP or query string",
        where="standard error of web, worker and beat, as the machine keeps it",
        until="90 days (retention class `web_access_log`)",
        erased_by="rotation; at an erasure the random number leads to nobody any more",
        told="Logs of the program: which kind of page was asked for and when, how it ended, and a random number of your account; no name, no address and no IP address; for 90 days.",
    ),
    Store(
        name="database logs",
        holds="errors without the statement's text and parameters",
        where="PostgreSQL's log",
        until="90 days",
        erased_by="rotation",
        told="Logs of the databases: errors, without what was stored or asked for; for 90 days.",
    ),
    Store(
        name="broker",
        holds="messages of numbers: request, step, version",
        where="Redis (REDIS_URL)",
        until="the message was handled",
        erased_by="the worker",
        told="Messages between our programs: numbers of requests, until they are handled.",
    ),
    Store(
        name="cache",
        holds="counters of login attempts under keyed names",
        where="Redis (REDIS_URL); the process's memory while Redis is away",
        until="minutes to hours, as each limit says",
        erased_by="expiry",
        told="Counts of attempts to sign in or to ask, under keyed names, for minutes or hours.",
    ),
    Store(
        name="key store",
        holds="data keys, keyed search tokens, block tokens, tombstones: nothing readable",
        where="a database of its own (KEYSTORE_DATABASE_URL)",
        until="data keys and tokens: the envelope's end; the rest: the classes `block_token` and `tombstone`",
        erased_by="destruction of the wrapped key, deletion of the tokens",
    ),
    Store(
        name="key ring",
        holds="the keys that wrap data keys, and what is derived from its root; about nobody",
        where="a file of mode 0600 outside the data folder (KEY_RING_FILE)",
        until="retired after a rotation",
        erased_by="`keyring retire`",
    ),
    Store(
        name="audit checkpoints",
        holds="signed hashes of the chains of audit and access log; about nobody",
        where="settings.CHECKPOINT_DIR, and the copy the operator keeps elsewhere",
        until="as long as the logs",
        erased_by="nobody: there is nothing personal in it",
    ),
    Store(
        name="backups",
        holds="copies of the main database (unreadable without the key store) and of the key store",
        where="where the operator keeps them, the two apart",
        until="35 days",
        erased_by="a destroyed key reaches every copy of the main database; the key store's end by retired ring keys",
        told="Backups of the databases, for 35 days; what was removed cannot be read there once the last backup of its keys is overwritten.",
    ),
    Store(
        name="browser cookies",
        holds="a session number and a form token",
        where="the person's own browser",
        until="12 hours, for staff 8, or until signing out",
        erased_by="expiry; an erasure ends the session on our side",
        told="Two cookies in your own browser: one keeps you signed in, one protects forms.",
    ),
)
