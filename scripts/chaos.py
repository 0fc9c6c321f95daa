"""`make chaos`: the engine under fire, on SQLite and on PostgreSQL. Prints a table, writes build/chaos.json.

Exits with 1 if a promise was broken, or if a deliberately naive variant was not caught breaking them.
"""

import argparse
import random
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests import postgres  # noqa: E402
from tests.chaos import report, runs  # noqa: E402


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="repeat the chance of a run")
    parser.add_argument("--only", action="append", choices=tuple(runs.RUNS), help="this run alone; may be repeated")
    parser.add_argument("--database", action="append", choices=report.DATABASES, help="on this database alone")
    parser.add_argument("--scale", type=float, default=1.0, help="0.05: a twentieth of everything (default 1)")
    parser.add_argument("--naive", choices=("too", "alone", "not"), default="too", help="run the naive variant, or not")
    parser.add_argument("--file", type=Path, default=report.FILE, help="where the figures go")
    given = parser.parse_args()
    databases = () if given.naive == "alone" else given.database or report.DATABASES
    missing = postgres.why_not() if report.POSTGRESQL in databases else ""
    if missing:
        print(missing, file=sys.stderr)
        return 1
    print(f"seed {given.seed}, scale {given.scale:g}")
    report.head()
    found = report.run_all(databases, given.only or tuple(runs.RUNS), runs.Scale(given.scale), given.seed,
                           naive=given.naive != "not", keep=partial(report.write, file=given.file))
    wrong = report.verdict(found)
    print(*wrong, sep="\n")
    print(f"{'a promise was broken' if wrong else 'every promise was kept'}; seed {given.seed}; {given.file.name} is "
          "written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
