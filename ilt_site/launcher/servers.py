"""Start and stop one PostgreSQL and one Valkey on 127.0.0.1."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import redis

from ilt_site.launcher import Problem
from ilt_site.launcher.binaries import Account, Binaries

SUPERUSER = "postgres"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
START_SECONDS = 60
QUIET_SECONDS = 3  # a start that takes longer says what it waits for
NAMES = {"postgres": "PostgreSQL", "valkey": "Valkey"}
NEEDED_MB = 400  # of a demo's data folder: the cluster, its write-ahead log, the static files, logs

# An error's text may quote the value that caused it (invalid input, duplicate key): errors stay out of the log,
# and so do statements and their parameters.
QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_lock_waits": "off",
    "log_temp_files": "-1",
    "log_autovacuum_min_duration": "-1",
}
DURABLE: dict[str, str] = {}
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal"}


def free_port(wanted: int | None = None) -> int:
    """Return a free port on 127.0.0.1: the wanted one when nothing listens there."""
    for port in (wanted or 0, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise Problem("There is no free port on 127.0.0.1.")


def check_machine(folder: Path, *, needed_mb: int = NEEDED_MB) -> None:
    """Raise Problem when this machine cannot run servers in `folder`: no loopback interface, or no space on the
    disk."""
    try:
        with socket.socket() as listening, socket.socket() as calling:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            calling.settimeout(2)
            calling.connect(listening.getsockname())
    except OSError as error:
        raise Problem(
            f"This machine cannot reach itself at 127.0.0.1 ({error.strerror or 'no answer'}): "
            "bring its loopback interface up, by `ip link set lo up`."
        ) from None
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed_mb:
        raise Problem(f"Only {free} MB are free where {folder} lies, and {needed_mb} MB are needed.")


def dying_with(parent_signal: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child gets the signal when its parent dies, even by kill -9."""
    parent = os.getpid()

    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, parent_signal)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return prepare


def start(
    command: Sequence[str | Path],
    *,
    who: Account | None,
    log: Path,
    at_parents_death: signal.Signals,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    cwd: Path | str = "/",
) -> subprocess.Popen[bytes]:
    """Start a process in the background under the account, its output appended to a log that only we can read."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    identity = {} if who is None else {"user": who.uid, "group": who.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=stdin,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(env) if env is not None else plain_environment(),
            cwd=cwd,
            process_group=0,  # a Ctrl-C at the terminal reaches the launcher alone, which then stops all in order
            preexec_fn=dying_with(at_parents_death),
            **identity,  # type: ignore[call-overload]
        )
    finally:
        os.close(descriptor)


def plain_environment() -> dict[str, str]:
    """Return an environment without our secrets for the servers."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def stop(process: subprocess.Popen[bytes], first: signal.Signals, *, seconds: float) -> None:
    """Stop a process by a signal, and by SIGKILL to its whole group when it has not ended in time."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Servers:
    """A PostgreSQL cluster and a Valkey in one folder; `start()` makes the cluster when there is none."""

    folder: Path
    binaries: Binaries
    who: Account | None
    password: str
    broker_password: str
    logs: Path
    options: Mapping[str, str] = field(default_factory=dict)
    throw_away: bool = False
    postgres_port: int = 0
    valkey_port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def cluster(self) -> Path:
        return self.folder / "postgres"

    @property
    def broker_url(self) -> str:
        return f"redis://:{self.broker_password}@127.0.0.1:{self.valkey_port}/0"

    def database_url(self, role: str, password: str, database: str) -> str:
        """Return a URL for settings, with the password in it: never print it."""
        return f"postgres://{role}:{password}@127.0.0.1:{self.postgres_port}/{database}"

    def start(self) -> None:
        """Start both servers; raises Problem when one does not come up."""
        if not self.throw_away:
            check_machine(self.folder)
        self._prepare_folders()
        if not (self.cluster / "PG_VERSION").is_file():
            self._initdb()
        self._wait_for_the_last_one()
        self._start_valkey()
        self._start_postgres()
        self._wait_for_valkey()
        self._wait_for_postgres()

    def _wait_for_the_last_one(self) -> None:
        """Let a PostgreSQL whose launcher was killed finish its end; a lock file that nobody
        stands behind is its own matter."""
        deadline, has_told = time.monotonic() + START_SECONDS, False
        while time.monotonic() < deadline and self._is_the_last_one_there():
            if not has_told:
                print("Waiting for the PostgreSQL of before to end ...", file=sys.stderr, flush=True)
                has_told = True
            time.sleep(0.1)

    def _is_the_last_one_there(self) -> bool:
        with contextlib.suppress(OSError, ValueError, IndexError):
            number = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
            return Path(f"/proc/{number}/cwd").resolve() == self.cluster.resolve()
        return False

    def stop(self) -> None:
        """Stop both servers, PostgreSQL with a checkpoint."""
        for name in ("postgres", "valkey"):
            if process := self.processes.pop(name, None):
                stop(process, self._end_of(name), seconds=30)

    def revive(self) -> list[str]:
        """Start again what has died, and return its names."""
        dead = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in dead:
            self._start_postgres() if name == "postgres" else self._start_valkey()
        return dead

    def _end_of(self, name: str) -> signal.Signals:
        if name == "valkey":
            return signal.SIGTERM
        return signal.SIGQUIT if self.throw_away else signal.SIGINT  # immediate, or fast with a checkpoint

    def _prepare_folders(self) -> None:
        for folder in (self.cluster, self.folder / "valkey"):
            folder.mkdir(mode=0o700, exist_ok=True)
            if self.who:
                os.chown(folder, self.who.uid, self.who.gid)

    def _initdb(self) -> None:
        # A half-made cluster (killed in initdb) holds nothing: begin again.
        for entry in self.cluster.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        password = self.folder / "initdb-password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        if self.who:
            os.chown(password, self.who.uid, self.who.gid)
        sync = ["--no-sync"] if self.throw_away else []
        process = start(
            [self.binaries.postgres / "initdb", "-D", self.cluster, "-U", SUPERUSER, f"--pwfile={password}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", *sync],
            who=self.who,
            log=self.logs / "postgres.log",
            at_parents_death=signal.SIGKILL,
        )  # fmt: skip
        code = process.wait()
        password.unlink()
        if code != 0:
            raise Problem(f"PostgreSQL could not make its data folder: {self._why('postgres')}")

    def _start_postgres(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.postgres_port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "max_wal_senders": "0",
            "password_encryption": "scram-sha-256",
            **QUIET,
            **(THROW_AWAY if self.throw_away else DURABLE),
            **self.options,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.processes["postgres"] = start(
            [self.binaries.postgres / "postgres", "-D", self.cluster, *settings],
            who=self.who,
            log=self.logs / "postgres.log",
            at_parents_death=self._end_of("postgres"),
        )

    def _start_valkey(self) -> None:
        durable = "no" if self.throw_away else "yes"
        config = (
            f'bind 127.0.0.1\nport {self.valkey_port}\nrequirepass "{self.broker_password}"\n'
            f'dir "{self.folder / "valkey"}"\nappendonly {durable}\nsave ""\nloglevel warning\ndaemonize no\n'
            "slowlog-log-slower-than -1\nenable-debug-command no\n"
        )
        reader, writer = os.pipe()
        os.write(writer, config.encode())
        os.close(writer)
        self.processes["valkey"] = start(
            [self.binaries.valkey, "-"],
            who=self.who,
            log=self.logs / "valkey.log",
            at_parents_death=self._end_of("valkey"),
            stdin=reader,
        )
        os.close(reader)

    def _wait_for_valkey(self) -> None:
        client = redis.Redis.from_url(self.broker_url, socket_timeout=2)
        for _ in self._until("valkey"):
            try:
                client.ping()
                client.close()
                return
            except redis.exceptions.RedisError:
                continue

    def _wait_for_postgres(self) -> None:
        for _ in self._until("postgres"):
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise Problem(
                        f"The database in {self.cluster} was made with another password than the one kept beside it: "
                        "`./run reset` starts anew."
                    ) from None

    def _until(self, name: str) -> Iterator[None]:
        """Yield until `name` answers; says what it waits for, and raises Problem naming the server that did not come
        up."""
        begin, has_told = time.monotonic(), False
        while (waited := time.monotonic() - begin) < START_SECONDS:
            for server, process in self.processes.items():
                if process.poll() is not None:
                    raise Problem(f"{NAMES[server]} ended while it was starting: {self._why(server)}")
            if waited > QUIET_SECONDS and not has_told:
                print(f"Waiting for {NAMES[name]} (at most {START_SECONDS} s) ...", file=sys.stderr, flush=True)
                has_told = True
            yield
            time.sleep(0.03)
        raise Problem(f"{NAMES[name]} did not answer within {START_SECONDS} s: {self._why(name)}")

    def _why(self, name: str) -> str:
        """Return the last line of a server's log that says what is wrong, and where the rest stands."""
        log = self.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
        telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "error", "No space"))]
        said = (telling or lines or [""])[-1].strip().rstrip(".")
        return f"{said} ({log} has the rest)." if said else "it left no word in its log."

    def connect(self, database: str) -> "psycopg2.extensions.connection":
        """Return a superuser's connection in autocommit mode."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.postgres_port, dbname=database, user=SUPERUSER, password=self.password,
            connect_timeout=3,
        )  # fmt: skip
        connection.autocommit = True
        return connection
