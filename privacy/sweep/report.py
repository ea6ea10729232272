"""What one run of the nightly sweep found and did: for the audit, the command and who reads what waits."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from privacy.work.broken import Findings


@dataclass
class SweepReport:
    """What one run found and did, in records: due = erased + kept + stopped_by_cap + those of `findings`
    that could not be ended (+ what a dry run left alone).
    """

    on: date
    is_dry_run: bool
    due: int = 0
    erased: int = 0
    kept: int = 0
    stopped_by_cap: int = 0
    due_by_label: Counter[str] = field(default_factory=Counter)
    warned: int = 0
    findings: Findings = field(default_factory=Findings)

    @property
    def broken(self) -> int:
        """How many records could not be handled, or name a day that has not come: a person must mend them."""
        return len({(one.label, one.record) for one in self.findings})

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json` (docs/schemas/retention_sweep.json): numbers, due records per kind, the
        findings."""
        return {
            "on": self.on.isoformat(),
            "dry_run": self.is_dry_run,
            "due": self.due,
            "erased": self.erased,
            "kept": self.kept,
            "stopped_by_cap": self.stopped_by_cap,
            "warned": self.warned,
            "due_by_label": dict(sorted(self.due_by_label.items())),
            "broken": self.broken,
            "findings": self.findings.as_list(),
        }

    def counts(self) -> str:
        """Return the numbers of the run, for the audit."""
        names = ("due", "erased", "kept", "stopped_by_cap", "broken")
        return json.dumps({name: getattr(self, name) for name in names}, separators=(",", ":"))
