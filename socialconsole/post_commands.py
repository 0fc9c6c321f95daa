"""The command `socialconsole posts`: write, look at, cancel and retry posts, by the same rules as the pages."""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import g

from . import decisions, draft_posts, media, named, post_lists, posts, terminal, times
from .checks import Choice
from .config import Config
from .draft_posts import LATER, NOW, QUEUE, Typed
from .drafts import Content
from .models import DRAFT, FAILED, HELD, MISSED, SUBMITTED, Delivery, Post, User, Workspace
from .public_ids import inner, public
from .terminal import Refused

SOME_POST, SOME_ACCOUNT = "post_01J8Z0WQ4T7M2V6N9R3K5X1B7C", "acc_01J8Z0WQ4T7M2V6N9R3K5X1B7C"
LISTS = ("all", *post_lists.STATES, DRAFT, SUBMITTED)
MOST = 500
RETRIABLE = (FAILED, MISSED, HELD)


def add_to(commands: Any) -> None:
    """Add the command and its verbs to the parser's commands."""
    actions = terminal.thing(commands, "posts", "write, schedule, look at, cancel and retry posts",
                             'list --workspace "Harbour Bakery" --state needs')
    _add_list(actions)
    _add_create(actions)
    for name, about in (
            ("show", "say what became of a post at each profile"),
            ("cancel", "stop all of a post that has not gone out; what is published stays"),
            ("retry", "send what failed or was missed once more, and what is held as soon as it can")):
        terminal.verb(actions, name, about, f"posts {name} {SOME_POST}").add_argument(
            "post", metavar="POST", help="its id")


def _add_list(actions: Any) -> None:
    listed = terminal.verb(actions, "list", "list the posts of a workspace, the newest first",
                           'posts list --workspace "Harbour Bakery" --state needs',
                           'posts list --workspace "Harbour Bakery" --search bread --limit 10 --json')
    listed.add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
    listed.add_argument("--state", choices=LISTS, default="all",
                        help="only those that stand so; needs: a person has to act (default: all that were sent off)")
    listed.add_argument("--account", default="", metavar="ACCOUNT", help="only those for one profile")
    listed.add_argument("--platform", default="", metavar="PLATFORM", help="only those for one platform")
    listed.add_argument("--search", default="", metavar="TEXT", help="only those with this in their text")
    listed.add_argument("--limit", type=terminal.whole_number(1, MOST), default=post_lists.PAGE, metavar="N",
                        help=f"how many at most (default: {post_lists.PAGE})")


def _add_create(actions: Any) -> None:
    create = terminal.verb(
        actions, "create", "write a post and send it off, or keep it as a draft",
        f'posts create --workspace "Harbour Bakery" --account {SOME_ACCOUNT} --text "Fresh bread at six" --now',
        f'posts create --workspace "Harbour Bakery" --account {SOME_ACCOUNT} --text-file - '
        '--at "2026-11-23 06:00" --dry-run < post.txt')
    create.add_argument("--workspace", required=True, metavar="NAME", help="its name or id")
    create.add_argument("--account", action="append", default=[], metavar="ACCOUNT", dest="accounts",
                        help="the id of a profile it goes to; once for each")
    text = create.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", help="what it says")
    text.add_argument("--text-file", metavar="FILE", help="a file with what it says; - for standard input")
    when = create.add_mutually_exclusive_group(required=True)
    when.add_argument("--now", action="store_true", help="send it off at once")
    when.add_argument("--at", metavar="TIME", help="a time by the workspace's clock, such as 2026-11-23 06:00, or "
                      "with its offset, such as 2026-11-23T05:00Z")
    when.add_argument("--queue", action="store_true", help="into the next free slot of the queue")
    when.add_argument("--draft", action="store_true", help="keep it as a draft")
    create.add_argument("--file", action="append", default=[], metavar="FILE", dest="files",
                        help="a picture, video or document to go with it; once for each")
    create.add_argument("--media", action="append", default=[], metavar="ID",
                        help="the id of a file that is there already; once for each")
    create.add_argument("--format", action="append", default=[], metavar="[ACCOUNT:]NAME", dest="formats",
                        help="what kind of post it is, such as story")
    create.add_argument("--option", action="append", default=[], metavar="[ACCOUNT:]NAME=VALUE", dest="options",
                        help="a choice of the platform's own")
    create.add_argument("--first-comment", default="", metavar="TEXT", help="a comment of yours below it")
    create.add_argument("--user", metavar="EMAIL", help="in whose name (default: the command line)")
    create.add_argument("--once", default="", metavar="NAME", help="with the same name again no second one is made")
    create.add_argument("--again", action="store_true", help="even if the same text was just sent there")
    create.add_argument("--dry-run", action="store_true", help="check everything and write nothing")


def run(config: Config, given: argparse.Namespace) -> int:
    """Do one action. Returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list, "show": _show, "create": _create, "cancel": _cancel, "retry": _retry}
    return terminal.in_console(config, lambda: actions[given.action](given))


# ---------------------------------------------------------------- looking


def _list(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    found = _drafts(place, given) if given.state in (DRAFT, SUBMITTED) else _sent(place, given)
    if given.json:
        return terminal.as_json([_told(one, deliveries) for one, deliveries in found])
    return terminal.table(
        ("ID", "TIME", "TEXT", "STANDS", "BY"),
        [(public(one.id), times.exact(one.due_at, place.time_zone) if one.due_at else "-", terminal.cell(one.text, 40),
          _stands(one, deliveries), one.author_name or "-") for one, deliveries in found], "No post is like that.")


def _drafts(place: Workspace, given: argparse.Namespace) -> list[tuple[Post, Sequence[Delivery]]]:
    if given.account or given.platform or given.search:
        raise Refused("Drafts are listed as a whole. Leave --account, --platform and --search out.")
    read = draft_posts.all_drafts if given.state == DRAFT else draft_posts.waiting
    return [(one, ()) for one in read(place, limit=given.limit)]


def _sent(place: Workspace, given: argparse.Namespace) -> list[tuple[Post, Sequence[Delivery]]]:
    wanted = post_lists.Wanted(given.state, account_id=inner(given.account), platform=given.platform,
                               text=post_lists.tidy(given.search))
    ids = [one.post.id for one in post_lists.page(place, wanted, limit=given.limit).rows]
    return [(one, one.deliveries) for one in post_lists.some(place, ids)]


def _stands(found: Post, deliveries: Sequence[Delivery]) -> str:
    """How a post stands: by its deliveries, as `2 published, 1 failed`; by itself where it has none."""
    counts = Counter(one.state for one in deliveries)
    return ", ".join(f"{number} {state}" for state, number in counts.most_common()) or found.state


def _told(found: Post, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "id": public(found.id), "workspaceId": public(found.workspace_id), "text": found.text, "state": found.state,
        "dueAt": terminal.rfc3339(found.due_at), "author": found.author_name, "version": found.version,
        "createdAt": terminal.rfc3339(found.created_at), "deliveries": [
            {"id": one.id, "accountId": one.account_id, "account": one.account.display_name,
             "platform": one.account.platform, "state": one.state, "format": one.format,
             "scheduledFor": terminal.rfc3339(one.scheduled_for), "publishedAt": terminal.rfc3339(one.published_at),
             "permalink": one.permalink or None, "note": one.note, "errorCode": one.error_code or None}
            for one in deliveries]}


def _show(given: argparse.Namespace) -> int:
    place, found = named.post(given.post)
    deliveries = post_lists.deliveries(found)
    if given.json:
        return terminal.as_json(_told(found, deliveries))
    terminal.facts({
        "id": public(found.id), "workspace": f"{place.name} ({public(place.id)})", "text": found.text,
        "time": times.exact(found.due_at, place.time_zone) if found.due_at else "", "by": found.author_name,
        "stands": _stands(found, deliveries)})
    if not deliveries:
        return 0
    print()
    return terminal.table(("PROFILE", "PLATFORM", "STATE", "WHAT HAPPENED"), [
        (one.account.display_name, one.account.platform, one.state, one.permalink or one.note or "-")
        for one in deliveries], "")


# ---------------------------------------------------------------- writing


def _create(given: argparse.Namespace) -> int:
    place = named.workspace(given.workspace)
    who: User = named.member(place, given.user, "compose").user if given.user is not None else g.user
    if given.dry_run and given.files:
        raise Refused("A dry run keeps no files. Name files that are there with --media, or leave --dry-run out.")
    typed = _typed(given, place)
    if given.dry_run:
        return _checked(given, place, typed)
    files = tuple(_kept(place, who, path) for path in given.files)
    typed = _with_files(typed, files)
    nonce = f"command line:{given.once}" if given.once else ""
    made = (draft_posts.save if given.draft else draft_posts.send)(place, who, typed, nonce=nonce)
    deliveries = post_lists.deliveries(made)
    return terminal.done(given, f"{public(made.id)} {_said(made, place, deliveries)}", _told(made, deliveries))


def _said(made: Post, place: Workspace, deliveries: Sequence[Delivery]) -> str:
    if made.state == SUBMITTED:
        return "waits for an owner, who approves posts here before they go out."
    if made.state == DRAFT or made.due_at is None:
        return "is kept as a draft."
    number = f"{len(deliveries)} profile{'' if len(deliveries) == 1 else 's'}"
    return f"goes out at {times.exact(made.due_at, place.time_zone)} to {number}."


def _typed(given: argparse.Namespace, place: Workspace) -> Typed:
    """What was handed in, as the form of the page would have it."""
    text = terminal.handed_in(given.text_file, "text") if given.text is None else given.text
    if "\0" in text:
        raise Refused("The text holds the character U+0000, which no text may have. Take it out.")
    account_ids = [inner(one) for one in given.accounts]
    strangers = [one for one in account_ids if named.account(one).workspace_id != place.id]
    if strangers:
        raise Refused(f"The profile {strangers[0]} belongs to another workspace. "
                      "`socialconsole accounts list --workspace NAME` shows those that can be chosen.")
    content = Content(text, media=tuple(given.media), first_comment=given.first_comment)
    return Typed(content, account_ids, _choices(given, account_ids), _when(given), _wall(given.at, place),
                 again=given.again)


def _with_files(typed: Typed, ids: tuple[str, ...]) -> Typed:
    content = Content(typed.content.text, (*typed.content.media, *ids), first_comment=typed.content.first_comment)
    return Typed(content, typed.account_ids, typed.choices, typed.when, typed.wall_time, again=typed.again)


def _when(given: argparse.Namespace) -> str:
    return LATER if given.at is not None else QUEUE if given.queue else NOW


def _wall(at: str | None, place: Workspace) -> str:
    """The time by the workspace's clock; what carries an offset is turned into that."""
    if at is None:
        return ""
    try:
        instant = datetime.fromisoformat(at.strip())
    except ValueError:
        return at
    if instant.tzinfo is None:
        return at
    instant = instant.replace(second=0, microsecond=0)
    try:
        wall = times.local(instant, place.time_zone).replace(tzinfo=None)
        is_same = times.moment(wall, place.time_zone).instant == instant
    except OverflowError:
        return at
    if not is_same:  # the second of a doubled hour
        raise Refused(f"The clocks in {place.time_zone} show this time twice, and only the first can be chosen. Choose "
                      "another time.")
    return f"{wall:%Y-%m-%dT%H:%M}"


def _choices(given: argparse.Namespace, account_ids: Sequence[str]) -> Mapping[str, Choice]:
    """Formats and the platforms' own choices by account; what names no account is for all."""
    formats: dict[str, str] = {}
    options: dict[str, dict[str, str]] = {one: {} for one in account_ids}
    for typed in given.formats:
        ids, name = _aimed(typed, account_ids)
        formats |= dict.fromkeys(ids, name)
    for typed in given.options:
        ids, pair = _aimed(typed, account_ids)
        name, mark, value = pair.partition("=")
        if not mark:
            raise Refused(f"“{typed}” is no choice. Write it as NAME=VALUE.")
        for one in ids:
            options[one][name] = value
    return {one: Choice(formats.get(one, ""), options[one]) for one in account_ids}


def _aimed(typed: str, account_ids: Sequence[str]) -> tuple[Sequence[str], str]:
    account_id, mark, rest = typed.partition(":")
    return ([account_id], rest) if mark and account_id in account_ids else (account_ids, typed)


def _kept(place: Workspace, who: User, path: str) -> str:
    try:
        with open(path, "rb") as file:
            return media.store(place, who, file, path).id
    except OSError as error:
        raise Refused(f"The file {path} cannot be read: {error.strerror or 'it went away'}. Check its name.") from None


def _checked(given: argparse.Namespace, place: Workspace, typed: Typed) -> int:
    """What the form would refuse, and when the post would go out."""
    planned = posts.plan(place, typed.content, typed.account_ids, when=typed.when, wall_time=typed.wall_time,
                         again=typed.again, choices=typed.choices)
    at = None if planned.when == QUEUE or given.draft else planned.due_at
    said = f"It would go out at {times.exact(at, place.time_zone)}" if at is not None else "It could be sent"
    return terminal.done(given, f"{said} to {len(planned.sendings)} profiles. Nothing was written.", {
        "dryRun": True, "workspaceId": public(place.id), "dueAt": terminal.rfc3339(at),
        "deliveries": [{"accountId": one.account_id, "format": one.format, "options": dict(one.options)}
                       for one in planned.sendings]})


# ---------------------------------------------------------------- deciding


def _cancel(given: argparse.Namespace) -> int:
    place, found = named.post(given.post)
    if posts.is_unsent(found):
        draft_posts.discard(place, g.user, found.id, found.version)
        return terminal.done(given, "The draft is discarded.", _told(found, ()))
    decisions.cancel(found, g.user)
    return terminal.done(given, "Cancelled. What is already published stays.",
                         _told(found, post_lists.deliveries(found)))


def _retry(given: argparse.Namespace) -> int:
    _, found = named.post(given.post)
    waiting = [one for one in post_lists.deliveries(found) if one.state in RETRIABLE]
    if not waiting:
        raise Refused(f"Nothing of this post can be tried again; it is {_stands(found, post_lists.deliveries(found))}.")
    refusals = [why for one in waiting if (why := _retried(one))]
    if len(refusals) == len(waiting):
        raise Refused(refusals[0])
    number = len(waiting) - len(refusals)
    return terminal.done(given, f"Tried again at {number} profile{'' if number == 1 else 's'}. {' '.join(refusals)}",
                         _told(found, post_lists.deliveries(found)))


def _retried(delivery: Delivery) -> str:
    """Why a delivery is not tried again; empty if it is."""
    try:
        decisions.retry(delivery, g.user)
    except posts.NotPossible as moved_on:
        return f"{delivery.account.display_name}: {moved_on}"
    return ""
