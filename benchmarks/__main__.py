"""`benchmarks/run [--rounds N] [NAME …]`: measure the named sections, all by default, into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks import report, sections, servers
from benchmarks.harness import ROUNDS
from ilt_site.launcher import Problem

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    """Run the sections and write the document after each; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=__doc__.split("`: ")[1])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(sections.NAMES))
    parser.add_argument("--rounds", type=int, metavar="N", help="as many rounds instead of each section's own number")
    parser.add_argument("--output", type=Path, default=DOCUMENT, metavar="FILE", help="instead of docs/benchmarks.md")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if not sections.exists(name)]
    if unknown:
        print(f"benchmarks/run: there is no section named {', '.join(unknown)}.", file=sys.stderr)
        return 2
    if options.rounds:
        os.environ[ROUNDS] = str(options.rounds)
    names = options.names or [name for name in sections.NAMES if sections.exists(name)]
    with servers.running() as made:
        for name in names:
            begin, load = time.monotonic(), os.getloadavg()[0]
            heading, tables, versions = servers.on_fresh_databases(made, sections.measured, name)
            text = report.page(options.output.read_text(encoding="utf-8") if options.output.exists() else "")
            text = report.replaced(text, name, report.section(heading, tables, report.conditions(load, versions)))
            text = report.with_goals(text, [goal for table in tables for goal in table.goals])
            options.output.write_text(text, encoding="utf-8")
            for table in tables:
                print(report.markdown(table), end="\n\n")
            print(f"{name}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"benchmarks/run: {problem}", file=sys.stderr)
        sys.exit(1)
