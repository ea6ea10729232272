"""Numbers with their nouns, as commands say them: "1 key", "2 keys"."""

from __future__ import annotations


def of(count: int, one: str, many: str = "") -> str:
    """Return the number with its noun: `one` for 1, else `many`, or `one` with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
