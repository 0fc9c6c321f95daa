"""Who is asking and what they may do: roles, the one table of permissions, and how a person comes into being.

Every route declares its permission with `requires`; the program does not start if one lacks it. A stranger's id and
an absent id get the same answer.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager

from . import audit, logins, outside, passwords, times
from .config import Config
from .database import alone, writing
from .extensions import db
from .models import EDITOR, OWNER, VIEWER, Membership, User, Workspace

# Workspace permission -> the roles that have it. `public`, `signed_in` and `admin` stand beside the table.
PERMISSIONS: dict[str, frozenset[str]] = {
    "see": frozenset({VIEWER, EDITOR, OWNER}),  # profiles, posts, activity of the workspace
    "compose": frozenset({EDITOR, OWNER}),  # compose, schedule, edit, cancel, retry, slots of the queue
    "reconnect": frozenset({EDITOR, OWNER}),  # reconnect a profile
    "connect": frozenset({OWNER}),  # connect a new profile
    "manage": frozenset({OWNER}),  # pause, resume, disconnect
    "approve": frozenset({OWNER}),  # let a submitted post go out, or send it back
    "people": frozenset({OWNER}),  # invite, change roles, remove
    "settings": frozenset({OWNER}),  # name, time zone, window, approval
}
BESIDE = ("public", "signed_in", "admin", "key")  # key: a program signs in, see `api`

# What a member without the permission reads, and who can help.
WHY_NOT = {
    "compose": "Your role in this workspace is viewer: you can look at everything here. An owner or an editor can "
               "write, change and retry posts. Ask one of them.",
    "reconnect": "Your role in this workspace is viewer: you can look at everything here. An owner or an editor can "
                 "reconnect a profile. Ask one of them.",
    "connect": "Only an owner of this workspace connects new profiles. Ask an owner.",
    "manage": "Only an owner of this workspace pauses, resumes or disconnects profiles. Ask an owner.",
    "approve": "Only an owner of this workspace approves posts or sends them back. Ask an owner.",
    "people": "Only an owner of this workspace invites people, changes their roles or removes them. Ask an owner.",
    "settings": "Only an owner of this workspace changes its settings. Ask an owner.",
    "admin": "This page is for platform admins of the console. Ask one of them if something here has to change.",
}
ROLE_WORDS = {VIEWER: "Viewer", EDITOR: "Editor", OWNER: "Owner"}

SETUP, RESET = "setup", "reset"
SETUP_LIFE = timedelta(days=7)
RESET_LIFE = timedelta(hours=24)
COOKIE = "console_login"
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

View = TypeVar("View", bound=Callable[..., Any])


class Invalid(ValueError):
    """What was typed cannot be taken; `errors` has a sentence per field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class UnknownPerson(LookupError):
    """Nobody with this e-mail address has an account; the message is for people."""


# ---------------------------------------------------------------- permissions of routes


def requires(permission: str) -> Callable[[View], View]:
    """Declare what a person needs to use a route."""
    if permission not in PERMISSIONS and permission not in BESIDE:
        raise ValueError(f"unknown permission {permission!r}")

    def declare(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return declare


def permission_of(endpoint: str | None) -> str:
    """The permission that a route declared; empty if none."""
    return getattr(current_app.view_functions.get(endpoint or ""), "permission", "")


def check_routes(app: Flask) -> None:
    """Raise RuntimeError if a route declares no permission, or a workspace's without naming the workspace."""
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", "")
        if not permission:
            raise RuntimeError(f"the route {rule.rule} ({rule.endpoint}) declares no permission")
        if (permission in PERMISSIONS) != ("workspace_id" in rule.arguments):
            raise RuntimeError(f"the route {rule.rule} ({rule.endpoint}) does not fit its permission {permission}")


def init_app(app: Flask) -> None:
    """Finish once all routes are there: refuse to start if one is open by oversight."""
    check_routes(app)
    app.jinja_env.globals["may"] = may


# ---------------------------------------------------------------- each request


def find_login() -> None:
    """Before each request: who asks, from where. Sets g.address, g.login, g.user; g.workspace and g.role are None."""
    g.address = request.remote_addr or ""
    g.login = g.user = g.workspace = g.role = None
    token = request.cookies.get(cookie_name(), "")
    if permission_of(request.endpoint) == "key":
        return  # no cookie counts there
    if token and len(token) <= 100 and request.endpoint != "assets.file":
        g.login = logins.find(token, outside.now())
        g.user = g.login.user if g.login else None


def check_permission() -> ResponseReturnValue | None:
    """Before each request: let it pass, or answer 404, 403 or the way to sign in."""
    permission = permission_of(request.endpoint)
    if not permission or permission in ("public", "key"):
        return None  # a key is asked for by the operation itself; no route at all is answered by Flask, 404 or 405
    if g.user is None:
        return _to_sign_in()
    if permission in PERMISSIONS:
        _enter_workspace(str((request.view_args or {}).get("workspace_id", "")))
    if not may(permission):
        abort(403, WHY_NOT[permission])
    return None


def _enter_workspace(workspace_id: str) -> None:
    member = db.session.get(Membership, (workspace_id, g.user.id))
    if member is None:
        abort(404)
    g.workspace, g.role = member.workspace, member.role


def may(permission: str) -> bool:
    """Whether the person who asks may do this, here."""
    if permission == "admin":
        return g.get("user") is not None and g.user.is_platform_admin
    if permission in PERMISSIONS:
        return g.get("role") in PERMISSIONS[permission]
    return permission == "public" or (permission == "signed_in" and g.get("user") is not None)


def must_ask(workspace: Workspace, user: User) -> bool:
    """Whether what this person writes needs somebody else's approval before it goes out."""
    if not workspace.needs_approval:
        return False
    member = db.session.get(Membership, (workspace.id, user.id))
    return member is None or member.role not in PERMISSIONS["approve"]


def _to_sign_in() -> ResponseReturnValue:
    """To the sign-in page, and back afterwards; a fragment makes the whole browser go there."""
    if request.headers.get("HX-Request") == "true":
        # A redirect would put the sign-in page into the middle of this one.
        return "", 401, {"HX-Redirect": url_for("sign_in.form", next=_page_of_fragment() or None)}
    back = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else ""
    return redirect(url_for("sign_in.form", next=safe_next(back) or None), 303)


def _page_of_fragment() -> str:
    """The page that htmx asks from, if it is ours."""
    _, _, address = request.headers.get("HX-Current-URL", "").partition("://")
    return safe_next(("/" + address.partition("/")[2]).removeprefix(request.script_root))


def safe_next(address: str) -> str:
    """The address if it is a path of this console and nothing else, else nothing."""
    if not address.startswith("/") or len(address) > 2000:
        return ""
    if "\\" in address or any(ord(letter) < 33 or ord(letter) == 127 for letter in address):
        return ""
    path = address.partition("#")[0].partition("?")[0]
    # Browsers take `//host`, and some `/%09/host`, for another host. No path of ours holds either.
    return "" if "//" in path or "%" in path else address


def memberships(user: User) -> list[Membership]:
    """The workspaces of a person, by name."""
    return list(db.session.scalars(
        select(Membership).join(Membership.workspace).options(contains_eager(Membership.workspace))
        .where(Membership.user_id == user.id).order_by(Workspace.name, Workspace.id)))


# ---------------------------------------------------------------- the cookie


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def cookie_name() -> str:
    """The login cookie's name; on https one that no other host of the domain can set."""
    return f"__Host-{COOKIE}" if _config().https else COOKIE


def cookie_path() -> str:
    """Where the browser sends it; a `__Host-` cookie has to be sent everywhere."""
    return "/" if _config().https else _config().path_prefix or "/"


def caller() -> logins.Caller:
    """Who asks for a login: network address and browser."""
    return logins.Caller(request.remote_addr or "", request.headers.get("User-Agent", ""))


# ---------------------------------------------------------------- the first person, lost passwords


def is_set_up() -> bool:
    """Whether somebody can sign in already."""
    return bool(db.session.scalar(select(func.count()).select_from(User)))


def set_up(email: str, password: str, workspace_name: str, time_zone: str, now: datetime,
           link: str | None = None) -> User | None:
    """Make the first person, platform admin and owner of the first workspace; returns who it is.

    Once somebody exists it changes nothing and returns the first person. With `link` that token is spent in the same
    commit, and None comes back if it is no good. Raises Invalid.
    """
    errors = _check_set_up(email, password, workspace_name, time_zone)
    if errors:
        raise Invalid(errors)
    hashed = passwords.hashed(password)
    with writing() as session:
        alone("set up")
        first = session.scalar(select(User).order_by(User.created_at, User.id).limit(1))
        if first is not None:
            return first if link is None else None
        if link is not None and logins.spend(SETUP, link, now) is None:
            return None
        user = User(email=email.strip().lower(), password_hash=hashed, is_platform_admin=True, created_at=now)
        workspace = Workspace(name=workspace_name.strip(), time_zone=time_zone, created_at=now)
        session.add_all((user, workspace))
        session.flush()
        session.add(Membership(workspace_id=workspace.id, user_id=user.id, role=OWNER))
        audit.record("console.set_up", "user", user.id, f"Set up with {user.email} as platform admin", name=user.email)
        audit.record("workspace.created", "workspace", workspace.id, "Workspace made", workspace_id=workspace.id,
                     name=workspace.name)
    return user


def _check_set_up(email: str, password: str, workspace_name: str, time_zone: str) -> dict[str, str]:
    errors = {}
    if not EMAIL.fullmatch(email.strip()):
        errors["email"] = "Give an e-mail address, such as mara@example.com. You sign in with it."
    if problem := passwords.problem(password, email):
        errors["password"] = problem
    if not 1 <= len(workspace_name.strip()) <= 100:
        errors["workspace"] = "Give the first workspace a name of up to 100 characters, such as your company's."
    if time_zone not in times.zones():
        errors["time_zone"] = "Choose a time zone from the list, such as Europe/Stockholm."
    return errors


def setup_link(config: Config) -> str | None:
    """A fresh one-time link to set the console up; None once it is set up. Earlier links stop working."""
    if is_set_up():
        return None
    return f"{config.public_url}/setup/{logins.new_link(SETUP, None, SETUP_LIFE, outside.now())}"


def reset_link(email: str) -> str:
    """A fresh link, good once and for a day, to choose a new password. Raises UnknownPerson."""
    user = logins.by_email(email)
    if user is None:
        raise UnknownPerson(f"Nobody with the e-mail address {email.strip()} has an account here.")
    token = logins.new_link(RESET, user, RESET_LIFE, outside.now())
    with writing():
        audit.record("person.reset_link", "user", user.id, "Made a link for a new password", name=user.shown)
    return f"{_config().public_url}/reset/{token}"


def reset_password(token: str, password: str, now: datetime) -> bool:
    """Set a new password through a one-time link and end all logins; False if the link is no good.

    Raises Invalid.
    """
    found = logins.link(RESET, token, now)
    user = db.session.get(User, found.user_id) if found else None
    if user is None:
        return False
    if problem := passwords.problem(password, user.email):
        raise Invalid({"password": problem})
    hashed = passwords.hashed(password)
    with writing():
        if logins.spend(RESET, token, now) is None:
            return False
        user.password_hash = hashed
        logins.end_others(user, None, now)
        audit.record("person.password_reset", "user", user.id, "Chose a new password by link", name=user.shown)
    return True
