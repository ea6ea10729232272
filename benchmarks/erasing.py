"""Erasing a person

Every step of a real request, from the plan to the closed file, for one person with 1,000 records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import connections

from benchmarks import filling
from benchmarks.harness import Goal, Table
from benchmarks.profiling import explained
from privacy import gate
from privacy.gate.system import system
from privacy.requests import execute, filing, services, sight, writing
from privacy.requests.models import Request
from privacy.requests.states import Channel
from privacy.retention.models import Decision

RECORDS = 1_000
OTHERS = 5_000
OPERATOR = gate.Actor(
    kind="operator", id="request_file", subject=None, roles=frozenset({"system:erasure"}), purpose="erasure"
)
PRIVACY = gate.Actor(kind="staff", id="pat", subject=None, roles=frozenset({"privacy"}), purpose="admin")
Laps = list[tuple[str, float, float, int, int]]  # name, seconds, seconds of this program, queries


def run() -> list[Table]:
    """Return the seconds and queries of each step."""
    for _ in filling.people(OTHERS):
        pass
    small, customer, again = filling.person(), filling.person(), filling.person()
    filling.records(small, 40)
    made = filling.records(customer, RECORDS)
    filling.records(again, RECORDS)  # for the profile
    filling.counted()
    erased(small.subject_id)  # a worker that runs has loaded its templates and talked to the broker before
    laps = erased(customer.subject_id)
    names = [lap[0] for lap in laps]
    carried = sum(lap[1] for lap in laps[names.index("confirm") + 1 :])
    _, total, own, main, keys = ("", *(sum(lap[place] for lap in laps) for place in range(1, 5)))
    rows = [(name, f"{seconds:.3f}", f"{cpu:.3f}", *queries) for name, seconds, cpu, *queries in laps]
    rows.append(("**together**", f"**{total:.2f}**", f"{own:.2f}", main, keys))
    what = ", ".join(f"{number} {kind}" for kind, number in made.items())
    return [
        Table(
            f"One person with {sum(made.values()):,} records",
            ("step", "seconds", "of them the program's own", "queries, main database", "queries, key store"),
            rows,
            notes=(
                f"The records: {what}; a quarter of the orders are past all their periods and go whole, the others keep "
                "what their invoice needs. Lines and invoices of the orders are not counted.",
                f"Beside {OTHERS:,} other people, in a process that has erased one before. Steps by name as `request_show` prints them; filing and confirming are "
                "the privacy team's, as after a telephone call.",
            ),
            goals=(
                Goal(
                    "S5 carried out",
                    f"erasure of a person with {RECORDS:,} records, from the confirmation to the closed file: 2 s or less",
                    2.0,
                    carried,
                    f"{carried:.1f} s",
                    why="Each record has a line in the audit log and one in the ledger of keys.",
                ),
                explained(
                    Goal(
                        "S5 whole",
                        "the same with filing, planning and confirming: 2 s or less",
                        2.0,
                        total,
                        f"{total:.1f} s",
                        why="The plan is made three times (to show it, when it is confirmed, before it is carried out), each time "
                        "from all records; a code for the person is hashed as a password is.",
                    ),
                    lambda: erased(again.subject_id),
                    repeat=False,
                ),
            ),
        )
    ]


def erased(subject: UUID | None) -> Laps:
    """File, plan, confirm and carry out the erasure of one person; return what each step took."""
    laps: Laps = []
    request = timed(laps, "file", lambda: file_request(subject, "erasure"))
    carried_out(laps, request)
    request.refresh_from_db()
    with gate.acting(PRIVACY):
        timed(
            laps,
            "confirm",
            lambda: services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=filling.now()),
        )
    carried_out(laps, request)
    with system("letter"):
        writing.send_due(now=filling.now())
    carried_out(laps, request, later=True)
    request.refresh_from_db()
    if request.state != "closed" or Decision.objects.filter(request=request, action="erase", done_at=None).exists():
        raise RuntimeError(f"The erasure was not carried out: {request.state}, {request.step}, {request.last_error}.")
    return laps


def file_request(subject: UUID | None, kind: str) -> Request:
    """File a request as an operator does by command after a call-back; one of staff would wait for a second person."""
    with gate.acting(PRIVACY):
        return filing.file(
            filing.Receipt(
                kind=kind,
                subject=subject,
                channel=Channel.PHONE,
                received_on=filling.today(),
                identity=Request.Identity.CALLBACK,
            ),
            actor=OPERATOR,
            now=filling.now(),
        ).request


def carried_out(laps: Laps, request: Request, *, later: bool = False) -> None:
    """Do the steps that can be done now, as a worker does; `later`: those that wait for the letter to be sent too."""
    for _ in range(1000):
        request.refresh_from_db()
        step = request.step
        at = request.next_action_at if later and request.next_action_at else filling.now()
        before = len(laps)
        said = timed(laps, step, lambda at=at: execute.advance(request.pk, now=at))
        if said in ("idle", "waiting"):
            del laps[before:]
            return
        if said == "retry":
            request.refresh_from_db()
            raise RuntimeError(f"{step}: {request.last_error}")
    raise RuntimeError("The request does not come to an end.")


def timed(laps: Laps, name: str, work: Callable[[], Any]) -> Any:
    """Run `work`, add its seconds and queries to the lap of that name, and return what it returned."""
    counts = {"default": 0, "keystore": 0}

    def counting(alias: str) -> Callable[..., Any]:
        def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
            counts[alias] += 1
            return execute(sql, params, many, context)

        return wrapper

    with (
        connections["default"].execute_wrapper(counting("default")),
        connections["keystore"].execute_wrapper(counting("keystore")),
    ):
        begin, cpu = time.perf_counter(), time.process_time()
        result = work()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    lap = (seconds, cpu, counts["default"], counts["keystore"])
    if laps and laps[-1][0] == name:
        before = laps.pop()[1:]
        laps.append((name, *(one + more for one, more in zip(before, lap, strict=True))))
    else:
        laps.append((name, *lap))
    return result
