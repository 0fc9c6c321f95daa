"""The tenant's desk as ratios, all from one run on one machine: part of `make bench`, or this file alone.

One workspace holds 100,000 posts, another 1,000 profiles, a third 100. Each page is asked for in turn with an empty
one, over HTTP, signed in, as a browser would; p95 of each is divided by p95 of the empty one. Nothing is asserted here.
"""

import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bench_ground import _batches, analyse, sealed  # noqa: E402
from flask import Flask  # noqa: E402
from sqlalchemy import select  # noqa: E402

from socialconsole import api_keys, create_app  # noqa: E402
from socialconsole import config as settings  # noqa: E402
from socialconsole.database import writing  # noqa: E402
from socialconsole.extensions import db  # noqa: E402
from socialconsole.models import (  # noqa: E402
    ACTIVE,
    FAILED,
    LIVE,
    OWNER,
    PUBLISHED,
    SCHEDULED,
    Account,
    Delivery,
    Grant,
    Membership,
    PlatformApp,
    Post,
    User,
    Workspace,
)
from tests.running import Console  # noqa: E402

EMAIL, PASSWORD = "alice@example.com", "correct horse battery"
PLATFORMS = ("twitter", "linkedin", "facebook", "instagram", "threads")
FULL, MANY, SOME = "wsp_full", "wsp_many", "wsp_some"
POSTS, PROFILES, CHOSEN, ROUNDS = 100_000, 1_000, 100, 60
MOST = {"profiles_page_p95_ratio": 3.0, "typing_check_p95_ratio": 3.0, "posts_list_p95_ratio": 5.0,
        "calendar_p95_ratio": 5.0, "composer_first_visit_kb": 80.0, "typing_check_kb": 5.0, "api_post_p95_ratio": 5.0}
TEXT = "Saffron buns are back, twice a day from Monday. https://example.com/buns #buns "


def measure() -> dict[str, Any]:
    """The figures, each with its raw parts."""
    with running() as console:
        app = create_app(settings.read(console.environ))
        with app.app_context():
            fill(app)
        return _figures(console)


@contextmanager
def running() -> Iterator[Console]:
    """A console that is set up and at work."""
    with tempfile.TemporaryDirectory(prefix="console-bench-") as folder:
        console = Console(Path(folder) / "instance")
        try:
            console.start()
            console.set_up(password=PASSWORD)
            yield console
        finally:
            console.stop()


# ---------------------------------------------------------------- rows


def fill(app: Flask) -> None:
    """Workspaces, profiles and posts; nothing of it is ever due while we measure."""
    now = datetime.now(UTC)
    with writing() as session:
        alice = session.scalars(select(User)).one()
        for workspace_id in (FULL, MANY, SOME):
            session.add(Workspace(id=workspace_id, name=workspace_id[4:], time_zone="Europe/Berlin", created_at=now))
            session.flush()
            session.add(Membership(workspace_id=workspace_id, user_id=alice.id, role=OWNER))
        for platform in PLATFORMS:
            session.add(_platform_app(app, platform, now))
        session.flush()
        for workspace_id, count in ((FULL, 20), (MANY, PROFILES), (SOME, CHOSEN)):
            _accounts(app, workspace_id, count, now)
    with writing():
        _posts(now)
    analyse()


def _platform_app(app: Flask, platform: str, now: datetime) -> PlatformApp:
    sealed_secret = app.extensions["vault"].seal("secret", "secret", "platform_app", f"app_{platform}", "1")
    return PlatformApp(id=f"app_{platform}", platform=platform, segment=platform, client_id="client",
                       secret_version=1, secret_sealed=sealed_secret, is_on=True, is_sandbox=True, created_at=now,
                       updated_at=now)


def _accounts(app: Flask, workspace_id: str, count: int, now: datetime) -> None:
    far, names = now + timedelta(days=300), [f"{workspace_id[4:]}{number:04}" for number in range(count)]
    vault, platform_of = app.extensions["vault"], {name: PLATFORMS[number % 5] for number, name in enumerate(names)}
    _batches(Grant, ({
        "id": f"grt_{name}", "workspace_id": workspace_id, "platform": platform_of[name],
        "app_id": f"app_{platform_of[name]}", "app_generation": 1, "is_sandbox": True, "person_id": name,
        "scopes_granted": None, "state": LIVE, "access_expires_at": far, "due_at": far, "granted_at": now, "version": 1,
        **sealed(vault, f"grt_{name}", workspace_id, number)} for number, name in enumerate(names)))
    _batches(Account, ({
        "id": f"acc_{name}", "workspace_id": workspace_id, "platform": platform_of[name], "platform_user_id": name,
        "grant_id": f"grt_{name}", "is_sandbox": True, "username": name, "display_name": f"Profile {number}",
        "state": ACTIVE, "state_since": now, "connected_at": now, "sync_due_at": far}
        for number, name in enumerate(names)))


def _posts(now: datetime) -> None:
    """Three years of posts, most of them out, two or three profiles each; some failed; a tenth is still to come."""
    chance = random.Random(5)
    plans = []
    for number in range(POSTS):
        at = now + timedelta(minutes=(number - POSTS * 9 // 10) * 15 + 7)
        state = SCHEDULED if at > now else FAILED if number % 500 == 0 else PUBLISHED
        plans.append((f"pst_{number:026}", at, state, chance.sample(range(20), 2 + number % 2)))
    _batches(Post, ({"id": post_id, "workspace_id": FULL, "text": f"Post {number}. {TEXT}", "due_at": at,
                     "wall_time": f"{at:%Y-%m-%dT%H:%M}", "form_nonce": post_id, "created_at": now - timedelta(days=1)}
                    for number, (post_id, at, _, _) in enumerate(plans)))
    _batches(Delivery, ({"id": f"dlv_{post_id[8:]}_{account:02}", "workspace_id": FULL, "post_id": post_id,
                         "account_id": f"acc_full{account:04}", "state": state, "scheduled_for": at,
                         "due_at": at if state == SCHEDULED else None}
                        for post_id, at, state, accounts in plans for account in accounts))


# ---------------------------------------------------------------- over HTTP


def _figures(console: Console) -> dict[str, Any]:
    browser = _signed_in(console)
    compose = browser.get(f"{console.url}/w/{SOME}/compose")
    assert compose.status_code == 200, compose.text[:500]
    token = _token(compose.text)
    typed = [("csrf_token", token), ("nonce", "bench"), ("when", "later"),
             *(("accounts", f"acc_{SOME[4:]}{number:04}") for number in range(CHOSEN))]

    def page(path: str) -> Callable[[int], requests.Response]:
        return lambda _: browser.get(console.url + path)

    def typing(number: int) -> requests.Response:
        return browser.post(f"{console.url}/w/{SOME}/compose/check", headers={"HX-Request": "true"},
                            data=[*typed, ("text", TEXT + "x" * number)])

    day = datetime.now(UTC)
    asked = {
        "empty": page("/shortcuts"), "profiles": page(f"/w/{MANY}/profiles"), "platforms": page("/admin/platforms"),
        "typing": typing, "posts": page(f"/w/{FULL}/posts"), "posts_needs": page(f"/w/{FULL}/posts?filter=needs"),
        "month": page(f"/w/{FULL}/calendar?view=month"), "week": page(f"/w/{FULL}/calendar?view=week"),
        "month_ahead": page(f"/w/{FULL}/calendar?view=month&at={day + timedelta(days=40):%Y-%m-%d}")}
    program = _program(console)
    asked |= {"api_empty": lambda _: program.get(f"{console.url}/v1/workspaces"),
              "api_post": lambda number: program.post(f"{console.url}/v1/posts", json={
                  "accountIds": [f"acc_{SOME[4:]}0000"], "text": f"{TEXT}{number}",
                  "scheduledAt": f"{day + timedelta(days=30, minutes=number):%Y-%m-%dT%H:%M:00Z}"})}
    seconds = _timed(asked)
    p95 = {name: _p95(taken) for name, taken in seconds.items()}
    ratio = {name: round(taken / p95["empty"], 2) for name, taken in p95.items()}
    return {
        "profiles_page_p95_ratio": max(ratio["profiles"], ratio["platforms"]),
        "typing_check_p95_ratio": ratio["typing"],
        "posts_list_p95_ratio": max(ratio["posts"], ratio["posts_needs"]),
        "calendar_p95_ratio": max(ratio["month"], ratio["week"], ratio["month_ahead"]),
        "api_post_p95_ratio": round(p95["api_post"] / p95["api_empty"], 2),
        "composer_first_visit_kb": _visit(browser, console, compose),
        "typing_check_kb": round(_bytes(typing(1)) / 1000, 2),
        "desk_p95_ms": {name: round(taken * 1000, 1) for name, taken in p95.items()},
        "desk_p50_ms": {name: round(statistics.median(taken) * 1000, 1) for name, taken in seconds.items()},
        "desk_ratios": ratio}


def _signed_in(console: Console) -> requests.Session:
    browser = requests.Session()
    browser.trust_env = False
    form = browser.get(console.url + "/sign-in")
    answer = browser.post(console.url + "/sign-in", data={
        "csrf_token": _token(form.text), "email": EMAIL, "password": PASSWORD})
    assert answer.ok and "/sign-in" not in answer.url, answer.url
    return browser


def _program(console: Console) -> requests.Session:
    """A program with a key of its own."""
    app = create_app(settings.read(console.environ))
    with app.app_context():
        owner = db.session.scalars(select(User).where(User.email == EMAIL)).one()
        workspace = db.session.get_one(Workspace, SOME)
        token = api_keys.create(workspace, owner, "Bench", (api_keys.READ, api_keys.WRITE_POSTS), None,
                                datetime.now(UTC))[1]
        db.session.remove()
        db.engine.dispose()
    program = requests.Session()
    program.trust_env = False
    program.headers["Authorization"] = f"Bearer {token}"
    return program


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def _timed(asked: dict[str, Callable[[int], requests.Response]]) -> dict[str, list[float]]:
    """Seconds of each, asked in turn, so that a busy moment of the machine meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(ROUNDS + 5):
        for name, ask in asked.items():
            began = time.perf_counter()
            answer = ask(number)
            taken = time.perf_counter() - began
            assert answer.status_code in (200, 201), f"{name}: {answer.status_code} {answer.text[:300]}"
            if number >= 5:
                seconds[name].append(taken)
    return seconds


def _p95(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.95) - 1]


def _visit(browser: requests.Session, console: Console, page: requests.Response) -> float:
    """Kilobytes of a first visit: the page and all it needs from the server, packed, without pictures of profiles."""
    links = set(re.findall(r'(?:src|href)="([^"#]*/static/[^"#]+)', page.text))
    return round((_bytes(page) + sum(_bytes(browser.get(console.url + link)) for link in links)) / 1000, 1)


def _bytes(answer: requests.Response) -> int:
    """Bytes of the answer's body as it came over the wire, and roughly of its head."""
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
    return int(answer.headers.get("Content-Length") or len(answer.content)) + head


def table(figures: dict[str, Any]) -> str:
    """The figures beside their limits."""
    return "\n".join(f"{name:<28}{figures[name]:>8g}{'<=':>4}{limit:>6g}{'' if figures[name] <= limit else '  missed'}"
                     for name, limit in MOST.items())


if __name__ == "__main__":
    found = measure()
    print(table(found))
    print(json.dumps({name: found[name] for name in ("desk_p95_ms", "desk_p50_ms", "desk_ratios")}, indent=2))
