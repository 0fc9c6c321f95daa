"""Admin → Address: whether the console gets what its public address was asked, and the deployment page.

A call that carries a valid nonce is answered before anything else looks at it, on whatever path it arrives: that is how
the check learns what a proxy made of it.
"""

import json
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, g, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from .. import address_check, address_seen, platform_apps, proxy_lines
from .. import config as settings
from ..access import requires
from ..address_seen import HEADER, PARAMETER
from ..config import Config
from .guard import ARRIVED
from .page import done, moved, show

bp = Blueprint("address", __name__)

LONGEST_REPORT = 16 * 1024
# verdict -> what the page says of it, and the status word that gives icon and tone
SAID = {address_seen.OK: ("Reachable", "ok"), address_seen.DIFFERS: ("Not as it should be", "bad"),
        address_seen.CANNOT_TELL: ("Cannot tell from here", "warn")}


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


# ---------------------------------------------------------------- what a check is told


def tell() -> ResponseReturnValue | None:
    """Before each request: to a call with a valid nonce, say how it arrived. Says nothing to any other."""
    given = request.args.get(PARAMETER, "")
    config = _config()
    url = address_seen.asked_for(config, given) if given else None
    has_query = url is not None
    if url is None and request.headers.get(HEADER):
        given = request.headers[HEADER]
        url = address_seen.asked_for(config, given)
    if url is None or request.method != "GET":
        return None
    g.user = g.login = g.workspace = g.role = None
    seen = address_seen.seen(request.environ[ARRIVED], request.environ, config, has_query)
    if request.accept_mimetypes.best_match(("text/html", "application/json")) != "application/json":
        return _page_of(url, seen)
    answer = make_response(address_seen.answer(config, given, seen))
    answer.mimetype = "application/json"
    # The page of the console asks its other hosts as well; what is told is about the asking browser itself.
    answer.headers["Access-Control-Allow-Origin"] = config.public_origin
    return answer


def _page_of(url: str, seen: address_seen.Seen) -> Response:
    place = next((one for one, _ in address_check.places() if one.url == url), None)
    if place is None:
        abort(404)
    finding = address_seen.compare(place, seen, counts_proxies=place.parts.scheme == "https")
    return show("address_seen.html", url=url, finding=finding, said=SAID, back=f"{_config().public_url}/admin/address",
                fixes=address_check.fixes(url, finding.cause))


# ---------------------------------------------------------------- the page


@bp.get("/admin/address")
@requires("admin")
def page() -> ResponseReturnValue:
    """Each address, how it does, and the lines that mend it."""
    return _page()


def _page(status: int = 200, problem: str = "") -> Response:
    # The browser may ask the other hosts of ours, and nobody else.
    g.may_call = sorted({f"{place.parts.scheme}://{place.parts.netloc}" for place, _ in address_check.places()})
    found = address_check.last()
    return show("address.html", "found", status, found=found, said=SAID, problem=problem, config=_config(),
                fixes={row.url: address_check.fixes(row.url, row.counts.cause) for row in found.rows} if found else {})


@bp.post("/admin/address/check")
@requires("admin")
def check() -> ResponseReturnValue:
    """Call the addresses now."""
    address_check.run()
    return _page() if request.headers.get("HX-Request") == "true" else moved(url_for(".page"))


@bp.post("/admin/platforms/<segment>/address")
@requires("admin")
def check_beside(segment: str) -> ResponseReturnValue:
    """The same from the Configure dialog, which gets its one line back."""
    try:
        provider = platform_apps.provider_at(segment)
    except KeyError:
        abort(404)
    address_check.run()
    app = platform_apps.at(segment)
    callback = platform_apps.callback_url(app if app is not None else provider.slug)
    return done("_address.html", "beside", url_for("platform_apps.edit", segment=segment), callback=callback)


@bp.get("/admin/address/open")
@requires("admin")
def open_here() -> ResponseReturnValue:
    """On to one of the addresses with this browser, which then reads what the console sees of it."""
    asked = request.args.get("url", "")
    place = next((one for one, _ in address_check.places() if one.url == asked), None)
    if place is None:
        abort(404)
    there = address_check.browser_address(place)
    if request.accept_mimetypes.best_match(("text/html", "application/json")) == "application/json":
        return Response(json.dumps({"url": there}), mimetype="application/json")
    return redirect(there, 303)


@bp.post("/admin/address/report")
@requires("admin")
def report() -> ResponseReturnValue:
    """What the console told this browser; its signature says that it is true."""
    row = address_check.report(request.form.get("answer", "")[:LONGEST_REPORT])
    if row is None:
        return _page(422, "What came back was not from this console, or it is too old. Check again.")
    return _page() if request.headers.get("HX-Request") == "true" else moved(url_for(".page"))


# ---------------------------------------------------------------- deployment


@bp.get("/help/deployment")
@requires("admin")
def deployment() -> ResponseReturnValue:
    """How to run the console for good, filled in with this installation's own address and port."""
    config = _config()
    here = address_check.site(config.public_url)
    example = here if not config.is_loopback else proxy_lines.Site(
        "social.example.com", 443, True, config.path_prefix, here.upstream)
    folder, instance = str(settings.PROJECT), str(_whole(config.instance_path))
    media = _whole(config.media_folder)
    written = [instance] if media.is_relative_to(instance) else [instance, str(media)]
    units = [(name, words, proxy_lines.unit(which, folder, *written))
             for which, (name, words, _) in proxy_lines.UNITS.items()]
    return show("deployment.html", site=example, is_example=config.is_loopback, config=config, units=units,
                folder=folder, instance=instance, nginx=proxy_lines.nginx(example), caddy=proxy_lines.caddy(example),
                nginx_redirect=proxy_lines.nginx_redirect(example) if example.https else "",
                media=str(media), is_elsewhere=_whole(config.instance_path) != settings.PROJECT / "instance",
                exported=sorted(name for name, source in config.source.items() if source == "environment"),
                is_sqlite=config.database_url.startswith("sqlite"))


def _whole(path: Path) -> Path:
    return path if path.is_absolute() else settings.PROJECT / path


def init_app(app: Flask) -> None:
    """Hand the templates the last result, for the lines on other pages."""
    app.jinja_env.globals.update(address_last=address_check.last, address_said=SAID)
