"""What stands in the compose form: its content, the choices of its accounts, its time. And what a button does to it.

Every button of the form sends the whole form with a word in `do`, such as `add_part` or `remove:med_…`; what it changes
is changed here, so that the form works in the same way with and without script.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from flask import g, request

from .. import checks, drafts, media
from ..checks import Choice, Target
from ..draft_posts import NEVER
from ..drafts import Content, OwnText, PartText
from ..posts import Invalid
from ..providers.content import Poll
from ..providers.oauth2 import connectable
from ..splitting import split
from .media import MOST_FILES

MOST_PARTS = 25
MOST_KEPT_FILES = 100
POLL_LENGTHS = ((60, "1 hour"), (360, "6 hours"), (1440, "1 day"), (4320, "3 days"), (10080, "7 days"),
                (20160, "14 days"))
POLL_OPTIONS = 4
GONE = "A file of this post is not kept any more: what no post needs goes after a day. Choose it once more."
SPLIT_NEEDS = "Choose a profile that takes a reply chain first, so that its limit is known."
SPLIT_FITS = "The text fits in one part, so nothing was split."


def asked() -> tuple[str, str]:
    """Which button was pressed, and on what: ("remove", "med_…"); empty words where it was none."""
    word, _, what = request.form.get("do", "").partition(":")
    return word, what


def content(*, fetches: bool = False) -> tuple[Content, str]:
    """What was typed, files that came with the form stored; and what was wrong with such a file.

    `fetches`: a file whose address was typed is fetched, which must not happen at every key.
    """
    form, (word, what) = request.form, asked()
    ids, refused = _files(fetches)
    if word == "remove":
        ids = [one for one in ids if one != what]
    texts = form.getlist("part")
    if len(texts) > MOST_PARTS:
        refused = refused or f"A chain has {MOST_PARTS} further parts at most; the others were left out."
    places = {one: form.get(f"part_of:{one}", 0, type=int) for one in ids}
    parts = tuple(PartText(text, tuple(one for one in ids if places[one] == number))
                  for number, text in enumerate(texts[:MOST_PARTS], 1))
    first = tuple(one for one in ids if not 1 <= places[one] <= len(parts))
    found = Content(form.get("text", ""), first, _alts(ids), _poll(), parts, form.get("first_comment", ""), _own())
    change = BUTTONS.get(word)
    return (change(found, what) if change else found), refused


def _files(fetches: bool) -> tuple[list[str], str]:
    """The ids of the form's files, those that came with it stored; and what was wrong with one."""
    form, lost = request.form, gone()
    refused, ids = GONE if lost else "", [one for one in form.getlist("media")[:MOST_KEPT_FILES] if one not in lost]
    uploads = [one for one in request.files.getlist("files") if one.filename]
    for upload in uploads[:MOST_FILES]:
        try:
            ids.append(media.store(g.workspace, g.user, upload.stream, upload.filename or "").id)
        except media.Refused as problem:
            refused = refused or str(problem)
    if len(uploads) > MOST_FILES:
        refused = refused or (f"{len(uploads)} files came at once, and {MOST_FILES} are taken at a time. The first "
                              f"{MOST_FILES} are here; choose the others again if the post needs them.")
    address = form.get("file_address", "").strip()
    if address and fetches and not refused:
        try:
            ids.append(media.from_address(g.workspace, g.user, address).id)
        except media.Refused as problem:
            refused = str(problem)
    return list(dict.fromkeys(ids)), refused


def gone() -> set[str]:
    """The files named in the form that were deleted while it stood open."""
    if "gone_files" not in g:
        form = request.form
        named = {*form.getlist("media"), *(value for name, value in form.items() if value and name.startswith("option:")
                                           and name.rpartition(":")[2] in checks.FILE_FIELDS)}
        g.gone_files = named - {one.id for one in media.still_there(g.workspace, sorted(named))} if named else set()
    lost: set[str] = g.gone_files
    return lost


def _alts(ids: list[str]) -> dict[str, str]:
    """What pictures show. One that was emptied counts only where the file itself is described."""
    typed = {one: request.form[f"alt:{one}"].strip() for one in ids if f"alt:{one}" in request.form}
    emptied = [one for one, text in typed.items() if not text]
    described = {one.id for one in media.still_there(g.workspace, emptied) if one.alt_text} if emptied else set()
    return {one: text for one, text in typed.items() if text or one in described}


def _poll() -> Poll | None:
    options = tuple(one.strip() for one in request.form.getlist("poll_option") if one.strip())
    question = request.form.get("poll_question", "").strip()
    minutes = request.form.get("poll_minutes", type=int) or POLL_LENGTHS[2][0]
    return Poll(question, options, minutes) if options or question else None


def _own() -> dict[str, OwnText]:
    """The own versions, by account. An own first comment that is empty is the common one."""
    form = request.form
    return {account_id: OwnText(text, form.get(f"own_comment:{account_id}", "").strip() or None,
                                form.get(f"own_single:{account_id}") != "yes")
            for name, text in form.items() if name.startswith("own:") and (account_id := name.removeprefix("own:"))}


def still_there(typed: Content, chosen: Mapping[str, Choice]) -> tuple[Content, dict[str, Choice]]:
    """An earlier post as far as its files were not deleted since."""
    named = {*typed.all_media, *(value for one in chosen.values() for name, value in one.options.items()
                                 if name in checks.FILE_FIELDS)}
    there = {one.id for one in media.still_there(g.workspace, sorted(named))} if named else set()
    typed = replace(typed, media=tuple(one for one in typed.media if one in there), parts=tuple(
        replace(part, media=tuple(one for one in part.media if one in there)) for part in typed.parts))
    return typed, {account_id: replace(one, options={
        name: value for name, value in one.options.items() if name not in checks.FILE_FIELDS or value in there})
        for account_id, one in chosen.items()}


def refused() -> list[str]:
    """What was said about files that were refused, as long as nobody took it off: such a post is not what was meant."""
    word, what = asked()
    return [one[:400] for one in request.form.getlist("refused")[:MOST_PARTS] if word != "forget" or one != what]


def address(problem: str) -> str:
    """The typed address of a file: kept in its field as long as no file came of it."""
    return request.form.get("file_address", "") if problem or request.form.get("do") not in (None, "fetch") else ""


def account_ids(targets: list[Target]) -> set[str]:
    """The ticked accounts; the button of a platform ticks all that can be chosen there, or none if all were."""
    ticked, (word, what) = set(request.form.getlist("accounts")), asked()
    if word == "all":
        those = {one.account.id for one in targets if one.account.platform == what and one.selectable}
        return ticked - those if those <= ticked else ticked | those
    return ticked


def choices() -> dict[str, Choice]:
    """The format and the platform's own choices, by account. A tick that is not set does not come with a form."""
    form = request.form
    options: dict[str, dict[str, str]] = {}
    for name, value in form.items():
        if name.startswith("option:"):
            _, account_id, field = (name.split(":", 2) + ["", ""])[:3]
            options.setdefault(account_id, {})[field] = "" if value in gone() else value
    found: dict[str, Choice] = {}
    for account_id in form.getlist("accounts"):
        mine = options.get(account_id, {})
        for field in form.get(f"shown:{account_id}", "").split():
            mine.setdefault(field, "")
        found[account_id] = Choice(form.get(f"format:{account_id}", ""), mine)
    return found


def refuse_idle_time() -> None:
    """Somebody who typed a time and left "Now" ticked must not find the post published. Raises Invalid."""
    typed = request.form.get("wall_time", "")
    if when() == "now" and typed and typed != request.form.get("proposed", typed):
        raise Invalid({"wall_time": "You typed a time, but Now is chosen. Choose “At a time”, or empty this field."})


def when() -> str:
    """When the post shall go out: now, later, queue."""
    wanted = request.form.get("when", "")
    return wanted if wanted in ("later", "queue") else "now"


def repeat() -> str:
    """How often the post shall repeat: `never`, or what was sent, which the service judges."""
    return request.form.get("repeat") or NEVER


# ---------------------------------------------------------------- what a button does to what was typed


def _add_part(typed: Content, what: str) -> Content:
    return replace(typed, parts=(*typed.parts, PartText(""))) if len(typed.parts) < MOST_PARTS else typed


def _drop_part(typed: Content, what: str) -> Content:
    """Without one part; its files stay with the post."""
    at = _at(typed, what)
    if at is None:
        return typed
    return replace(typed, media=(*typed.media, *typed.parts[at].media), parts=typed.parts[:at] + typed.parts[at + 1:])


def _part_up(typed: Content, what: str) -> Content:
    """One part changes places with the one before it, which for the first of them is the post itself."""
    at = _at(typed, what)
    if at is None:
        return typed
    parts = list(typed.parts)
    if at == 0:
        first, parts[0] = parts[0], PartText(typed.text, typed.media)
        return replace(typed, text=first.text, media=first.media, parts=tuple(parts))
    parts[at - 1], parts[at] = parts[at], parts[at - 1]
    return replace(typed, parts=tuple(parts))


def _part_down(typed: Content, what: str) -> Content:
    at = _at(typed, what)
    return _part_up(typed, str(at + 2)) if at is not None and at + 1 < len(typed.parts) else typed


def _at(typed: Content, what: str) -> int | None:
    """The index of a further part by its number, counted from one."""
    return int(what) - 1 if what.isdecimal() and len(what) < 4 and 1 <= int(what) <= len(typed.parts) else None


def _use_own(typed: Content, what: str) -> Content:
    """An own version for the chosen account, which starts from the common text."""
    account_id = request.form.get("own_for", "")
    if not account_id or account_id in typed.own:
        return typed
    return replace(typed, own={**typed.own, account_id: OwnText(typed.text)})


def _use_common(typed: Content, what: str) -> Content:
    return replace(typed, own={account_id: one for account_id, one in typed.own.items() if account_id != what})


BUTTONS: Mapping[str, Callable[[Content, str], Content]] = {
    "add_part": _add_part, "part_drop": _drop_part, "part_up": _part_up, "part_down": _part_down, "own": _use_own,
    "common": _use_common}


def split_up(typed: Content, chosen: list[checks.Check]) -> tuple[Content, str]:
    """The common text split at sentence ends into parts that fit every chosen account with chains; or why it was not.

    The checks are those of the chosen accounts: each counts in its platform's own way.
    """
    limits = {(one.account.platform, one.most): connectable(one.account.platform) for one in chosen
              if one.account.id not in typed.own and drafts.offers_chain(one.account)}
    if not limits:
        return typed, SPLIT_NEEDS
    most = min(MOST_PARTS - len(typed.parts) + 1, *(one.most_parts for one in limits.values()))
    parts = split(typed.text, lambda text: all(one.count(text) <= room for (_, room), one in limits.items()), most)
    if len(parts) < 2:
        return typed, SPLIT_FITS
    further = tuple(PartText(text) for text in parts[1:])
    return replace(typed, text=parts[0], parts=further + typed.parts), ""
