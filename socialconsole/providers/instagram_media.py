"""Instagram's containers: made, filled, waited for and published, each step fit to be done again after a crash.

Vendor pages: developers.facebook.com/documentation/instagram-platform/content-publishing, …/reference/ig-user/media,
…/reference/ig-container. A container lives for 24 hours and can be published once, which its status tells.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import outside
from ..errors import (
    ConfigurationWrong,
    ContentRejected,
    PlatformError,
    RateLimited,
    TryLater,
)
from .base import App, Draft, Wait
from .call import Call, Reply
from .content import IMAGE, VIDEO, YES, File, Progress
from .instagram_refusals import (
    CANNOT_FETCH,
    CANNOT_OPEN,
    COULD_NOT_TAKE,
    GREW_OLD,
    NOT_FOUND,
    NOT_TAKEN,
    NOT_THERE_YET,
)
from .matching import happened_at
from .meta import heed_usage, rows
from .refusals import redact

PHOTO, REEL, CAROUSEL, STORY = "image", "reel", "carousel", "story"

KEPT_FOR = timedelta(hours=23)  # containers live 24 hours
MOST_WAITING = {IMAGE: timedelta(minutes=5), VIDEO: timedelta(minutes=15)}
MOST_TRIES = 3  # containers that broke without a reason of their own
MOST_MISSED = 2  # times that a container is "not found" while publishing
DAY, HOUR = timedelta(hours=24), timedelta(hours=1)
_GONE = ("100/33", f"24/{NOT_FOUND}", f"24/{NOT_THERE_YET}")
_NUMBER = re.compile(r"2207\d{3}")

Piece = dict[str, Any]  # one container: id, at (when it was made), uri and sent (bytes), ready


@dataclass(frozen=True)
class Workshop:
    """One part on its way to one account: calls for making and for reading, and what earlier steps left behind."""

    app: App
    making: Call
    reading: Call
    token: str
    draft: Draft
    progress: Progress
    by_bytes: bool  # videos as bytes, for apps that may
    # "Not found" can also mean that the token opens the account no more: raises NeedsReconnect then.
    look_at_account: Callable[[], None]

    @property
    def account(self) -> str:
        """The address of the account's edges."""
        return f"/{self.app.api_version}/{self.draft.platform_user_id}"

    @property
    def container(self) -> Piece | None:
        """What will be published, once it is made."""
        return self.progress.get("container")

    # ------------------------------------------------------------ make

    def prepare(self) -> None:
        """Make what is missing; what is there already costs nothing."""
        self._drop_old()
        files = self.draft.files
        if self.progress.get("live"):
            return
        if self.draft.format == CAROUSEL and self.container is None:
            for number, file in enumerate(files):
                self._item(number, file)
            if not all(one["ready"] for one in self.progress.get("items")):
                return
        if self.container is None:
            made = self._made(self._post())
            self.progress.keep(container=made)
        container = self.container
        if container is not None and not container["sent"]:
            self._fill(container, self.draft.file)
            self.progress.keep(container={**container, "sent": True})

    def _drop_old(self) -> None:
        """Throw containers away before they end; one that was published meanwhile stays, as proof that it was."""
        pieces = [one for one in (self.container, *(self.progress.get("items") or ())) if one]
        if not any(outside.now() - datetime.fromisoformat(one["at"]) > KEPT_FOR for one in pieces):
            return
        if self.container is not None and self._is_live(self.container):
            self.progress.keep(live=True)
            return
        self.drop()

    def _is_live(self, container: Piece) -> bool:
        try:
            return self.status(container)[0] == "PUBLISHED"
        except PlatformError as refused:
            if refused.code in _GONE:
                return False
            raise

    def drop(self) -> None:
        """Forget all containers; new ones are made at the next turn."""
        self.progress.keep(container=None, items=None, missed=None)

    def _item(self, number: int, file: File) -> None:
        """One part of a carousel."""
        items: list[Piece | None] = list(self.progress.get("items") or [None] * len(self.draft.files))
        item = items[number]
        if item is None:
            form = {**self._source(file, "VIDEO"), "is_carousel_item": "true",
                    **({"alt_text": file.alt_text} if file.kind == IMAGE and file.alt_text else {})}
            item = items[number] = self._made(form)
            self.progress.keep(items=items)
        if not item["sent"]:
            self._fill(item, file)
            items[number] = {**item, "sent": True}
            self.progress.keep(items=items)

    def _source(self, file: File, video_type: str) -> dict[str, str]:
        """Where the file comes from: pictures always from our address, videos as bytes where the app may."""
        if file.kind == VIDEO and self.by_bytes:
            return {"media_type": video_type, "upload_type": "resumable"}
        if not file.public_url or not file.public_url.isascii():
            raise ConfigurationWrong(CANNOT_OPEN, "no_public_address")
        if file.kind == VIDEO:
            return {"media_type": video_type, "video_url": file.public_url}
        return {"image_url": file.public_url}

    def _post(self) -> dict[str, str]:
        """The container that is published in the end."""
        draft = self.draft
        if draft.format == STORY:
            return {**self._source(draft.file, "STORIES"), "media_type": "STORIES"}
        if draft.format == CAROUSEL:
            form = {"media_type": "CAROUSEL", "children": ",".join(one["id"] for one in self.progress.get("items"))}
        else:
            form = self._source(draft.file, "REELS")
        if draft.text:
            form["caption"] = draft.text
        if draft.format == PHOTO and draft.file.alt_text:
            form["alt_text"] = draft.file.alt_text
        return {**form, **choices(draft)}

    def _made(self, form: dict[str, str]) -> Piece:
        """A new container."""
        try:
            made = self.making.post(f"{self.account}/media", form=form).json()
        except (TryLater, ContentRejected) as refused:
            raise self._meaning(refused) from None
        if not made.get("id"):
            raise self.making.unclear()
        by_bytes = "upload_type" in form
        if by_bytes and not isinstance(made.get("uri"), str):
            raise self.making.unclear()
        return {"id": str(made["id"]), "at": outside.now().isoformat(), "ready": False, "sent": not by_bytes,
                **({"uri": made["uri"]} if by_bytes else {})}

    def _fill(self, container: Piece, file: File) -> None:
        """Send the bytes. No page says how to ask how many arrived, so a broken upload begins again at 0."""
        headers = {"Authorization": f"OAuth {self.token}", "offset": "0", "file_size": str(file.size)}
        try:
            reply = self.making.upload("POST", container["uri"], file.slice(tick=self.progress.alive), headers=headers,
                                       signed=False)
            if reply.json().get("success") is not True:
                raise self.making.refused(reply)
        except ContentRejected as refused:
            self.drop()
            raise self._tried(refused.code) from None

    # ------------------------------------------------------------ wait

    def check(self) -> Wait | None:
        """None as soon as it can be published and the day's number is not used up."""
        if self.progress.get("live"):
            return None
        container = self.container
        if container is None:
            return self._items_ready()
        wait = self._wait_for(container)
        if wait is None and not self.progress.get("live"):
            self._ask_quota()
        return wait

    def _items_ready(self) -> Wait:
        """Ask after the parts of a carousel; the whole is made at the next turn."""
        items: list[Piece | None] = list(self.progress.get("items") or ())
        waits = [timedelta(seconds=1)]
        for number, item in enumerate(items):
            if item is not None and not item["ready"]:
                wait = self._wait_for(item, number)
                if wait is None:
                    items[number] = {**item, "ready": True}
                    self.progress.keep(items=items)
                else:
                    waits.append(wait.again_in)
        return Wait(max(waits))

    def _wait_for(self, piece: Piece, number: int | None = None) -> Wait | None:
        """None once a container is finished, or live."""
        try:
            word, told = self.status(piece)
        except PlatformError as refused:
            if refused.code not in _GONE:
                raise
            self.drop()
            self.look_at_account()
            raise TryLater("Instagram cannot find the prepared media.", refused.code) from None
        if word == "PUBLISHED" and number is None:
            self.progress.keep(live=True)
            return None
        if word == "FINISHED":
            return None
        if word == "EXPIRED":
            self.drop()
            raise TryLater(GREW_OLD, word)
        if word == "ERROR":
            self._forget(number)
            raise self._broken(told)
        age = outside.now() - datetime.fromisoformat(piece["at"])
        if age > self._patience(number):
            self._forget(number)
            raise self._tried("never_ready")
        seconds = 5 if age.total_seconds() < 5 else 10 if age.total_seconds() < 15 else 30
        return Wait(timedelta(seconds=seconds))

    def _patience(self, number: int | None) -> timedelta:
        files = self.draft.files if number is None else self.draft.files[number:number + 1]
        return max(MOST_WAITING[file.kind] for file in files)

    def _forget(self, number: int | None) -> None:
        """Forget one container: with a broken whole its parts go too."""
        if number is None:
            self.drop()
            return
        items = list(self.progress.get("items"))
        items[number] = None
        self.progress.keep(items=items)

    def status(self, piece: Piece) -> tuple[str, str]:
        """A container's status and what Instagram says about it."""
        body = self.reading.get(f"/{self.app.api_version}/{piece['id']}",
                                params={"fields": "status_code,status"}).json()
        word = body.get("status_code")
        if not isinstance(word, str):
            raise self.reading.unclear()
        return word, str(body.get("status") or "")

    def _ask_quota(self) -> None:
        """Ask how many posts are left; the pages name three different numbers, so only the answer counts."""
        reply = self.reading.get(f"{self.account}/content_publishing_limit", params={"fields": "quota_usage,config"})
        heed_usage("Instagram", reply)
        limit = next(rows(reply.json()), {})
        config = limit.get("config")
        total = config.get("quota_total") if isinstance(config, dict) else None
        used, most = _number(limit.get("quota_usage")), _number(total)
        if used is not None and most is not None and used >= most:
            raise self.used_up("quota")

    def used_up(self, code: str) -> RateLimited:
        """The pause after the day's last post: until the oldest one of the day no longer counts."""
        until = self._oldest_of_the_day() + DAY
        return RateLimited(f"The daily number of posts is used up. We continue at {until:%H:%M} UTC.", code,
                           until=until)

    def _oldest_of_the_day(self) -> datetime:
        """When the oldest post of the last 24 hours went out; so that an hour passes, where the list does not tell."""
        now = outside.now()
        unknown = now - DAY + HOUR
        try:
            body = self.reading.get(f"{self.account}/media", params={"fields": "timestamp", "limit": 100}).json()
        except PlatformError:
            return unknown
        times = [_instant(one.get("timestamp")) for one in rows(body)]
        return min((one for one in times if one is not None and now - DAY < one <= now), default=unknown)

    # ------------------------------------------------------------ what went wrong

    def _broken(self, told: str) -> PlatformError:
        """What a container's status text means: it names the numbers of the error table."""
        number = _NUMBER.search(told)
        if number is None:
            return self._tried(redact(told)[:60] or "ERROR")
        body = {"error": {"message": told, "code": "ERROR", "error_subcode": number.group()}}
        return self._meaning(self.making.refused(Reply(200, {}, body)))

    def _meaning(self, refused: PlatformError) -> PlatformError:
        """A refusal with what happened before taken into account."""
        subcode = refused.code.rpartition("/")[2]
        if subcode == CANNOT_FETCH or refused.code == "9004":
            if self.progress.get("unfetched"):
                return ConfigurationWrong(CANNOT_OPEN, refused.code)
            self.progress.keep(unfetched=True)
        elif subcode in NOT_TAKEN:
            return self._tried(refused.code)
        elif refused.code in _GONE:
            self.look_at_account()
            if subcode == NOT_FOUND:
                self.drop()
        return refused

    def _tried(self, code: str) -> PlatformError:
        """Trouble at Instagram's end: a new container, three times at most."""
        tries = int(self.progress.get("tries", 0)) + 1
        if tries >= MOST_TRIES:
            self.progress.keep(tries=None)
            return ContentRejected(f"Instagram could not take the media in {MOST_TRIES} tries. Try another file.", code,
                                   field="media")
        self.progress.keep(tries=tries)
        return TryLater(COULD_NOT_TAKE, code)

    def publish_refused(self, refused: PlatformError) -> PlatformError:
        """What a clear "no" to the publishing call asks for besides."""
        subcode = refused.code.rpartition("/")[2]
        if isinstance(refused, RateLimited) and refused.code.startswith("9/"):
            return self.used_up(refused.code)
        if subcode == NOT_THERE_YET:
            missed = int(self.progress.get("missed", 0)) + 1
            if missed > MOST_MISSED:
                self.drop()
            else:
                self.progress.keep(missed=missed)
        elif refused.code in _GONE:
            self.look_at_account()
            self.drop()
        return refused


def choices(draft: Draft) -> dict[str, str]:
    """The author's own choices as parameters."""
    options, found = draft.options, {}
    if names := collaborators(options.get("collaborators", "")):
        found["collaborators"] = json.dumps(names, separators=(",", ":"))
    if place := options.get("location_id", "").strip():
        found["location_id"] = place
    if shared := options.get("share_to_feed"):
        found["share_to_feed"] = "true" if shared == YES else "false"
    if cover := options.get("cover"):
        found["thumb_offset"] = str(round(float(cover.replace(",", ".")) * 1000))
    if options.get("is_ai_generated") == YES:
        found["is_ai_generated"] = "true"
    return found


def collaborators(typed: str) -> list[str]:
    """User names as people type them: with or without @, with commas or blanks between."""
    return [name.removeprefix("@") for name in re.split(r"[\s,;]+", typed) if name.removeprefix("@")]


def is_found(post: dict[str, Any], sent_at: datetime) -> bool:
    """Whether a listed post has an id and fits the time."""
    return bool(post.get("id")) and happened_at(post.get("timestamp"), sent_at)


def _number(stated: object) -> int | None:
    """A number, whether it came as one or as text."""
    return int(str(stated)) if re.fullmatch(r"[0-9]{1,9}", str(stated)) else None


def _instant(stated: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(stated).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
