"""What became of each line of a file, in a table that somebody reads who never saw one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def table(lines: int, parts: Iterable[tuple[int, str]]) -> list[str]:
    """Return how many lines a file has under its header, and below it what became of how many of them."""
    told = [f"{lines:,} {'line' if lines == 1 else 'lines'} under the header:"]
    return told + [f"{count:>9,}  {what}" for count, what in parts if count]


def legend(columns: Iterable[str], called: Mapping[str, str]) -> list[str]:
    """Return a sentence that says what the file calls the columns that the messages name; none where it has our
    names."""
    named = [f"{column} is {called[column]}" for column in dict.fromkeys(columns) if column in called]
    return [f"In the file {'; '.join(named)}."] if named else []
