"""Drafts: saved by a button or by themselves, listed, discarded and brought back; approval; conflicts.

What a script asks for comes as JSON; everything else here is plain forms and pages. A conflict is answered in one
place for all forms: with both versions side by side, and nothing written.
"""

from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from .. import checks, draft_posts, drafts, media, outside, posts, times
from ..access import requires
from ..checks import Choice
from ..draft_posts import LATER, NEVER, Mended, Typed
from ..drafts import Content, OwnText
from ..models import CANCELLED, DRAFT, SUBMITTED, Account, Delivery, Post
from ..posts import Conflict, Invalid, NotPossible
from ..providers import provider as provider_of
from . import words
from .compose import as_typed, opened
from .compose import read_content as read
from .media import takes_files
from .page import invalid, moved, show
from .posts import next_hour

bp = Blueprint("drafts", __name__, url_prefix="/w/<workspace_id>")

PAGE = 50


# ---------------------------------------------------------------- saving


@bp.post("/drafts/save")
@requires("compose")
@takes_files
def save(workspace_id: str) -> ResponseReturnValue:
    """Keep the form as a draft: JSON for the script that saves while somebody types, else back to the form."""
    content, refused = read()
    try:
        kept = draft_posts.save(g.workspace, g.user, as_typed(content), opened=opened(),
                                nonce=request.form.get("nonce", ""))
    except Invalid as problem:
        if _wants_json():
            return jsonify(said=" ".join(problem.errors.values())), 422
        return moved(_compose(None), " ".join(problem.errors.values()))
    if _wants_json():
        return jsonify(_told(kept))
    return moved(_compose(kept), refused or "Draft saved.")


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(("text/html", "application/json")) == "application/json"


def _compose(kept: Post | None) -> str:
    return url_for("compose.compose", workspace_id=g.workspace.id, post=kept.id if kept else None)


def _told(kept: Post) -> dict[str, Any]:
    """What the script has to know of a draft that was saved."""
    saved = kept.updated_at or kept.created_at
    return {"post_id": kept.id, "version": kept.version, "saved_at": saved.isoformat(), "address": _compose(kept),
            "saved": f"Saved {times.local(saved, g.workspace.time_zone):%H:%M}"}


@bp.get("/drafts/status")
@requires("compose")
def status(workspace_id: str) -> ResponseReturnValue:
    """Who is signed in, with a fresh form token, and how the named draft, or what a form made, stands now."""
    post_id, nonce = request.args.get("post", ""), request.args.get("nonce", "")
    found = posts.post(g.workspace, post_id) if post_id else posts.by_nonce(g.workspace, nonce)
    return jsonify(user=g.user.id, token=generate_csrf(), post_id=found.id if found else "",
                   state=found.state if found else "", version=found.version if found else 0,
                   is_sent=found is not None and not posts.is_unsent(found),
                   said=draft_posts.changed_by_other(found, g.user, outside.now()) if found else "")


# ---------------------------------------------------------------- conflicts


@bp.app_errorhandler(Conflict)
def conflict(problem: Conflict) -> ResponseReturnValue:
    """Both versions side by side: 409, with nothing written and everything typed still there."""
    content, _ = read()
    mine, theirs = as_typed(content), draft_posts.typed_of(g.workspace, problem.post)
    known = _accounts([*mine.account_ids, *theirs.account_ids])
    fields = [(name, value) for name, value in request.form.items(multi=True)
              if name not in ("csrf_token", "version", "keep", "post_id")]
    return show("draft_conflict.html", "versions", 409, post=problem.post, fields=fields,
                rows=_rows(mine, theirs, known), is_sent=not posts.is_unsent(problem.post), action=request.path,
                saved_by=_saved_by(problem.post),
                mine=_plain(mine), theirs=_plain(theirs), words=words)


def _saved_by(found: Post) -> str:
    return found.updated_by or found.author_name or "Somebody"


def _plain(typed: Typed) -> str:
    """All texts of a version, to be copied."""
    content = typed.content
    return "\n\n".join(one for one in (content.text, *(part.text for part in content.parts), content.first_comment,
                                       *(own.text for own in content.own.values())) if one.strip())


def _rows(mine: Typed, theirs: Typed, known: dict[str, Account]) -> list[tuple[str, str, str]]:
    """What differs: its name, mine, theirs; the text always."""
    one, other = _facts(mine, known), _facts(theirs, known)
    return [(name, one.get(name, ""), other.get(name, "")) for name in dict.fromkeys((*one, *other))
            if name == "Text" or one.get(name, "") != other.get(name, "")]


def _facts(typed: Typed, known: dict[str, Account]) -> dict[str, str]:
    """A version in words, by what it is about."""
    content = typed.content
    names = [_name(known[one]) for one in typed.account_ids if one in known]
    facts = {"Text": content.text.replace("\r\n", "\n").strip(), "Profiles": ", ".join(sorted(names)) or "None",
             "When": _when(typed), "Files": words.count(len(content.media), "file")}
    facts |= {f"Part {number}": part.text.strip() for number, part in enumerate(content.parts, 2)}
    facts |= {f"Own text for {_name(known[one])}": own.text.strip() for one, own in content.own.items() if one in known}
    if content.first_comment.strip():
        facts["First comment"] = content.first_comment.strip()
    if content.poll:
        facts["Poll"] = " / ".join((content.poll.question, *content.poll.options)).strip(" /")
    return facts


def _when(typed: Typed) -> str:
    if typed.when != LATER:
        return {"queue": "Next free slot of the queue"}.get(typed.when, "Now")
    rule = "" if typed.repeat == NEVER else f", every {typed.repeat}"
    return (typed.wall_time.replace("T", " ") or "At a time that is not chosen yet") + rule


def _name(account: Account) -> str:
    return account.display_name or account.username


def _accounts(ids: list[str]) -> dict[str, Account]:
    return {target.account.id: target.account for target in checks.targets(g.workspace) if target.account.id in ids}


# ---------------------------------------------------------------- lists


@bp.get("/drafts")
@requires("see")
def index(workspace_id: str) -> ResponseReturnValue:
    """The drafts of the workspace, newest first."""
    return show("drafts.html", "list", **_list(DRAFT))


@bp.get("/approval")
@requires("see")
def waiting(workspace_id: str) -> ResponseReturnValue:
    """What waits for an owner."""
    return show("drafts.html", "list", **_list(SUBMITTED))


def _list(state: str) -> dict[str, Any]:
    before = request.args.get("before") or None
    read_them = draft_posts.waiting if state == SUBMITTED else draft_posts.all_drafts
    found = read_them(g.workspace, before=before, limit=PAGE + 1)
    shown = found[:PAGE]
    return {"posts": shown, "state": state, "before": before, "next": shown[-1].id if len(found) > PAGE else None,
            "accounts": draft_posts.accounts_of(g.workspace, shown), "goes_out": _goes_out, "words": words,
            "counts": {one: draft_posts.count(g.workspace, one) for one in (DRAFT, SUBMITTED)},
            "discarded": _discarded(), "provider_of": provider_of}


def _discarded() -> str:
    """The draft that was just discarded and can still be brought back."""
    found = posts.post(g.workspace, request.args["discarded"]) if request.args.get("discarded") else None
    return found.id if found and posts.is_unsent(found) and found.state == CANCELLED else ""


def _goes_out(found: Post) -> str:
    """When a draft is meant to go out, in words."""
    if found.timing == LATER:
        return f"for {times.exact(found.due_at, g.workspace.time_zone)}" if found.due_at else "time still to choose"
    if found.timing == "queue":
        return "for the next free slot"
    return "as soon as it is approved" if found.state == SUBMITTED else "no time chosen yet"


@bp.post("/drafts/<post_id>/discard")
@requires("compose")
def discard(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Throw a draft away; what was said offers to bring it back."""
    found = posts.post(g.workspace, post_id)
    back = url_for(".waiting" if found.state == SUBMITTED else ".index", workspace_id=workspace_id)
    try:
        draft_posts.discard(g.workspace, g.user, post_id, _version())
    except NotPossible as problem:
        return moved(back, str(problem))
    return moved(url_for(".index", workspace_id=workspace_id, discarded=post_id))


@bp.post("/drafts/<post_id>/restore")
@requires("compose")
def restore(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Bring a discarded draft back."""
    back = url_for(".index", workspace_id=workspace_id)
    try:
        draft_posts.restore(g.workspace, g.user, post_id)
    except NotPossible as problem:
        return moved(back, str(problem))
    return moved(back, "The draft is back.")


def _version() -> int:
    version = request.form.get("version", "")
    return int(version) if version.isdecimal() and len(version) < 10 else 0


# ---------------------------------------------------------------- approval


@bp.get("/approval/<post_id>")
@requires("see")
def review(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """One post that waits: what it says, where and when, what each profile makes of it, and the decision."""
    found = posts.post(g.workspace, post_id)
    if not posts.is_unsent(found):
        return moved(url_for("posts.post", workspace_id=workspace_id, post_id=post_id))
    return show("review.html", "review", **_review(found))


def _review(found: Post, **more: Any) -> dict[str, Any]:
    kept = draft_posts.typed_of(g.workspace, found)
    content, accounts = drafts.tidied(kept.content), draft_posts.accounts_of(g.workspace, [found])
    shown = {one.id: one for one in media.still_there(g.workspace, list(content.all_media))}
    chosen = [one for one in accounts.values() if one.state != "disconnected"]
    content = Content(content.text, tuple(one for one in content.media if one in shown), content.alts, content.poll,
                      content.parts, content.first_comment, content.own)
    found_checks = checks.check(g.workspace, content, chosen, kept.choices)
    return {"post": found, "content": content, "shown": shown, "checks": found_checks, "goes_out": _goes_out(found),
            "accounts": accounts, "errors": {}, "note": request.form.get("note", ""), "problem": "",
            "is_waiting": found.state == SUBMITTED, "wall_time": request.form.get("wall_time") or next_hour(),
            "has_passed": found.state == SUBMITTED and found.timing == LATER and (
                found.due_at is None or found.due_at <= outside.now()),
            "provider_of": provider_of, "words": words, "name": _name, **more}


@bp.post("/approval/<post_id>/approve")
@requires("approve")
def approve(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Let it go out, exactly as it was looked at."""
    try:
        written = draft_posts.approve(g.workspace, g.user, post_id, _version(), request.form.get("wall_time", ""))
    except Invalid as problem:
        return invalid("review.html", "review", **_review(posts.post(g.workspace, post_id), errors=problem.errors))
    except NotPossible as problem:
        return _moved_on(post_id, str(problem))
    return moved(url_for("posts.post", workspace_id=workspace_id, post_id=written.id), "Approved.")


@bp.post("/approval/<post_id>/send-back")
@requires("approve")
def send_back(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Hand it back to its author with a note."""
    try:
        back = draft_posts.send_back(g.workspace, g.user, post_id, _version(), request.form.get("note", ""))
    except Invalid as problem:
        return invalid("review.html", "review", **_review(posts.post(g.workspace, post_id), errors=problem.errors))
    except NotPossible as problem:
        return _moved_on(post_id, str(problem))
    return moved(url_for(".waiting", workspace_id=workspace_id), f"Sent back to {back.submitted_by}.")


@bp.post("/approval/<post_id>/take-back")
@requires("compose")
def take_back(workspace_id: str, post_id: str) -> ResponseReturnValue:
    """Make a draft of it again."""
    try:
        back = draft_posts.take_back(g.workspace, g.user, post_id, _version())
    except NotPossible as problem:
        return _moved_on(post_id, str(problem))
    return moved(_compose(back), "It is a draft again.")


def _moved_on(post_id: str, why: str) -> Response:
    """The post as it is now, saying why the decision came too late."""
    found = posts.post(g.workspace, post_id)
    return show("review.html", "review", 409, **_review(found, problem=why))


# ---------------------------------------------------------------- mending one profile of a post that is partly out


@bp.get("/posts/<post_id>/<delivery_id>/mend")
@requires("compose")
def mend(workspace_id: str, post_id: str, delivery_id: str) -> ResponseReturnValue:
    """The text and the choices of one profile, to be changed and tried again."""
    delivery = _delivery(post_id, delivery_id)
    why = draft_posts.why_not_mendable(g.workspace, g.user, delivery)
    if why:
        return moved(url_for("posts.post", workspace_id=workspace_id, post_id=post_id), why)
    content = drafts.load(delivery.post.text, delivery.post.content).for_account(delivery.account_id)
    mine = Mended(OwnText(content.text, content.first_comment), Choice(delivery.format, delivery.options))
    return show("mend.html", "form", **_mending(delivery, mine, delivery.post.version))


@bp.post("/posts/<post_id>/<delivery_id>/mend")
@requires("compose")
def mended(workspace_id: str, post_id: str, delivery_id: str) -> ResponseReturnValue:
    """Try again with what was changed; the other profiles stay as they are."""
    delivery, mine = _delivery(post_id, delivery_id), _typed_mend(delivery_id)
    back = url_for("posts.post", workspace_id=workspace_id, post_id=post_id)
    try:
        draft_posts.mend(g.workspace, g.user, delivery, mine, _version())
    except Invalid as problem:
        return invalid("mend.html", "form", **_mending(delivery, mine, _version(), errors=problem.errors))
    except NotPossible as problem:
        return moved(back, str(problem))
    except Conflict:
        said = {"conflict": "Somebody changed this post since you opened it. Look at it once more, then try again."}
        return show("mend.html", "form", 409, **_mending(delivery, mine, delivery.post.version, errors=said))
    return moved(back, f"Changed. It is tried again for {_name(delivery.account)}.")


def _typed_mend(delivery_id: str) -> Mended:
    form, account_id = request.form, posts.delivery(g.workspace, delivery_id).account_id
    start = f"option:{account_id}:"
    options = {name.removeprefix(start): value for name, value in form.items() if name.startswith(start)}
    for name in form.get(f"shown:{account_id}", "").split():
        options.setdefault(name, "")
    when = LATER if form.get("when") == LATER else "now"
    return Mended(OwnText(form.get("text", ""), form.get("first_comment", "")),
                  Choice(form.get(f"format:{account_id}", ""), options), when, form.get("wall_time", ""))


def _delivery(post_id: str, delivery_id: str) -> Delivery:
    delivery = posts.delivery(g.workspace, delivery_id)
    if delivery.post_id != post_id:
        abort(404)
    return delivery


def _mending(delivery: Delivery, mine: Mended, version: int, errors: dict[str, str] | None = None) -> dict[str, Any]:
    found, account = delivery.post, delivery.account
    content = drafts.load(found.text, found.content)
    common = content.for_account(account.id)
    content = drafts.tidied(Content(content.text, content.media, content.alts, content.poll, content.parts,
                                    content.first_comment, {**content.own, account.id: mine.own}))
    check = checks.check(g.workspace, content, [account], {account.id: mine.choice})[0]
    return {"post": found, "delivery": delivery, "account": account, "mine": mine, "check": check, "version": version,
            "errors": errors or {}, "files": media.still_there(g.workspace, list(content.media)),
            "offers_comment": drafts.offers_comment(account), "platform": provider_of(account.platform).name,
            "wall_time": mine.wall_time or next_hour(), "name": _name(account), "common": common, "words": words}
