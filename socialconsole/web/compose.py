"""Compose: what the author types becomes a `Content`, and a `Choice` for each account.

Everything works as one plain form; with script the checks and the choices of single platforms follow the typing.
"""

from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .. import drafts, media, outside, posts
from ..access import requires
from ..drafts import Content, PartText
from ..models import Account
from ..posts import Choice, Invalid
from ..providers import provider as provider_of
from ..providers.content import Poll
from . import words
from .media import MOST_FILES, takes_files
from .page import invalid, show
from .posts import next_hour

bp = Blueprint("compose", __name__, url_prefix="/w/<workspace_id>")

MOST_PARTS = 25
POLL_LENGTHS = ((60, "1 hour"), (360, "6 hours"), (1440, "1 day"), (4320, "3 days"), (10080, "7 days"),
                (20160, "14 days"))
POLL_OPTIONS = 4


@bp.get("/compose")
@requires("compose")
def compose(workspace_id: str) -> ResponseReturnValue:
    """The empty form, or one filled from an earlier post (`from`) or for one profile (`account`)."""
    targets = posts.targets(g.workspace)
    earlier = posts.post(g.workspace, request.args["from"]) if request.args.get("from") else None
    chosen = set(request.args.getlist("account"))
    if earlier and not chosen:
        chosen = {delivery.account_id for delivery in earlier.deliveries}
    free = [target.account.id for target in targets if target.selectable]
    if not chosen and len(free) == 1:
        chosen = set(free)
    content = drafts.load(earlier.text, earlier.content) if earlier else Content("")
    choices = {one.account_id: Choice(one.format, one.options) for one in earlier.deliveries} if earlier else {}
    return show("compose.html", **_form(content, choices, chosen & set(free)))


@bp.post("/compose")
@requires("compose")
@takes_files
def create(workspace_id: str) -> ResponseReturnValue:
    """Schedule the post, or show the form again with what is wrong and everything that was typed."""
    form = request.form
    if form.get("do"):
        return check(workspace_id)
    content, refused = _content(fetches=True)
    try:
        if refused or _refused():
            raise Invalid({"files": refused or f"{_refused()[0]} Take it off the list, or choose another file."})
        _refuse_idle_time()
        post = posts.schedule(
            g.workspace, g.user, content, form.getlist("accounts"), when=_when(),
            wall_time=form.get("wall_time", ""), nonce=form.get("nonce", ""), again=form.get("again") == "yes",
            choices=_choices())
    except Invalid as problem:
        return invalid("compose.html", "form", **{
            **_typed(content), "errors": problem.errors, "file_address": _address(refused)})
    return redirect(url_for("posts.post", workspace_id=workspace_id, post_id=post.id), 303)


@bp.post("/compose/check")
@requires("compose")
@takes_files
def check(workspace_id: str) -> ResponseReturnValue:
    """The checks beside the form while somebody types; without script the whole page, with nothing lost."""
    content, refused = _content(fetches=request.form.get("do") == "fetch")
    errors = {"files": refused} if refused else {}
    return show("compose.html", "checks", **{
        **_typed(content, asks=False), "errors": errors, "file_address": _address(refused)})


@bp.post("/compose/choices")
@requires("compose")
@takes_files
def choose(workspace_id: str) -> ResponseReturnValue:
    """The choices of single platforms, after profiles, files or formats changed; platforms may be asked for them."""
    content, refused = _content()
    errors = {"files": refused} if refused else {}
    return show("compose.html", "choices", **{**_typed(content), "errors": errors})


# ---------------------------------------------------------------- what was typed


def _content(*, fetches: bool = False) -> tuple[Content, str]:
    """What was typed, files that came with the form stored; and what was wrong with such a file.

    `fetches`: a file whose address was typed is fetched, which must not happen at every key.
    """
    form, refused = request.form, ""
    ids = form.getlist("media")
    for upload in request.files.getlist("files")[:MOST_FILES]:
        if not upload.filename:
            continue
        try:
            ids.append(media.store(g.workspace, g.user, upload.stream, upload.filename).id)
        except media.Refused as problem:
            refused = refused or str(problem)
    address = form.get("file_address", "").strip()
    if address and fetches and not refused:
        try:
            ids.append(media.from_address(g.workspace, g.user, address).id)
        except media.Refused as problem:
            refused = str(problem)
    removed = form.get("do", "").removeprefix("remove:")
    ids = [one for one in dict.fromkeys(ids) if one != removed]
    parts = tuple(PartText(text) for text in form.getlist("part")[:MOST_PARTS])
    if form.get("do") == "add_part":
        parts = (*parts, PartText(""))
    alts = {name.removeprefix("alt:"): value.strip() for name, value in form.items()
            if name.startswith("alt:") and value.strip()}
    return Content(form.get("text", ""), tuple(ids), alts, _poll(), parts, form.get("first_comment", "")), refused


def _refused() -> list[str]:
    """What was said about files that were refused, as long as nobody took it off: such a post is not what was meant."""
    gone = request.form.get("do", "").removeprefix("forget:")
    return [one[:400] for one in request.form.getlist("refused")[:MOST_PARTS] if one != gone]


def _address(refused: str) -> str:
    """The typed address of a file: kept in its field as long as no file came of it."""
    return request.form.get("file_address", "") if refused or request.form.get("do") not in (None, "fetch") else ""


def _poll() -> Poll | None:
    options = tuple(one.strip() for one in request.form.getlist("poll_option") if one.strip())
    question = request.form.get("poll_question", "").strip()
    minutes = request.form.get("poll_minutes", type=int) or POLL_LENGTHS[2][0]
    return Poll(question, options, minutes) if options or question else None


def _choices() -> dict[str, Choice]:
    """The format and the platform's own choices, by account. A tick that is not set does not come with a form."""
    form = request.form
    found: dict[str, Choice] = {}
    for account_id in form.getlist("accounts"):
        start = f"option:{account_id}:"
        options = {name.removeprefix(start): value for name, value in form.items() if name.startswith(start)}
        if f"shown:{account_id}" in form:
            for name in form[f"shown:{account_id}"].split():
                options.setdefault(name, "")
        found[account_id] = Choice(form.get(f"format:{account_id}", ""), options)
    return found


def _refuse_idle_time() -> None:
    """Somebody who typed a time and left "Now" ticked must not find the post published. Raises Invalid."""
    typed = request.form.get("wall_time", "")
    if _when() == "now" and typed and typed != request.form.get("proposed", typed):
        raise Invalid({"wall_time": "You typed a time, but Now is chosen. Choose “At a time”, or empty this field."})


def _when() -> str:
    return "later" if request.form.get("when") == "later" else "now"


# ---------------------------------------------------------------- the form


def _typed(content: Content, *, asks: bool = True) -> dict[str, Any]:
    form = request.form
    return _form(content, _choices(), set(form.getlist("accounts")), when=_when(),
                 wall_time=form.get("wall_time", ""), nonce=form.get("nonce", ""), asks=asks)


def _form(content: Content, choices: dict[str, Choice], chosen: set[str], *, when: str = "now", wall_time: str = "",
          nonce: str = "", asks: bool = True) -> dict[str, Any]:
    """What the form, its choices and its checks show. `asks`: platforms may be asked about a profile."""
    targets = sorted(posts.targets(g.workspace), key=lambda target: not target.selectable)
    accounts = [target.account for target in targets if target.account.id in chosen]
    creators = posts.creators(g.workspace, accounts) if asks else {}
    return {
        "targets": targets, "chosen": {account.id for account in accounts}, "content": content, "when": when,
        "wall_time": wall_time or next_hour(), "proposed": request.form.get("proposed") or next_hour(),
        "nonce": nonce or outside.secret(16), "errors": {}, "file_address": "",
        "refused": _refused() if request.method == "POST" else [], "new_part": request.form.get("do") == "add_part",
        "files": media.some(g.workspace, list(content.media)),
        "checks": posts.check(g.workspace, posts.tidied(content), accounts, choices, creators),
        "offers": _offers([target.account for target in targets]),
        "poll_lengths": POLL_LENGTHS, "poll_options": POLL_OPTIONS,
        "provider_of": provider_of, "words": words,
    }


def _offers(accounts: list[Account]) -> dict[str, list[str]]:
    """Which platforms of this workspace take polls, reply chains and first comments, by name."""
    found: dict[str, list[str]] = {"poll": [], "chain": [], "comment": []}
    for account in accounts:
        if account.grant is None:
            continue
        provider = provider_of(account.platform)
        if any(one.poll for one in provider.formats_of(drafts.mode_of(account), account.kind)):
            found["poll"].append(provider.name)
        if drafts.offers_chain(account):
            found["chain"].append(provider.name)
        if drafts.offers_comment(account):
            found["comment"].append(provider.name)
    return {name: list(dict.fromkeys(names)) for name, names in found.items()}
