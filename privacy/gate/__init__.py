"""The gate: the only door to plaintext (P28, P40, P41).

    with gate.acting(actor):       # a view's middleware, a test
        order.ship_name            # opened, or a mask; either way decided by ilt_site/access.toml

What must never happen: an opened value without an actor, without a right, or without a row in the access log.
Whatever goes wrong here ends in a mask or in a refused response, never in a value.
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
