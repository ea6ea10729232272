"""Whose files those in STATE_DIR are: the services', which run as the user to whom the folder belongs.

What must never happen: root types a command, what it wrote is root's, and the services can no longer write their ledger
and checkpoints, or read a copy: hours later the site is closed. So a command started as root stops before it writes
where the folder is another user's, but for the few that need root's rights; these write there as that user.
`docs/deploy/ilt` starts all others as that user. What lies there wrong all the same is named by `check` and on the
health page, with what mends it.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

#: What only root can do (the owner's passwords, the ring's folder), and what writes no file.
AS_ROOT = frozenset(
    {
        "prepare", "grant_roles", "keyring", "renew_ring", "data_map", "request_show", "retention_schedule", "verify_audit",
        "check", "dbshell", "diffsettings", "help", "makemigrations", "migrate", "showmigrations", "sqlmigrate", "version",
    }
)  # fmt: skip


def anothers() -> str:
    """Return the name of the user to whom STATE_DIR belongs, if this process is root and that user is not; else ""."""
    try:
        uid = Path(settings.STATE_DIR).stat().st_uid
    except OSError:
        return ""
    return _name(uid) if os.geteuid() == 0 != uid else ""


def refusal(command: str) -> str:
    """Return why root must not run `command` here, in one sentence; "" when it may."""
    if command in AS_ROOT or not (name := anothers()):
        return ""
    return (
        f"STATE_DIR belongs to {name}, and the services could not write what root writes there: "
        f"type `ilt {command} ...`, which runs it as {name}."
    )


@contextmanager
def as_services() -> Iterator[None]:
    """Write in STATE_DIR as the user to whom it belongs, where root types the command; otherwise as whoever types it.

    In a folder of theirs root would follow whatever link they put there, while it writes or while it hands over.
    """
    if not anothers():
        yield
        return
    to, gid, groups = Path(settings.STATE_DIR).stat(), os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(to.st_gid)
    os.seteuid(to.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def hand_over(path: Path) -> None:
    """Give one file that root made to the user to whom STATE_DIR belongs: this very file, through no link. Raises
    OSError."""
    if not anothers():
        return
    to = Path(settings.STATE_DIR).stat()
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode) and found.st_uid == 0 and found.st_nlink == 1:
            os.fchown(file, to.st_uid, to.st_gid)
    finally:
        os.close(file)


def unwritable() -> list[Path]:
    """Return what the services have to write in STATE_DIR and cannot: folders and files of the
    ledger, checkpoints, copies."""
    folders = [Path(one) for one in (settings.STATE_DIR, settings.CHECKPOINT_DIR, settings.EXPORT_DIR)]
    return [path for folder in dict.fromkeys(folders) for path in _held(folder) if not _is_writable(path)]


def told() -> str:
    """Return in one sentence what the services cannot write, with the command that mends it; "" when all is well."""
    found = unwritable()
    if not found:
        return ""
    name = anothers() or _name(os.geteuid())
    folders = sorted({str(_place(path)) for path in found})
    first = found[0].name if len(found) == 1 else f"{found[0].name} and {len(found) - 1} more"
    return f"{name} cannot write {first} in STATE_DIR: `chown -R {name}: {shlex.join(folders)}` as root mends it."


def _held(folder: Path) -> Iterator[Path]:
    try:
        inside = sorted(one for one in folder.iterdir() if one.is_file())
    except FileNotFoundError:
        return
    except OSError:  # it cannot even be read
        inside = []
    yield from (folder, *inside)


def _is_writable(path: Path) -> bool:
    if os.geteuid() != 0:
        return os.access(path, os.W_OK)
    try:
        found, uid = path.stat(), Path(settings.STATE_DIR).stat().st_uid
    except OSError:
        return True  # it went meanwhile
    return found.st_uid == uid and bool(found.st_mode & stat.S_IWUSR)


def _place(path: Path) -> Path:
    """Return the folder of settings in which the path lies."""
    state = Path(settings.STATE_DIR)
    return state if state in (path, *path.parents) else path if path.is_dir() else path.parent


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
