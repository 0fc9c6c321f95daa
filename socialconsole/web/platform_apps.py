"""Admin → Social Platform: the list of platforms and, over it, the Configure dialog of each with its own address."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from .. import (
    configure,
    configure_form,
    configure_sandbox,
    credentials,
    holding,
    managed_apps,
    outside,
    paste,
    platform_apps,
)
from ..access import requires
from ..configure import Invalid, NeedsConfirmation, NotPossible, Saved, Stale
from ..configure_form import Form
from ..credentials import CannotTell, WrongCredentials
from ..platform_apps import Row
from ..providers import PROVIDERS
from ..providers.base import Provider
from .page import blocks, done, moved, show, wants_block

bp = Blueprint("platform_apps", __name__, url_prefix="/admin/platforms")


# ---------------------------------------------------------------- the list


@bp.get("")
@requires("admin")
def index() -> ResponseReturnValue:
    """All platforms: how each stands, its switch, and the way to its settings."""
    return show("platforms.html", **_list())


def _list(**more: Any) -> dict[str, Any]:
    config = current_app.extensions["config"]
    return {"rows": platform_apps.overview(outside.now()), "config": config, "problem": "", "form": None,
            "unsure": "", "count_of": configure.count_of, "managed": managed_apps.current(), **more}


@bp.post("/<segment>/on")
@requires("admin")
def turn_on(segment: str) -> ResponseReturnValue:
    """Offer the platform to tenants once its credentials were checked; pressing twice is the same as once."""
    row = _row(segment)
    try:
        credentials.turn_on(segment, g.user.shown, outside.now(), insist="confirm" in request.form)
    except (NotPossible, WrongCredentials) as refusal:
        status = 422 if isinstance(refusal, WrongCredentials) else 409
        return _refused(row.provider, f"{row.title} stays off. {refusal}", status)
    except CannotTell as doubt:
        return _refused(row.provider, f"{row.title} is not on yet. {doubt}", unsure=segment)
    return _switched(row.provider, f"{row.title} is on. Tenants can connect it now.")


@bp.get("/<segment>/off")
@requires("admin")
def ask_off(segment: str) -> ResponseReturnValue:
    """The question before a platform is turned off: what is held, what misses its window, a note to tenants."""
    return _ask_off(_row(segment))


def _ask_off(row: Row, status: int = 200, typed: str | None = None, error: str = "") -> ResponseReturnValue:
    if row.app is None or not (row.is_on or row.app.off_at):
        return moved(url_for(".index"))
    holds = holding.what_off_holds(row.app, outside.now()) if row.is_on else None
    note = row.app.off_note if typed is None else typed
    return show("turn_off.html", None, status, **_list(row=row, holds=holds, note=note, error=error,
                                                        longest=platform_apps.LONGEST_NOTE))


@bp.post("/<segment>/off")
@requires("admin")
def turn_off(segment: str) -> ResponseReturnValue:
    """Take the platform away from tenants; pressing twice is the same as once, another note is told them."""
    row, note = _row(segment), request.form.get("note")
    try:
        configure.turn_off(segment, outside.now(), by=g.user.shown, note=note)
    except Invalid as refusal:
        return _ask_off(row, 422, note, refusal.errors["note"])
    return _switched(row.provider, f"{row.title} is off. Its accounts stay, and their posts wait.")


@bp.post("/<segment>/apps")
@requires("admin")
def add(segment: str) -> ResponseReturnValue:
    """One more app of a platform: on to its own dialog."""
    if segment not in PROVIDERS:
        abort(404)
    try:
        app = configure.add_app(segment, outside.now())
    except NotPossible as refusal:
        return _refused(PROVIDERS[segment], str(refusal))
    return moved(url_for(".edit", segment=app.segment))


@bp.post("/<segment>/remove")
@requires("admin")
def remove(segment: str) -> ResponseReturnValue:
    """Forget a further app that nothing hangs on."""
    row = _row(segment)
    try:
        name = configure.remove_app(segment, outside.now())
    except NotPossible as refusal:
        return _refused(row.provider, str(refusal))
    return _switched(row.provider, f"{name} is removed.")


def _switched(provider: Provider, said: str) -> ResponseReturnValue:
    row = platform_apps.platform_row(provider.slug, outside.now())
    return done("platforms.html", "row", url_for(".index"), said, row=row, problem="", unsure="")


def _refused(provider: Provider, why: str, status: int = 409, unsure: str = "") -> ResponseReturnValue:
    """The row with the reason. `unsure`: the app that may be turned on all the same, if somebody insists."""
    row = platform_apps.platform_row(provider.slug, outside.now())
    return show("platforms.html", "row", status, **_list(problem=why, row=row, unsure=unsure))


# ---------------------------------------------------------------- the dialog


@bp.get("/<segment>")
@requires("admin")
def edit(segment: str) -> ResponseReturnValue:
    """The dialog of one platform over the list."""
    _row(segment)
    return _dialog(configure_form.form(segment, outside.now()))


def _dialog(form: Form, status: int = 200, block: str | None = None) -> Response:
    history = platform_apps.history(form.app) if form.app else []
    names = [block, "standing"] if block == "form" else [block] if block else []
    why_managed = managed_apps.why_managed(form.row.segment)
    return blocks("configure.html", names, status, **_list(form=form, history=history, why_managed=why_managed))


@bp.post("/<segment>")
@requires("admin")
def save(segment: str) -> ResponseReturnValue:
    """Save, and with the second button turn on as well; or open the field for a new secret."""
    row, values = _row(segment), _values()
    wanted = request.form.get("do", "save")
    if managed_apps.why_managed(segment):
        return _dialog(configure_form.form(segment, outside.now()), 409, "form")
    if wanted == "swap":
        values["client_id"], values["client_secret"] = values.get("client_secret", ""), values.get("client_id", "")
    if wanted in ("replace", "show"):
        form = _typed(segment, values)
        form.replacing = form.replacing or wanted == "replace"
        return _dialog(form, block="form")
    try:
        saved = configure.save(segment, values, g.user, outside.now(), confirm="confirm" in request.form,
                               complete=wanted == "on")
        if wanted == "on":
            credentials.turn_on(segment, g.user.shown, outside.now())
    except (Invalid, Stale, NeedsConfirmation) as refusal:
        return _not_saved(segment, values, refusal)
    except (NotPossible, WrongCredentials, CannotTell) as refusal:
        form = configure_form.form(segment, outside.now())
        form.problem = f"Saved, but not turned on. {refusal}"
        form.is_unsure = isinstance(refusal, CannotTell)
        return _dialog(form, 422 if isinstance(refusal, WrongCredentials) else 409, "form")
    return _saved(row.segment, saved, wanted == "on", _odd_secret(row, segment, values))


def _odd_secret(row: Row, segment: str, values: dict[str, Any]) -> str:
    """What is odd about a secret that was saved: it has no field any more that could say so."""
    found = configure_form.typed_form(segment, values, outside.now()).diagnosis.of("client_secret")
    odd = [one.sentence for one in found if one.tone == paste.WARN]
    return f" About the {row.provider.client_secret_label}: {' '.join(odd)}" if odd else ""


def _not_saved(segment: str, values: dict[str, Any], refusal: Exception) -> ResponseReturnValue:
    """The form as it was typed, saying at each field what is wrong, or asking before connections end."""
    form = _typed(segment, values)
    if isinstance(refusal, Invalid):
        form.errors = refusal.errors
        form.offers_swap = form.diagnosis.is_swapped and wants_block()
        if form.diagnosis.is_swapped and not form.offers_swap:  # the ID was put right; a secret is never sent back
            form.errors = {"client_secret": f"The two were swapped. The {form.provider.client_id_label} is in its "
                                            f"place now. Paste the {form.provider.client_secret_label} again."}
        # Only what has to be answered is swapped in, so that a typed secret stays in its field.
        part = "question" if form.offers_swap else "consequences" if set(refusal.errors) == {configure.ACCEPT} else ""
        return _retargeted(_dialog(form, 422, part), part) if part else _dialog(form, 422, "form")
    if isinstance(refusal, Stale):
        form.stale = refusal.stored
        return _dialog(form, 409, "form")
    form.confirm = str(refusal)
    # Only the question is swapped in, so that a typed secret stays in its field: it is never sent back.
    return _retargeted(_dialog(form, 409, "question"), "question")


def _retargeted(answer: Response, part: str) -> Response:
    answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = f"#{part}", "outerHTML"
    return answer


def _saved(segment: str, saved: Saved, turned_on: bool, odd: str) -> ResponseReturnValue:
    said = f"Saved: {', '.join(saved.changed)}." if saved.changed else "Nothing was new, so nothing was changed."
    if saved.ended:
        said += f" Profiles that have to be reconnected: {saved.ended}."
    if turned_on:
        said = said if saved.changed or saved.ended else ""
        return moved(url_for(".index"), f"{said} {platform_apps.title(saved.app)} is on. Tenants can connect it "
                     f"now.{odd}".strip())
    return moved(url_for(".edit", segment=segment), f"{said}{odd}")


@bp.post("/<segment>/check")
@requires("admin")
def check(segment: str) -> ResponseReturnValue:
    """Ask the platform whether the stored id and secret are right; the answer stays until the next one."""
    row = _row(segment)
    if row.app is None:
        return _dialog(configure_form.form(segment, outside.now()), 409)
    try:
        found = credentials.check(row.app.id, g.user.shown)
    except NotPossible as refusal:
        form = configure_form.form(segment, outside.now())
        form.problem = str(refusal)
        return _dialog(form, 409)
    said = "" if found.is_stored else "The credentials were changed while they were checked. Check again."
    form = configure_form.form(segment, outside.now())
    typed = request.form.get("client_id", form.values.client_id).strip()
    form.has_unsaved = typed != form.values.client_id or "asks_secret" in request.form
    shown = _list(form=form, history=platform_apps.history(row.app))
    if wants_block() and not said:
        return blocks("configure.html", ["check_result", "standing"], **shown)
    return done("configure.html", "check_result", url_for(".edit", segment=segment, _anchor="check-result"), said,
                **shown)


@bp.post("/<segment>/preview")
@requires("admin")
def preview(segment: str) -> ResponseReturnValue:
    """What the typed scopes and features mean, and the guide that goes with them; stores nothing."""
    return _preview(segment, "scope_view", "notes", "consequences", "guide")


@bp.post("/<segment>/preview-mode")
@requires("admin")
def preview_mode(segment: str) -> ResponseReturnValue:
    """The same for another mode, which has features of its own."""
    return _preview(segment, "scope_view", "features", "notes", "consequences", "guide")


def _preview(segment: str, *names: str) -> ResponseReturnValue:
    _row(segment)
    form = _typed(segment, _values())
    return blocks("configure.html", names, **_list(form=form, history=[], beside=True))


@bp.post("/<segment>/examine")
@requires("admin")
def examine(segment: str) -> ResponseReturnValue:
    """What the paste doctor says of what was typed so far; stores nothing."""
    return _preview(segment, "notes", "consequences")


@bp.post("/<segment>/compare")
@requires("admin")
def compare(segment: str) -> ResponseReturnValue:
    """What the portal holds beside the callback; stores nothing."""
    _row(segment)
    form = configure_form.compared_form(segment, _values(), outside.now())
    form.replacing = "asks_secret" in request.form
    return _dialog(form, block="compare")


@bp.post("/<segment>/sandbox")
@requires("admin")
def use_sandbox(segment: str) -> ResponseReturnValue:
    """Have the sandbox make the app, and save it."""
    row = _row(segment)
    try:
        saved = configure_sandbox.use_sandbox(segment, g.user, outside.now(), confirm="confirm" in request.form)
    except (NotPossible, NeedsConfirmation) as refusal:
        form = configure_form.form(segment, outside.now())
        if isinstance(refusal, NeedsConfirmation):
            form.confirm_sandbox = str(refusal)
        else:
            form.problem = str(refusal)
        return _dialog(form, 409)
    said = f"The sandbox made an app for {row.provider.name} and registered the callback; ID and secret are saved."
    if saved.ended:
        said += f" Profiles that have to be reconnected: {saved.ended}."
    return moved(url_for(".edit", segment=segment), said)


def _row(segment: str) -> Row:
    """How the app with this segment stands; 404 where there is none, nor a platform of that name."""
    try:
        return platform_apps.row(segment, outside.now())
    except KeyError:
        abort(404)


def _values() -> dict[str, Any]:
    """The typed values by field name; lists where several may be ticked."""
    values: dict[str, Any] = request.form.to_dict()
    for name in ("features", "workspace_ids"):
        values[name] = request.form.getlist(name)
    return values


def _typed(segment: str, values: dict[str, Any]) -> Form:
    form = configure_form.typed_form(segment, values, outside.now())
    form.replacing = "asks_secret" in request.form
    if "confirm" in request.form:  # the question was answered already: it stays, in case something else is wrong
        form.confirm = configure.question(form.provider, form.app, form.values.client_id)
    return form
