"""The media library of a workspace: what lies in it, what uses it. Lists are read in stable pages, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import selectinload

from .extensions import db
from .models import Media, MediaUse, Post, Workspace
from .providers.content import DOCUMENT, GIF, IMAGE, VIDEO

PAGE = 50
MOST_POSTS = 20  # of those that use one file
KINDS = ((IMAGE, "Pictures"), (GIF, "GIFs"), (VIDEO, "Videos"), (DOCUMENT, "Documents"))


@dataclass(frozen=True)
class Shelf:
    """One page of the library: the files, how many posts use each, and after which file the next page begins."""

    files: list[Media]
    uses: dict[str, int]
    next: str | None


def shelf(workspace: Workspace, *, words: str = "", kind: str = "", unused: bool = False, before: str = "",
          limit: int = PAGE) -> Shelf:
    """The files of a workspace whose name or description holds `words`, newest first; `before` is a file's id."""
    query = select(Media).where(Media.workspace_id == workspace.id)
    if words:
        query = query.where(or_(Media.name.icontains(words, autoescape=True),
                                Media.alt_text.icontains(words, autoescape=True)))
    if kind:
        query = query.where(Media.kind == kind)
    if unused:
        query = query.where(~exists().where(MediaUse.media_id == Media.id))
    if before:
        query = query.where(Media.id < before)
    found = list(db.session.scalars(query.order_by(Media.id.desc()).limit(limit + 1)))
    files = found[:limit]
    return Shelf(files, uses([one.id for one in files]), files[-1].id if len(found) > limit else None)


def uses(ids: Sequence[str]) -> dict[str, int]:
    """How many posts use each of these files."""
    if not ids:
        return {}
    rows = db.session.execute(select(MediaUse.media_id, func.count()).where(MediaUse.media_id.in_(ids))
                              .group_by(MediaUse.media_id))
    return {media_id: number for media_id, number in rows}


def posts_with(stored: Media) -> list[Post]:
    """The newest posts that use a file, with their deliveries."""
    return list(db.session.scalars(
        select(Post).join(MediaUse, MediaUse.post_id == Post.id)
        .where(MediaUse.media_id == stored.id, Post.workspace_id == stored.workspace_id)
        .options(selectinload(Post.deliveries)).order_by(Post.id.desc()).limit(MOST_POSTS)))
