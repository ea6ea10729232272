"""What was done, in words of the desk: one for each action that the audit records, whichever record's history has it.

What must never happen: the name of an event on a page of staff. The audit keeps the names as they are, because its
bytes never change. The other apps say theirs on a page of their own (`WorkAdmin.acts`); a test walks the code for what
is recorded. What an earlier version recorded and this one knows no more is shown with spaces.
"""

from __future__ import annotations

from collections.abc import Mapping

from privacy.requests.in_words import EVENTS
from privacy.requests.states import State

#: What a state of a request is called as something that happened: as the page of the request says it.
_STATES = {f"request.{one.value}": EVENTS.get(one.value, one.label.capitalize()) for one in State}

ACTS: Mapping[str, str] = {
    **_STATES,
    "access_log.name_moved": "Access log put under another person",
    "access_log.signed": "Access log signed",
    "account.kept": "Account kept",
    "acknowledgement.signed": "Confidentiality acknowledgement signed",
    "copy.begun": "Fetching of the copy begun",
    "copy.damaged": "Copy found damaged",
    "copy.destroyed": "Copy destroyed at the person's wish",
    "copy.fetched": "Copy fetched",
    "copy.on_stick": EVENTS["copy_on_stick"],
    "copy.printed": EVENTS["copy_printed"],
    "copy.to_be_posted": "Letter written with which the copy is posted",
    "correction.lost": "Correction lost with a backup that was brought back",
    "hold.lifted": "Hold lifted",
    "hold.placed": "Hold placed",
    "ledger.mended": "Keys ended again by the ledger",
    "ledger.replayed": "Ledger replayed",
    "letter.given_up": "Letter given up: it could not be sent",
    "letter.interrupted": "Letter stopped: its sending was interrupted",
    "letter.lapsed": "Letter stopped: its link or code had lapsed",
    "letter.opened": "Letter opened to be printed",
    "letter.posted": "Letter posted",
    "letter.resend": "Letter to be sent once more",
    "letter.returned": EVENTS["letter_returned"],
    "letter.sent": "Letter sent",
    "record.corrected": "Corrected",
    "record.erased": "Data removed",
    "record.released": "Restriction lifted",
    "record.removed": "Removed by its person or for them",
    "record.restricted": "Restricted",
    "records.searched": "Searched for",
    "request.breach_assessed": EVENTS["breach_assessed"],
    "request.code_posted": EVENTS["code_posted"],
    "request.day_came": EVENTS["day_came"],
    "request.extended": EVENTS["extended"],
    "request.extension_too_late": "Longer deadline refused: it came too late",
    "request.filed": EVENTS["received"],
    "request.identified": EVENTS["identity"],
    "request.merged": "Received once more, and taken as one with it",
    "request.not_me": EVENTS["not_me"],
    "request.noted": EVENTS["noted"],
    "request.nothing_held": "Answered that nothing is held",
    "request.paused": EVENTS["paused"],
    "request.possible_breach": EVENTS["possible_breach"],
    "request.proof_matched": "What was said to prove identity was right",
    "request.proof_refused": "What was said to prove identity was wrong",
    "request.recounted": "Due date counted anew",
    "request.refusal_decided": EVENTS["refusal_decided"],
    "request.refusal_proposed": EVENTS["refusal_proposed"],
    "request.resumed": "Resumed",
    "request.sealed": "Row looked at and sealed as it stands",
    "request.second_asked": EVENTS["second_asked"],
    "request.second_decided": EVENTS["second_decided"],
    "request.second_ended": EVENTS["second_ended"],
    "retention.armed": "Nightly sweep armed",
    "retention.disarmed": "Nightly sweep disarmed",
    "retention.swept": "Nightly sweep run",
    "ring.renewed": "Key ring renewed",
    "subject.erased": "Person forgotten",
}


def in_words(action: str, more: Mapping[str, str]) -> str:
    """Return what was done; `more` are the words of the other apps."""
    said = {**ACTS, **more}.get(action)
    return said or action.replace(".", " ").replace("_", " ").capitalize()
