"""The data folder of one installation: lock, ports, passwords, logs, state; the key ring lies beside it, not in it."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilt_site.launcher import Problem, binaries

OURS = ("lock", "ports", "secrets", "prepared", "logs", "state", "servers")
LOG_BYTES = 5_000_000
LOCK_SECONDS = 1.0
PASSWORDS = ("superuser", "owner", "app", "keystore", "broker", "secret_key", "metrics_token")


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: the site or a single command; `ready` once databases are up to date."""

    pid: int
    kind: str
    ready: bool
    url: str


@dataclass(frozen=True)
class Place:
    """The data folder; an absolute path."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def key_ring(self) -> Path:
        """The key ring: beside the folder, so that a copy of the folder is noise without it."""
        given = os.environ.get("KEY_RING_FILE")
        return Path(given).absolute() if given else self.folder.with_name(f"{self.folder.name}.keyring")

    def refuse_a_file(self) -> None:
        """Raise Problem where the name is that of a file, or leads through one."""
        for path in (self.folder, *self.folder.parents):
            if path.exists() and not path.is_dir():
                raise Problem(f"{path} is no folder: name another data folder with --data.")

    def make(self) -> None:
        """Make the folder and its parts; raises Problem when it is somebody else's or not writable."""
        if self._is_foreign():
            raise Problem(f"{self.folder} holds other files: choose an empty or a new folder with --data.")
        # The servers' account passes through ours to its own folders, which are 0700; files of ours are 0600.
        mode = 0o700 if binaries.account() is None else 0o711
        try:
            for folder in (self.folder, self.logs, self.state):
                with contextlib.suppress(FileExistsError):  # also when another launcher makes it in this very moment
                    folder.mkdir(mode=0o700, parents=folder == self.folder)
                    if folder == self.folder:
                        folder.chmod(mode)
        except OSError as error:
            raise Problem(f"The data folder {self.folder} cannot be used: {error.strerror}.") from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise Problem(f"The data folder {self.folder} cannot be written to.")

    def _is_foreign(self) -> bool:
        """Say whether the folder holds files and no lock; a launcher that began a moment ago gets the time to make
        one."""
        deadline = time.monotonic() + LOCK_SECONDS
        while self.folder.is_dir() and not (self.folder / "lock").exists() and any(self.folder.iterdir()):
            if time.monotonic() > deadline:
                return True
            time.sleep(0.05)
        return False

    def servers(self) -> Path:
        """Return the servers' folder: inside ours or, when their account cannot come there, at an outpost."""
        inside = self.folder / "servers"
        if inside.is_symlink() or inside.exists():
            return inside.resolve()
        if binaries.can_enter(binaries.account(), self.folder):
            inside.mkdir(mode=0o711)
        else:
            inside.symlink_to(binaries.outpost(self.folder))
        inside.chmod(0o711)
        return inside.resolve()

    def secrets(self) -> dict[str, str]:
        """Return the passwords of this installation, made on first use and kept in a 0600 file."""
        path = self.folder / "secrets"
        kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if missing := [name for name in PASSWORDS if name not in kept]:
            kept |= {name: secrets.token_urlsafe(48 if name == "secret_key" else 24) for name in missing}
            write(path, json.dumps(kept, indent=1))
        return kept

    def ports(self) -> dict[str, int]:
        """Return the ports of the last start."""
        path = self.folder / "ports"
        return json.loads(path.read_text()) if path.exists() else {}

    def keep_ports(self, ports: dict[str, int]) -> None:
        write(self.folder / "ports", json.dumps(ports))

    def shorten_logs(self) -> None:
        """Begin new log files when the old ones are long; one older copy of each stays."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".old"))

    # --- One launcher at a time ---

    @contextlib.contextmanager
    def locked(self, kind: str, *, wait: float = LOCK_SECONDS) -> Iterator["Lock"]:
        """Hold the folder; raises Problem when another launcher holds it for longer than `wait` seconds."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + wait
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise Problem(self._held_by())
                time.sleep(0.1)
            lock = Lock(descriptor, kind)
            lock.tell()
            yield lock
        finally:
            os.close(descriptor)

    def _held_by(self) -> str:
        holder = self.holder()
        pid = f" (process {holder.pid})" if holder else ""
        if holder and holder.kind == "command":
            return f"A command is running in {self.folder}{pid}: wait for its end."
        return f"The site of {self.folder} is running already{pid}: `./run stop` ends it."

    def holder(self) -> Holder | None:
        """Return who holds the lock, or None when nobody does."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            if _try_lock(descriptor):
                return None
            content = os.pread(descriptor, 4096, 0)
            return Holder(**json.loads(content)) if content else Holder(0, "site", ready=False, url="")
        except ValueError:  # read while it was being written
            return Holder(0, "site", ready=False, url="")
        finally:
            os.close(descriptor)

    def remove(self) -> list[Path]:
        """Remove what launchers made here, the key ring included, and return what is gone."""
        gone = []
        inside = self.folder / "servers"
        if inside.is_symlink():
            target = inside.readlink()
            if target.parent in binaries.OUTPOSTS:
                shutil.rmtree(target, ignore_errors=True)
                gone.append(target)
        for name in OURS:
            path = self.folder / name
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        gone.append(self.folder)
        if not os.environ.get("KEY_RING_FILE") and self.key_ring.exists():
            self.key_ring.unlink()
            gone.append(self.key_ring)
        return gone


@dataclass
class Lock:
    """A lock that this process holds; its file says who and how far."""

    descriptor: int
    kind: str

    def tell(self, *, ready: bool = False, url: str = "") -> None:
        """Write into the lock file who holds it."""
        content: dict[str, Any] = {"pid": os.getpid(), "kind": self.kind, "ready": ready, "url": url}
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(content).encode(), 0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(path: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
