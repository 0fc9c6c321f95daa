"""Threads' containers: made, waited for and published, each step fit to be done again after a crash.

Vendor pages: developers.facebook.com/documentation/threads/posts, …/documentation/threads/reference/publishing,
…/documentation/threads/troubleshooting. A container lives for 24 hours and is published once, which its status tells.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import outside
from ..errors import (
    ConfigurationWrong,
    ContentRejected,
    NeedsReconnect,
    PermissionMissing,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import Draft, Located, Published, Wait
from .call import Call, Reply
from .content import IMAGE, VIDEO, File, Progress
from .matching import happened_at, is_same
from .meta import after, rows
from .refusals import redact
from .threads_portal import PUBLISH_POSTS, REPLIES
from .threads_refusals import CANNOT_FETCH, CANNOT_OPEN, FAULTS, GONE, GREW_OLD, NO_SENSE, PREPARING
from .threads_text import choices

CAROUSEL, LINK, POLL = "carousel", "link", "poll"

KEPT_FOR = timedelta(hours=23)  # containers live 24 hours
PATIENCE = timedelta(minutes=10)
FEWEST_ASKS = 3  # before that is over: a pause of the console, or one that Threads asked for, is no patience
SURE_AFTER = timedelta(minutes=5)  # so long a new post may be missing in the profile's own list
MOST_MISSED = 3  # times that a container is "not found" while publishing, before a new one is made
# Seconds before the first question and between the next ones; the last number stays.
ASK_TEXT, ASK_MEDIA = (1, 2), (5, 10, 15)
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)
MOST_LISTS = 3  # of 100 posts each, to find the oldest of the day
LIVE_SOMEWHERE = "The post is live. Threads did not tell its address."

Piece = dict[str, Any]  # one container: id, at (when it was made), asked (how often), ready


@dataclass(frozen=True)
class Workshop:
    """One part on its way to one profile: calls for making and for reading, and what earlier steps left behind."""

    making: Call
    reading: Call
    version: str
    draft: Draft
    progress: Progress
    on_web: Callable[[Any], str]  # a link of the platform's own, else nothing
    look_at_profile: Callable[[], object]  # raises NeedsReconnect if the token opens nothing any more

    @property
    def profile(self) -> str:
        """The address of the profile's edges."""
        return f"{self.version}/{self.draft.platform_user_id}"

    @property
    def container(self) -> Piece | None:
        """What will be published, once it is made."""
        return self.progress.get("container")

    @property
    def items(self) -> list[Piece]:
        """The parts of a carousel that are made so far, in their order."""
        return list(self.progress.get("items") or ())

    def drop(self) -> None:
        """Forget all containers; new ones are made at the next turn."""
        self.progress.keep(container=None, items=None, missed=None)

    # ------------------------------------------------------------ make

    def prepare(self) -> None:
        """Make what is missing; what is there already costs nothing."""
        self._drop_old()
        if self.progress.get("live") or self.container is not None:
            return
        if self.draft.format == CAROUSEL:
            for file in self.draft.files[len(self.items):]:
                self.progress.keep(items=[*self.items, self._made(_item(file))])
            if not all(one["ready"] for one in self.items):
                return  # the whole may only be made of finished parts
        self.progress.keep(container=self._made(self._post()))

    def _drop_old(self) -> None:
        """Throw containers away before they end; one that was published meanwhile stays, as proof that it was."""
        pieces = [one for one in (self.container, *self.items) if one]
        if not any(outside.now() - datetime.fromisoformat(one["at"]) > KEPT_FOR for one in pieces):
            return
        if self.container is not None and self._word_of(self.container) == "PUBLISHED":
            self.progress.keep(live=True)
            return
        self.drop()

    def _word_of(self, piece: Piece) -> str:
        """A container's status; empty where Threads does not know it any more."""
        try:
            return self.status(piece)[0]
        except PlatformError as refused:
            if refused.code in GONE:
                return ""
            raise

    def _post(self) -> dict[str, str]:
        """The container that is published in the end."""
        draft = self.draft
        if draft.format == CAROUSEL:
            form = {"media_type": "CAROUSEL", "children": ",".join(one["id"] for one in self.items)}
        else:
            form = _described(draft.file) if draft.files else {"media_type": "TEXT"}
        if draft.text:
            form["text"] = draft.text
        if draft.format == LINK:
            form["link_attachment"] = draft.link
        if draft.format == POLL and draft.poll is not None:
            options = [one for one in draft.poll.options if one.strip()]
            answers = {f"option_{letter}": option for letter, option in zip("abcd", options, strict=False)}
            form["poll_attachment"] = json.dumps(answers, ensure_ascii=False, separators=(",", ":"))
        if draft.part > 0 and not draft.reply_to:
            raise ContentRejected("Threads did not tell the number of the post before, so nothing can be written under "
                                  "it.", "no_post")
        if draft.reply_to:
            form["reply_to_id"] = draft.reply_to
        return {**form, **choices(draft)}

    def _made(self, form: dict[str, str]) -> Piece:
        """A new container."""
        try:
            reply = self.making.post(f"{self.profile}/threads", form=form)
            return {"id": made_id(self.making, reply), "at": outside.now().isoformat(), "asked": 0, "ready": False}
        except PlatformError as refused:
            raise self._meaning(refused) from None

    # ------------------------------------------------------------ wait

    def check(self) -> Wait | None:
        """None as soon as it can be published and the day's number is not used up."""
        if self.progress.get("live"):
            return None
        wait = self._items_ready() if self.container is None else self._wait_for(self.container)
        if wait is None and not self.progress.get("live"):
            self._ask_quota()
        return wait

    def _items_ready(self) -> Wait:
        """Ask after the parts of a carousel; the whole is made at the next turn."""
        waits = [self._wait_for(one, number) for number, one in enumerate(self.items) if not one["ready"]]
        return max((one for one in waits if one is not None), key=lambda one: one.again_in,
                   default=Wait(timedelta(seconds=1)))

    def _wait_for(self, piece: Piece, number: int | None = None) -> Wait | None:
        """None once a container is finished, or live. A fresh one is left in peace for a moment."""
        asked = piece["asked"]
        if asked == 0:
            self._note(number, {**piece, "asked": 1})
            return self._pause(0)
        word, told = self._status_or_anew(piece)
        if word == "PUBLISHED" and number is None:
            self.progress.keep(live=True)
            return None
        if word == "FINISHED":
            self._note(number, {**piece, "ready": True})
            return None
        if word == "EXPIRED":
            self.drop()
            raise TryLater(GREW_OLD, word)
        if word == "ERROR":
            self.drop()
            raise self._broken(told)
        if asked >= FEWEST_ASKS and outside.now() - datetime.fromisoformat(piece["at"]) > PATIENCE:
            self.drop()
            raise ContentRejected(NO_SENSE, "never_ready", field="media")
        # After the answer: a question that a stop of the console cut off says nothing about the media.
        self._note(number, {**piece, "asked": asked + 1})
        return self._pause(asked)

    def _note(self, number: int | None, piece: Piece) -> None:
        if number is None:
            self.progress.keep(container=piece)
        else:
            self.progress.keep(items=[piece if place == number else one for place, one in enumerate(self.items)])

    def _pause(self, asked: int) -> Wait:
        seconds = ASK_MEDIA if self.draft.files else ASK_TEXT
        return Wait(timedelta(seconds=seconds[min(asked, len(seconds) - 1)]))

    def _status_or_anew(self, piece: Piece) -> tuple[str, str]:
        """The status; containers that Threads does not know any more are made anew."""
        try:
            return self.status(piece)
        except PlatformError as refused:
            if refused.code not in GONE:
                raise
            self.drop()
            self._look(refused)
            raise TryLater("Threads cannot find the prepared post. We prepare it again.", refused.code) from None

    def status(self, piece: Piece) -> tuple[str, str]:
        """A container's status and the name of what went wrong. The field is not called as at Instagram."""
        body = self.reading.get(f"{self.version}/{piece['id']}", params={"fields": "id,status,error_message"}).json()
        word = body.get("status")
        if not isinstance(word, str):
            raise self.reading.unclear()
        return word, str(body.get("error_message") or "")

    # ------------------------------------------------------------ the day's number

    def _ask_quota(self) -> None:
        """Ask how many posts or replies are left; Threads enforces it at the call that publishes."""
        if total := self._reached():
            raise self._used_up(total, "quota")

    def _reached(self) -> int:
        """The day's number if it is used up, else 0."""
        kind = "reply_" if self.draft.reply_to else ""
        fields = f"{kind}quota_usage,{kind}config"
        try:
            body = self.reading.get(f"{self.profile}/threads_publishing_limit", params={"fields": fields}).json()
        except PermissionMissing:
            if not self.draft.reply_to:
                raise
            return 0  # the replies' part asks for a permission that writing them may not need
        limit = next(rows(body), {})
        config = limit.get(f"{kind}config")
        total = config.get("quota_total") if isinstance(config, dict) else None
        used = limit.get(f"{kind}quota_usage")
        return total if isinstance(used, int) and isinstance(total, int) and used >= total else 0

    def _used_up(self, total: int, code: str) -> RateLimited:
        """The pause after the day's last post: until the oldest one of the day no longer counts."""
        until = self._oldest_of_the_day() + DAY
        what = "replies" if self.draft.reply_to else "posts"
        return RateLimited(f"{total:,} {what} in 24 hours are used up. We continue at {until:%H:%M} UTC.", code,
                           until=until)

    def _oldest_of_the_day(self) -> datetime:
        """When the oldest post of the last 24 hours went out; so that an hour passes, where the list does not tell."""
        now = outside.now()
        try:
            times = [one for one in self._times() if now - DAY < one <= now]
        except PlatformError:
            times = []
        return min(times, default=now - DAY + HOUR)

    def _times(self) -> Iterator[datetime]:
        cursor = ""
        for _ in range(MOST_LISTS):
            body = self.reading.get(f"{self.profile}/{self._edge}", params={
                "fields": "id,timestamp", "limit": 100, **({"after": cursor} if cursor else {})}).json()
            times = [one for one in (_instant(post.get("timestamp")) for post in rows(body)) if one is not None]
            yield from times
            cursor = after(body)
            if not cursor or (times and min(times) < outside.now() - DAY):
                return

    @property
    def _edge(self) -> str:
        """The list where a part stands once it is out."""
        return "replies" if self.draft.reply_to else "threads"

    # ------------------------------------------------------------ what went wrong

    def _broken(self, told: str) -> PlatformError:
        """What a failed container says."""
        if told.startswith(CANNOT_FETCH) or "could not be fetched" in told.lower():
            return self._meaning(TryLater(CANNOT_OPEN, redact(told)[:60]))
        if fault := FAULTS.get(told.strip()):
            return ContentRejected(f"Threads cannot use this video: {fault}.", told.strip(), field="video")
        return ContentRejected(NO_SENSE, redact(told)[:60] or "ERROR", field="media")

    def _meaning(self, refused: PlatformError) -> PlatformError:
        """A refusal with what happened before taken into account."""
        if refused.message == CANNOT_OPEN:
            if self.progress.get("unfetched"):
                self.progress.keep(unfetched=None)
                return ConfigurationWrong(CANNOT_OPEN, refused.code)
            self.progress.keep(unfetched=True)
        elif refused.code == "100/33":
            self._look(refused)
        elif isinstance(refused, PermissionMissing):
            return self._for_reply(refused)
        return refused

    def _for_reply(self, refused: PermissionMissing) -> PlatformError:
        """What a reply lacks. The overview wants this permission for replies, their own page names none."""
        if not self.draft.reply_to or refused.scopes not in ((), (PUBLISH_POSTS,)):
            return refused
        return PermissionMissing(f"This needs {REPLIES}, which was not granted. Reconnect grants it.", refused.code,
                                 scopes=(REPLIES,))

    def _look(self, refused: PlatformError) -> None:
        """"Does not exist" can also mean that the token no longer opens the profile: then only its person helps."""
        try:
            self.look_at_profile()
        except NeedsReconnect:
            raise
        except PlatformError as trouble:
            if trouble.code == "100/33":
                raise NeedsReconnect("Threads no longer shows us this profile. Connect it again.",
                                     refused.code) from None

    # ------------------------------------------------------------ publish, look

    def publish(self) -> str:
        """The call that cannot be taken back; the new post's id."""
        container = self.container
        if container is None:
            raise TryLater("The post is not prepared yet. We prepare it.", "no_container")
        try:
            return made_id(self.making, self.making.post(f"{self.profile}/threads_publish",
                                                         form={"creation_id": container["id"]}))
        except PlatformError as refused:
            raise self._publish_refused(refused) from None

    def _publish_refused(self, refused: PlatformError) -> PlatformError:
        """What a clear "no" to the publishing call asks for besides."""
        if refused.message == PREPARING:
            missed = int(self.progress.get("missed", 0)) + 1
            if missed > MOST_MISSED:
                self.drop()
            else:
                self.progress.keep(missed=missed)
            return refused
        if isinstance(refused, RateLimited):
            return self._day_or_rate(refused)
        return self._meaning(refused)

    def _day_or_rate(self, refused: RateLimited) -> PlatformError:
        """Threads has one code for many limits, so the day's number is asked for."""
        try:
            total = self._reached()
            return self._used_up(total, refused.code) if total else refused
        except PlatformError:
            return refused

    def locate(self, sent_at: datetime) -> Published | Located:
        """Ask the container: only it knows for sure. Then look among the profile's newest posts."""
        word = self._word_of(self.container) if self.container is not None else ""
        if word in ("FINISHED", "IN_PROGRESS", "ERROR", "EXPIRED"):
            return Located.NOT_PUBLISHED  # the same container goes out again, and it goes out once
        is_live = word == "PUBLISHED"
        try:
            found = self.listed(sent_at, sure=is_live)
        except PermissionMissing:
            return Published("", "", LIVE_SOMEWHERE) if is_live else Located.CANNOT_LOOK
        if found is None and is_live and outside.now() - sent_at > SURE_AFTER:
            return Published("", "", LIVE_SOMEWHERE)
        return found or Located.NOT_FOUND

    def listed(self, sent_at: datetime, *, sure: bool) -> Published | None:
        """The post in the profile's own list. One without text is only known if it is `sure` to stand there."""
        body = self.reading.get(f"{self.profile}/{self._edge}",
                                params={"fields": "id,text,permalink,timestamp", "limit": 5}).json()
        for post in rows(body):
            text = str(post.get("text") or "")
            same = is_same(text, self.draft.text) or text.strip() == self.draft.text.strip() != ""
            if not self.draft.text.strip():
                same = sure and not text.strip()
            if same and post.get("id") and happened_at(post.get("timestamp"), sent_at):
                return Published(str(post["id"]), self.on_web(post.get("permalink")))
        return None


def made_id(call: Call, reply: Reply) -> str:
    """The id in an answer. Some refusals come with the status of a success."""
    if not reply.json().get("id"):
        raise call.refused(reply) if "error" in reply.json() else call.unclear()
    return str(reply.json()["id"])


def _item(file: File) -> dict[str, str]:
    """One part of a carousel."""
    return {**_described(file), "is_carousel_item": "true"}


def _described(file: File) -> dict[str, str]:
    """Where Threads may fetch a file, and what it shows. No file can be sent as bytes."""
    if not file.public_url or not file.public_url.isascii():
        raise ConfigurationWrong(CANNOT_OPEN, "no_public_address")
    form = {IMAGE: {"media_type": "IMAGE", "image_url": file.public_url},
            VIDEO: {"media_type": "VIDEO", "video_url": file.public_url}}[file.kind]
    return {**form, **({"alt_text": file.alt_text} if file.alt_text else {})}


def _instant(stated: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(stated).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
