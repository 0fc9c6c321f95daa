"""The ticker and one worker in one command, for an installation that runs its parts by other means."""

import sys

from socialconsole.start import run_background

if __name__ == "__main__":
    sys.exit(run_background())
