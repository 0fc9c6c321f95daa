"""Posts that repeat: when they come up, the one post ahead of each, and what is left out after a downtime.

A running series has exactly one occurrence ahead, as a normal Post. When its time has come, the next one is written;
of times that were missed meanwhile at most one still goes out, so nothing ever bursts.
"""

import logging
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from typing import NamedTuple

from flask import abort
from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import selectinload

from . import access, audit, drafts, media, posts
from .accounts import actor
from .checks import TIME_FIELDS, Choice
from .database import release, took, writing
from .deliveries import move
from .drafts import Content
from .extensions import db
from .models import (
    CANCELLED,
    DISCONNECTED,
    HELD,
    MISSED,
    PREPARING,
    PROCESSING,
    PUBLISHING,
    SCHEDULED,
    Account,
    Delivery,
    Post,
    Series,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .posts import Invalid, NotPossible, Opened, Sending
from .times import Nonexistent, day, moment, read_wall

log = logging.getLogger("socialconsole.series")

RUNNING, STOPPED, ENDED = "running", "stopped", "ended"
DAY, WEEK, MONTH = "day", "week", "month"
EVERY = (DAY, WEEK, MONTH)
DAYS = {DAY: 1, WEEK: 7}
AT_ONCE = 200  # series advanced in one beat
WAITING = (SCHEDULED, HELD)
OVERTAKEN = ("Its time passed while it could not go out, and a later time of the same repeating post has come. "
             "Reschedule it if it still fits.")
NO_PROFILE = "None of its profiles is connected any more. Connect one again, then start it again."
NO_FILE = "A file of this post was deleted. Compose it anew with another file."
ASK_AN_OWNER = ("An owner approves posts here before they go out, and this one would go out again and again. Ask an "
                "owner to begin it, or choose Never.")
OVER = "Its last day has passed. Compose it anew to go on."


class Occurrence(NamedTuple):
    """One time at which a series comes up. `note` is a sentence where the clocks skip or double that time."""

    wall: str  # 2026-11-23T06:00 in the series' zone
    instant: datetime
    note: str


# ---------------------------------------------------------------- when it comes up


def occurrence(series: Series, number: int) -> Occurrence:
    """The time of an occurrence, counted from 0: always from the first wall time, never from the one before it."""
    wall = _wall(read_wall(series.first_wall), series.every, number)
    found = moment(wall, series.time_zone)
    return Occurrence(f"{wall:%Y-%m-%dT%H:%M}", found.instant, found.note)


def _wall(first: datetime, every: str, number: int) -> datetime:
    """The wall time `number` intervals after the first; in a month that is too short, its last day."""
    if every in DAYS:
        return first + number * timedelta(days=DAYS[every])
    years, month = divmod(first.month - 1 + number, 12)
    year, month = first.year + years, month + 1
    return first.replace(year=year, month=month, day=min(first.day, monthrange(year, month)[1]))


def _from(series: Series, number: int) -> Iterator[tuple[int, Occurrence]]:
    """The occurrences from a number on, until the last day."""
    for one in count(number):
        found = occurrence(series, one)
        if series.last_day and found.wall[:10] > series.last_day:
            return
        yield one, found


def upcoming(series: Series, most: int = 3) -> list[Occurrence]:
    """The next times of a running series, the one ahead first; none of one that is stopped or has ended."""
    if series.state != RUNNING:
        return []
    return [found for _, (_, found) in zip(range(most), _from(series, series.number), strict=False)]


def following(series: Series) -> Iterator[Occurrence]:
    """The times of a running series after the one ahead, without end where it has none."""
    if series.state == RUNNING:
        yield from (found for _, found in _from(series, series.number + 1))


def rule(every: str, first_wall: str, zone: str, last_day: str = "") -> str:
    """When a series comes up, in words: `Every week on Monday at 09:00, Europe/Berlin, until 31 Dec 2026`."""
    first = read_wall(first_wall)
    on = {DAY: "", WEEK: f" on {first:%A}", MONTH: f" on the {_ordinal(first.day)}"}[every]
    if every == MONTH and first.day > 28:
        on += " (in shorter months on their last day)"
    until = f", until {day(datetime.fromisoformat(last_day))}" if last_day else ""
    return f"Every {every}{on} at {first:%H:%M}, {zone}{until}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 < number < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def rule_of(series: Series) -> str:
    """When this series comes up, in words."""
    return rule(series.every, series.first_wall, series.time_zone, series.last_day)


# ---------------------------------------------------------------- begin


def begin(workspace: Workspace, user: User, content: Content, account_ids: Sequence[str], *, every: str,
          wall_time: str, last_day: str = "", nonce: str, again: bool = False,
          choices: Mapping[str, Choice] | None = None, opened: Opened | None = None) -> Series:
    """Write a series and its first post in one go. The same nonce twice gives the first series.

    Raises Invalid with a sentence for each field: those of `posts.schedule`, and `repeat`, `last_day`. 404 for a file
    of another workspace.
    """
    known = _by_nonce(workspace, nonce)
    if known is not None:
        return known
    errors = rule_errors(every, wall_time, last_day)
    if access.must_ask(workspace, user):
        errors["repeat"] = ASK_AN_OWNER
    try:
        planned = posts.plan(workspace, content, account_ids, when="later", wall_time=wall_time, again=again,
                             choices=choices)
    except Invalid as error:
        raise Invalid(error.errors | errors) from None
    errors |= _fixed_times(planned.sendings)
    if errors:
        raise Invalid(errors)
    try:
        return _begin_once(workspace, user, planned, every, last_day.strip(), nonce, opened)
    except IntegrityError:  # the same form, sent or saved twice at the same moment: now the first can be seen
        return _begin_once(workspace, user, planned, every, last_day.strip(), nonce, opened)


def _begin_once(workspace: Workspace, user: User, planned: posts.Plan, every: str, last_day: str, nonce: str,
                opened: Opened | None) -> Series:
    with writing():
        sent, draft = posts.made_by_form(workspace, nonce)
        return _of(sent) or _begin(workspace, user, planned, every, last_day, nonce, opened or draft)


def _by_nonce(workspace: Workspace, nonce: str) -> Series | None:
    return _of(posts.made_by_form(workspace, nonce)[0])


def _of(first: Post | None) -> Series | None:
    """The series that a form's post began. Raises Invalid (`repeat`) for one that does not repeat."""
    if first is None:
        return None
    if first.series_id is None:
        raise Invalid({"repeat": "This form was sent already, as a single post. Open Compose anew to make it repeat."})
    return db.session.get_one(Series, first.series_id)


def rule_errors(every: str, wall_time: str, last_day: str) -> dict[str, str]:
    """What is wrong with how often and until when a post shall repeat: field (`repeat`, `last_day`) -> sentence."""
    errors = {} if every in EVERY else {"repeat": "Choose how often the post repeats: every day, week or month."}
    if last_day.strip():
        try:
            last = date.fromisoformat(last_day.strip())
            if last < read_wall(wall_time).date():
                errors["last_day"] = "This day is before the first time. Choose a later one, or leave it empty."
        except Nonexistent:
            pass  # said at the time itself
        except ValueError:
            errors["last_day"] = "Give a day, such as 2026-12-31, or leave it empty."
    return errors


def _fixed_times(sendings: Sequence[Sending]) -> dict[str, str]:
    """A time among a platform's own choices fits one occurrence and no other."""
    return {f"option:{one.account_id}:{name}": "A post that repeats cannot carry a fixed time here. Empty this field."
            for one in sendings for name in one.options if name in TIME_FIELDS}


def _begin(workspace: Workspace, user: User, planned: posts.Plan, every: str, last_day: str, nonce: str,
           opened: Opened | None) -> Series:
    now = present()
    series = Series(id=new_id("ser"), workspace_id=workspace.id, author_id=user.id, author_name=actor(user),
                    text=planned.content.text, content=planned.content.dump(), every=every, first_wall=planned.wall,
                    time_zone=workspace.time_zone, last_day=last_day, number=0, next_at=planned.due_at, state=RUNNING,
                    created_at=now, targets=[{"account_id": one.account_id, "format": one.format,
                                              "options": dict(one.options)} for one in planned.sendings])
    db.session.add(series)
    db.session.flush()
    _write(series, workspace, planned.sendings, Occurrence(planned.wall, planned.due_at, ""), nonce, now, opened)
    _record(series, "begun", rule_of(series))
    return series


def _write(series: Series, workspace: Workspace, sendings: Sequence[Sending], found: Occurrence, nonce: str,
           now: datetime, opened: Opened | None = None) -> Post:
    return posts.write(workspace, drafts.load(series.text, series.content), sendings, wall=found.wall,
                       due_at=found.instant, nonce=nonce, author_id=series.author_id, author_name=series.author_name,
                       now=now, series_id=series.id, zone=series.time_zone, opened=opened)


def _record(series: Series, action: str, summary: str) -> None:
    audit.record(f"series.{action}", "series", series.id, summary, workspace_id=series.workspace_id,
                 name=series.text[:60])


# ---------------------------------------------------------------- advance


def advance(now: datetime) -> int:
    """Write the next post of every series whose time has come. Returns how many series were advanced.

    One short transaction each; called twice at once, by two processes, each series is advanced once. A series that
    breaks off does not stop the others. Raises OperationalError or InterfaceError if the database cannot be reached.
    """
    due = db.session.scalars(select(Series.id).where(Series.next_at <= now).order_by(Series.next_at).limit(AT_ONCE))
    ids = due.all()
    release()
    done = 0
    for series_id in ids:
        try:
            with writing():
                done += _advance(series_id, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("a series broke off", extra={"series": series_id})
    return done


def _advance(series_id: str, now: datetime) -> bool:
    series = db.session.get(Series, series_id)
    if series is None or series.next_at is None or series.next_at > now:
        return False
    came, missed, ahead = series.next_at, *_passed(series, now)
    if not took(update(Series).where(
            Series.id == series.id, Series.number == series.number, Series.next_at == came, Series.state == RUNNING
            ).values(number=ahead[0] if ahead else series.number, next_at=ahead[1].instant if ahead else None)):
        return False
    db.session.refresh(series)
    workspace = db.session.get_one(Workspace, series.workspace_id)
    late = missed[-1] if missed and _may_go_late(series, missed, workspace, now) else None
    _overtake(series, late[1].instant if late else came, now)
    series.skipped += len(missed) - bool(late)
    sendings, left_out = _sendings(series)
    trouble = _trouble(series, workspace, sendings)
    if trouble and (late or ahead):
        _halt(series, trouble)
        return True
    for number, found in filter(None, (late, ahead)):
        _write(series, workspace, sendings, found, f"series:{series.id}:{number}", now)
    series.state = RUNNING if ahead else ENDED
    series.note = _said(series, left_out)
    return True


Numbered = tuple[int, Occurrence]


def _passed(series: Series, now: datetime) -> tuple[list[Numbered], Numbered | None]:
    """The occurrences after the one ahead whose time has passed too, and the first that has not; None at the end."""
    missed: list[Numbered] = []
    for number, found in _from(series, series.number + 1):
        if found.instant > now:
            return missed, (number, found)
        missed.append((number, found))
    return missed, None


def _may_go_late(series: Series, missed: Sequence[Numbered], workspace: Workspace, now: datetime) -> bool:
    """Whether the last missed occurrence may still go out: inside its window, and no other one does or did."""
    since = now - timedelta(minutes=workspace.window_minutes)
    if missed[-1][1].instant < since:
        return False
    first = missed[0][1].instant
    others = db.session.scalars(select(Delivery).join(Post).where(Post.series_id == series.id, or_(
        Delivery.state.in_((*WAITING, PREPARING, PROCESSING, PUBLISHING)), Delivery.sent_at >= first,
        Delivery.published_at >= first)))
    return not any(one.state not in WAITING or (one.scheduled_for <= now and (one.scheduled_for >= since or one.parts))
                   for one in others)


def _waiting(series: Series) -> list[Delivery]:
    """What of a series waits to go out, locked where the database locks rows: a worker may be about to take it."""
    return list(db.session.scalars(
        select(Delivery).join(Post, Post.id == Delivery.post_id).where(
            Post.series_id == series.id, Delivery.state.in_(WAITING))
        .order_by(Delivery.id).with_for_update(of=Delivery)))


def _overtake(series: Series, current: datetime, now: datetime) -> None:
    """What waits from before the current occurrence is not sent late on top of it.

    Unless a part of it is out, or a person gave it a time of its own.
    """
    for delivery in _waiting(series):
        if delivery.post.due_at == delivery.scheduled_for < current and not delivery.parts:
            move(delivery, MISSED, OVERTAKEN, now)


def _sendings(series: Series) -> tuple[list[Sending], list[str]]:
    """The targets whose account is still connected, and the names of the others."""
    known = {one.id: one for one in db.session.scalars(select(Account).where(
        Account.workspace_id == series.workspace_id, Account.id.in_([one["account_id"] for one in series.targets])))}
    sendings, left_out = list[Sending](), list[str]()
    for one in series.targets:
        account = known.get(one["account_id"])
        if account is not None and account.state != DISCONNECTED:
            sendings.append(Sending(account.id, one["format"], one["options"]))
        elif account is not None:
            left_out.append(account.display_name or account.username)
    return sendings, left_out


def _trouble(series: Series, workspace: Workspace, sendings: Sequence[Sending]) -> str:
    """Why no further post can be written; empty if one can."""
    if not sendings:
        return NO_PROFILE
    named = posts.files_named(drafts.load(series.text, series.content), sendings)
    return NO_FILE if len(media.still_there(workspace, named)) < len(named) else ""


def _halt(series: Series, why: str) -> None:
    """The console itself stops a series that cannot go on."""
    series.state, series.next_at, series.note = STOPPED, None, why
    _record(series, "stopped", f"Stopped by the console: {why}")


def _said(series: Series, left_out: Sequence[str]) -> str:
    """What a person should know about a series."""
    said = []
    if series.skipped:
        times = "1 time was" if series.skipped == 1 else f"{series.skipped} times were"
        said.append(f"{times} left out while the console was off.")
    if left_out:
        said.append(f"{', '.join(left_out)} {'is' if len(left_out) == 1 else 'are'} disconnected, so nothing goes "
                    "there. Connect again to go on.")
    return " ".join(said)


# ---------------------------------------------------------------- what a person decides


def stop(series: Series, user: User) -> int:
    """Stop a running series and cancel what of it waits. Returns how many posts were cancelled; NotPossible if over."""
    now = present()
    with writing() as session:
        if not took(update(Series).where(Series.id == series.id, Series.state == RUNNING).values(
                state=STOPPED, next_at=None, note=f"Stopped by {actor(user)}.")):
            session.refresh(series)
            raise NotPossible(f"This repeating post is {series.state} already.")
        session.refresh(series)
        waiting = _waiting(series)
        for delivery in waiting:
            move(delivery, CANCELLED, f"Cancelled by {actor(user)}, who stopped the repeating post.", now,
                 by=actor(user))
        stopped = {delivery.post_id: delivery.post for delivery in waiting}
        for post in stopped.values():
            if all(one.state == CANCELLED for one in post.deliveries):
                post.state = CANCELLED
        _record(series, "stopped", f"Stopped, {len(stopped)} waiting {'post' if len(stopped) == 1 else 'posts'} "
                                   "cancelled")
    return len(stopped)


def resume(series: Series, user: User) -> Post:
    """Start a stopped series again with its next time. Returns the post ahead; raises NotPossible with the reason."""
    now = present()
    with writing() as session:
        session.refresh(series)
        if access.must_ask(session.get_one(Workspace, series.workspace_id), user):
            raise NotPossible("An owner approves posts here, so only an owner starts a repeating post again.")
        if series.state != STOPPED:
            raise NotPossible(f"This repeating post is {series.state} already.")
        workspace = session.get_one(Workspace, series.workspace_id)
        sendings, left_out = _sendings(series)
        ahead = next((one for one in _from(series, series.number) if one[1].instant > now), None)
        why = OVER if ahead is None else _trouble(series, workspace, sendings)
        if ahead is None or why:
            raise NotPossible(why)
        number, found = ahead
        if not took(update(Series).where(Series.id == series.id, Series.state == STOPPED).values(
                state=RUNNING, number=number, next_at=found.instant, note=_said(series, left_out))):
            raise NotPossible("This repeating post is running already.")
        # The same occurrence may have been written and cancelled before.
        post = _write(series, workspace, sendings, found, f"series:{series.id}:{number}:{now.isoformat()}", now)
        _record(series, "resumed", f"Started again by {actor(user)}")
    return post


# ---------------------------------------------------------------- reading


def all_of(workspace: Workspace, *, before: str | None = None, limit: int = 30) -> list[Series]:
    """The series of a workspace, newest first. `before`: a series' id."""
    query = select(Series).where(Series.workspace_id == workspace.id)
    if before:
        query = query.where(Series.id < before)
    return list(db.session.scalars(query.order_by(Series.id.desc()).limit(limit)))


def one(workspace: Workspace, series_id: str) -> Series:
    """One series of this workspace; 404 for any other id."""
    found = db.session.scalar(select(Series).where(Series.workspace_id == workspace.id, Series.id == series_id))
    if found is None:
        abort(404)
    return found


def of_post(workspace: Workspace, post: Post) -> Series | None:
    """The series that a post belongs to; None for a single post."""
    if post.series_id is None:
        return None
    return db.session.scalar(select(Series).where(Series.workspace_id == workspace.id, Series.id == post.series_id))


def accounts_of(workspace: Workspace, found: Sequence[Series]) -> dict[str, Account]:
    """The accounts that these series publish to, by id."""
    ids = {one["account_id"] for series in found for one in series.targets}
    return {one.id: one for one in db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(ids)))} if ids else {}


def first_post(workspace: Workspace, found: Series) -> Post:
    """The post of the first occurrence of a series."""
    return db.session.scalars(select(Post).where(
        Post.workspace_id == workspace.id, Post.series_id == found.id).order_by(Post.id).limit(1)).one()


def posts_ahead(workspace: Workspace, found: Sequence[Series]) -> dict[str, Post]:
    """The post ahead of each of these series that runs, by the series' id."""
    times = {series.id: series.next_at for series in found if series.next_at is not None}
    rows = db.session.scalars(
        select(Post).where(Post.workspace_id == workspace.id, Post.series_id.in_(times), Post.due_at >= min(
            times.values())).options(selectinload(Post.deliveries)).order_by(Post.id)) if times else ()
    return {post.series_id: post for post in rows if post.series_id and times[post.series_id] == post.due_at}
