"""Admin → Social Platform: the list of platforms and, over it, the Configure dialog of each with its own address."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import configure, configure_form, configure_sandbox, outside, platform_apps
from ..access import requires
from ..configure import Invalid, NeedsConfirmation, NotPossible, Saved, Stale
from ..configure_form import Form
from ..providers import PROVIDERS
from ..providers.base import Provider
from .page import blocks, done, moved, show

bp = Blueprint("platform_apps", __name__, url_prefix="/admin/platforms")


# ---------------------------------------------------------------- the list


@bp.get("")
@requires("admin")
def index() -> ResponseReturnValue:
    """All platforms: how each stands, its switch, and the way to its settings."""
    return show("platforms.html", **_list())


def _list(**more: Any) -> dict[str, Any]:
    config = current_app.extensions["config"]
    return {"rows": platform_apps.overview(outside.now()), "config": config, "problem": "", "form": None, **more}


@bp.post("/<platform>/on")
@requires("admin")
def turn_on(platform: str) -> ResponseReturnValue:
    """Offer the platform to tenants; pressing twice is the same as once."""
    provider = _provider(platform)
    try:
        configure.turn_on(platform, outside.now())
    except NotPossible as refusal:
        return _refused(provider, str(refusal))
    return _switched(provider, f"{provider.name} is on. Tenants can connect it now.")


@bp.post("/<platform>/off")
@requires("admin")
def turn_off(platform: str) -> ResponseReturnValue:
    """Take the platform away from tenants; pressing twice is the same as once."""
    provider = _provider(platform)
    configure.turn_off(platform, outside.now())
    return _switched(provider, f"{provider.name} is off. Its accounts stay, and their posts wait.")


def _switched(provider: Provider, said: str) -> ResponseReturnValue:
    row = platform_apps.row(provider.slug, outside.now())
    return done("platforms.html", "row", url_for(".index"), said, row=row, problem="")


def _refused(provider: Provider, why: str) -> ResponseReturnValue:
    row = platform_apps.row(provider.slug, outside.now())
    return show("platforms.html", "row", 409, **_list(problem=f"{provider.name} stays off. {why}", row=row))


# ---------------------------------------------------------------- the dialog


@bp.get("/<platform>")
@requires("admin")
def edit(platform: str) -> ResponseReturnValue:
    """The dialog of one platform over the list."""
    return _dialog(configure_form.form(_provider(platform), outside.now()))


def _dialog(form: Form, status: int = 200, block: str | None = None) -> Response:
    history = platform_apps.history(form.app) if form.app else []
    return show("configure.html", block, status, **_list(form=form, history=history))


@bp.post("/<platform>")
@requires("admin")
def save(platform: str) -> ResponseReturnValue:
    """Save, and with the second button turn on as well; or open the field for a new secret."""
    provider, values = _provider(platform), _values()
    wanted = request.form.get("do", "save")
    if wanted in ("replace", "show"):
        form = _typed(provider, values)
        form.replacing = form.replacing or wanted == "replace"
        return _dialog(form, block="form")
    try:
        saved = configure.save(platform, values, g.user, outside.now(), confirm="confirm" in request.form,
                               complete=wanted == "on")
        if wanted == "on":
            configure.turn_on(platform, outside.now())
    except (Invalid, Stale, NeedsConfirmation) as refusal:
        return _not_saved(provider, values, refusal)
    except NotPossible as refusal:
        form = configure_form.form(provider, outside.now())
        form.problem = f"Saved, but not turned on. {refusal}"
        return _dialog(form, 409, "form")
    return _saved(provider, saved, wanted == "on")


def _not_saved(provider: Provider, values: dict[str, Any], refusal: Exception) -> ResponseReturnValue:
    """The form as it was typed, saying at each field what is wrong, or asking before connections end."""
    form = _typed(provider, values)
    if isinstance(refusal, Invalid):
        form.errors = refusal.errors
        return _dialog(form, 422, "form")
    if isinstance(refusal, Stale):
        form.stale = refusal.stored
        return _dialog(form, 409, "form")
    form.confirm = str(refusal)
    # Only the question is swapped in, so that a typed secret stays in its field: it is never sent back.
    answer = _dialog(form, 409, "question")
    answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#question", "outerHTML"
    return answer


def _saved(provider: Provider, saved: Saved, turned_on: bool) -> ResponseReturnValue:
    said = f"Saved: {', '.join(saved.changed)}." if saved.changed else "Nothing was new, so nothing was changed."
    if saved.ended:
        said += f" Profiles that have to be reconnected: {saved.ended}."
    if turned_on:
        said = said if saved.changed or saved.ended else ""
        return moved(url_for(".index"), f"{said} {provider.name} is on. Tenants can connect it now.".strip())
    return moved(url_for(".edit", platform=provider.slug), said)


@bp.post("/<platform>/preview")
@requires("admin")
def preview(platform: str) -> ResponseReturnValue:
    """What the typed scopes and features mean, and the guide that goes with them; stores nothing."""
    return _preview(platform, "scope_view", "guide")


@bp.post("/<platform>/preview-mode")
@requires("admin")
def preview_mode(platform: str) -> ResponseReturnValue:
    """The same for another mode, which has features of its own."""
    return _preview(platform, "scope_view", "features", "guide")


def _preview(platform: str, *names: str) -> ResponseReturnValue:
    form = _typed(_provider(platform), _values())
    return blocks("configure.html", names, **_list(form=form, history=[], beside=True))


@bp.post("/<platform>/sandbox")
@requires("admin")
def use_sandbox(platform: str) -> ResponseReturnValue:
    """Have the sandbox make the app, and save it."""
    provider = _provider(platform)
    try:
        saved = configure_sandbox.use_sandbox(platform, g.user, outside.now(), confirm="confirm" in request.form)
    except (NotPossible, NeedsConfirmation) as refusal:
        form = configure_form.form(provider, outside.now())
        if isinstance(refusal, NeedsConfirmation):
            form.confirm_sandbox = str(refusal)
        else:
            form.problem = str(refusal)
        return _dialog(form, 409)
    said = f"The sandbox made an app for {provider.name} and registered the callback; ID and secret are saved."
    if saved.ended:
        said += f" Profiles that have to be reconnected: {saved.ended}."
    return moved(url_for(".edit", platform=platform), said)


def _provider(platform: str) -> Provider:
    if platform not in PROVIDERS:
        abort(404)
    return PROVIDERS[platform]


def _values() -> dict[str, Any]:
    """The typed values by field name; `features` is a list, since several may be ticked."""
    values: dict[str, Any] = request.form.to_dict()
    values["features"] = request.form.getlist("features")
    return values


def _typed(provider: Provider, values: dict[str, Any]) -> Form:
    form = configure_form.typed_form(provider, values, outside.now())
    form.replacing = "asks_secret" in request.form
    if "confirm" in request.form:  # the question was answered already: it stays, in case something else is wrong
        form.confirm = configure.question(provider, form.app, form.values.client_id)
    return form
