"""The schedule written down for people: the table of the documentation, and the same as plain data (Art. 13(2)(a))."""

from __future__ import annotations

from typing import Any

from privacy.retention.rules import Reason, RetentionClass, Schedule

_REQUEST = {"KEEP": "stays", "ERASE": "erased at once", "MINIMISE": "erased at once, the rest of the record stays"}


def as_json(schedule: Schedule) -> dict[str, Any]:
    """Return the schedule in force as plain data, in its own order."""
    return {
        "format": 1,
        "overlays": sorted(schedule.switched_on),
        "classes": [
            {
                "name": rule.name,
                "title": rule.title,
                "holds": rule.holds,
                "at_the_end": rule.end_action,
                "warning_days": rule.warn_days,
                "reasons": [
                    {
                        "name": reason.name,
                        "code": reason.code,
                        "basis": f"Art. {reason.basis} GDPR",
                        "source": reason.source,
                        "how_long": how_long(reason),
                        "on_request": reason.on_request,
                        "why": reason.plain,
                        "lawyer_confirmed": bool(reason.lawyer_confirmed_by),
                    }
                    for reason in schedule.reasons(rule.name)
                ],
            }
            for rule in schedule.classes.values()
        ],
    }


def how_long(reason: Reason) -> str:
    """Return in words how long a reason lasts: "7 years, to the end of that year, from invoiced, paid or shipped"."""
    if reason.period is None:
        return f"while {_any(sorted(reason.when))}; told as {reason.latest}, and by letter when it takes longer"
    last = "the last of " if len(reason.start) > 1 else ""
    return f"{reason.period}, from {last}{_all(reason.start)}"


def as_markdown(schedule: Schedule) -> str:
    """Return the schedule in force as a page for people, ending with a newline."""
    lines = [
        "# Retention schedule",
        "",
        "How long each kind of data is kept, why, and what a request to remove it does before the end. Written by "
        "`retention_schedule --format md` from `privacy/retention/schedule.toml`, which the plan of a request and the "
        "nightly sweep follow. Longest reason wins; a legal hold beats all; each last day still belongs to the period. "
        "A day that a person was told ends nothing that is open; it moves with a letter only.",
        "",
        "No reason here has been confirmed by a lawyer unless it says so.",
        "",
    ]
    for title, are_stores in (("Data about people", False), ("Stores, logs and registers", True)):
        lines += [f"## {title}", ""]
        for rule in schedule.classes.values():
            if rule.is_store == are_stores:
                lines += _section(rule, schedule.reasons(rule.name))
    lines += [
        "## Overlays",
        "",
        "Switches of the company (`RETENTION_OVERLAYS`), off until a lawyer confirmed them.",
        "",
    ]
    lines += ["| Overlay | What | Source | Here | Confirmed |", "| --- | --- | --- | --- | --- |"]
    for name, overlay in schedule.overlays.items():
        state = "on" if name in schedule.switched_on else "off"
        confirmed = f"{overlay.lawyer_confirmed_by}, {overlay.lawyer_confirmed_on}" if overlay.is_confirmed else "no"
        lines.append(f"| {name} | {overlay.title} | {overlay.source} | {state} | {confirmed} |")
    return "\n".join(lines) + "\n"


def _section(rule: RetentionClass, reasons: list[Reason]) -> list[str]:
    lines = [f"### {rule.title} (`{rule.name}`)", "", f"Holds: {rule.holds}. At the end: {rule.end_action}."]
    if rule.warn_days:
        lines[-1] += f" The person is warned {rule.warn_days} days before."
    lines += [
        "",
        "| Reason | How long | Ground | Source | A request before the end |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in reasons:
        confirmed = (
            f" (confirmed by {one.lawyer_confirmed_by}, {one.lawyer_confirmed_on})" if one.lawyer_confirmed_by else ""
        )
        lines.append(
            f"| {one.name}{confirmed} | {how_long(one)} | {one.code}, Art. {one.basis} | {one.source} "
            f"| {_REQUEST[one.on_request]} |"
        )
    return [*lines, ""]


def _any(names: list[str]) -> str:
    return " or ".join(name.replace("_", " ") for name in names)


def _all(names: tuple[str, ...]) -> str:
    words = [name.replace("_", " ") for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
