"""The gate: the only door to plaintext (P28, P40, P41).

    with gate.acting(actor):       # a view's middleware, a test
        order.ship_name            # opened, or a mask; either way decided by ilt_site/access.toml

What must never happen: an opened value without an actor, without a right, or without a row in the access log.
Whatever goes wrong here ends in a mask or in a refused response, never in a value.

    context      the unit of work: who acts, what was opened, and the row that says so
    guard        the decision, asked by the vault before it opens anything
    matrix       which role may open and change which envelope (ilt_site/access.toml)
    purposes     what the program works for that stands on no page: brought along by rights
    log          the access log; `rows` adds its rows; `told` tells it to the person
    matters      what is open between the company and a person: the reason of an opening
    staff        roles count only under a current signature
    system       the program as an actor; who may import it is held by import-linter
    fingerprint  what a page had shown to who decides there
    middleware, worker   around every page; around every task
"""

from privacy.actor import ANONYMOUS, MANAGER, STAFF_ROLES, Actor
from privacy.gate.context import AccessLogUnavailable, InsideTransaction, acting, because, current, streaming
from privacy.gate.log import AccessEntry
from privacy.gate.matrix import Refused, may, require, require_record
from privacy.gate.staff import staff_actor

__all__ = [
    "ANONYMOUS",
    "MANAGER",
    "STAFF_ROLES",
    "AccessEntry",
    "AccessLogUnavailable",
    "Actor",
    "InsideTransaction",
    "Refused",
    "acting",
    "because",
    "current",
    "may",
    "require",
    "require_record",
    "staff_actor",
    "streaming",
]
