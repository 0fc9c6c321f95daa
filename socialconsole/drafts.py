"""From what an author wrote to what a provider gets: the parts of a post, and one part as a Draft.

A post is one part, the further parts of a reply chain, and a first comment where one was written. What an account's
platform does not offer is left out here, and said beside the form (`posts.check`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from . import media
from .accounts import missing_of
from .models import Account, Grant, Media, Workspace
from .providers.base import Provider
from .providers.content import COMMENT, VIDEO, Draft, File, Format, Poll, Preview
from .providers.oauth2 import CONNECTABLE, connectable
from .providers.rules import fitting, format_of
from .text_links import first_link

Files = Callable[[Sequence[str]], list[Media]]


@dataclass(frozen=True)
class PartText:
    """A further part of a reply chain."""

    text: str
    media: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnText:
    """What one account publishes instead of the common text. `first_comment`: None for the common one."""

    text: str
    first_comment: str | None = None
    chain: bool = True  # the further parts follow here too


@dataclass(frozen=True)
class Content:
    """What the author wrote, for all platforms: the text and all that goes with it. Files by id.

    What an account has of its own stands in `own`; all that asks for one account goes by `for_account`.
    """

    text: str
    media: tuple[str, ...] = ()
    alts: Mapping[str, str] = field(default_factory=dict)  # file id -> what the picture shows
    poll: Poll | None = None
    parts: tuple[PartText, ...] = ()
    first_comment: str = ""
    own: Mapping[str, OwnText] = field(default_factory=dict)  # account id -> its own version

    @property
    def link(self) -> str:
        """The first link in the text."""
        return first_link(self.text)

    @property
    def all_media(self) -> tuple[str, ...]:
        """Every file of every part, each once."""
        return tuple(dict.fromkeys((*self.media, *(one for part in self.parts for one in part.media))))

    def for_account(self, account_id: str) -> "Content":
        """What this account publishes: the common content with its own version put in."""
        if not self.own:
            return self
        mine = self.own.get(account_id)
        if mine is None:
            return replace(self, own={})
        comment = self.first_comment if mine.first_comment is None else mine.first_comment
        return replace(self, text=mine.text, first_comment=comment, parts=self.parts if mine.chain else (), own={})

    def dump(self) -> dict[str, Any]:
        """Plain values for the post's row; the text has a column of its own."""
        plain = asdict(self)
        del plain["text"]
        return {name: value for name, value in plain.items() if value}


def load(text: str, plain: Mapping[str, Any]) -> Content:
    """The content of a post's row."""
    poll = plain.get("poll")
    return Content(
        text, tuple(plain.get("media") or ()), dict(plain.get("alts") or {}),
        Poll(poll["question"], tuple(poll["options"]), int(poll["minutes"])) if poll else None,
        tuple(PartText(one["text"], tuple(one.get("media") or ())) for one in plain.get("parts") or ()),
        str(plain.get("first_comment") or ""),
        {account_id: OwnText(one["text"], one.get("first_comment"), bool(one.get("chain", True)))
         for account_id, one in (plain.get("own") or {}).items()})


def tidied(content: Content) -> Content:
    """A content without the blanks around texts and without empty parts."""
    parts = tuple(PartText(_clean(one.text), one.media) for one in content.parts if one.text.strip() or one.media)
    own = {account_id: replace(one, text=_clean(one.text), first_comment=_clean(one.first_comment)
                               if one.first_comment is not None else None) for account_id, one in content.own.items()}
    return replace(content, text=_clean(content.text), parts=parts, first_comment=_clean(content.first_comment),
                   own=own)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


# ---------------------------------------------------------------- what an account's platform makes of it


def mode_of(account: Account) -> str:
    """The mode of the app that an account hangs on."""
    return account.grant.app.mode if account.grant is not None else ""


def granted(grant: Grant | None) -> Sequence[str] | None:
    """The scopes an account has; None where the platform did not tell."""
    return grant.scopes_granted if grant is not None else None


def choices(account: Account, files: Sequence[File], poll: Poll | None, link: str) -> tuple[Format, ...]:
    """The formats in which an account could publish these files, those it has the permission for first."""
    provider = connectable(account.platform)
    found = fitting(provider, mode_of(account), files, poll, link, kind=account.kind)
    return tuple(sorted(found, key=lambda one: bool(missing_of(one.needs, granted(account.grant)))))


def own_files(account: Account, files: Sequence[File], options: Mapping[str, str], poll: Poll | None,
              link: str) -> tuple[File, ...]:
    """The files that go out as the post of one account: without those that serve as one of its choices.

    Where all of them fit no format, but those of the main kind do (a video beside the picture meant as its thumbnail),
    the others stay behind.
    """
    provider = connectable(account.platform)
    fields = [one for one in provider.fields if one.kind == "file"]
    picked = {options.get(one.name) for one in fields}
    mine = tuple(one for one in files if one.id not in picked)
    if fields and not choices(account, mine, poll, link):
        beside = {kind for one in fields for kind in one.takes}
        rest = tuple(one for one in mine if one.kind not in beside)
        if rest and choices(account, rest, poll, link):
            return rest
    return mine


def offers_chain(account: Account) -> bool:
    """Whether an account can publish a reply chain."""
    provider = connectable(account.platform)
    return provider.most_parts > 1 and not missing_of(provider.chain_needs, granted(account.grant))


def offers_comment(account: Account) -> bool:
    """Whether an account can put a first comment under its own post."""
    needs = connectable(account.platform).comment_needs.get(mode_of(account))
    return needs is not None and not missing_of(needs, granted(account.grant))


def parts_of(content: Content, account: Account, format: str = "") -> list[tuple[str, PartText]]:
    """The parts that go to one account in a format: (format or "", text and files). "" means by its files."""
    provider, content = connectable(account.platform), content.for_account(account.id)
    parts = [("", PartText(content.text, content.media))]
    if offers_chain(account):
        parts += [("", one) for one in content.parts[: provider.most_parts - 1]]
    shown = format_of(provider, mode_of(account), format, kind=account.kind)
    if content.first_comment.strip() and offers_comment(account) and (shown is None or shown.comment):
        parts.append((COMMENT, PartText(content.first_comment)))
    return parts


# ---------------------------------------------------------------- one part


def draft(content: Content, account: Account, number: int, *, format: str, options: Mapping[str, str],
          files: Mapping[str, File], done: Sequence[Mapping[str, str]] = ()) -> Draft:
    """One part for one account, without conversions and addresses. `files`: all that the content names, by id."""
    provider, mode = connectable(account.platform), mode_of(account)
    kind, part = parts_of(content, account, format)[number]
    mine = tuple(replace(files[one], alt_text=content.alts.get(one, files[one].alt_text)) for one in part.media
                 if one in files)
    poll = content.poll if number == 0 else None
    link = first_link(part.text)
    if number == 0:
        mine = own_files(account, mine, options, poll, link)
    if not kind:
        kind = format if number == 0 and format else proposed(account, mine, poll, link)
    shown = format_of(provider, mode, kind, kind=account.kind)
    text = part.text if shown is None or shown.has_text else ""
    return Draft(
        text, account.platform_user_id, account.username, account.meta, link, kind, mine, poll,
        options={name: value for name, value in options.items() if value and _fits(provider, mode, kind, name, number)},
        part=number, root_id=done[0]["id"] if done else "", reply_to=_before(kind, done),
        person_id=account.grant.person_id if account.grant is not None else "",
        extra_files={name: files[options[name]] for name in _file_fields(provider, mode, kind)
                     if options.get(name) in files and number == 0})


def proposed(account: Account, files: Sequence[File], poll: Poll | None, link: str) -> str:
    """The format a platform would usually give these files; empty where none fits."""
    found = choices(account, files, poll, link)
    return found[0].slug if found else ""


def _before(kind: str, done: Sequence[Mapping[str, str]]) -> str:
    """What a part answers to: a comment to the post, a part of a chain to the part before."""
    if not done:
        return ""
    return done[0]["id"] if kind == COMMENT else done[-1]["id"]


def _fits(provider: Provider, mode: str, kind: str, name: str, number: int) -> bool:
    return any(one.name == name and (one.part is None or one.part == number)
               for one in provider.fields_of(mode, kind))


def _file_fields(provider: Provider, mode: str, kind: str) -> list[str]:
    return [one.name for one in provider.fields_of(mode, kind) if one.kind == "file"]


def files_of(workspace: Workspace, content: Content, *options: Mapping[str, str]) -> dict[str, File]:
    """Every file that a content or a choice of the platform names, by id. 404 for a file of another workspace."""
    fields = {one.name for provider in CONNECTABLE.values() for one in provider.fields if one.kind == "file"}
    named = [value for chosen in options for name, value in chosen.items()
             if name in fields and value.startswith("med_")]
    return {one.id: media.file_of(one)
            for one in media.some(workspace, list(dict.fromkeys((*content.all_media, *named))))}


def ready(delivery_id: str, shown: Format, plain: Draft, preview: Preview | None = None,
          tick: Callable[[], None] = lambda: None) -> Draft:
    """A draft whose pictures are converted to what its format takes, with addresses where the platform fetches them.

    `tick` runs now and then while large files are fetched to this machine. Raises media.Refused, and TryLater while
    the storage for files is away. Converts files: never inside a transaction.
    """
    files = tuple(media.adapted(one, shown, tick) for one in plain.files)
    if shown.by_url:
        files = tuple(media.linked(delivery_id, one) for one in files)
    if preview is not None and preview.image is not None and shown.image is not None:
        preview = replace(preview, image=media.adapted(preview.image, shown))
    extra = {name: media.here(one, tick) for name, one in plain.extra_files.items()}
    return replace(plain, files=files, preview=preview, extra_files=extra)


def is_heavy(files: Mapping[str, File]) -> bool:
    """Whether sending takes long: such deliveries have a queue of their own."""
    return any(one.kind == VIDEO or one.size > 50 * 1024 * 1024 for one in files.values())
