"""The data map written down: for programs, and as a page for people (Art. 30(1), P11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privacy.datamap.declared import Declaration, Life
from privacy.datamap.fields import field_named, sealed_in
from privacy.datamap.registry import declarations, stores


def as_json() -> dict[str, Any]:
    """Return the whole map as plain data in a fixed order (Art. 30(1), the published list of P11)."""
    return {
        "format": 1,
        "records": [_record_as_json(declaration) for declaration in declarations()],
        "stores": [
            {"name": s.name, "holds": s.holds, "where": s.where, "until": s.until, "erased_by": s.erased_by}
            for s in stores()
        ],
    }


def _record_as_json(declaration: Declaration) -> dict[str, Any]:
    data = []
    for name, datum in sorted(declaration.data.items()):
        data.append(
            {
                "name": name,
                "title": datum.title,
                "category": datum.category,
                "purposes": list(datum.purposes),
                "source": datum.source,
                "recipients": list(datum.recipients),
                "sealed": sealed_in(field_named(declaration.model, name)) is not None,
                "plain": datum.plain,
                "envelope": declaration.envelope_of(name),
                "export": datum.export,
            }
        )
    return {
        "label": declaration.label,
        "title": declaration.title,
        "table": declaration.model._meta.db_table,
        "subject": declaration.subject_path,
        "end": declaration.end,
        "follows": declaration.follows,
        "life": declaration.life.value if declaration.life else None,
        "ended_by": declaration.ended_by,
        "data": data,
        "impersonal": [{"name": name, "reason": reason} for name, reason in sorted(declaration.impersonal.items())],
    }


def as_markdown() -> str:
    """Return the whole map as a page for people, in a fixed order, ending with a newline."""
    whole = as_json()
    lines = [
        "# Data map",
        "",
        "What is held about people, why, where it came from and who gets it. Written by `data_map --format md`.",
        "",
    ]
    personal = [record for record in whole["records"] if record["data"]]
    for record in personal:
        life = f" Shown under *{Life(record['life']).label}*." if record["life"] else ""
        lines += [f"## {record['title']}", "", f"Record `{record['label']}`.{life} {_ending(record)}", ""]
        lines += [
            "| Datum | Category | Purposes | Source | Recipients | Kept as | In a copy |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for datum in record["data"]:
            kept = f"sealed, envelope `{datum['envelope']}`" if datum["sealed"] else f"readable: {datum['plain']}"
            if not datum["sealed"] and datum["envelope"]:
                kept += f"; ends with envelope `{datum['envelope']}`"
            shown = {"full": "in full", "last4": "last four characters", "no": "not shown"}[datum["export"]]
            cells = [datum["title"], datum["category"], ", ".join(datum["purposes"]), datum["source"]]
            cells += [", ".join(datum["recipients"]) or "nobody", kept, shown]
            lines.append("| " + " | ".join(_cell(text) for text in cells) + " |")
        lines.append("")
    lines += ["## Fields that say nothing about people", "", "| Record | Field | Why |", "| --- | --- | --- |"]
    for record in whole["records"]:
        lines += [f"| `{record['label']}` | {one['name']} | {_cell(one['reason'])} |" for one in record["impersonal"]]
    lines += [
        "",
        "## Stores that are no tables",
        "",
        "| Store | Holds | Where | Until | Erased by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in whole["stores"]:
        lines.append(
            "| " + " | ".join(_cell(one[key]) for key in ("name", "holds", "where", "until", "erased_by")) + " |"
        )
    return "\n".join(lines) + "\n"


def _ending(record: Mapping[str, Any]) -> str:
    if record["follows"]:
        return f"It ends with its `{record['follows']}`."
    if record["ended_by"]:
        return f"It ends with {record['ended_by']}."
    if record["end"] == "blank":
        return "At its end the row stays for statistics, unreadable and without its links to a person."
    return "At its end the row is deleted."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
