"""The answers of a view: a whole page for a browser, the named block for htmx, and the way back after a change.

The server picks the block, never a request parameter. A block sees what the top of its template sets and imports:
`base.html` renders the one block alone when `fragment` names it.
"""

from collections.abc import Sequence
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup


def wants_block() -> bool:
    """Whether htmx asks for a part of a page: not when it restores history, and not for a boosted link."""
    asked = request.headers
    return (asked.get("HX-Request") == "true" and asked.get("HX-Boosted") != "true"
            and asked.get("HX-History-Restore-Request") != "true")


def typed_version() -> int | None:
    """The version of a post that a form was filled from; None where it names none, 0 where it names no number."""
    typed = request.form.get("version", "")
    return (int(typed) if typed.isdecimal() and len(typed) < 10 else 0) if typed else None


def show(template: str, block: str | None = None, status: int = 200, **context: Any) -> Response:
    """The whole page, or for htmx the named block alone."""
    return blocks(template, (block,) if block else (), status, **context)


def blocks(template: str, names: Sequence[str], status: int = 200, **context: Any) -> Response:
    """The whole page, or for htmx several named blocks one after the other; `swapped` tells the template which."""
    if not names or not wants_block():
        context["swapped"] = False
        return make_response(render_template(template, **context), status)
    context.setdefault("swapped", True)
    parts = [render_template(template, fragment=name, **context) for name in names]
    return make_response(Markup("\n").join(Markup(part) for part in parts), status)


def done(template: str, block: str | None, back: str, message: str | None = None, **context: Any) -> Response:
    """After a change: htmx gets the block and the message as a toast; a plain browser goes back and reads it there."""
    if block is None or not wants_block():
        return moved(back, message)
    context.setdefault("swapped", True)
    answer = render_template(template, fragment=block, **context)
    if message:
        answer += render_template("_toast.html", toast=message)
    return make_response(answer, 200)


def invalid(template: str, block: str | None = None, **context: Any) -> Response:
    """The form again, with what was typed and what is wrong with it: 422."""
    return show(template, block, 422, **context)


def moved(address: str, message: str | None = None) -> Response:
    """On to another page, with a message shown there. `address` comes from `url_for`."""
    if message:
        flash(message)
    if wants_block():
        return hx_redirect(address)
    return make_response(redirect(address, 303))


def hx_redirect(address: str, status: int = 200) -> Response:
    """Make the whole browser go there, since htmx would put the other page into this one."""
    answer = make_response("", status)
    answer.headers["HX-Redirect"] = address
    return answer


def fragment_error(message: ResponseReturnValue, status: int) -> Response:
    """An error for htmx: shown above the page, which keeps what the person typed."""
    answer = make_response(message, status)
    answer.headers["HX-Retarget"] = "#notices"
    answer.headers["HX-Reswap"] = "innerHTML"
    return answer
