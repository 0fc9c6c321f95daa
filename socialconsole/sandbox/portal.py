"""The pages for people: developer portal, the built-in people, faults, timeline, pictures.

Every form works without JavaScript: a plain post, a redirect, a line that says what happened.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request

from . import people
from .desk import ACTIONS, Mistake, act, change_app, make_app, rotate_secret
from .faults import SORTS, all_operations
from .pictures import picture_answer
from .plays import PLAYS
from .state import App, Fault, Post
from .world import world

POSTS_SHOWN = 100

bp = Blueprint("portal", __name__)


@bp.app_context_processor
def names() -> dict[str, Any]:
    """What every template may use."""
    labels = {name: play.label for name, play in PLAYS.items()}
    *others, last = labels.values()
    return {
        "labels": labels,
        "platforms": list(PLAYS),
        "plays": PLAYS,
        "all_labels": f"{', '.join(others)} and {last}" if others else last,
        "base_url": world().base_url,
    }


@bp.app_template_filter("instant")
def instant(seconds: float) -> str:
    """An instant for people, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%d %b %Y, %H:%M:%S} UTC"


@bp.app_template_filter("machine_instant")
def machine_instant(seconds: float) -> str:
    """An instant for a `datetime` attribute."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _page(template: str, status: int = 200, **facts: Any) -> Response:
    return make_response(render_template(template, said=request.args.get("said", ""), **facts), status)


def _done(address: str, said: str) -> Response:
    return make_response(redirect(f"{address}?{urlencode({'said': said})}", 303))


@bp.get("/")
def home() -> Response:
    """What this is and where things are."""
    state = world().state
    return _page("home.html", apps=len(state.all(App)), posts=len(world().posts()))


@bp.get("/portal")
def apps() -> Response:
    """The apps, and a form for a new one."""
    return _page("apps.html", apps=world().state.all(App), typed={}, mistake="")


@bp.post("/portal")
def new_app() -> Response:
    """Makes an app."""
    form = request.form
    wish: dict[str, Any] = {
        "platform": form.get("platform", ""),
        "name": form.get("name", ""),
        "mode": form.get("mode", ""),
        "redirect_uris": [form["redirect_uri"].strip()] if form.get("redirect_uri", "").strip() else [],
        "accept_http_loopback": "accept_http_loopback" in form,
    }
    try:
        app = make_app(world(), wish)
    except Mistake as mistake:
        everything = world().state.all(App)
        return _page("apps.html", 422, apps=everything, typed=form, mistake=str(mistake))
    return _done(f"/portal/apps/{app.client_id}", "The app is made. Copy its id and secret into the console.")


@bp.get("/portal/apps/<client_id>")
def one_app(client_id: str) -> Response:
    """One app with everything that can be set."""
    return _app_page(client_id)


def _app_page(client_id: str, mistake: str = "", typed: str = "") -> Response:
    app = world().state.find(App, client_id)
    if app is None:
        return _page("missing.html", 404, what="There is no app with this client id.")
    return _page("app.html", 422 if mistake else 200, app=app, mistake=mistake, typed=typed)


@bp.post("/portal/apps/<client_id>")
def change(client_id: str) -> Response:
    """Adds or removes a redirect address, saves settings, or makes a new secret."""
    app = world().state.find(App, client_id)
    if app is None:
        return _app_page(client_id)
    form = request.form
    typed = form.get("redirect_uri", "").strip()
    try:
        said = _change(app, form.get("do", ""), typed)
    except Mistake as mistake:
        return _app_page(client_id, str(mistake), typed)
    return _done(f"/portal/apps/{client_id}", said)


def _change(app: App, what: str, uri: str) -> str:
    if what == "add":
        change_app(world(), app, {"redirect_uris": [*app.redirect_uris, uri]})
        return "The redirect address is registered."
    if what == "remove":
        with world().state.writing():
            app.redirect_uris = [known for known in app.redirect_uris if known != uri]
            world().state.keep(app)
        return "The redirect address is gone."
    if what == "rotate":
        rotate_secret(world(), app)
        return "The app has a new secret. The old one opens nothing any more."
    change_app(world(), app, _settings(app))
    return "The settings are saved."


def _settings(app: App) -> dict[str, Any]:
    form = request.form
    play = PLAYS[app.platform]
    switches = ["accept_http_loopback", *(one.name for one in play.switches)]
    settings: dict[str, Any] = {name: name in form for name in switches}
    usual = {"access_seconds": None, "code_seconds": None} | {one.name: one.default for one in play.numbers}
    for name, otherwise in usual.items():
        typed = form.get(name, "").strip()
        settings[name] = int(typed) if typed.isdigit() else typed or otherwise
    return settings


@bp.get("/people")
def everybody() -> Response:
    """The built-in people, their grants, and what can happen to them."""
    here = world()
    rows = [
        (who, here.grants(who.platform, who.id), here.state.standing(who.platform, who.id).suspended)
        for who in people.everybody()
    ]
    known = {app.client_id: app.name for app in here.state.all(App)}
    return _page("people.html", rows=rows, actions=ACTIONS, app_names=known)


@bp.post("/people")
def act_on() -> Response:
    """Does something to a person or to one grant."""
    form = request.form
    try:
        touched = act(
            world(),
            form.get("platform", ""),
            form.get("person", ""),
            form.get("action", ""),
            form.get("client_id") or None,
        )
    except Mistake as mistake:
        return _page("missing.html", mistake.status, what=str(mistake))
    grants = "1 grant" if touched == 1 else f"{touched} grants"
    return _done("/people", f"{ACTIONS[form['action']]}: {grants}.")


@bp.get("/faults")
def faults() -> Response:
    """The faults on order, and a form for a new one."""
    return _fault_page()


def _fault_page(mistake: str = "") -> Response:
    desk = world().faults
    rows = [(fault, desk.waiting(fault)) for fault in reversed(world().state.all(Fault))]
    status = 422 if mistake else 200
    return _page("faults.html", status, rows=rows, operations=all_operations(), sorts=SORTS, mistake=mistake)


@bp.post("/faults")
def change_faults() -> Response:
    """Orders, releases or clears."""
    form, desk = request.form, world().faults
    fault = world().state.find(Fault, form.get("fault"))
    if form.get("do") == "clear":
        desk.clear()
        return _done("/faults", "All faults are cleared and held answers released.")
    if form.get("do") == "clear_one" and fault:
        desk.clear(fault)
        return _done("/faults", "The fault is cleared.")
    if form.get("do") == "release" and fault:
        return _done("/faults", f"Released: {desk.release(fault)}.")
    try:
        desk.order(
            form.get("platform", ""),
            form.get("operation", ""),
            form.get("kind", ""),
            float(form.get("seconds") or 0),
            int(form.get("times") or 1),
            "after" in form,
        )
    except ValueError as problem:
        return _fault_page(str(problem))
    return _done("/faults", "The fault is on order.")


@bp.get("/timeline")
def timeline() -> Response:
    """The latest posts."""
    platform, author = request.args.get("platform"), request.args.get("author")
    found = [post for post in world().posts(platform or None) if author in (None, "", post.author_id)]
    return _page("timeline.html", posts=found[:POSTS_SHOWN], total=len(found), platform=platform, author=author)


@bp.get("/timeline/<platform>/<post_id>")
def one_post(platform: str, post_id: str) -> Response:
    """A post's own page."""
    post = world().state.find(Post, f"{platform}:{post_id}")
    if post is None or post.deleted:
        return _page("missing.html", 404, what="This post does not exist, or it was deleted.")
    return _page("post.html", post=post)


@bp.get("/portal/pictures/<owner>.png")
def picture(owner: str) -> Response:
    """The portrait beside a post."""
    return picture_answer(owner)
