"""Names that look alike: "alice", "alıce" and "аlісе" have one skeleton (Unicode UTS #39, its confusables)."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("lookalikes.txt")


def skeleton(name: str) -> str:
    """Return what all names have in common that a reader may take for this one; letter case and marks count for
    nothing."""
    read_as = _read_as()
    return "".join(read_as.get(c, c) for c in _bare(name))


def _bare(name: str) -> str:
    """Return a name folded and without its marks: a dot below a letter is easily overlooked."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


@cache
def _read_as() -> dict[str, str]:
    lines = (line.split() for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {letter: target for target, letters in lines for letter in letters}
