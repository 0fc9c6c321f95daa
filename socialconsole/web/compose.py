"""Compose: what the author types becomes a `Content`, and a `Choice` for each account.

Everything works as one plain form; with script the checks and the choices of single platforms follow the typing.
"""

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .. import drafts, media, outside, posts, series, times
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
GONE = "A file of this post is not kept any more: what no post needs goes after a day. Choose it once more."
NEVER = "never"
REPEATS = ((NEVER, "Never"), (series.DAY, "Every day"), (series.WEEK, "Every week"), (series.MONTH, "Every month"))


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
    return show("compose.html", **_form(*_still_there(content, choices), chosen & set(free)))


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
        post_id = _write(content)
    except Invalid as problem:
        return invalid("compose.html", "form", **{
            **_typed(content), "errors": problem.errors, "file_address": _address(refused)})
    return redirect(url_for("posts.post", workspace_id=workspace_id, post_id=post_id), 303)


def _write(content: Content) -> str:
    """Write the post, or the first one of a series; its id. Raises Invalid."""
    form, nonce = request.form, request.form.get("nonce", "")
    account_ids, wall_time, again = form.getlist("accounts"), form.get("wall_time", ""), form.get("again") == "yes"
    if _repeat() == NEVER:
        return posts.schedule(g.workspace, g.user, content, account_ids, when=_when(), wall_time=wall_time,
                              nonce=nonce, again=again, choices=_choices()).id
    if _when() == "now":
        raise Invalid({"repeat": "A post that repeats needs a time. Choose “At a time” above, or Never here."})
    begun = series.begin(g.workspace, g.user, content, account_ids, every=_repeat(), wall_time=wall_time,
                         last_day=form.get("last_day", ""), nonce=nonce, again=again, choices=_choices())
    return series.first_post(g.workspace, begun).id


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
    form, gone = request.form, _gone()
    refused, ids = GONE if gone else "", [one for one in form.getlist("media") if one not in gone]
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


def _gone() -> set[str]:
    """The files named in the form that were deleted while it stood open."""
    if "gone_files" not in g:
        form = request.form
        named = {*form.getlist("media"), *(value for name, value in form.items() if value and name.startswith("option:")
                                           and name.rpartition(":")[2] in posts.FILE_FIELDS)}
        g.gone_files = named - {one.id for one in media.still_there(g.workspace, sorted(named))}
    gone: set[str] = g.gone_files
    return gone


def _still_there(content: Content, choices: dict[str, Choice]) -> tuple[Content, dict[str, Choice]]:
    """An earlier post as far as its files were not deleted since."""
    named = {*content.all_media, *(value for one in choices.values() for name, value in one.options.items()
                                   if name in posts.FILE_FIELDS)}
    there = {one.id for one in media.still_there(g.workspace, sorted(named))}
    content = replace(content, media=tuple(one for one in content.media if one in there), parts=tuple(
        replace(part, media=tuple(one for one in part.media if one in there)) for part in content.parts))
    return content, {account_id: replace(one, options={
        name: value for name, value in one.options.items() if name not in posts.FILE_FIELDS or value in there})
        for account_id, one in choices.items()}


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
        options = {name.removeprefix(start): "" if value in _gone() else value for name, value in form.items()
                   if name.startswith(start)}
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


def _repeat() -> str:
    """How often the post shall repeat: `never`, or what was sent, which the service judges."""
    return request.form.get("repeat") or NEVER


@dataclass(frozen=True)
class Timing:
    """What the checks say about the typed time: when it goes out, what is odd about that time, what is wrong."""

    goes_out: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""


def _timing(when: str, wall_time: str) -> Timing | None:
    """What there is to say about the time; None where the post goes out now, or no time is typed yet."""
    if when == "now" or not wall_time:
        return None
    try:
        wall, instant = posts.wall_and_instant(wall_time, g.workspace, outside.now())
        notes = (times.moment(times.read_wall(wall), g.workspace.time_zone).note, _rule(wall))
    except Invalid as problem:
        return Timing(problem=problem.errors["wall_time"])
    return Timing(times.exact_with_utc(instant, g.workspace.time_zone), tuple(note for note in notes if note))


def _rule(wall: str) -> str:
    """The rule of a post that repeats, in words; empty for one that does not. Raises Invalid (field `wall_time`)."""
    if _repeat() == NEVER:
        return ""
    last_day = request.form.get("last_day", "").strip()
    errors = series.rule_errors(_repeat(), wall, last_day)
    if errors:
        raise Invalid({"wall_time": " ".join(errors.values())})
    return series.rule(_repeat(), wall, g.workspace.time_zone, last_day) + "."


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
        "timing": _timing(when, wall_time), "repeat": _repeat(), "repeats": REPEATS,
        "last_day": request.form.get("last_day", ""), "wall_time": wall_time or next_hour(),
        "proposed": request.form.get("proposed") or next_hour(),
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
