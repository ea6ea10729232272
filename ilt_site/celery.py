"""The Celery application; its settings and the schedule are in `ilt_site.settings`."""

import ctypes
import os
import signal
from typing import Any

import structlog
from celery import Celery
from celery.signals import (
    beat_init,
    setup_logging,
    task_failure,
    task_success,
    worker_init,
    worker_process_init,
    worker_ready,
)
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")

PR_SET_PDEATHSIG = 1

_worker = 0

app = Celery("ilt", task_cls="ilt_site.maintenance:WaitingTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_unsafe_start(**_: Any) -> None:
    """Stop before the first task when the configuration is unsafe."""
    from ilt_site import startup

    try:
        startup.refuse_unsafe_start()
        startup.refuse_foreign_parts()
        startup.look_at_ledger()
    except ImproperlyConfigured as refusal:
        raise SystemExit(str(refusal)) from None  # an ordinary exception of a receiver would only be logged


@worker_init.connect
def remember_the_worker(**_: Any) -> None:
    """Keep the worker's number for its pool processes, which are forked from it."""
    global _worker
    _worker = os.getpid()


@worker_process_init.connect
def end_with_the_worker(**_: Any) -> None:
    """Let a pool process die with its worker: a killed worker must not leave a step running beside its repeat."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _worker:  # it died before we asked to be told
        os._exit(1)


@task_failure.connect
def tell_of_a_failed_task(sender: Any = None, exception: BaseException | None = None, **_: Any) -> None:
    """Write one line for a task that failed: its name, the exception's class and place, never its text or arguments."""
    structlog.get_logger(__name__).error("task_failed", task=getattr(sender, "name", ""), exc_info=exception)


@task_success.connect
def tell_of_work(sender: Any = None, **_: Any) -> None:
    """Let the health page see that work is done."""
    from ilt_site import health

    health.note_work(getattr(sender, "name", ""))


@worker_ready.connect
def begin_with_what_is_due(**_: Any) -> None:
    """Wake what fell asleep while no worker ran; the health page is green once this is done."""
    from ilt_site import health

    for name in health.EACH:
        app.send_task(name, ignore_result=True, expires=health.WORK_SECONDS)


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Leave logging as Django's settings made it: Celery's own would pass the redactor by."""
