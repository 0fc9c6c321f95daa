"""The address that Prometheus asks: for whoever knows the token, or, without one, for this machine alone."""

import hmac
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST

from .. import config_checks, metrics, outside
from ..access import requires
from ..config import Config

bp = Blueprint("metrics", __name__)

# A proxy on this machine makes everybody look like this machine; one of these gives it away.
SIGNS_OF_PROXY = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
NEEDS_TOKEN = ("The metrics of this console are for whoever sends its METRICS_TOKEN. Add the header "
               "“Authorization: Bearer” with the token to your request.\n")
NOT_HERE = ("The metrics of this console are read on its own machine only. To read them from elsewhere, set "
            "METRICS_TOKEN and send it as “Authorization: Bearer”.\n")


@bp.get("/metrics")
@requires("public")
def show() -> ResponseReturnValue:
    """All figures as Prometheus reads them; 401 or 404 in words for whoever may not see them."""
    token = _config().metrics_token
    if token and not _brings(token):
        refused = Response(NEEDS_TOKEN, 401, mimetype="text/plain")
        refused.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    if not token and not _is_this_machine():
        return Response(NOT_HERE, 404, mimetype="text/plain")
    now = outside.now()
    return Response(metrics.exposition(metrics.figures(now), now), content_type=CONTENT_TYPE_LATEST)


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def _brings(token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _is_this_machine() -> bool:
    """Whether nobody stands between us and a program of this machine that asks by one of its own names.

    The name matters: a page in a browser here may lead a name of its own to this address.
    """
    try:
        named = urlsplit(f"//{request.environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        named = ""
    return (not _config().trusted_proxies and not any(sign in request.headers for sign in SIGNS_OF_PROXY)
            and config_checks.is_loopback(request.remote_addr or "")
            and config_checks.is_loopback(named))
