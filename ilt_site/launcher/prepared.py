"""The migrated databases that tests start from, made once and kept below .local for the next run.

The kept folder is found by the content of everything that makes these tables: migrations, what migrations import of
ours, what makes the columns' checks, the locked packages, the servers' program. A change of any of them makes a new
one.
"""

import ast
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ilt_site.launcher import Problem, servers
from ilt_site.launcher.servers import Servers

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".local" / "prepared"
OWN = (
    Path(__file__),
    *(ROOT / "ilt_site" / name for name in ("routers.py", "bounds.py", "management/commands/migrate.py")),
)
APPS = ("privacy", "accounts", "orders", "rma", "ilt_site")
DATABASES = {"ilt": "default", "ilt_keystore": "keystore"}
NEWEST = 4  # as many are kept: of this branch and of another one, on both kinds of servers


def key(program: Path) -> str:
    """Return the name of the databases that this code and this PostgreSQL make."""
    told = hashlib.sha256()
    for path in sorted(_sources()):
        told.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes() + b"\n")
    about = program.stat()
    told.update(f"{program.resolve()} {about.st_size} {about.st_mtime_ns}".encode())
    return told.hexdigest()[:16]


def _sources() -> set[Path]:
    """Return the files whose content decides what the tables look like."""
    migrations = {path for app in APPS for path in (ROOT / app).rglob("migrations/*.py")}
    imported = {found for path in migrations for name in _imports(path) if (found := _file(name))}
    return migrations | imported | {*OWN, ROOT / "requirements" / "test.txt"}


def _imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports: modules, and what may be a module in one."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _file(name: str) -> Path | None:
    """Return the file of a module of ours, or None."""
    if name.partition(".")[0] not in APPS:
        return None
    path = ROOT.joinpath(*name.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def start(made: Servers, fill: Callable[[Servers], None], *, anew: bool) -> None:
    """Start servers with the kept databases, or with those that `fill` makes now, which are kept then."""
    kept = KEPT / key(made.binaries.postgres / "postgres")
    if not anew and _fetch(kept, made):
        made.start()
        return
    made.start()
    fill(made)
    servers.stop(made.processes.pop("postgres"), signal.SIGINT, seconds=60)  # with a checkpoint: its files are whole
    made.stop()
    with contextlib.suppress(
        OSError, subprocess.CalledProcessError
    ):  # where nothing can be kept they are made each time
        _keep(made, kept)
    made.start()


def migrate(made: Servers, environment: Mapping[str, str]) -> None:
    """Make the databases `ilt` and `ilt_keystore` with their tables, both at once. Raises Problem when that fails."""
    with contextlib.closing(made.connect("postgres")) as connection, connection.cursor() as cursor:
        for database in DATABASES:
            cursor.execute(f"CREATE DATABASE {database}")
    env = {**environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "django", "migrate", "--verbosity", "0", "--database"]
    running = [subprocess.Popen([*command, alias], cwd=ROOT, env=env) for alias in DATABASES.values()]
    codes = [process.wait() for process in running]
    if any(codes):
        raise Problem("The migrations failed.")


def _fetch(kept: Path, made: Servers) -> bool:
    """Copy the kept cluster to where these servers look for theirs; False when there is none."""
    password = kept / "password"
    try:
        made.password = password.read_text()
        _copy(kept / "postgres", made.cluster)
        os.utime(kept)
    except (OSError, subprocess.CalledProcessError):
        shutil.rmtree(made.cluster, ignore_errors=True)  # half of one
        return False
    return True


def _keep(made: Servers, kept: Path) -> None:
    KEPT.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="half-") as half:
        (Path(half) / "password").write_text(made.password)
        _copy(made.cluster, Path(half) / "postgres")
        os.rename(half, kept)  # whole or not at all
        Path(half).mkdir()  # for the block, which removes it
    for old in sorted(KEPT.iterdir(), key=lambda path: -path.stat().st_mtime)[NEWEST:]:
        shutil.rmtree(old, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a cluster with its owner and rights; raises CalledProcessError when that fails."""
    subprocess.run(["cp", "-a", source, target], check=True, stderr=subprocess.DEVNULL)
