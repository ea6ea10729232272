"""The tables of this app, each defined beside the code that keeps its promise."""

from privacy.audit.models import AuditEvent, AuditLink, ChainFloor
from privacy.gate.log import AccessEntry, AccessLink, AccessName
from privacy.letters.models import Letter
from privacy.registers import Acknowledgement
from privacy.requests.models import Export, OneTimeLink, Request, RequestEvent, SecondLook
from privacy.restore.installation import Installation
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention.models import Decision, HeldValue, Hold
from privacy.subjects import Subject
from privacy.sweep.models import EndNotice, SweepState

__all__ = [
    "AccessEntry",
    "AccessLink",
    "AccessName",
    "Acknowledgement",
    "AuditEvent",
    "AuditLink",
    "ChainFloor",
    "Decision",
    "EndNotice",
    "Export",
    "HeldValue",
    "Hold",
    "Installation",
    "LedgerCopy",
    "LedgerWaiting",
    "Letter",
    "OneTimeLink",
    "Request",
    "RequestEvent",
    "SecondLook",
    "Subject",
    "SweepState",
]
