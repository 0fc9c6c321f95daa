"""The sandbox as a process of its own, with the shared clock and without a file: `python -m tests.chaos.platforms`."""

import sys
from pathlib import Path

from werkzeug.serving import make_server

from socialconsole.sandbox import _Quiet, create_sandbox
from tests.chaos.clock import SharedClock


class _Patient(_Quiet):
    """Nobody reads what is said about connections that were cut on purpose."""

    def log(self, *_: object) -> None:
        """Say nothing."""


def main(port: int, clock_file: Path) -> None:
    """Serve until ended."""
    app = create_sandbox(f"http://localhost:{port}", None, SharedClock(clock_file).seconds)
    make_server("127.0.0.1", port, app, threaded=True, request_handler=_Patient).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
