"""Many posts at once: a CSV file in, checked row by row before anything is written, and the list of posts out.

Between the check and the import the file travels in the form itself, packed: it is read and judged anew each time, so
nothing in the form has to be believed.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Blueprint, Response, g, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from .. import access, csv_posts, csv_text, outside, post_lists, times
from ..access import requires
from ..csv_posts import Sheet
from ..posts import Invalid
from ..providers import PROVIDERS
from . import posts as post_pages
from . import words
from .media import takes_files
from .page import invalid, moved, show

bp = Blueprint("bulk", __name__, url_prefix="/w/<workspace_id>")

PACKED = 3 * csv_text.MOST_BYTES  # a packed file in a field of the form, at worst, and room for the rest
CSV = "text/csv; charset=utf-8"


def takes_sheet(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a form carry a packed file in a field. Between `requires` and `takes_files`."""

    @wraps(view)
    def wrapped(*args: Any, **values: Any) -> Any:
        request.max_form_memory_size = PACKED
        return view(*args, **values)

    return wrapped


# ---------------------------------------------------------------- in


@bp.get("/posts/import")
@requires("compose")
def form(workspace_id: str) -> ResponseReturnValue:
    """Where a file is chosen, and what its columns are."""
    return show("bulk.html", **_page())


@bp.get("/posts/import/template.csv")
@requires("compose")
def template(workspace_id: str) -> ResponseReturnValue:
    """A table to start from."""
    ahead = times.local(outside.now(), g.workspace.time_zone) + timedelta(days=1)
    answer = Response("\ufeff" + csv_posts.template(f"{ahead:%Y-%m-%d} 09:00"), content_type=CSV)
    answer.headers["Content-Disposition"] = "attachment; filename=posts-template.csv"
    return answer


@bp.post("/posts/import")
@requires("compose")
@takes_sheet
@takes_files
def check(workspace_id: str) -> ResponseReturnValue:
    """Every row as it was understood, with what is wrong; nothing is written yet."""
    try:
        plain = _sent()
        sheet = _read(plain)
    except csv_text.Unsure as unsure:
        return invalid("bulk.html", "sheet", **_page(unsure=unsure, packed=_packed(plain)))
    except csv_text.Unreadable as wrong:
        return invalid("bulk.html", "sheet", **_page(error=str(wrong)))
    return show("bulk.html", "sheet", 422 if sheet.faults else 200, **_page(sheet=sheet, packed=_packed(plain)))


@bp.post("/posts/import/write")
@requires("compose")
@takes_sheet
@takes_files
def write(workspace_id: str) -> ResponseReturnValue:
    """All rows or none; the page of the check again, where a row is not good any more."""
    try:
        plain = _sent()
        sheet = _read(plain)
    except (csv_text.Unsure, csv_text.Unreadable) as wrong:
        return invalid("bulk.html", "sheet", **_page(error=str(wrong)))
    again = request.form.get("again", "")[:64]
    page = _page(sheet=sheet, packed=_packed(plain))
    if sheet.faults:
        return invalid("bulk.html", "sheet", **page)
    if sheet.earlier is not None and not again:
        if request.form.get("seen") == sheet.digest:  # known already when it was checked, and not ticked
            return invalid("bulk.html", "sheet", **{**page, "error": "Tick the box to import this file once more."})
        return moved(url_for("posts.index", workspace_id=workspace_id), "This file was imported already.")
    try:
        made = csv_posts.write(g.workspace, g.user, sheet, again=again)
    except Invalid as refused:
        said = " ".join(f"{row[:1].upper()}{row[1:]}: {sentence}" for row, sentence in refused.errors.items())
        return invalid("bulk.html", "sheet", **{**page, "error": f"Nothing was written. {said}"})
    return moved(url_for("posts.index", workspace_id=workspace_id), _done(made))


def _done(made: int) -> str:
    if not made:
        return "This file was imported already."
    submitted = access.must_ask(g.workspace, g.user)
    return f"{words.count(made, 'post')} {'submitted for approval' if submitted else 'scheduled'}."


def _read(plain: bytes) -> Sheet:
    return csv_posts.read(g.workspace, g.user, plain, request.form.get("encoding", ""), _fetched())


def _page(*, sheet: Sheet | None = None, packed: str = "", unsure: csv_text.Unsure | None = None,
          error: str = "") -> dict[str, Any]:
    return {"sheet": sheet, "packed": packed, "unsure": unsure, "error": error, "encodings": csv_text.ENCODINGS,
            "encoding": request.form.get("encoding", ""), "fetched": json.dumps(dict(sheet.fetched)) if sheet else "",
            "asks": access.must_ask(g.workspace, g.user), "again": outside.secret(16), "words": words,
            "most_rows": csv_posts.MOST_ROWS, "platform_names": {slug: one.name for slug, one in PROVIDERS.items()}}


# ---------------------------------------------------------------- the file in the form


def _sent() -> bytes:
    """The file of this request: chosen anew, else the one that the form carries. Raises csv_text.Unreadable."""
    upload = request.files.get("file")
    if upload is not None and upload.filename:
        return upload.stream.read(csv_text.MOST_BYTES + 1)
    packed = request.form.get("sheet", "")
    if not packed:
        raise csv_text.Unreadable("Choose a CSV file first.")
    try:
        return zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), csv_text.MOST_BYTES + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise csv_text.Unreadable("The file did not arrive whole. Choose it once more.") from None


def _packed(plain: bytes) -> str:
    return base64.b64encode(zlib.compress(plain, 6)).decode() if len(plain) <= csv_text.MOST_BYTES else ""


def _fetched() -> dict[str, str]:
    """The files that came from addresses at an earlier check: a hint that saves fetching, looked up again."""
    try:
        told = json.loads(request.form.get("fetched") or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {name: one for name, one in list(told.items())[: csv_posts.MOST_ADDRESSES]
            if isinstance(one, str) and one.isascii()}


# ---------------------------------------------------------------- out


@bp.get("/posts/export.csv")
@requires("see")
def export(workspace_id: str) -> ResponseReturnValue:
    """The posts of the list, with the filters of its address, as a table that is written while it is read."""
    wanted, _ = post_pages._wanted()

    def pages(cursor: str) -> tuple[Sequence[str], str]:
        found = post_lists.page(g.workspace, wanted, cursor, csv_posts.AT_ONCE)
        return [row.post.id for row in found.rows], found.next

    answer = Response(stream_with_context(csv_posts.export(g.workspace, pages)), content_type=CSV)
    answer.headers["Content-Disposition"] = f"attachment; filename=posts-{outside.now():%Y-%m-%d}.csv"
    return answer
