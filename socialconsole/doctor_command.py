"""The command `socialconsole doctor`: how the whole installation does, also where it is too broken to start.

Exit codes: 0 all is well, 1 something is to be done, 2 something is broken.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import address_check, checklist, create_app, credentials, doctor, outside, start, terminal
from .config import Config
from .doctor import BROKEN, Report

HELP = "say how the whole installation does and what to do about it"
ABOUT = """Looks at the settings, the database, the store, workers, keys, mail, disks, the public address, and at each
platform. Nothing is changed, and without --probe and --address nobody outside is asked.

Exit codes: 0 all is well, 1 something is to be done, 2 something is broken."""
EXIT = {checklist.OK: start.OK, checklist.TODO: start.REFUSED, BROKEN: start.WRONG}
WHO = "Command line"  # in the history


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = commands.add_parser("doctor", help=HELP, description=ABOUT, **terminal.epilog(
        "doctor --probe --json", "doctor --bundle report.zip"))
    parser.add_argument("--json", action="store_true", help="print one JSON object, with keys that stay as they are")
    parser.add_argument("--bundle", metavar="FILE", help="also write a ZIP file to hand on: no secret, no person, no "
                        "workspace and no post is in it")
    parser.add_argument("--probe", action="store_true", help="ask each platform anew whether its credentials are right")
    parser.add_argument("--address", action="store_true", help="call the public address anew")


def run(config: Config, given: argparse.Namespace) -> int:
    """Look, tell, and write the file if one is wanted. Returns the exit code."""
    found = examine(config, probe=given.probe, address=given.address)
    print(json.dumps(doctor.as_json(found, config.public_url), indent=2, ensure_ascii=False) if given.json
          else doctor.as_text(found, config.public_url))
    if given.bundle and not _write(Path(given.bundle), doctor.bundle(found, config, found.at)):
        return start.WRONG
    return EXIT[found.state]


def examine(config: Config, *, probe: bool = False, address: bool = False) -> Report:
    """The report, as far as one gets: without usable settings or tables only what needs neither."""
    before = doctor.examine_settings(config)
    if config.problems:
        return doctor.report(outside.now(), before)
    problems = start.database_problems(config, wants_current=True)
    before += doctor.examine_database(problems)
    if problems:
        return doctor.report(outside.now(), [*before, *doctor.examine_store(config)])
    with create_app(config).app_context():
        before += doctor.examine_store(config)
        if address:
            address_check.run()
        if probe:
            for app_id in [app.id for app in checklist.apps()]:
                credentials.check(app_id, WHO)
        return doctor.examine_running(outside.now(), before)


def _write(path: Path, content: bytes) -> bool:
    """Write a file for its owner alone, and never over one that is there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        print(f"The file {path} was not written: {error.strerror}.", file=sys.stderr)
        return False
    print(f"Written: {path}", file=sys.stderr)
    return True
