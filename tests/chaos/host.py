"""The console's own command with the shared clock: `python -m tests.chaos.host worker --count 4`.

Nothing but the clock, the patience with platforms, the pause before a killed process is started again and, in the short
form, the pause between two sweeps differ from `socialconsole`. A witness tells what was done about renewals.
"""

import os
import sys
from pathlib import Path

from socialconsole import cli, outside, supervisor, ticker
from tests.chaos import witness
from tests.chaos.clock import SharedClock

CLOCK, PATIENCE, SWEEP = "CHAOS_CLOCK", "CHAOS_PATIENCE", "CHAOS_SWEEP"
AGAIN_AFTER = 0.3  # seconds: hundreds of kills on purpose must not look like a console that cannot start


def prepare() -> None:
    """Take over clock and patience of the run; for every process that works on its rows."""
    outside.use_clock(SharedClock(Path(os.environ[CLOCK])).now)
    outside.ANSWER_SECONDS = float(os.environ[PATIENCE])
    supervisor.LONGEST_DELAY = AGAIN_AFTER
    ticker.SETTLE_EVERY = float(os.environ.get(SWEEP) or ticker.SETTLE_EVERY)
    witness.attend(Path(os.environ["INSTANCE_PATH"]))


def console(arguments: list[str]) -> int:
    """Run one command of the console; returns its exit code."""
    prepare()
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(console(sys.argv[1:]))
