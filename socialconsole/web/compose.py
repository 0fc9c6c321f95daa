"""Compose: what the author types becomes a `Content`, and a `Choice` for each account.

Everything works as one plain form; with script the checks and the choices of single platforms follow the typing.
"""

import hashlib
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .. import access, checks, draft_posts, drafts, media, outside, posts, rehearsal, series, times
from ..access import requires
from ..checks import Check, Choice, Target
from ..draft_posts import NEVER, Typed
from ..drafts import Content
from ..models import SUBMITTED, Account, Post
from ..posts import Invalid, NotPossible, Opened
from ..providers import provider as provider_of
from ..providers.content import GIF, IMAGE
from . import compose_form, words
from .media import MOST_FILES, takes_files
from .page import blocks, invalid, moved, show, wants_block
from .posts import next_hour

bp = Blueprint("compose", __name__, url_prefix="/w/<workspace_id>")

REPEATS = ((NEVER, "Never"), (series.DAY, "Every day"), (series.WEEK, "Every week"), (series.MONTH, "Every month"))


@bp.get("/compose")
@requires("compose")
def compose(workspace_id: str) -> ResponseReturnValue:
    """The empty form, or one filled from an earlier post (`from`), a draft or a post to change (`post`), or for one
    profile (`account`) or files of the library (`media`)."""
    if request.args.get("post"):
        return _opened_post(posts.post(g.workspace, request.args["post"]))
    targets = checks.targets(g.workspace)
    earlier = posts.post(g.workspace, request.args["from"]) if request.args.get("from") else None
    chosen = set(request.args.getlist("account"))
    if earlier and not chosen:
        chosen = {delivery.account_id for delivery in earlier.deliveries}
    free = [target.account.id for target in targets if target.selectable]
    if not chosen and len(free) == 1:
        chosen = set(free)
    content = drafts.load(earlier.text, earlier.content) if earlier else Content("")
    content = replace(content, media=(*content.media, *request.args.getlist("media")[:MOST_FILES]))
    choices = {one.account_id: Choice(one.format, one.options) for one in earlier.deliveries} if earlier else {}
    return show("compose.html", **_form(*compose_form.still_there(content, choices), chosen & set(free)))


def _opened_post(found: Post) -> ResponseReturnValue:
    """The form filled from a draft, or from a post that can still be changed; else on to where it can be mended."""
    why = draft_posts.why_not_editable(found)
    if why:
        mendable = next((one for one in found.deliveries if one.account_id == request.args.get("account")), None)
        if mendable is not None and not draft_posts.why_not_mendable(g.workspace, g.user, mendable):
            return moved(url_for("drafts.mend", workspace_id=g.workspace.id, post_id=found.id,
                                 delivery_id=mendable.id))
        return moved(url_for("posts.post", workspace_id=g.workspace.id, post_id=found.id), why)
    kept = draft_posts.typed_of(g.workspace, found)
    free = {target.account.id for target in checks.targets(g.workspace) if target.selectable}
    return show("compose.html", **{
        **_form(*compose_form.still_there(kept.content, dict(kept.choices)), free & set(kept.account_ids),
                when=kept.when, wall_time=kept.wall_time if kept.when == draft_posts.LATER else ""),
        "repeat": kept.repeat, "last_day": kept.last_day, **_draft(found, found.version)})


@bp.post("/compose")
@requires("compose")
@takes_files
def create(workspace_id: str) -> ResponseReturnValue:
    """Schedule the post, or show the form again with what is wrong and everything that was typed."""
    form = request.form
    if form.get("do") == "rehearse":
        return _rehearse()
    if form.get("do"):
        return check(workspace_id)
    content, refused = compose_form.content(fetches=True)
    try:
        earlier = [f"{one} Take it off the list, or choose another file." for one in compose_form.refused()]
        if refused or earlier:
            raise Invalid({"files": refused or earlier[0]})
        compose_form.refuse_idle_time()
        post = draft_posts.send(g.workspace, g.user, as_typed(content), opened=opened(), nonce=form.get("nonce", ""))
    except NotPossible as problem:
        return moved(url_for("posts.post", workspace_id=workspace_id, post_id=form["post_id"]), str(problem))
    except Invalid as problem:
        return invalid("compose.html", "form", **{
            **_typed(content), "errors": problem.errors, "file_address": compose_form.address(refused)})
    _describe(content)
    if post.state == SUBMITTED:
        return moved(url_for("drafts.review", workspace_id=workspace_id, post_id=post.id),
                     "Submitted. An owner looks at it next.")
    return redirect(url_for("posts.post", workspace_id=workspace_id, post_id=post.id), 303)


def _rehearse() -> ResponseReturnValue:
    """The form again, with what publishing would come to: all but the last step is done."""
    content, refused = compose_form.content(fetches=True)
    lines = rehearsal.rehearse(g.workspace, drafts.tidied(content), request.form.getlist("accounts"),
                               compose_form.choices())
    return show("compose.html", "form", **{
        **_typed(content), "errors": {"files": refused} if refused else {}, "rehearsal": lines,
        "rehearsed_at": outside.now(), "file_address": compose_form.address(refused)})


def _describe(content: Content) -> None:
    """Keep on the files what was said of them, for the next post that shows them."""
    named = {one: text for one, text in content.alts.items() if text}
    for one in media.still_there(g.workspace, list(named)):
        if one.alt_text != named[one.id]:
            with suppress(media.Refused):  # too long to keep; platforms have said so beside the form
                media.alt(one, named[one.id], g.user)


def read_content() -> tuple[Content, str]:
    """What was typed, and what was wrong with a file that came with it."""
    return compose_form.content()


def as_typed(content: Content) -> Typed:
    """All that stands in the form, around its content."""
    form = request.form
    return Typed(content, form.getlist("accounts"), compose_form.choices(), compose_form.when(),
                 form.get("wall_time", ""), compose_form.repeat(), form.get("last_day", ""),
                 form.get("again") == "yes")


def opened() -> Opened | None:
    """The draft or post that the form was filled from; None for a fresh form. `keep`: a version that was overruled."""
    form = request.form
    version = form.get("keep") or form.get("version") or "0"
    known = version.isdecimal() and len(version) < 10
    return Opened(form["post_id"], int(version) if known else 0) if form.get("post_id") else None


def _draft(found: Post | None, version: int) -> dict[str, Any]:
    """What the form says about the draft or post that it was filled from."""
    is_sent = found is not None and not posts.is_unsent(found)
    return {"draft": found, "version": version, "is_sent": is_sent,
            "has_failed": found is not None and draft_posts.has_failed(found),
            "must_ask": access.must_ask(g.workspace, g.user), "changed_by_other": draft_posts.changed_by_other(
                found, g.user, outside.now()) if found is not None and not is_sent else ""}


@bp.post("/compose/check")
@requires("compose")
@takes_files
def check(workspace_id: str) -> ResponseReturnValue:
    """The checks beside the form while somebody types; without script the whole page, with nothing lost.

    The list of profiles comes along where what they can take has changed since the form was shown.
    """
    content, refused = compose_form.content(fetches=request.form.get("do") == "fetch")
    errors = {"files": refused} if refused else {}
    if not wants_block():
        return show("compose.html", **{
            **_worked(content), "errors": errors, "file_address": compose_form.address(refused)})
    shown = _checked(content)
    if shown["fit"] == request.form.get("fit", ""):
        return show("compose.html", "checks", **shown, errors=errors)
    return blocks("compose.html", ("checks", "places"), **{**_typed(content, asks=False), "errors": errors})


@bp.post("/compose/choices")
@requires("compose")
@takes_files
def choose(workspace_id: str) -> ResponseReturnValue:
    """The choices of single platforms, after profiles, files or formats changed; platforms may be asked for them."""
    content, refused = compose_form.content()
    errors = {"files": refused} if refused else {}
    return show("compose.html", "choices", **{**_typed(content), "errors": errors})


@bp.post("/compose/words")
@requires("compose")
@takes_files
def write(workspace_id: str) -> ResponseReturnValue:
    """The texts, after a button changed them: own versions of single profiles, the parts of a chain."""
    content, _ = compose_form.content()
    return show("compose.html", "words", **_worked(content, asks=False))


def _worked(content: Content, *, asks: bool = True) -> dict[str, Any]:
    """The form after a button was pressed that needs the checks to know what to do."""
    shown = _typed(content, asks=asks)
    if compose_form.asked()[0] != "split":
        return shown
    content, why = compose_form.split_up(content, shown["checks"])
    return shown | {"split_note": why} if why else _typed(content, asks=asks)


# ---------------------------------------------------------------- the time


@dataclass(frozen=True)
class Timing:
    """What the checks say about the typed time: when it goes out, what is odd about that time, what is wrong."""

    goes_out: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""


def _timing(when: str, wall_time: str) -> Timing | None:
    """What there is to say about the time; None where the post goes out now, or no time is typed yet."""
    if when != "later" or not wall_time:
        return None
    try:
        wall, instant = posts.wall_and_instant(wall_time, g.workspace, outside.now())
        notes = (times.moment(times.read_wall(wall), g.workspace.time_zone).note, _rule(wall))
    except Invalid as problem:
        return Timing(problem=problem.errors["wall_time"])
    return Timing(times.exact_with_utc(instant, g.workspace.time_zone), tuple(note for note in notes if note))


def _rule(wall: str) -> str:
    """The rule of a post that repeats, in words; empty for one that does not. Raises Invalid (field `wall_time`)."""
    if compose_form.repeat() == NEVER:
        return ""
    last_day = request.form.get("last_day", "").strip()
    errors = series.rule_errors(compose_form.repeat(), wall, last_day)
    if errors:
        raise Invalid({"wall_time": " ".join(errors.values())})
    return series.rule(compose_form.repeat(), wall, g.workspace.time_zone, last_day) + "."


# ---------------------------------------------------------------- the form


def _typed(content: Content, *, asks: bool = True) -> dict[str, Any]:
    form, found = request.form, opened()
    draft = _draft(posts.post(g.workspace, found.post_id), found.version) if found else {}
    targets = checks.targets(g.workspace)
    return {**_form(content, compose_form.choices(), compose_form.account_ids(targets), when=compose_form.when(),
                    wall_time=form.get("wall_time", ""), nonce=form.get("nonce", ""), asks=asks, targets=targets),
            **draft}


def _form(content: Content, choices: dict[str, Choice], chosen: set[str], *, when: str = "now", wall_time: str = "",
          nonce: str = "", asks: bool = True, targets: list[Target] | None = None) -> dict[str, Any]:
    """What the form, its choices and its checks show. `asks`: platforms may be asked about a profile."""
    targets = checks.targets(g.workspace) if targets is None else targets
    accounts = [target.account for target in targets if target.account.id in chosen]
    creators = checks.creators(g.workspace, accounts) if asks else {}
    files = media.still_there(g.workspace, list(content.all_media))
    own = [target.account for target in targets if target.account.id in content.own]
    unfit = checks.unfit(g.workspace, content, targets)
    found = checks.check(g.workspace, drafts.tidied(content), accounts, choices, creators)
    return {
        "targets": targets, "groups": _groups(targets, chosen, unfit), "fit": _fit(unfit), "unfit": unfit,
        "chosen": {account.id for account in accounts}, "content": content, "when": when, "repeats": REPEATS,
        "repeat": compose_form.repeat(), "last_day": request.form.get("last_day", ""),
        "wall_time": wall_time or next_hour(), "proposed": request.form.get("proposed") or next_hour(),
        "nonce": nonce or outside.secret(16), "errors": {}, "file_address": "", "split_note": "",
        "pressed": compose_form.asked() if request.method == "POST" else ("", ""),
        "own_names": {target.account.id: target.account for target in targets},
        "places": {one: number for number, part in enumerate(content.parts, 1) for one in part.media},
        "can_comment": {one.id for one in own if drafts.offers_comment(one)},
        "can_chain": {one.id for one in own if drafts.offers_chain(one)},
        "files": files, "file_names": {one.id: one.name or one.kind for one in files},
        "most_parts": compose_form.MOST_PARTS,
        "offers": _offers([target.account for target in targets]), "slot": None,
        "poll_lengths": compose_form.POLL_LENGTHS, "poll_options": compose_form.POLL_OPTIONS,
        **_judged(content, found, when, wall_time), **_draft(None, 0),
    }


# ---------------------------------------------------------------- the profiles to choose from


@dataclass(frozen=True)
class Group:
    """The profiles of one platform in the list to choose from."""

    platform: str
    name: str
    targets: tuple[Target, ...]
    is_ticked: bool  # all that can be chosen are


def _groups(targets: list[Target], chosen: set[str], unfit: Mapping[str, str]) -> list[Group]:
    """The list of profiles, by platform; within one those that can be chosen first."""
    found: list[Group] = []
    for platform in dict.fromkeys(target.account.platform for target in targets):
        mine = sorted((one for one in targets if one.account.platform == platform),
                      key=lambda one: (not one.selectable, one.account.id in unfit))
        free = [one.account.id for one in mine if one.selectable]
        found.append(Group(platform, provider_of(platform).name, tuple(mine), bool(free) and set(free) <= chosen))
    return found


def _fit(unfit: Mapping[str, str]) -> str:
    """A word that changes with what profiles can take: the form carries it, so that only news are sent."""
    return hashlib.sha256(repr(sorted(unfit.items())).encode()).hexdigest()[:12] if unfit else ""


# ---------------------------------------------------------------- the checks


@dataclass(frozen=True)
class Outcome:
    """What the checks say, once for all accounts that they say the same of."""

    check: Check
    names: tuple[str, ...]
    format: str  # its label; empty where the platform has one only
    is_own: bool


def _outcomes(content: Content, found: list[Check]) -> list[Outcome]:
    """The checks put together, those with something to mend first."""
    same: dict[Hashable, list[Check]] = {}
    for one in found:
        key = (one.account.platform, one.count, one.most, one.problems, one.notes, one.format, one.tallies,
               one.account.id in content.own)
        same.setdefault(key, []).append(one)
    outcomes = [Outcome(
        mine[0], tuple(one.account.display_name or one.account.username for one in mine),
        next((one.label for one in mine[0].formats if one.slug == mine[0].format), ""),
        mine[0].account.id in content.own) for mine in same.values()]
    return sorted(outcomes, key=lambda one: not one.check.problems)


def _checked(content: Content) -> dict[str, Any]:
    """What the checks alone show: as little is looked up as possible, since it is asked at every pause in typing."""
    form = request.form
    ticked = set(form.getlist("accounts"))
    has_files = bool(content.media or content.poll)
    targets = checks.targets(g.workspace, None if has_files else ticked)
    accounts = [target.account for target in targets if target.account.id in ticked]
    found = checks.check(g.workspace, drafts.tidied(content), accounts, compose_form.choices())
    return {"content": content, "fit": _fit(checks.unfit(g.workspace, content, targets)) if has_files else "",
            **_judged(content, found, compose_form.when(), form.get("wall_time", ""))}


def _judged(content: Content, found: list[Check], when: str, wall_time: str) -> dict[str, Any]:
    """The values of the block of checks."""
    texts = (content.text, *(one.text for one in content.own.values()))
    return {
        "checks": found, "outcomes": _outcomes(content, found), "timing": _timing(when, wall_time),
        "written": bool(any(text.strip() for text in texts) or content.media or content.poll),
        "undescribed": _undescribed(content) if not found or any(one.wants_alt for one in found) else [],
        "refused": compose_form.refused() if request.method == "POST" else [],
        "provider_of": provider_of, "words": words,
    }


def _undescribed(content: Content) -> list[str]:
    """The pictures of which nobody said what they show."""
    ids = [one for one in content.all_media if not content.alts.get(one)]
    return [one.id for one in media.still_there(g.workspace, ids)
            if one.kind in (IMAGE, GIF) and (one.id in content.alts or not one.alt_text)] if ids else []


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
