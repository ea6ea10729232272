"""By which rule a request may be refused as a whole: by what is asked, and by the law that covers the person (Art.
12(4)).

What must never happen: what the policy promises is refused for a reason that the policy does not know. It lets data
stay where they are needed for legitimate business or the law requires it, record by record (P10); that somebody asks
often is a reason of the GDPR alone, so it is none towards a person whom no GDPR covers. By that rule one member of
staff alone refuses nothing: the company has to show the excess (Art. 12(5); Brillen Rottler, C-526/24). A refusal made
by mistake is undone by asking again.
"""

from __future__ import annotations

from privacy.requests.models import Request
from privacy.retention import jurisdiction

UNKNOWN, EXCESSIVE, OTHERS = "Art. 12(2) GDPR", "Art. 12(5) GDPR", "Art. 15(4) GDPR"
WORDS = {
    UNKNOWN: "the person cannot be identified",
    EXCESSIVE: "manifestly unfounded or excessive",
    OTHERS: "a copy would harm the rights of others",
}

#: What the company has to show: evidence in words, and a second person who agrees to it.
NEED_SECOND = frozenset({EXCESSIVE})


def of(request: Request) -> dict[str, str]:
    """Return the rules by which this request may be refused, with their words."""
    found = dict(WORDS)
    if not (request.procedure.may_be_excessive and jurisdiction.covers(request.country or None)):
        del found[EXCESSIVE]
    if not request.procedure.gives:
        del found[OTHERS]
    return found
