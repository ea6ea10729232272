"""The site's own processes: web, worker and beat, started together, watched and stopped together."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from ilt_site.launcher import Problem
from ilt_site.launcher.place import Place
from ilt_site.launcher.servers import dying_with, start, stop

ROOT = Path(__file__).resolve().parents[2]
HEALTH_SECONDS = 90
RESTARTS_A_MINUTE = 5


def python(*arguments: str) -> list[str]:
    """Return the command line for this Python."""
    return [sys.executable, *arguments]


def manage(env: Mapping[str, str], *arguments: str, what: str, interrupted: Callable[[], bool] = lambda: False) -> str:
    """Run one management command and return its output; raises Problem with its last line when it fails.

    `interrupted` says whether to end it before its end, for a command that loses nothing by that.
    """
    command = subprocess.Popen(
        python(str(ROOT / "manage.py"), *arguments),
        env=dict(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=dying_with(signal.SIGKILL),
    )
    while True:
        try:
            printed, errors = command.communicate(timeout=0.3)
            break
        except subprocess.TimeoutExpired:
            if interrupted():
                command.terminate()
    if command.returncode:
        kept = Path(env["STATE_DIR"]) / "last-error.txt"
        kept.write_text(errors)
        raise Problem(f"{what} failed: {last_words(errors)} ({kept} has all of it)")
    return printed


def last_words(errors: str) -> str:
    """Return the line of a command's error output that says most: its last that is no hint and no count of issues."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    noise = ("HINT:", "LINE ", "System check identified")
    telling = [line for line in lines if not line.startswith(noise) and line.strip("^ ~")]
    return (telling or lines or ["no reason was given"])[-1]


@dataclass
class Service:
    """One process of the site and how to start and end it."""

    name: str
    command: list[str]
    end: signal.Signals
    at_parents_death: signal.Signals
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Site:
    """Web, worker and beat of one place."""

    place: Place
    env: Mapping[str, str]
    port: int
    services: list[Service] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)
    dev: bool = False
    code: float = 0.0

    def start(self) -> None:
        """Start the three processes; they come up by themselves."""
        celery = python("-m", "celery", "--app", "ilt_site", "--quiet")
        gunicorn = python("-m", "gunicorn", "--config", "python:ilt_site.webserver", "ilt_site.wsgi")
        beat = [*celery, "beat", "--pidfile=", "--loglevel", "WARNING"]
        worker = [
            *celery,
            "worker",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel",
            "WARNING",
        ]
        self.services = [
            # All three end at once when the launcher is killed, whatever they are at: an unfinished step runs again, an
            # unfinished page was never answered. gunicorn's own workers look for their master and follow it.
            Service("web", gunicorn, signal.SIGTERM, signal.SIGKILL),
            Service("worker", worker, signal.SIGTERM, signal.SIGKILL),
            Service("beat", beat, signal.SIGTERM, signal.SIGKILL),
        ]
        if self.dev:
            # Django's own server takes up changed code and templates, and a breakpoint meets somebody at its terminal.
            address = f"127.0.0.1:{self.port}"
            self.services[0] = Service("web", python("manage.py", "runserver", address), signal.SIGINT, signal.SIGKILL)
            self.code = self._newest()
        for service in self.services:
            self._launch(service)

    def take_up_changes(self) -> bool:
        """Start the worker again when the code changed while developing; return whether it was."""
        if not self.dev or self.code == (newest := self._newest()):
            return False
        self.code = newest
        for service in self.services:
            if service.name == "worker" and service.process:
                stop(service.process, service.end, seconds=20)
                self._launch(service)
        return True

    def _newest(self) -> float:
        """Return when the newest Python file of ours was written."""
        apps = [ROOT / name for name in ("accounts", "ilt_site", "orders", "privacy", "rma")]
        return max(path.stat().st_mtime for app in apps for path in app.rglob("*.py"))

    def _launch(self, service: Service) -> None:
        if self.dev and service.name == "web":
            env = {**self.env, "DEBUG": "true", "ILT_PROCESS": "web"}
            service.process = subprocess.Popen(
                service.command, env=env, cwd=ROOT, preexec_fn=dying_with(service.at_parents_death)
            )
            return
        service.process = start(
            service.command,
            who=None,
            log=self.place.logs / f"{service.name}.log",
            at_parents_death=service.at_parents_death,
            env=self.env,
            cwd=ROOT,
        )

    def stop(self) -> None:
        """Stop all three, beat first and the web last."""
        running = [service for service in reversed(self.services) if service.process is not None]
        for service in running:
            if service.process and service.process.poll() is None:
                service.process.send_signal(service.end)
        for service in running:
            if service.process:
                stop(service.process, service.end, seconds=20)

    def wait_until_healthy(self, interrupted: Callable[[], bool]) -> None:
        """Return when the health page is green; raises Problem when a process dies first or time runs out."""
        deadline = time.monotonic() + HEALTH_SECONDS
        while not self.is_healthy():
            for service in self.services:
                if service.process is None or service.process.poll() is not None:
                    raise Problem(f"The {service.name} process ended at once: {self._reason(service.name)}")
            if interrupted():
                return
            if time.monotonic() > deadline:
                wrong = self.what_is_wrong() or "the health page does not answer"
                raise Problem(
                    f"The site is not healthy after {HEALTH_SECONDS} s: {wrong}. The logs in {self.place.logs} have more."
                )
            time.sleep(0.2)

    def _reason(self, name: str) -> str:
        log = self.place.logs / f"{name}.log"
        lines = [line for line in log.read_text(errors="replace").splitlines() if "ImproperlyConfigured" in line]
        return lines[-1].split("ImproperlyConfigured: ")[-1] if lines else f"{log} says why."

    def is_healthy(self) -> bool:
        """Return whether the health page answers that all is well."""
        return self._health()[0] == HTTPStatus.OK

    def what_is_wrong(self) -> str:
        """Return what the health page finds wrong, part by part; "" when it does not answer, or finds nothing."""
        _, body = self._health()
        try:
            parts = json.loads(body)["parts"]
        except (ValueError, TypeError, KeyError):
            return ""
        return "; ".join(f"{name}: {found}" for name, found in parts.items() if found != "ok")

    def _health(self) -> tuple[int, bytes]:
        """Return status and body of the health page, which tells who has the token more; 0 when it does not answer."""
        host = urlsplit(self.env.get("PORTAL_URL", "")).hostname or "127.0.0.1"
        allowed = self.env.get("ALLOWED_HOSTS", host).split(",")[0].lstrip(".").replace("*", "localhost")
        headers = {"Host": allowed or "127.0.0.1"}
        if token := self.env.get("METRICS_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/health/", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def revive(self) -> list[str]:
        """Start again what has died, and return its names; raises Problem when that happens too often."""
        dead = [service for service in self.services if service.process is None or service.process.poll() is not None]
        for service in dead:
            self.deaths = [at for at in self.deaths if at > time.monotonic() - 60] + [time.monotonic()]
            if len(self.deaths) > RESTARTS_A_MINUTE:
                log = self.place.logs / f"{service.name}.log"
                raise Problem(f"The {service.name} process ends again and again; {log} says why.")
            self._launch(service)
        return [service.name for service in dead]


def replace_process(env: Mapping[str, str], arguments: list[str]) -> None:
    """Become the management command; does not return."""
    command = python(str(ROOT / "manage.py"), *arguments)
    os.execve(command[0], command, dict(env))  # noqa: S606  no shell is wanted
