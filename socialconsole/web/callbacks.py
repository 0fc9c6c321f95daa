"""Addresses that platforms call by themselves, and the public page about a deletion.

No login, no cookie, no form token, any origin: the signature of the platform is the proof. Answers to a wrong one say
no more than that it is wrong.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Response, abort, current_app, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from .. import withdrawals
from ..access import requires
from ..config import Config
from ..extensions import csrf
from ..providers import provider as provider_of

bp = Blueprint("callbacks", __name__)

LARGEST_NOTICE = 64 * 1024
Made = TypeVar("Made")
HOME = "/api/connect/<segment>/"


@bp.post(HOME + withdrawals.DEAUTHORIZE)
@requires("public")
@csrf.exempt
def deauthorize(segment: str) -> ResponseReturnValue:
    """A person removed the app in their settings at the platform."""
    return _answered(lambda: withdrawals.deauthorize(segment, _signed()), lambda _: _plain("Done.", 200))


@bp.post(HOME + withdrawals.DELETION)
@requires("public")
@csrf.exempt
def deletion(segment: str) -> ResponseReturnValue:
    """A person asked the platform to have their data here deleted; the answer says where to look how that went."""
    config: Config = current_app.extensions["config"]
    return _answered(lambda: withdrawals.delete(segment, _signed()), lambda made: jsonify(
        url=f"{config.public_url}/deletion/{made.code}", confirmation_code=made.code))


@bp.post(HOME + withdrawals.WEBHOOK)
@requires("public")
@csrf.exempt
def webhook(segment: str) -> ResponseReturnValue:
    """News of a post or a permission."""
    return _answered(lambda: withdrawals.webhook(segment, dict(request.headers), request.get_data(cache=False)),
                     lambda _: _plain("Done.", 200))


def _signed() -> str:
    return request.form.get("signed_request", "")


def _answered(act: Callable[[], Made], answer: Callable[[Made], Response]) -> Response:
    request.max_content_length = LARGEST_NOTICE
    try:
        return answer(act())
    except RequestEntityTooLarge:
        return _plain("This is larger than any notice.", 413)
    except withdrawals.NotServed:
        return _plain("No platform calls this address.", 404)
    except withdrawals.BadSignature:
        return _plain("The signature does not fit. Nothing was changed.", 400)


def _plain(text: str, status: int) -> Response:
    answer = make_response(text + "\n", status)
    answer.mimetype = "text/plain"
    return answer


@bp.get("/deletion/<code>")
@requires("public")
def status(code: str) -> ResponseReturnValue:
    """What was deleted and when, for the person who asked; the code is all that leads here."""
    found = withdrawals.request(code)
    if found is None:
        abort(404)
    return render_template("deletion.html", request=found, provider=provider_of(found.platform))
