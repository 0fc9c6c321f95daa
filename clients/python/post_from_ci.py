"""Post from a CI job, once however often the job is run again, and fail the job if the post does not go out.

    SOCIALCONSOLE_URL=https://social.example.com SOCIALCONSOLE_API_KEY=sck_… \\
        python clients/python/post_from_ci.py acc_01J… "Version 2.1 is out" --once release-2.1

Exit code 0: published. 1: refused, failed, or not settled in time; the reason stands on standard error.
"""

import argparse
import os
import sys
import time

from socialconsole_client import Client, PostBody, Problem

OVER = ("published", "failed", "missed", "cancelled", "held", "unconfirmed")
PAUSE = 2.0  # seconds between two looks


def main() -> int:
    """Send the post, then wait until it is known what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("account")
    parser.add_argument("text")
    parser.add_argument("--once", required=True, help="a name for this post: with it, it is sent once in 24 hours")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for the outcome (default 300)")
    asked = parser.parse_args()
    console = Client(os.environ["SOCIALCONSOLE_URL"], os.environ["SOCIALCONSOLE_API_KEY"])
    try:
        body: PostBody = {"accountIds": [asked.account], "text": asked.text, "when": "now"}
        return send(console, body, asked.once, asked.patience)
    except Problem as problem:
        print(f"Refused ({problem.code}): {problem}", file=sys.stderr)
        for one in problem.errors:
            print(f"  {one['field']}: {one['message']}", file=sys.stderr)
        return 1


def send(console: Client, body: PostBody, once: str, patience: float) -> int:
    """Send it and say what became of it."""
    post = console.create_post(body, idempotency_key=once)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        deliveries = console.get_post(post["id"])["deliveries"]
        if deliveries and all(one["state"] in OVER for one in deliveries):
            for one in deliveries:
                print(f"{one['state']}: {one['permalink'] or one['reason']}")
            return 0 if all(one["state"] == "published" for one in deliveries) else 1
        time.sleep(PAUSE)
    print(f"Not settled after {patience:g} seconds; see the post {post['id']} in the console.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
