"""The preview beside the compose form: what the readers of each platform will see, one card at a time.

Profiles whose readers see the same share a card. It follows the typing in requests of its own, so that the checks
never wait for it; the card of a link, which somebody else's server has to tell, comes after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, g, request, send_file, url_for
from flask.typing import ResponseReturnValue

from .. import appearance, checks, drafts, media, previews
from ..access import requires
from ..appearance import Appearance
from ..checks import Check
from ..drafts import Content
from ..models import Account
from ..providers.content import IMAGE, File, Preview
from ..providers.oauth2 import connectable
from ..providers.rules import format_of
from . import compose_form
from .media import takes_files
from .page import show, wants_block

bp = Blueprint("preview", __name__, url_prefix="/w/<workspace_id>")

NO_SCRIPT_SECONDS = 4.0


@dataclass(frozen=True)
class Card:
    """One card and the profiles it stands for; the first of them is shown as its author."""

    key: str
    check: Check
    accounts: tuple[Account, ...]
    seen: Appearance
    is_shown: bool = False

    @property
    def account(self) -> Account:
        """The profile that is shown as the author."""
        return self.check.account


@bp.post("/compose/preview")
@requires("compose")
@takes_files
def preview(workspace_id: str) -> ResponseReturnValue:
    """The preview of what is typed; without script a page of its own."""
    content = drafts.tidied(compose_form.content()[0])
    wanted = set(request.form.getlist("accounts"))
    chosen = [one.account for one in checks.targets(g.workspace) if one.account.id in wanted]
    found = checks.check(g.workspace, content, chosen, compose_form.choices())
    return show("preview.html", "preview", content=content, checks=found)


@bp.post("/compose/card")
@requires("compose")
def card(workspace_id: str) -> ResponseReturnValue:
    """The card of one link, read from its page."""
    address = request.form.get("address", "")
    found = previews.glance(address) if address.startswith(("http://", "https://")) else None
    return show("preview.html", "card", address=address, found=found, content=Content(""), checks=())


@bp.get("/compose/card/<card_name>.jpg")
@requires("compose")
def picture(workspace_id: str, card_name: str) -> ResponseReturnValue:
    """The picture of a link's card, as a JPEG that this console made itself."""
    path = previews.picture(card_name)
    if path is None:
        abort(404)
    answer = send_file(path, mimetype="image/jpeg", conditional=True)
    answer.headers["Cache-Control"] = "private, max-age=3600"
    answer.headers["Content-Disposition"] = "inline"
    return answer


# ---------------------------------------------------------------- for the templates


def cards(content: Content, found: Sequence[Check]) -> list[Card]:
    """A card for each appearance; exactly one of them is shown: the one that was chosen, else the first."""
    files = drafts.files_of(g.workspace, content, *(one.options for one in found))
    shared: dict[tuple[Any, ...], Appearance] = {}
    groups: dict[Appearance, list[Check]] = {}
    for one in found:
        likeness = _likeness(content, one)
        if likeness not in shared:
            shared[likeness] = seen(content, one, files)
        groups.setdefault(shared[likeness], []).append(one)
    wanted = request.form.get("preview", "")
    made = [Card(every[0].account.id, every[0], tuple(one.account for one in every), looks)
            for looks, every in groups.items()]
    shown = next((one for one in made if wanted in {account.id for account in one.accounts}), made[0] if made else None)
    return [Card(one.key, one.check, one.accounts, one.seen, one is shown) for one in made]


def _likeness(content: Content, one: Check) -> tuple[Any, ...]:
    """What decides on an appearance; for accounts that agree in it, it is made once."""
    account, mine = one.account, content.own.get(one.account.id)
    scopes = drafts.granted(account.grant)
    return (account.platform, account.kind, drafts.mode_of(account), one.format, tuple(sorted(one.options.items())),
            None if scopes is None else tuple(sorted(scopes)), mine)


def seen(content: Content, one: Check, files: dict[str, File]) -> Appearance:
    """What readers of one account will see."""
    account = one.account
    provider, mode = connectable(account.platform), drafts.mode_of(account)
    parts = [drafts.draft(content, account, number, format=one.format, options=one.options, files=files)
             for number in range(len(drafts.parts_of(content, account, one.format)))]
    return appearance.appearance(
        account.platform, provider.look, format_of(provider, mode, one.format, kind=account.kind), parts,
        provider.count)


def thumbnails(of: Appearance) -> set[str]:
    """The files of a preview that there is a small picture of."""
    ids = {tile.file.id for part in of.parts if part.gallery for tile in part.gallery.tiles}
    return {one.id for one in media.still_there(g.workspace, sorted(ids)) if media.has_thumbnail(one)}


def link_card(address: str) -> Preview | None:
    """The card of a link as far as it is known; a browser without script, which cannot ask later, waits for it."""
    if request.method == "POST" and not wants_block():
        return previews.glance(address, NO_SCRIPT_SECONDS)
    return previews.known(address)


def card_picture(found: Preview | None) -> str:
    """The address of a card's picture; empty where it has none."""
    if found is None or found.image is None or found.image.kind != IMAGE:
        return ""
    return url_for("preview.picture", workspace_id=g.workspace.id, card_name=found.image.path.name)


def init_app(app: Any) -> None:
    """Hand the templates what a preview is drawn from."""
    app.jinja_env.globals.update(
        preview_cards=cards, preview_thumbnails=thumbnails, link_card=link_card, card_picture=card_picture,
        looks=appearance)
