"""Drafts: kept while somebody writes, submitted, approved or sent back, and turned into the post that goes out.

A draft is a Post without deliveries. Its `version` is the lock: whoever changes it names the version that was seen, and
of two who saw the same one only the first gets through; the other is told (`posts.Conflict`) and loses nothing. A post
that is scheduled already is changed in the same way, as long as nothing of it has begun.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from . import access, audit, checks, drafts, media, posts, series
from .accounts import actor
from .checks import Choice
from .database import change, took, writing
from .deliveries import is_busy, move
from .drafts import Content, OwnText
from .extensions import db
from .models import (
    CANCELLED,
    DRAFT,
    FAILED,
    HELD,
    MISSED,
    SCHEDULED,
    SUBMITTED,
    UNSENT,
    Account,
    Delivery,
    Post,
    User,
    Workspace,
    new_id,
)
from .outside import now as present
from .posts import Conflict, Invalid, NotPossible, Opened, Sending
from .times import Nonexistent, ago, exact, local, to_utc

NOW, LATER, QUEUE = "now", "later", "queue"
NEVER = "never"
LONGEST_DRAFT = 300_000  # characters of all its texts
LONGEST_NOTE = 2_000
MOST_COUNTED = 100
TOLD_AGAIN_AFTER = timedelta(minutes=30)  # one person's changes within it are one line in the activity
NOT_BEGUN = (SCHEDULED, HELD, MISSED, FAILED, CANCELLED)
MENDABLE = (FAILED, MISSED, HELD)


@dataclass(frozen=True)
class Typed:
    """What stands in the form of a post: what to write, where, and when. `choices` by account id."""

    content: Content
    account_ids: Sequence[str] = ()
    choices: Mapping[str, Choice] = field(default_factory=dict)
    when: str = NOW
    wall_time: str = ""
    repeat: str = NEVER
    last_day: str = ""
    again: bool = False  # send the same text once more

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet."""
        content = drafts.tidied(self.content)
        return not (content.text or content.media or content.parts or content.poll or content.first_comment
                    or any(one.text for one in content.own.values()))


def typed_of(workspace: Workspace, found: Post) -> Typed:
    """A post as the form shows it: a draft as it was left, any other as it was written; its time by today's clock.

    Where the zone of the workspace was changed since, the instant stays and the wall time follows, as all pages say.
    """
    content, repeat = drafts.load(found.text, found.content), found.content.get("repeat") or {}
    if posts.is_unsent(found):
        targets = [(one["account_id"], Choice(one["format"], one["options"])) for one in found.targets]
        when = found.timing
    else:
        targets = [(one.account_id, Choice(one.format, one.options)) for one in found.deliveries
                   if one.state != CANCELLED]
        when = NOW if has_failed(found) else QUEUE if found.is_queued else LATER
    return Typed(content, [account_id for account_id, _ in targets], dict(targets), when, _wall(workspace, found),
                 repeat.get("every", NEVER), repeat.get("last_day", ""))


def has_failed(found: Post) -> bool:
    """Whether a post failed or was missed, and nothing of it is still to go out by itself: its time has passed."""
    states = {one.state for one in found.deliveries}
    return bool(states & {FAILED, MISSED}) and not states & {SCHEDULED, HELD}


def _wall(workspace: Workspace, found: Post) -> str:
    """The time of a post by the clock of its workspace."""
    if found.time_zone == workspace.time_zone:
        return found.wall_time
    try:
        at = found.due_at or to_utc(found.wall_time, found.time_zone)
    except (Nonexistent, OverflowError):  # nothing typed yet, or no time
        return found.wall_time
    return f"{local(at, workspace.time_zone):%Y-%m-%dT%H:%M}"


# ---------------------------------------------------------------- keeping what somebody writes


def save(workspace: Workspace, user: User, typed: Typed, *, opened: Opened | None = None, nonce: str = "") -> Post:
    """Keep what was typed as a draft; the same nonce twice keeps one. Saving what is kept already changes nothing.

    Raises Conflict if the draft was changed since it was opened, Invalid (`text`) if there is nothing to keep or far
    too much, 404 for a stranger's draft.
    """
    _refuse_size(typed.content)
    values = _values(workspace, typed, present()) | {"state": DRAFT}
    try:
        with writing():
            return _keep(workspace, user, typed, values, opened, nonce)
    except IntegrityError:  # the same form, saved twice at the same moment
        with writing():
            return _keep(workspace, user, typed, values, opened, nonce)


def _refuse_size(content: Content) -> None:
    written = [content.text, content.first_comment, *(one.text for one in content.parts),
               *(one.text for one in content.own.values())]
    if sum(map(len, written)) > LONGEST_DRAFT:
        raise Invalid({"text": f"These texts have more than {LONGEST_DRAFT:,} characters together, which is too long "
                               "to keep. Shorten them."})


def _values(workspace: Workspace, typed: Typed, now: datetime) -> dict[str, Any]:
    """The columns of a draft. Accounts of other workspaces and files that are gone are left out."""
    known = set(db.session.scalars(select(Account.id).where(
        Account.workspace_id == workspace.id, Account.id.in_(set(typed.account_ids)))))
    chosen = [one for one in dict.fromkeys(typed.account_ids) if one in known]
    content = _plain_lines(typed.content)
    plain: dict[str, Any] = content.dump()
    if typed.repeat != NEVER:
        plain["repeat"] = {"every": typed.repeat[:10], "last_day": typed.last_day[:10]}
    return {"text": content.text, "content": plain, "targets": [_target(one, typed) for one in chosen],
            "timing": typed.when, "wall_time": typed.wall_time.strip()[:16], "time_zone": workspace.time_zone,
            "due_at": _due(workspace, typed, now)}


def _plain_lines(content: Content) -> Content:
    """A content whose lines end as scripts send them, and not as forms do: else every other save were a change."""
    def plain(text: str) -> str:
        return text.replace("\r\n", "\n")

    return replace(content, text=plain(content.text), first_comment=plain(content.first_comment),
                   parts=tuple(replace(one, text=plain(one.text)) for one in content.parts),
                   own={name: replace(one, text=plain(one.text), first_comment=None if one.first_comment is None
                                      else plain(one.first_comment)) for name, one in content.own.items()})


def _target(account_id: str, typed: Typed) -> dict[str, Any]:
    choice = typed.choices.get(account_id, Choice())
    return {"account_id": account_id, "format": choice.format[:20], "options": dict(choice.options)}


def _due(workspace: Workspace, typed: Typed, now: datetime) -> datetime | None:
    """When a draft shall go out, as far as that is known and still ahead."""
    if typed.when != LATER:
        return None
    try:
        return posts.wall_and_instant(typed.wall_time, workspace, now)[1]
    except Invalid:
        return None


def _keep(workspace: Workspace, user: User, typed: Typed, values: dict[str, Any], opened: Opened | None,
          nonce: str) -> Post:
    """Write a draft, or one that waits for approval, as `values` say; inside `writing()`. Raises as `save` does."""
    now, by = present(), actor(user)
    sent, opened = (None, opened) if opened else posts.made_by_form(workspace, nonce)
    if sent is not None:
        raise Conflict(sent)
    if opened is None:
        kept, is_news = _first(workspace, user, typed, values, nonce, now), True
    else:
        kept = posts.post(workspace, opened.post_id)
        if kept.state == values["state"] and _is_same(kept, values):
            return kept
        is_news = _is_news(kept, values["state"], by, now)
        if not took(update(Post).where(
                Post.id == opened.post_id, Post.workspace_id == workspace.id, Post.version == opened.version,
                posts.unsent()).values(**values, version=Post.version + 1, updated_at=now, updated_by=by)):
            db.session.refresh(kept)
            raise Conflict(kept)
        db.session.refresh(kept)
    _use_files(workspace, kept, now)
    if is_news:
        _said(kept, "submitted" if kept.state == SUBMITTED else "drafted",
              "Submitted for approval" if kept.state == SUBMITTED else "Draft saved")
    return kept


def _first(workspace: Workspace, user: User, typed: Typed, values: dict[str, Any], nonce: str, now: datetime) -> Post:
    if typed.is_empty:
        raise Invalid({"text": "There is nothing to keep yet. Write something first."})
    made = Post(id=new_id("pst"), workspace_id=workspace.id, author_id=user.id, author_name=actor(user),
                form_nonce=posts.kept_nonce(workspace, nonce), created_at=now, updated_at=now, updated_by=actor(user),
                **values)
    db.session.add(made)
    db.session.flush()
    return made


def _is_same(found: Post, values: Mapping[str, Any]) -> bool:
    """Whether nothing would change. The time counts only where one is chosen."""
    names = ("targets", "timing", *(("wall_time",) if values["timing"] == LATER else ()))
    return posts.says(found, values["text"], values["content"]) and all(
        getattr(found, name) == values[name] for name in names)


def _is_news(found: Post, state: str, by: str, now: datetime) -> bool:
    """Whether a change belongs into the activity: a draft that saves itself would fill it otherwise."""
    return (found.state != state or found.updated_by != by or found.updated_at is None
            or now - found.updated_at > TOLD_AGAIN_AFTER)


def _use_files(workspace: Workspace, kept: Post, now: datetime) -> None:
    """The files of a draft are kept like those of a post; one that was deleted meanwhile is passed over."""
    sendings = [Sending(one["account_id"], one["format"], one["options"]) for one in kept.targets]
    named = posts.files_named(drafts.load(kept.text, kept.content), sendings)
    posts.use_files(workspace, kept, [one.id for one in media.still_there(workspace, named)], now)


def _said(found: Post, action: str, summary: str, **detail: Any) -> None:
    audit.record(f"post.{action}", "post", found.id, summary, workspace_id=found.workspace_id, name=found.text[:60],
                 **detail)


# ---------------------------------------------------------------- sending the form


def send(workspace: Workspace, user: User, typed: Typed, *, opened: Opened | None = None, nonce: str = "") -> Post:
    """What the form asks for: the post scheduled, changed, begun as a series, or submitted by whoever must ask.

    A draft becomes that very post. The same form twice gives the same post. Raises Invalid with a sentence for each
    field, Conflict if the post was changed since it was opened, NotPossible if it is on its way, 404 for a stranger's.
    """
    try:
        return _send(workspace, user, typed, opened, nonce)
    except Conflict as moved_on:
        found = moved_on.post
        # The form saved itself at the moment it was sent: what it says is what it saved.
        if opened is None or not posts.is_unsent(found) or found.updated_by != actor(user) \
                or found.text.strip() != drafts.tidied(typed.content).text or found.version <= opened.version:
            raise
        return _send(workspace, user, typed, Opened(found.id, found.version), nonce)


def _send(workspace: Workspace, user: User, typed: Typed, opened: Opened | None, nonce: str) -> Post:
    found = posts.post(workspace, opened.post_id) if opened else None
    if found is not None and opened is not None and not posts.is_unsent(found):
        if found.version != opened.version:
            return posts.same_or_conflict(found, typed.content)
        return edit(workspace, user, typed, opened)
    if typed.repeat != NEVER:
        return _begin(workspace, user, typed, opened, nonce)
    if access.must_ask(workspace, user):
        return submit(workspace, user, typed, opened=opened, nonce=nonce)
    return posts.schedule(workspace, user, typed.content, typed.account_ids, when=typed.when,
                          wall_time=typed.wall_time, nonce=nonce, again=typed.again, choices=typed.choices,
                          opened=opened)


def _begin(workspace: Workspace, user: User, typed: Typed, opened: Opened | None, nonce: str) -> Post:
    if typed.when != LATER:
        raise Invalid({"repeat": "A post that repeats needs a time. Choose “At a time” above, or Never here."})
    try:
        begun = series.begin(workspace, user, typed.content, typed.account_ids, every=typed.repeat,
                             wall_time=typed.wall_time, last_day=typed.last_day, nonce=nonce, again=typed.again,
                             choices=typed.choices, opened=opened)
    except Conflict as moved_on:
        if posts.is_unsent(moved_on.post):
            raise
        return posts.same_or_conflict(moved_on.post, typed.content)
    return series.first_post(workspace, begun)


def submit(workspace: Workspace, user: User, typed: Typed, *, opened: Opened | None = None, nonce: str = "") -> Post:
    """Hand a post to the owners for approval, checked like one that is scheduled. Raises as `send` does."""
    if typed.repeat != NEVER:
        raise Invalid({"repeat": series.ASK_AN_OWNER})
    planned = posts.plan(workspace, typed.content, typed.account_ids, when=typed.when, wall_time=typed.wall_time,
                         again=typed.again, choices=typed.choices)
    values = _submitted(workspace, user, planned, typed)
    try:
        with writing():
            return _keep(workspace, user, typed, values, opened, nonce)
    except IntegrityError:
        with writing():
            return _keep(workspace, user, typed, values, opened, nonce)


def _submitted(workspace: Workspace, user: User, planned: posts.Plan, typed: Typed) -> dict[str, Any]:
    """The columns of a post that waits for approval."""
    choices = {one.account_id: Choice(one.format, one.options) for one in planned.sendings}
    now = present()
    good = replace(typed, content=planned.content, account_ids=tuple(choices), choices=choices, wall_time=planned.wall)
    return _values(workspace, good, now) | {"state": SUBMITTED, "submitted_by": actor(user), "submitted_at": now,
                                            "review_note": "", "reviewed_by": ""}


# ---------------------------------------------------------------- approval


def approve(workspace: Workspace, user: User, post_id: str, version: int, wall_time: str = "") -> Post:
    """Schedule what waits for approval, exactly the version that was looked at. `wall_time`: instead of its own.

    Raises NotPossible if it was changed or decided meanwhile, Invalid as `posts.schedule` does: `wall_time` if its time
    has passed.
    """
    found = posts.post(workspace, post_id)
    _refuse_review(workspace, user, found, version)
    typed = typed_of(workspace, found)
    when, wall = (LATER, wall_time) if wall_time else (typed.when, typed.wall_time)
    planned = posts.plan(workspace, typed.content, typed.account_ids, when=when, wall_time=wall, again=True,
                         choices=typed.choices)
    try:
        with writing():
            written = posts.write_plan(workspace, user, planned, opened=Opened(post_id, version))
            written.reviewed_by = actor(user)
            _said(written, "approved", f"Approved, submitted by {written.submitted_by}")
    except Conflict as moved_on:
        raise NotPossible(_stands(moved_on.post)) from None
    return written


def send_back(workspace: Workspace, user: User, post_id: str, version: int, note: str) -> Post:
    """Hand a post back to its author, who reads the note on the draft. Raises NotPossible, or Invalid (`note`)."""
    note = note.replace("\r\n", "\n").strip()
    if not note:
        raise Invalid({"note": "Say what should change, so that the author knows."})
    if len(note) > LONGEST_NOTE:
        raise Invalid({"note": f"This note is {len(note) - LONGEST_NOTE:,} characters too long. Shorten it."})
    found = posts.post(workspace, post_id)
    _refuse_review(workspace, user, found, version)
    with writing():
        back = _change_state(found, version, (SUBMITTED,), state=DRAFT, review_note=note, reviewed_by=actor(user))
        _said(back, "sent_back", f"Sent back to {back.submitted_by}: {note}")
    return back


def _refuse_review(workspace: Workspace, user: User, found: Post, version: int) -> None:
    if access.must_ask(workspace, user):
        raise NotPossible(access.WHY_NOT["approve"])
    if found.state != SUBMITTED or found.version != version:
        raise NotPossible(_stands(found))


def _stands(found: Post) -> str:
    """How a post stands, for somebody who saw an earlier version of it."""
    who = found.updated_by or found.author_name
    if found.state == SUBMITTED:
        return f"{who} changed it since you opened it, so nothing was done. Look at what it says now."
    if found.state == DRAFT:
        return f"It does not wait for approval any more: {who} has it as a draft."
    if posts.is_unsent(found):
        return f"{who} discarded it."
    return f"{who} approved or scheduled it already."


def take_back(workspace: Workspace, user: User, post_id: str, version: int) -> Post:
    """Make a draft again of what waits for approval. Raises NotPossible if it was changed or decided meanwhile."""
    found = posts.post(workspace, post_id)
    with writing():
        back = _change_state(found, version, (SUBMITTED,), state=DRAFT)
        _said(back, "taken_back", "Taken back from approval")
    return back


def _change_state(found: Post, version: int, states: Sequence[str], *, by: str = "", **values: Any) -> Post:
    """Move a post without deliveries from one of these states; inside `writing()`. Raises NotPossible."""
    if not took(update(Post).where(Post.id == found.id, Post.version == version, Post.state.in_(states)).values(
            **values, version=Post.version + 1)):
        db.session.refresh(found)
        raise NotPossible(_stands(found))
    db.session.refresh(found)
    return found


# ---------------------------------------------------------------- discarding


def discard(workspace: Workspace, user: User, post_id: str, version: int) -> Post:
    """Throw a draft away, exactly the version that was seen; `restore` brings it back. Raises NotPossible."""
    found = posts.post(workspace, post_id)
    with writing():
        gone = _change_state(found, version, UNSENT, state=CANCELLED, due_at=None, updated_at=present(),
                             updated_by=actor(user))
        _said(gone, "discarded", "Draft discarded")
    return gone


def restore(workspace: Workspace, user: User, post_id: str) -> Post:
    """Bring back a draft that was discarded. Raises NotPossible if it is there already."""
    found, now = posts.post(workspace, post_id), present()
    due_at = _due(workspace, typed_of(workspace, found), now)
    with writing():
        if not took(update(Post).where(Post.id == found.id, Post.state == CANCELLED, Post.due_at.is_(None)).values(
                state=DRAFT, due_at=due_at, version=Post.version + 1, updated_at=now, updated_by=actor(user))):
            db.session.refresh(found)
            raise NotPossible("This draft is not discarded, so there is nothing to bring back.")
        db.session.refresh(found)
        _said(found, "restored", "Draft brought back")
    return found


# ---------------------------------------------------------------- changing what is scheduled


def why_not_editable(found: Post) -> str:
    """Why a post cannot be changed any more, for people; empty where it can."""
    if posts.is_unsent(found):
        return ""
    if any(one.state not in NOT_BEGUN or one.parts for one in found.deliveries):
        return "It is on its way, or a part of it is out, so it cannot be changed any more."
    if all(one.state == CANCELLED for one in found.deliveries):
        return "It is cancelled. Duplicate it to write it anew."
    return ""


def edit(workspace: Workspace, user: User, typed: Typed, opened: Opened) -> Post:
    """Rewrite a scheduled post of which nothing has begun: text, files, accounts and time, all or nothing.

    Who must ask makes it wait for approval again. An account that cannot be chosen just now keeps what it had. Raises
    NotPossible if a worker took it meanwhile, Conflict if a person changed it, Invalid as `posts.schedule` does.
    """
    if typed.repeat != NEVER:
        raise Invalid({"repeat": "This post is scheduled already and cannot be made to repeat. Duplicate it instead."})
    found, now = posts.post(workspace, opened.post_id), present()
    if why := why_not_editable(found):
        raise NotPossible(why)
    if access.must_ask(workspace, user):
        return _edit_and_submit(workspace, user, typed, opened)
    stay = {one.account_id for one in found.deliveries if one.state != CANCELLED and checks.why_not(one.account)}
    keeps_slot = typed.when == QUEUE and found.is_queued and found.due_at is not None and found.due_at > now
    planned = posts.plan(
        workspace, typed.content, [one for one in typed.account_ids if one not in stay], choices=typed.choices,
        when=LATER if keeps_slot else typed.when, wall_time=_wall(workspace, found) if keeps_slot else typed.wall_time,
        again=True, others=bool(stay))
    kept = {one: own for one, own in typed.content.own.items() if one in stay}
    content = replace(planned.content, own={**planned.content.own, **kept})
    with writing():
        mine = _not_begun(found)
        wall, due_at = posts.moment_of(workspace, planned, now)
        _claim(found, opened, {"text": content.text, "content": content.dump(), "due_at": due_at, "wall_time": wall,
                               "time_zone": workspace.time_zone, "is_queued": typed.when == QUEUE}, user, now)
        _redirect(workspace, user, found, mine, replace(planned, content=content, due_at=due_at), stay)
        _said(found, "edited", "Changed", accounts=[*stay, *(one.account_id for one in planned.sendings)])
    return found


def _not_begun(found: Post) -> list[Delivery]:
    """The deliveries of a post, locked; inside `writing()`. Raises NotPossible if one of them has begun."""
    mine = list(db.session.scalars(
        select(Delivery).where(Delivery.post_id == found.id).order_by(Delivery.id).with_for_update(of=Delivery)
        .execution_options(populate_existing=True)))
    db.session.refresh(found, ["deliveries"])
    if why := why_not_editable(found):
        raise NotPossible(why)
    # A worker that has just taken one has read its text already, though its state still says that it waits.
    if db.session.scalar(select(Delivery.id).where(Delivery.post_id == found.id, is_busy(present())).limit(1)):
        raise NotPossible("It is being worked on at this moment, so it cannot be changed.")
    return mine


def _claim(found: Post, opened: Opened, values: Mapping[str, Any], user: User, now: datetime) -> None:
    """Change a post if it is still the version that was opened; inside `writing()`. Raises Conflict."""
    if not took(update(Post).where(Post.id == found.id, Post.version == opened.version).values(
            **values, version=Post.version + 1, updated_at=now, updated_by=actor(user))):
        db.session.refresh(found)
        raise Conflict(found)
    db.session.refresh(found)


def _redirect(workspace: Workspace, user: User, found: Post, mine: Sequence[Delivery], planned: posts.Plan,
              stay: set[str]) -> None:
    """Make the deliveries of a post those of the plan; inside `writing()`."""
    now, by, due_at = present(), actor(user), planned.due_at
    chosen = {one.account_id: one for one in planned.sendings}
    heavy = drafts.is_heavy(drafts.files_of(workspace, planned.content))
    goes = f"{by} changed it. It goes out {exact(due_at, workspace.time_zone)}."
    for one in mine:
        sending = chosen.pop(one.account_id, None)
        if sending is not None:
            move(one, SCHEDULED, goes, now, due_at=due_at, by=by, scheduled_for=due_at, attempts=0, handle="", polls=0,
                 format=sending.format, options=dict(sending.options), is_heavy=heavy)
        elif one.account_id in stay and one.state != CANCELLED:
            change(one, scheduled_for=due_at, due_at=due_at if one.state == SCHEDULED else one.due_at, is_heavy=heavy)
        elif one.state != CANCELLED:
            move(one, CANCELLED, f"Taken off this post by {by}.", now, by=by)
    posts.add_deliveries(workspace, found, list(chosen.values()), due_at)
    left = [Sending(one.account_id, one.format, one.options) for one in mine if one.account_id in stay]
    posts.use_files(workspace, found, posts.files_named(planned.content, [*planned.sendings, *left]), now)


def _edit_and_submit(workspace: Workspace, user: User, typed: Typed, opened: Opened) -> Post:
    """What was approved and is changed waits for approval once more: its deliveries, which never began, go."""
    found, now = posts.post(workspace, opened.post_id), present()
    planned = posts.plan(workspace, typed.content, typed.account_ids, when=typed.when, wall_time=typed.wall_time,
                         again=True, choices=typed.choices)
    values = _submitted(workspace, user, planned, typed)
    with writing() as session:
        _not_begun(found)
        _claim(found, opened, {**values, "is_queued": False}, user, now)
        session.execute(delete(Delivery).where(Delivery.post_id == found.id),
                        execution_options={"synchronize_session": False})
        session.expire_all()
        _use_files(workspace, found, now)
        _said(found, "submitted", "Changed and submitted for approval")
    return found


# ---------------------------------------------------------------- mending one delivery of a post that is partly out


@dataclass(frozen=True)
class Mended:
    """What one account shall publish instead: its own text and comment, its format and choices, and when."""

    own: OwnText
    choice: Choice
    when: str = NOW
    wall_time: str = ""


def why_not_mendable(workspace: Workspace, user: User, delivery: Delivery) -> str:
    """Why one delivery cannot get a text of its own and be sent again, for people; empty where it can."""
    if delivery.state not in MENDABLE:
        return f"This post is {delivery.state} now, so it cannot be changed."
    if delivery.parts:
        return "A part of it is out there already, so its text stays. Try it again, or duplicate it."
    if access.must_ask(workspace, user):
        return "An owner approves posts here. Duplicate the post for this profile and submit it anew."
    return ""


def mend(workspace: Workspace, user: User, delivery: Delivery, mended: Mended, version: int) -> None:
    """Give one account its own text and send its delivery again; the others stay untouched.

    Raises Invalid as `posts.schedule` does, NotPossible if the delivery moved on, Conflict if the post was changed.
    """
    found, now = delivery.post, present()
    if why := why_not_mendable(workspace, user, delivery):
        raise NotPossible(why)
    content = drafts.load(found.text, found.content)
    before = content.own.get(delivery.account_id)
    own = replace(mended.own, chain=before.chain if before else True)
    content = replace(content, own={**content.own, delivery.account_id: own})
    planned = posts.plan(workspace, content, [delivery.account_id], when=mended.when, wall_time=mended.wall_time,
                         again=True, choices={delivery.account_id: mended.choice})
    content = replace(content, own={**content.own, **planned.content.own})
    sending, due_at, by = planned.sendings[0], planned.due_at, actor(user)
    with writing() as session:
        session.refresh(delivery, with_for_update=True)
        if why := why_not_mendable(workspace, user, delivery):
            raise NotPossible(why)
        _claim(found, Opened(found.id, version), {"text": content.text, "content": content.dump()}, user, now)
        move(delivery, SCHEDULED, f"{by} changed it and asked to try again.", now, due_at=due_at, by=by,
             scheduled_for=due_at, attempts=0, handle="", polls=0, format=sending.format,
             options=dict(sending.options))
        media.use(workspace, found.id, posts.files_named(content, planned.sendings), now)
        _said(found, "mended", f"Changed for {delivery.account.display_name} and tried again",
              accounts=[delivery.account_id])


# ---------------------------------------------------------------- reading


def all_drafts(workspace: Workspace, *, before: str | None = None, limit: int = 50) -> list[Post]:
    """The drafts of a workspace, newest first. `before`: a draft's id."""
    return _unsent(workspace, DRAFT, before, limit)


def waiting(workspace: Workspace, *, before: str | None = None, limit: int = 50) -> list[Post]:
    """What waits for approval, newest first. `before`: a post's id."""
    return _unsent(workspace, SUBMITTED, before, limit)


# In the very words of the index, as text: SQLite does not look into parameters to see that an index fits.
_INDEXED = Post.state.in_(bindparam("unsent", UNSENT, expanding=True, literal_execute=True))


def _unsent(workspace: Workspace, state: str, before: str | None, limit: int) -> list[Post]:
    query = select(Post).where(Post.workspace_id == workspace.id, Post.state == state, _INDEXED)
    if before:
        query = query.where(Post.id < before)
    return list(db.session.scalars(query.order_by(Post.id.desc()).limit(limit)))


def count(workspace: Workspace, state: str) -> int:
    """How many drafts (`draft`) there are, or posts that wait for approval (`submitted`); at most MOST_COUNTED."""
    some = select(Post.id).where(Post.workspace_id == workspace.id, Post.state == state, _INDEXED).limit(
        MOST_COUNTED).subquery()
    return db.session.scalar(select(func.count()).select_from(some)) or 0


def accounts_of(workspace: Workspace, found: Sequence[Post]) -> dict[str, Account]:
    """The accounts that these drafts are meant for, by id."""
    ids = {one["account_id"] for draft in found for one in draft.targets}
    return {one.id: one for one in db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(ids)))} if ids else {}


def changed_by_other(found: Post, user: User, now: datetime, within: timedelta = timedelta(minutes=30)) -> str:
    """A sentence if somebody else changed a draft lately; empty if not."""
    if not found.updated_by or found.updated_by == actor(user) or found.updated_at is None:
        return ""
    return f"{found.updated_by} changed this draft {ago(found.updated_at, now)}." \
        if now - found.updated_at < within else ""
