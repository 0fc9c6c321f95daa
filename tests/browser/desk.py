"""What a team leaves on its desk, laid into the furnished console: drafts, files, a queue, people, many posts."""

import io
import random
from datetime import timedelta
from typing import Any

from PIL import Image, ImageDraw

from socialconsole import draft_posts, drafts, media, members, outside, passwords, series, slots, uploads
from socialconsole.database import writing
from socialconsole.draft_posts import Typed
from socialconsole.models import (
    DRAFT,
    EDITOR,
    FAILED,
    HELD,
    PUBLISHED,
    SCHEDULED,
    SUBMITTED,
    VIEWER,
    Account,
    Delivery,
    DeliveryEvent,
    Invitation,
    Login,
    Media,
    Post,
    User,
    Workspace,
    new_id,
)
from tests import made_files, story
from tests.browser.stage import Stage

COLOURS = ((203, 124, 52), (38, 92, 104), (172, 60, 70), (96, 120, 60))
LONG_NAME = "a-picture-with-a-name-that-somebody-forgot-to-shorten-before-uploading-it-again-final-2.jpg"
MONTH_OF_POSTS = 12


def lay_out(stage: Stage) -> Stage:
    """Lay everything on the desk; adds the names that its pages are called by."""
    with stage.inside.app_context():
        _people(stage)
        _files(stage)
        _unsent(stage)
        _planned(stage)
        _repeating(stage)
        _invited(stage)
    return stage


def _here(stage: Stage) -> tuple[Workspace, User]:
    with writing() as session:
        return session.get_one(Workspace, stage.names["ws"]), session.get_one(User, stage.names["owner"])


def _people(stage: Stage) -> None:
    workspace, owner = _here(stage)
    now = outside.now()
    with writing() as session:
        for name, role in (("Nora Editor", EDITOR), ("Vera Viewer", VIEWER)):
            user = User(id=new_id("usr"), email=f"{name.split()[0].lower()}@example.com", name=name,
                        password_hash=passwords.hashed(story.PASSWORD), created_at=now)
            session.add(user)
            session.flush()
            members.add(workspace.id, user, role, now)
            stage.names[name.split()[0].lower()] = user.id
        session.add(Login(user_id=owner.id, token_hash=new_id("t"), created_at=now, seen_at=now - timedelta(days=2),
                          expires_at=now + timedelta(days=20), browser="Firefox on Android", address="203.0.113.7"))


def _files(stage: Stage) -> None:
    workspace, owner = _here(stage)
    names = ("bun.jpg", "window.jpg", LONG_NAME, "harbour.jpg")
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=True)):
        size = (500, 1500) if number == 1 else (1200, 900)
        stored = media.store(workspace, owner, io.BytesIO(_picture(colour, size)), name, kept=number != 3)
        stage.names[f"med_{number}"] = stored.id
    media.store(workspace, owner, io.BytesIO(made_files.pdf(pages=3)), "menu.pdf", kept=True)
    with writing() as session:
        session.get_one(Media, stage.names["med_0"]).alt_text = "A cardamom bun on a blue plate."
    uploads.begin(workspace, owner, "a-long-film-of-the-harbour.mp4", 300_000_000)


def _picture(colour: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    image, dice, out = Image.new("RGB", size, colour), random.Random(sum(colour)), io.BytesIO()
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = dice.randrange(size[0]), dice.randrange(size[1]), dice.randrange(80, 300)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(min(255, part + dice.randrange(60)) for part in colour))
    image.save(out, "JPEG")
    return out.getvalue()


def _unsent(stage: Stage) -> None:
    workspace, owner = _here(stage)
    active, expiring = stage.names["acc_active"], stage.names["acc_expiring"]
    content = drafts.Content("The harbour market opens on Saturday.", (stage.names["med_0"], stage.names["med_1"]),
                             own={expiring: drafts.OwnText("We are glad to open the harbour market on Saturday.")})
    kept = draft_posts.save(workspace, owner, Typed(content, [active, expiring], when="later"), nonce=new_id("n"))
    stage.names["draft"] = kept.id
    empty = draft_posts.save(workspace, owner, Typed(drafts.Content("An idea, no profile yet")), nonce=new_id("n"))
    stage.names["idea"] = empty.id
    wanted = Typed(drafts.Content("A submitted post about rye bread"), [active], when="later",
                   wall_time=f"{outside.now() + timedelta(days=4):%Y-%m-%d}T09:30")
    sent = draft_posts.submit(workspace, owner, wanted, nonce=new_id("n"))
    stage.names["waiting"] = sent.id
    with writing() as session:
        session.get_one(Post, kept.id).review_note = "Which Saturday? Say the date."
        session.get_one(Post, kept.id).reviewed_by = story.EMAIL
        session.get_one(Post, sent.id).submitted_by = "nora@example.com"
    assert (kept.state, sent.state) == (DRAFT, SUBMITTED)


def _planned(stage: Stage) -> None:
    workspace, owner = _here(stage)
    now = outside.now()
    slots.add(workspace, owner, ["0", "2", "4"], "09:00")
    slots.add(workspace, owner, ["1", "3"], "16:30")
    for number in range(MONTH_OF_POSTS):
        due = (now + timedelta(days=1 + number // 2)).replace(hour=8 + number % 9, minute=15)
        _post(stage, f"Number {number} of what is planned for these weeks", due, ("acc_active", "acc_expiring"))
    for number in range(6):  # one day has more than a cell shows
        _post(stage, f"A full day, {number}", (now + timedelta(days=3)).replace(hour=6 + number, minute=5),
              ("acc_active",))
    taken = slots.next_free(workspace, now + timedelta(days=1))
    assert taken is not None
    _post(stage, "From the queue: saffron", taken.instant, ("acc_active",), is_queued=True)
    mixed = _post(stage, "A post that went well here and badly there.", now + timedelta(days=2),
                  ("acc_active", "acc_expiring", "acc_paused", "acc_token_expired"))
    with writing() as session:
        found = session.query(Delivery).filter_by(post_id=mixed).order_by(Delivery.id).all()
        for one, state in zip(found, (PUBLISHED, FAILED, HELD, SCHEDULED), strict=True):
            one.state = state
            if state == FAILED:
                one.note, one.error_code = "LinkedIn refused it: the text is too long. Shorten it.", "too_long"
                stage.names["dlv_mixed"] = one.id
            if state == PUBLISHED:
                one.published_at, one.permalink = now, stage.console.sandbox + stage.names["permalink"]
    stage.names["mixed"] = mixed


def _post(stage: Stage, text: str, due: Any, accounts: tuple[str, ...], **more: Any) -> str:
    now, workspace_id = outside.now(), stage.names["ws"]
    with writing() as session:
        post = Post(workspace_id=workspace_id, author_id=stage.names["owner"], author_name=story.EMAIL, text=text,
                    due_at=due, form_nonce=new_id("n"), created_at=now, **more)
        session.add(post)
        session.flush()
        for name in accounts:
            delivery = Delivery(workspace_id=workspace_id, post_id=post.id, account_id=stage.names[name],
                                scheduled_for=due, due_at=due)
            session.add(delivery)
            session.flush()
            session.add(DeliveryEvent(workspace_id=workspace_id, delivery_id=delivery.id, at=now, state=SCHEDULED,
                                      text="", by=story.EMAIL))
        stage.names.setdefault("planned", post.id)
        return post.id


def _repeating(stage: Stage) -> None:
    workspace, owner = _here(stage)
    with writing() as session:
        active = session.get_one(Account, stage.names["acc_active"])
    begun = series.begin(workspace, owner, drafts.Content("Every week: the bread of the week"), [active.id],
                         every="week", wall_time=f"{outside.now() + timedelta(days=5):%Y-%m-%d}T07:00",
                         nonce=new_id("n"))
    stage.names["series"] = begun.id


def _invited(stage: Stage) -> None:
    workspace, owner = _here(stage)
    now = outside.now()
    with writing():
        link = members.new_invitation(workspace, EDITOR, "", owner, now)
        members.new_invitation(workspace, VIEWER, "somebody.with.a.long.address@a-long-domain.example.com", owner, now)
        late = members.new_invitation(workspace, EDITOR, "late@example.com", owner, now)
    with writing() as session:
        session.get_one(Invitation, late.invitation.id).expires_at = now - timedelta(days=1)
    stage.names["join"] = link.token
