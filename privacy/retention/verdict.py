"""What happens to one envelope of one record, and everything a person is told about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

Action = Literal["erase", "keep"]

#: Before the reason that keeps data on when what is open is finished.
AFTERWARDS = "Afterwards:"


def ends_when_finished(code: str, sentence: str) -> bool:
    """Return whether what is kept goes as soon as what is open is finished, for nothing keeps it afterwards.

    `code` and `sentence` are those of a verdict, or what is stored of it beside a decision.
    """
    return code == "KEEP_CONTRACT" and AFTERWARDS not in sentence


@dataclass(frozen=True)
class Verdict:
    """What happens to one envelope of one record.

    `data` are the plain names of what is in it. `code` is of the closed list ERASE, MINIMISE, KEEP_CONTRACT, KEEP_LAW,
    KEEP_LI, KEEP_CLAIMS, TOKEN; `ground` the article, `authority` the text for the person's own jurisdiction,
    `policy_reason` which of the two exceptions of the policy it is (P10), empty for what is erased. `until` is the last
    day on which it is kept, None under a hold or when no start is known. `waits_for` names the flags whose end ends it
    earlier. `overdue`: it ought to have been erased before, on its own. `told`: the day of which the person was told
    that it ends then; it has come, and something is open. `is_pinned`: the person was told of a day, later than which
    it does not end by itself.
    """

    record_id: UUID
    label: str
    title: str
    envelope: str
    data: tuple[str, ...]
    action: Action
    code: str
    ground: str
    authority: str
    until: date | None = None
    overdue: bool = False
    policy_reason: str = ""
    sentence: str = ""
    waits_for: tuple[str, ...] = ()
    restricted: bool = False
    told: date | None = None
    is_pinned: bool = False
    subject_id: UUID | None = None

    @property
    def key(self) -> tuple[UUID, str]:
        """The (record, envelope) it is about."""
        return self.record_id, self.envelope

    @property
    def last_day(self) -> date | None:
        """The last day on which it is kept, as far as it is known; None where another reason begins once what is open
        is finished, and no day was told yet."""
        begins_then = self.waits_for and not self.goes_when_finished
        return None if begins_then and not self.is_pinned else self.until

    @property
    def goes_when_finished(self) -> bool:
        """Whether it waits for something that is open, and nothing keeps it once that is finished."""
        return bool(self.waits_for) and ends_when_finished(self.code, self.sentence)

    @property
    def is_erased(self) -> bool:
        """Whether the envelope is to be erased."""
        return self.action == "erase"
