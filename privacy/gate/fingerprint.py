"""What a page has shown to who decides there, as one short text that comes back with the answer (design 9).

What must never happen: an objection, a change or a question that came after the page was shown is decided with the
others, unread; an answer that says nothing about what was shown counts as one that has seen everything. Who is refused
reads the page anew and decides then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable

NEW = "Something has come or changed since you looked. Nothing was decided: read all of it below."
NOTHING = "Your answer did not say what the page had shown you. Nothing was decided: read all of it below."


class NotSeen(Exception):
    """Who decides was shown something else than what stands there now; the text is one sentence for who tries."""


def of(facts: Iterable[object]) -> str:
    """Return the fingerprint of what is shown: ids and times of what happened, in whatever order; never a value of
    anybody."""
    lines = sorted(json.dumps(one, default=str) for one in facts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def require(seen: str, now: str) -> None:
    """Raise NotSeen unless what was seen is what is there now; to be called under the lock under which it is
    decided."""
    if not hmac.compare_digest(seen.encode(), now.encode()):
        raise NotSeen(NEW if seen else NOTHING)
