"""The usual case, many at a time: posts with nothing to prepare, taken and settled by a few statements for all.

Everything out of the ordinary is left to `publishing.py`, which goes step by step: a post with files, a platform that
prepares, a profile that is paused, a token that has to be renewed first. What is done here is what those steps do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, bindparam, func, or_, select, update
from sqlalchemy.orm import contains_eager

from . import breaker, platform_apps, recordings, tallies, tokens
from .accounts import missing_to_publish
from .database import UtcDateTime, add_rows, took_all
from .deliveries import LEASE, is_too_late
from .errors import ConfigurationWrong, ContentRejected, NeedsReconnect
from .extensions import db
from .models import (
    ACTIVE,
    PREPARING,
    PROCESSING,
    PUBLISHED,
    PUBLISHING,
    SCHEDULED,
    Account,
    Delivery,
    DeliveryEvent,
    Grant,
    PlatformApp,
    Post,
    new_id,
)
from .outcomes import Unworkable, Work, make_work, named
from .outside import now as present
from .providers.base import App
from .providers.content import Published, Superseded
from .providers.rules import problems

_TABLE: Any = Delivery.__table__


@dataclass(frozen=True)
class Ask:
    """A delivery to take, and until when its sending may last: by that its own commit is known again."""

    delivery_id: str
    lease_until: datetime


@dataclass(frozen=True)
class Done:
    """A post that is out, what the platform calls it, and its timeline."""

    work: Work
    post: Published
    taken: recordings.Taken | None = None  # its timeline


# ---------------------------------------------------------------- taken


def claim(asked: list[Ask]) -> list[Work | None]:
    """Take those of these deliveries that may be sent as they are, and leave them `publishing`: the intent to send.

    None for each that is not due, not ours, or needs a closer look; nothing was done to it. Inside `writing()`. Nobody
    is waited for: what others have in hand at this moment is among those, too.
    """
    now = present()
    leases: dict[str, datetime] = {}
    for one in asked:
        leases.setdefault(one.delivery_id, one.lease_until)
    taken = _works(_read(list(leases), now), now)
    if taken:
        _leave(taken, leases, now)
    works = {work.delivery_id: work for _, work in taken}
    # A row may be asked for twice in one moment, and only one of the two may send it.
    return [works.pop(one.delivery_id, None) for one in asked]


_NOW, _LATEST = bindparam("now", type_=UtcDateTime), bindparam("latest", type_=UtcDateTime)
# Account and delivery are kept from others from here on. Whether the account is free is asked afterwards, when all
# that was committed by whoever had it before can be seen.
_WHOLE = (select(Delivery)
          .join(Account, Delivery.account_id == Account.id).join(Post, Delivery.post_id == Post.id)
          .join(Grant, Account.grant_id == Grant.id).join(PlatformApp, Grant.app_id == PlatformApp.id)
          .join(Account.workspace)
          .where(Delivery.id.in_(bindparam("ids", expanding=True)), Delivery.state.in_((SCHEDULED, PROCESSING)),
                 Delivery.is_heavy.is_(False), Delivery.due_at <= _NOW,
                 or_(Delivery.lease_until.is_(None), Delivery.lease_until < _NOW, Delivery.lease_until > _LATEST))
          .options(contains_eager(Delivery.post), contains_eager(Delivery.account).options(
              contains_eager(Account.workspace), contains_eager(Account.grant).contains_eager(Grant.app)))
          .order_by(Delivery.due_at, Delivery.id)
          .with_for_update(of=(Account, Delivery), key_share=True, skip_locked=True)
          .execution_options(populate_existing=True))
_BUSY = select(Delivery.account_id).where(
    Delivery.lease_until.is_not(None), Delivery.lease_until >= _NOW, Delivery.lease_until <= _LATEST,
    Delivery.account_id.in_(bindparam("ids", expanding=True)), Delivery.is_heavy.is_(False),
    Delivery.state.in_((PREPARING, PUBLISHING)))


def _read(ids: Sequence[str], now: datetime) -> list[Delivery]:
    """The oldest of each account that is due and in nobody's hand, where none of that account is on its way."""
    found: dict[str, Delivery] = {}
    at = {"now": now, "latest": now + LEASE}
    for delivery in db.session.scalars(_WHOLE, {"ids": ids, **at}):
        found.setdefault(delivery.account_id, delivery)
    busy = set(db.session.scalars(_BUSY, {"ids": list(found), **at})) if found else set()
    return [delivery for account_id, delivery in found.items() if account_id not in busy]


def _works(deliveries: Sequence[Delivery], now: datetime) -> list[tuple[Delivery, Work]]:
    """Those that nothing stands in the way of, with the work on them."""
    apps: dict[str, App] = {}
    works = ((delivery, _work(delivery, apps, now)) for delivery in deliveries)
    return [(delivery, work) for delivery, work in works if work is not None]


def _work(delivery: Delivery, apps: dict[str, App], now: datetime) -> Work | None:
    if delivery.post.content.get("media") or not _may_go(delivery, now):
        return None
    try:
        work = make_work(delivery, tokens.access(delivery.account, now, apps), delivery.fence + 1)
    except (Unworkable, tokens.Renewed, NeedsReconnect, ConfigurationWrong):
        return None
    return replace(work, begun_at=now) if is_plain(work) else None


def _may_go(delivery: Delivery, now: datetime) -> bool:
    """Whether neither the window nor the profile nor its app stands in the way."""
    account, grant = delivery.account, delivery.account.grant
    if grant is None or account.state != ACTIVE or is_too_late(delivery, now):
        return False
    app = grant.app
    return (app.is_on and platform_apps.is_reachable(app) and not missing_to_publish(account)
            and all(at is None or at <= now for at in (account.quiet_until, app.quiet_until))
            and breaker.blocked(app, now) is None)


def is_plain(work: Work) -> bool:
    """Whether there is nothing to prepare and nothing against sending it: then the claim is the intent."""
    draft, provider = work.draft, work.used.provider
    return not (provider.prepares(draft) or draft.files or draft.extra_files or draft.link or against(work))


def against(work: Work) -> ContentRejected | None:
    """What the platform's rules have against a draft."""
    found = problems(work.used.provider, work.draft, work.mode, count=lambda text: 0, kind=work.kind)
    return ContentRejected(found[0].sentence, "rules", field=found[0].field) if found else None


_TAKE = (update(_TABLE).where(_TABLE.c.id == bindparam("the_id"), _TABLE.c.fence == bindparam("of") - 1)
         .values(state=PUBLISHING, note="", hold="", error_code="", due_at=None, rung_until=None, fence=bindparam("of"),
                 lease_until=bindparam("lease", type_=UtcDateTime), sent_at=_NOW,
                 claimed_at=func.coalesce(_TABLE.c.claimed_at, _NOW)))


def _leave(taken: Sequence[tuple[Delivery, Work]], leases: Mapping[str, datetime], now: datetime) -> None:
    """The intent: from here on they may be out."""
    if not took_all(_TAKE, [{"the_id": work.delivery_id, "of": work.fence, "lease": leases[work.delivery_id],
                             "now": now} for _, work in taken]):
        raise Superseded
    _tell([work for _, work in taken], PUBLISHING, now)
    for delivery, work in taken:
        if not delivery.parts:
            tallies.late(work.used.provider.slug, (now - delivery.scheduled_for).total_seconds())


def _tell(works: Sequence[Work], state: str, now: datetime) -> None:
    """Write it into the log of each delivery."""
    add_rows(DeliveryEvent, [{"id": new_id("dle"), "workspace_id": work.workspace_id, "delivery_id": work.delivery_id,
                              "at": now, "state": state, "text": "", "by": ""} for work in works])


# ---------------------------------------------------------------- settled


_DONE = (update(_TABLE)
         .where(_TABLE.c.id == bindparam("the_id"), _TABLE.c.state == PUBLISHING, _TABLE.c.fence == bindparam("of"))
         .values(state=PUBLISHED, note="", hold="", error_code="", due_at=None, lease_until=None, rung_until=None,
                 handle="", polls=0, attempts=0, parts=bindparam("new_parts", type_=JSON),
                 platform_post_id=bindparam("new_id"), permalink=bindparam("new_link"), published_at=_NOW))


def is_usual(work: Work, outcome: object) -> bool:
    """Whether an outcome is the one that `settle` writes down: the whole post is out, and nothing else to tell."""
    return (isinstance(outcome, Published) and not outcome.note and work.is_whole and not work.is_troubled)


def settle(done: list[Done]) -> list[bool]:
    """Write down that these posts are out: True for each. False for one alone that somebody else took since, and
    nothing was done to it. Raises Superseded if it is one of several, which have to be settled one by one.

    Inside `writing()`.
    """
    now = present()
    if not took_all(_DONE, [_values(one, now) for one in done]):
        if len(done) > 1:
            raise Superseded
        return [False]
    _tell([one.work for one in done], PUBLISHED, now)
    for one in done:
        tallies.moved(one.work.used.provider.slug, PUBLISHED)
        recordings.keep(one.taken)
    return [True] * len(done)


def _values(done: Done, now: datetime) -> dict[str, Any]:
    name = named(done.post)
    return {"the_id": done.work.delivery_id, "of": done.work.fence, "now": now, "new_id": name["platform_post_id"],
            "new_link": name["permalink"],
            "new_parts": [{"id": done.post.id, "permalink": done.post.permalink}]}
