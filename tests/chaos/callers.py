"""Callers that all want the token of one account at the same moment: `python -m tests.chaos.callers acc_… 13 <when>`.

Each prints the token that it got. Whoever finds it run out tries to renew it, as a worker would.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from socialconsole import config as settings
from socialconsole import create_app, outside, tokens
from socialconsole.database import writing
from socialconsole.extensions import db
from socialconsole.models import Account
from tests.chaos import host

PATIENCE = 30.0  # seconds


def call(app: Flask, account_id: str, begin: float) -> str:
    """The token, once there is one that can be used; empty if there is none in time."""
    time.sleep(max(0.0, begin - time.time()))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with app.app_context():
            try:
                with writing() as session:
                    account = session.get_one(Account, account_id)
                    grant_id = str(account.grant_id)
                    return tokens.access(account, outside.now()).token
            except tokens.Renewed:
                tokens.refresh(grant_id)
            finally:
                db.session.remove()
        time.sleep(0.02)
    return ""


def main(account_id: str, count: int, begin: float) -> None:
    """Run so many callers at once."""
    host.prepare()
    app = create_app(settings.read(os.environ, Path(os.environ["INSTANCE_PATH"])))
    with ThreadPoolExecutor(count) as pool:
        got = list(pool.map(lambda _: call(app, account_id, begin), range(count)))
    # In one write: four processes share the file, and a token and its line end must not be torn apart.
    os.write(sys.stdout.fileno(), "".join(f"{one}\n" for one in got).encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
