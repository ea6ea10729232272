"""The end of a chain's oldest rows, three years after they were written (retention classes `audit`, `access_log`).

What must never happen: a row that goes before its time, or out of the middle, or whose end hides that somebody changed
it. So a chain ends from its beginning only; what is to end is verified first; a floor says where the chain begins
afterwards, signed with a key outside the database; and the database lets nothing go but what lies below a floor, and
takes no floor above a row younger than three years. What ended cannot be brought back.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection, transaction

from privacy.audit import encoding, verification
from privacy.audit.chains import AUDIT, Chain
from privacy.audit.models import ChainFloor

log = structlog.get_logger(__name__)

_FIRST_TO_STAY = """
    SELECT l.position FROM {links} l JOIN {rows} e ON e.id = l.event_id
    WHERE e.at >= %s ORDER BY l.position LIMIT 1
"""


def end(*, before: datetime, now: datetime, chain: Chain = AUDIT) -> int:
    """End the oldest rows, those written before a moment, with their links; return how many.

    Ends nothing, and logs an error, when one of them is not what was sealed: `verify_audit` then names it.
    """
    with transaction.atomic():
        last = _last_to_end(chain, before)
        if last is None:
            return 0
        report = verification.Report(chain)
        position, head = verification.floor_of(report)
        verification.walk(report, position, head, upto=last)
        if not report.is_intact:
            log.error("chain.not_ended", chain=chain.name, wrong=report.wrong)
            return 0
        link = chain.links.objects.get(position=last)
        floor = ChainFloor(chain=chain.name, position=last, chain_hash=link.chain_hash, at=now)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT privacy_end_chain(%s, %s, %s, %s, %s)",
                [floor.chain, floor.position, floor.chain_hash, floor.at, encoding.floor_signature(floor)],
            )
            return int(cursor.fetchone()[0])


def _last_to_end(chain: Chain, before: datetime) -> int | None:
    """Return the place of the last link before the first whose row stays, None when nothing is to end."""
    with connection.cursor() as cursor:
        statement = _FIRST_TO_STAY.format(links=chain.links._meta.db_table, rows=chain.rows._meta.db_table)
        cursor.execute(statement, [before])
        stays = cursor.fetchone()
    links = chain.links.objects.order_by("-position")
    last = links.filter(position__lt=stays[0]).first() if stays else links.first()
    return last.position if last else None
