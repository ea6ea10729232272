"""What a command prints with --json, held against its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


def shaped(name: str, found: Any) -> Any:
    """Return what was found, when it is what docs/schemas says."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    return found
