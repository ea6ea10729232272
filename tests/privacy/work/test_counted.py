"""Commands say "1 key" and "2 keys"."""

import re
from pathlib import Path

import privacy
from privacy.work import counted

ROOT = Path(privacy.__file__).parents[1]
#: A number in braces straight before a noun that only fits many: "{count} keys", "{len(rows)} lines".
OF_MANY = re.compile(r"\{[^{}\n]+\} (?:keys|rows|lines|records|links|checkpoints|envelopes|people|accounts|requests)\b")
#: Said where one is told apart already, or the number is never one.
APART = {
    ROOT / "privacy/gate/told.py": "one is named by its number",
    ROOT / "privacy/requests/plan.py": "one has a sentence of its own",
    ROOT / "privacy/vault/management/commands/collect_keys.py": "more than the cap",
    ROOT / "accounts/upgrades.py": "a reason in the audit, told nobody",
    ROOT / "privacy/restore/replay.py": "a reason in the audit, told nobody",
}


def test_a_number_has_the_noun_that_fits_it() -> None:
    said = [counted.of(1, "key"), counted.of(2, "key"), counted.of(0, "copy", "copies"), counted.of(1200, "line")]
    assert said == ["1 key", "2 keys", "0 copies", "1,200 lines"]


def test_no_command_says_one_of_many() -> None:
    found = {
        path: OF_MANY.findall(path.read_text())
        for app in ("privacy", "accounts", "orders", "rma", "ilt_site")
        for path in (ROOT / app).rglob("*.py")
    }
    named = {path: lines for path, lines in found.items() if lines}
    assert named.keys() <= APART.keys(), {path: lines for path, lines in named.items() if path not in APART}
    assert APART.keys() <= named.keys(), "who is told apart no longer stands in the list"
