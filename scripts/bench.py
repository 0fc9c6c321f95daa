"""The figures of the console, measured on this machine: `make bench`.

Each figure is printed beside its limit and as a ratio to it, and written with its raw parts to build/bench.json.
Nothing is asserted here: a slow or busy machine must not turn a build red.
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import bench_desk  # noqa: E402
import bench_engine  # noqa: E402

from tests.running import Console, family, fetch, free_port, until  # noqa: E402
from tests.story import PASSWORD, connect, set_up_platform  # noqa: E402
from tests.visitor import Visitor  # noqa: E402

LIMITS = {"ready_s": 60.0, "idle_pss_mb": 180.0, "first_visit_kb": 60.0, "largest_fragment_kb": 10.0,
          "pickup_p99_s": 1.0}
POSTS, OVER_SECONDS = 600, 60


def main() -> None:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-clone", action="store_true", help="leave out the fresh clone (it fetches packages)")
    parser.add_argument("--without-engine", action="store_true", help="leave out the engine, which takes half an hour")
    options = parser.parse_args()
    figures: dict[str, Any] = {} if options.without_clone else fresh_clone()
    with bench_desk.running() as console:
        visitor = sign_in(console)
        figures |= idle_memory(console)
        figures |= visits(console, visitor)
        figures |= pickup(console, visitor)
    figures |= bench_desk.measure()
    if not options.without_engine:
        figures["engine"] = bench_engine.measure()
    write(figures)


def sign_in(console: Console) -> Visitor:
    """A signed-in owner."""
    visitor = Visitor().open(console.url + "/sign-in")
    return visitor.press("Sign in", email="alice@example.com", password=PASSWORD)


# ---------------------------------------------------------------- fresh clone


def fresh_clone() -> dict[str, Any]:
    """Seconds from `make run` in a fresh clone, with empty caches, to the first page."""
    with tempfile.TemporaryDirectory(prefix="console-clone-") as place:
        clone, home = Path(place) / "clone", Path(place) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        port = free_port()
        environ = {**os.environ, "HOME": str(home), "PIP_CACHE_DIR": str(home / "pip"), "BIND": f"127.0.0.1:{port}",
                   "API_PUBLIC_URL": f"http://127.0.0.1:{port}", "SANDBOX_BIND": f"127.0.0.1:{free_port()}"}
        environ.pop("VIRTUAL_ENV", None)
        began = time.monotonic()
        process = subprocess.Popen(["make", "run"], cwd=clone, env=environ, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            until(lambda: process.poll() is not None or fetch(f"http://127.0.0.1:{port}/sign-in")[0] == 200, 300,
                  "the first page of a fresh clone")
            return {"ready_s": round(time.monotonic() - began, 1)}
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


# ---------------------------------------------------------------- memory


def idle_memory(console: Console) -> dict[str, Any]:
    """Proportional set size of all processes together, after ten quiet seconds."""
    assert console.process is not None
    time.sleep(10)  # the measure is of an idle console, so time has to pass
    parts = {}
    for pid in family(console.process.pid):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        name = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[-60:]
        parts[f"{pid} {name}"] = round(int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1]) / 1024, 1)  # type: ignore[index]
    return {"idle_pss_mb": round(sum(parts.values()), 1), "idle_pss_parts_mb": parts}


# ---------------------------------------------------------------- over the wire


def wire(url: str, cookie: str, *headers: str) -> tuple[int, str, bytes]:
    """Bytes of one answer as they come over the wire, head included; its status line and its body."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    request = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "Accept-Encoding: gzip",
                           f"Cookie: {cookie}", "Connection: close", *headers, "", ""])
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as link:
        link.sendall(request.encode())
        answer = b""
        while chunk := link.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return len(answer), head.split(b"\r\n")[0].decode(), body


def visits(console: Console, visitor: Visitor) -> dict[str, Any]:
    """The heaviest first visit (page and all it needs, nothing cached), and the heaviest fragment, in kB."""
    home = visitor.open(console.url + "/").url
    workspace = re.search(r"/w/[^/\"]+", visitor.page)
    assert workspace is not None, f"no workspace on {home}"
    pages = ["/sign-in", "/admin/platforms", "/admin/platforms/twitter", "/admin/platforms/facebook"] + [
        workspace[0] + end for end in ("/profiles", "/compose", "/posts", "/activity")]
    cookie = "; ".join(f"{one.name}={one.value}" for one in visitor.session.cookies)
    full = {page: _visit(console, visitor, page, cookie) for page in pages}
    fragments = {page: round(wire(console.url + page, cookie, "HX-Request: true")[0] / 1000, 1)
                 for page in pages if page != "/sign-in"}
    return {"first_visit_kb": max(full.values()), "first_visit_parts_kb": full,
            "largest_fragment_kb": max(fragments.values()), "fragment_parts_kb": fragments}


def _visit(console: Console, visitor: Visitor, page: str, cookie: str) -> float:
    stranger = page == "/sign-in"
    shown = (Visitor() if stranger else visitor).open(console.url + page)
    needs = {urljoin(shown.url, link.split("#")[0]) for link in
             re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', shown.page)}
    total, status, _ = wire(console.url + page, "" if stranger else cookie)
    assert "200" in status and needs, f"{page}: {status}"
    return round((total + sum(wire(link, "")[0] for link in needs)) / 1000, 1)


# ---------------------------------------------------------------- pick-up


def pickup(console: Console, visitor: Visitor) -> dict[str, Any]:
    """Seconds from a post's due time until a worker takes it: 600 due over a minute, to a Page of the sandbox."""
    set_up_platform(visitor, console, "linkedin")
    connect(visitor, console, "LinkedIn", "Jane")
    due = _insert(console)
    _wait_for_all(console)
    late = sorted((claimed - wanted).total_seconds() for wanted, claimed in _claimed(console))
    return {"pickup_p99_s": round(late[int(len(late) * 0.99) - 1], 3), "earliest_s": round(late[0], 3),
            "pickup_p50_s": round(statistics.median(late), 3), "pickup_max_s": round(late[-1], 3),
            "pickup_posts": len(late), "pickup_first_due": due.isoformat()}


def _app(console: Console) -> Any:
    from socialconsole import config as settings
    from socialconsole import create_app

    return create_app(settings.read(console.environ))


def _insert(console: Console) -> datetime:
    from sqlalchemy import select

    from socialconsole.database import writing
    from socialconsole.models import Account, Delivery, Post

    first = datetime.now(UTC) + timedelta(seconds=5)
    with _app(console).app_context(), writing() as session:
        account = session.scalars(select(Account)).one()
        for number in range(POSTS):
            due = first + timedelta(seconds=OVER_SECONDS * number / POSTS)
            post = Post(workspace_id=account.workspace_id, text=f"Post {number} of the measurement", due_at=due,
                        form_nonce=f"bench-{number}", created_at=due)
            session.add(post)
            session.add(Delivery(workspace_id=account.workspace_id, post=post, account_id=account.id,
                                 scheduled_for=due, due_at=due))
    return first


def _claimed(console: Console) -> list[tuple[datetime, datetime]]:
    from sqlalchemy import select

    from socialconsole.extensions import db
    from socialconsole.models import Delivery

    with _app(console).app_context():
        rows = db.session.execute(select(Delivery.scheduled_for, Delivery.claimed_at)
                                  .where(Delivery.claimed_at.is_not(None))).all()
        return [(wanted, claimed) for wanted, claimed in rows if claimed is not None]


def _wait_for_all(console: Console) -> None:
    end = time.monotonic() + OVER_SECONDS + 60
    while len(_claimed(console)) < POSTS and time.monotonic() < end:
        time.sleep(2)


# ---------------------------------------------------------------- table


def write(figures: dict[str, Any]) -> None:
    """Print the table and write build/bench.json."""
    print(f"{'figure':<22}{'measured':>10}{'limit':>9}{'ratio':>8}")
    for name, limit in LIMITS.items():
        if name in figures:
            print(f"{name:<22}{figures[name]:>10g}{limit:>9g}{figures[name] / limit:>8.2f}")
    if "earliest_s" in figures:
        print(f"{'earliest_s':<22}{figures['earliest_s']:>10g}{'>= 0':>9}")
    if "typing_check_kb" in figures:
        print(bench_desk.table(figures))
    if "engine" in figures:
        print(bench_engine.table(figures["engine"]))
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    limits = {**LIMITS, **bench_desk.MOST}
    (folder / "bench.json").write_text(json.dumps({"measured_at": datetime.now(UTC).isoformat(), "limits": limits,
                                                   **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
