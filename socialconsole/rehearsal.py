"""Check without publishing: everything that publishing does, but for what leaves something behind at a platform.

What stands in the database is looked at first (`diagnosis`). Then, for each account that nothing blocks: its token is
renewed if it is stale, the platform is asked for the profile (and for what it allows at this moment, where it tells),
pictures are converted as they would be, the link is looked up. Uploads and containers are left out, since not every
platform lets them go again. All of it together ends after some seconds, whoever does not answer.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app
from sqlalchemy import select

from . import checks, diagnosis, drafts, guarded, media, tokens
from .checks import Choice
from .config import Config
from .database import release, writing
from .diagnosis import ASK_ADMIN, CONTENT, EDIT, RECONNECT, WAIT, Step
from .drafts import Content
from .errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
    RateLimited,
)
from .extensions import db
from .media_store import Unavailable
from .models import Account, Workspace
from .outside import now as present
from .providers import provider as provider_of
from .providers.content import Creator, Draft, File, Format
from .providers.oauth2 import connectable
from .providers.rules import format_of

log = logging.getLogger("socialconsole.rehearsal")

SECONDS = 5.0  # for all accounts together
LINK_SECONDS = 4.0
MOST_OF_PAGE = 64 * 1024  # bytes of a page that are read to see that it is there
AT_ONCE = 12  # calls of one process
PAUSE = 0.1  # seconds between two looks whether somebody else has renewed the token

TOKEN, ANSWER, FILES, LINK = "token", "answer", "files", "link"
OK, REMARK, BAD, LATE = "ok", "warn", "bad", "late"

Found = tuple[Step, ...]


@dataclass(frozen=True)
class Line:
    """What one account made of it: the result, one sentence, and every step."""

    account: Account
    result: str  # OK, REMARK, BAD, LATE
    text: str
    steps: Found

    @property
    def tone(self) -> str:
        """The status word whose colour and icon it has."""
        return REMARK if self.result == LATE else self.result

    @property
    def blocker(self) -> Step | None:
        """The step that blocks; None where none does."""
        return diagnosis.blocker(self.steps)


@dataclass(frozen=True)
class _Asked:
    """What the platform said of one account."""

    steps: Found
    creator: Creator | None = None


def rehearse(workspace: Workspace, content: Content, account_ids: Sequence[str],
             choices: Mapping[str, Choice] | None = None) -> list[Line]:
    """What would happen if this were published now, an entry for each account in the order asked.

    Accounts of other workspaces are passed over. Calls platforms, within SECONDS; writes nothing but renewed tokens.
    404 for a file of another workspace.
    """
    until = time.monotonic() + SECONDS
    choices = choices or {}
    known = {one.id: one for one in db.session.scalars(select(Account).where(
        Account.workspace_id == workspace.id, Account.id.in_(set(account_ids))))}
    chosen = [known[one] for one in dict.fromkeys(account_ids) if one in known]
    found = {one.id: tuple(diagnosis.why(workspace, one, content=content, choice=choices.get(one.id, Choice())))
             for one in chosen}
    free = [one for one in chosen if diagnosis.blocker(found[one.id]) is None]
    files = drafts.files_of(workspace, content, *(one.options for one in choices.values()))
    plans = {one.id: _plan(content, one, choices.get(one.id, Choice()), files) for one in free}
    asked = {one.id: _start(_ask, one.id, until) for one in free}
    works = {work: _start(*work) for work in dict.fromkeys(work for plan in plans.values() for work in plan)}
    release()
    wait([*asked.values(), *works.values()], timeout=max(0.0, until - time.monotonic()))
    return [_line(workspace, content, one, choices.get(one.id, Choice()), found[one.id], asked.get(one.id),
                  [works[work] for work in plans.get(one.id, ())]) for one in chosen]


def _line(workspace: Workspace, content: Content, account: Account, choice: Choice, steps: Found,
          asked: "Future[Any] | None", works: "Sequence[Future[Any]]") -> Line:
    """What came of all that was tried for one account."""
    if asked is None:
        return _judged(account, steps)
    if not asked.done() or not all(one.done() for one in works):
        name = provider_of(account.platform).name if not asked.done() else "The files or the link"
        return Line(account, LATE, f"{name} did not answer in time. Check again in a moment.", steps)
    broken = next((one.exception() for one in (asked, *works) if one.exception() is not None), None)
    if broken is not None:
        log.error("a check without publishing broke off", exc_info=broken, extra={"account": account.id})
        return Line(account, BAD, "The console broke off while checking this. Ask your admin to look into the log.",
                    steps)
    said: _Asked = asked.result()
    steps = (*steps, *said.steps)
    if said.creator is not None and diagnosis.blocker(steps) is None:
        steps = (*steps, *_allowed(workspace, content, account, choice, said.creator))
    for one in works:
        if diagnosis.blocker(steps) is None:
            steps = (*steps, *one.result())
    return _judged(account, steps)


def _judged(account: Account, steps: Found) -> Line:
    stopped = diagnosis.blocker(steps)
    if stopped is not None:
        return Line(account, REMARK if stopped.fix == WAIT else BAD, f"{stopped.title}. {stopped.text}", steps)
    remarks = [one.text for one in steps if one.is_remark]
    if remarks:
        return Line(account, REMARK, f"It would go out. {' '.join(remarks)}", steps)
    return Line(account, OK, "It would go out.", steps)


# ---------------------------------------------------------------- several at once

# One pool for each process: a platform that hangs takes its threads and no more.
_pools: dict[int, ThreadPoolExecutor] = {}


def _start(work: Callable[..., Any], *values: Any) -> "Future[Any]":
    pool = _pools.get(os.getpid())
    if pool is None:
        pool = _pools[os.getpid()] = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rehearsal")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return pool.submit(_inside, app, work, values)


def _inside(app: Flask, work: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    with app.app_context():
        return work(*values)


# ---------------------------------------------------------------- the token, and the platform's answer


def _ask(account_id: str, until: float) -> _Asked:
    """Take a fresh token and ask the platform for the profile with it."""
    account = db.session.get_one(Account, account_id)
    name, provider = provider_of(account.platform).name, connectable(account.platform)
    platform_user_id = account.platform_user_id
    try:
        used, fresh = _token(account, until)
    except tokens.Renewed:
        return _Asked((Step(TOKEN, "The token waits to be renewed", False, f"{name} did not renew it at once. The "
                            "console goes on trying by itself.", WAIT),))
    except PlatformError as error:
        return _Asked((_refused(TOKEN, name, error),))
    release()
    try:
        if provider.asks_creator:
            creator = provider.creator(used.app, used.token, platform_user_id)
            return _Asked((fresh, *_says(name, creator)), creator)
        provider.profile(used.app, used.token, platform_user_id)
    except PlatformError as error:
        if isinstance(error, NeedsReconnect):
            _look_soon(account_id)
        return _Asked((fresh, _refused(ANSWER, name, error)))
    return _Asked((fresh, Step(ANSWER, f"{name} answers", True, "It knows the profile and accepts the token.")))


def _token(account: Account, until: float) -> tuple[tokens.Access, Step]:
    """The token of an account, renewed if it is stale. Raises what `tokens.access` raises."""
    title, text = "The token is fresh", "It did not have to be renewed."
    while True:
        try:
            with writing() as session:
                session.refresh(account)
                used = tokens.access(account, present())
            return used, Step(TOKEN, title, True, text)
        except tokens.Renewed as stale:
            is_later = stale.until is not None and stale.until > present()
            if is_later or account.grant_id is None or time.monotonic() > until:
                raise
            text = "It was stale and has been renewed."
            tokens.refresh(account.grant_id)
            time.sleep(PAUSE)  # where another process is at it


def _says(name: str, creator: Creator) -> Found:
    if creator.problem:
        return (Step(ANSWER, f"{name} takes no post at the moment", False, creator.problem, EDIT),)
    return (Step(ANSWER, f"{name} answers", True, "It knows the profile and takes posts."),)


def _refused(step: str, name: str, error: PlatformError) -> Step:
    """A refusal as a step that blocks."""
    if isinstance(error, NeedsReconnect | PermissionMissing):
        return Step(step, f"{name} refuses the connection", False, error.message, RECONNECT)
    if isinstance(error, ConfigurationWrong):
        return Step(step, f"{name} refuses this console", False, error.message, ASK_ADMIN, diagnosis.admins())
    if isinstance(error, ContentRejected):
        return Step(step, f"{name} refuses it", False, error.message, EDIT)
    title = f"{name} asks us to wait" if isinstance(error, RateLimited) else f"{name} does not answer as it should"
    return Step(step, title, False, error.message, WAIT)


def _look_soon(account_id: str) -> None:
    """The daily reading decides what a refused token means: let it come now."""
    with writing() as session:
        account = session.get_one(Account, account_id, populate_existing=True)
        account.sync_due_at = min(account.sync_due_at or present(), present())


def _allowed(workspace: Workspace, content: Content, account: Account, choice: Choice, creator: Creator) -> Found:
    """Whether the post fits what the platform allows at this moment."""
    checked = checks.check(workspace, content, [account], {account.id: choice}, {account.id: creator})[0]
    if not checked.problems:
        return ()
    return (Step(CONTENT, "The post does not fit", False, checked.problem, EDIT),)


# ---------------------------------------------------------------- files and links


def _plan(content: Content, account: Account, choice: Choice, files: Mapping[str, File]) -> list[tuple[Any, ...]]:
    """What is tried beside asking the platform; the same work for several accounts is done once."""
    provider, mode = connectable(account.platform), drafts.mode_of(account)
    parts = [drafts.draft(content, account, number, format=choice.format, options=choice.options, files=files)
             for number in range(len(drafts.parts_of(content, account, choice.format)))]
    works: list[tuple[Any, ...]] = []
    for one in parts:
        shown = format_of(provider, mode, one.format, kind=account.kind)
        if shown is not None and (given := _given(one)):
            works.append((_converted, shown, given))
    works += [(_reached, link) for link in dict.fromkeys(one.link for one in parts if one.link)]
    return list(dict.fromkeys(works))


def _given(part: Draft) -> tuple[File, ...]:
    return (*part.files, *part.extra_files.values())


def _converted(shown: Format, files: Sequence[File]) -> Found:
    """Whether all files are there, and pictures can be brought into the form that the platform takes."""
    many = "file" if len(files) == 1 else "files"
    try:
        for one in files:
            media.adapted(one, shown)
    except media.Refused as refused:
        return (Step(FILES, "A file does not fit", False, str(refused), EDIT),)
    except Unavailable as away:
        return (Step(FILES, "The files cannot be read now", False, away.message, WAIT),)
    return (Step(FILES, f"The {many} can be sent", True, f"{len(files)} {many} for {shown.label}, ready to be sent."),)


def _reached(link: str) -> Found:
    """Whether something stands behind the link. A platform takes the post either way, so this is a remark."""
    config: Config = current_app.extensions["config"]
    title = "The link does not lead anywhere"
    try:
        found = guarded.get(link, most_bytes=MOST_OF_PAGE, seconds=LINK_SECONDS, cut=True,
                            networks=config.private_networks, bases=(config.sandbox_url,) if config.sandbox else ())
    except guarded.Refused as refused:
        return (Step(LINK, title, True, f"The link {link} could not be looked up: {refused}", is_remark=True),)
    if found.status >= 400:
        return (Step(LINK, title, True, f"The page behind {link} answers {found.status}. Open it to see whether it is "
                                        "meant.", is_remark=True),)
    return (Step(LINK, "The link leads to a page", True, f"{link} answers."),)
