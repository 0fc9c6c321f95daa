"""The JSON control under `/portal/api`: for the console's *Use the sandbox* and for tests.

It asks for no password, so it answers only on this machine's own names and to no page of another site (`__init__`
sees to both).
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from . import people
from .desk import (
    Mistake,
    act,
    app_facts,
    change_app,
    change_settings,
    counts,
    fault_facts,
    grant_truths,
    make_app,
    make_grants,
    order_mix,
    person_facts,
    post_facts,
    rotate_secret,
    upload_facts,
)
from .plays import PLAYS
from .state import App, Fault, Upload
from .world import iso, world

bp = Blueprint("control", __name__, url_prefix="/portal/api")


@bp.errorhandler(Mistake)
def say_mistake(mistake: Mistake) -> Response:
    """The mistake as `{"error": sentence}`."""
    return _json({"error": str(mistake)}, mistake.status)


def _json(body: Any, status: int = 200) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def _body() -> dict[str, Any]:
    if not request.get_data():
        return {}
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Mistake("Send a JSON object.", 400)
    return body


def _platform() -> str | None:
    platform = request.args.get("platform")
    if platform is not None and platform not in PLAYS:
        raise Mistake(f"There is no platform {platform!r} here.", 404)
    return platform


def _app(client_id: str) -> App:
    app = world().state.find(App, client_id)
    if app is None:
        raise Mistake("There is no app with this client id.", 404)
    return app


def _fault(fault_id: str) -> Fault:
    fault = world().state.find(Fault, fault_id)
    if fault is None:
        raise Mistake("There is no fault with this id.", 404)
    return fault


@bp.get("/health")
def health() -> Response:
    """Alive."""
    return _json({"ok": True})


@bp.post("/apps")
def new_app() -> Response:
    """Makes an app; the answer carries id and secret."""
    return _json(app_facts(make_app(world(), _body())), 201)


@bp.get("/apps")
def apps() -> Response:
    """All apps."""
    return _json([app_facts(app) for app in world().state.all(App) if _platform() in (None, app.platform)])


@bp.get("/apps/<client_id>")
def one_app(client_id: str) -> Response:
    """One app."""
    return _json(app_facts(_app(client_id)))


@bp.patch("/apps/<client_id>")
def patch_app(client_id: str) -> Response:
    """Changes settings of an app, all of them or none."""
    app = _app(client_id)
    change_app(world(), app, _body())
    return _json(app_facts(app))


@bp.post("/apps/<client_id>/rotate-secret")
def rotate(client_id: str) -> Response:
    """A new secret; the old one is dead at once."""
    return _json({"client_secret": rotate_secret(world(), _app(client_id))})


@bp.get("/people")
def everybody() -> Response:
    """The built-in people with their grants."""
    platform = _platform()
    return _json([person_facts(world(), who) for who in people.everybody() if platform in (None, who.platform)])


@bp.post("/people/<platform>/<person_id>/<action>")
def act_on(platform: str, person_id: str, action: str) -> Response:
    """Expires, revokes, suspends, lifts, or changes a password; says how many grants that touched."""
    client_id = _body().get("client_id")
    return _json({"grants": act(world(), platform, person_id, action, client_id)})


@bp.get("/faults")
def faults() -> Response:
    """All faults that were ordered and not cleared."""
    return _json([fault_facts(world(), fault) for fault in world().state.all(Fault)])


@bp.post("/faults")
def order_fault() -> Response:
    """Orders a fault."""
    body = _body()
    try:
        fault = world().faults.order(
            str(body.get("platform", "")),
            str(body.get("operation", "any")),
            str(body.get("kind", "")),
            float(body.get("seconds") or 0),
            int(body.get("times", 1)),
            body.get("after") is True,
        )
    except (ValueError, TypeError) as problem:
        raise Mistake(str(problem), 400) from problem
    return _json(fault_facts(world(), fault), 201)


@bp.delete("/faults")
def clear_faults() -> Response:
    """Clears all faults and lets go of every held answer."""
    world().faults.clear()
    return _json({"ok": True})


@bp.post("/faults/mix")
def mix_faults() -> Response:
    """From now on calls meet faults by chance; the seed makes it the same chance each time."""
    return _json(vars(order_mix(world(), _body())), 201)


@bp.delete("/faults/mix")
def end_mix() -> Response:
    """No faults by chance any more."""
    world().faults.mix(None)
    return _json({"ok": True})


@bp.get("/counts")
def tell_counts() -> Response:
    """What was injected, and the truth about renewals and posts."""
    return _json(counts(world()))


@bp.get("/counts/calls")
def calls_under_way() -> Response:
    """How many calls of platforms are being served or held at this moment."""
    return _json({"under_way": world().truth.under_way})


@bp.post("/grants")
def new_grants() -> Response:
    """Grants of many people at once, with their tokens."""
    return _json(make_grants(world(), _body()), 201)


@bp.get("/grants")
def grants() -> Response:
    """Every grant with the tokens that open something now."""
    return _json(grant_truths(world(), _platform()))


@bp.get("/faults/<fault_id>")
def one_fault(fault_id: str) -> Response:
    """One fault: `waiting` answers are held now, `left` calls are still to meet it."""
    return _json(fault_facts(world(), _fault(fault_id)))


@bp.delete("/faults/<fault_id>")
def clear_fault(fault_id: str) -> Response:
    """Clears one fault."""
    world().faults.clear(_fault(fault_id))
    return _json({"ok": True})


@bp.post("/faults/<fault_id>/release")
def release(fault_id: str) -> Response:
    """Lets go of the answers that this fault holds now."""
    return _json({"released": world().faults.release(_fault(fault_id))})


@bp.get("/posts")
def posts() -> Response:
    """The posts that can be seen, newest first."""
    return _json([post_facts(post) for post in world().posts(_platform())])


@bp.get("/uploads")
def uploads() -> Response:
    """The media that came in, oldest first."""
    platform = _platform()
    found = [upload for upload in world().state.all(Upload) if platform in (None, upload.platform)]
    return _json([upload_facts(upload) for upload in found])


@bp.get("/settings")
def settings() -> Response:
    """What is set for the whole sandbox."""
    return _json({"processing_polls": world().processing_polls, "quotas": world().quotas})


@bp.post("/settings")
def set_settings() -> Response:
    """Sets how often media is still being processed, and how much a platform takes; both are optional."""
    change_settings(world(), _body())
    return settings()


@bp.get("/calls")
def calls() -> Response:
    """The latest calls that the platforms were asked, oldest first."""
    platform = _platform()
    found = [call for call in list(world().calls) if platform in (None, call.platform)]
    return _json([vars(call) | {"at": iso(call.at)} for call in found])
