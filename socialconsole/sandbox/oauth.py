"""What the consent pages share: the request as asked, the page, the answer sent back.

A platform says in a `Consent` how it reads a request, what it sends back on *Deny* and what *Allow* gives. A request
that the real platform answers on a page of its own raises `Refused`: the person is never sent back then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Response, g, make_response, redirect, render_template, request

from . import people
from .plays import PLAYS
from .state import App
from .world import world

COOKIE = "sandbox_person"


class Refused(Exception):
    """The platform shows an error page and redirects nobody."""

    def __init__(self, title: str, words: str, *, code: str = "", status: int = 400) -> None:
        super().__init__(words)
        self.title = title
        self.words = words
        self.code = code
        self.status = status


class SentBack(Exception):
    """The platform sends the person back at once, with an error in the query."""

    def __init__(self, redirect_uri: str, answer: Mapping[str, str]) -> None:
        super().__init__("sent back")
        self.location = with_query(redirect_uri, answer)


@dataclass(frozen=True)
class Asked:
    """An authorize request that the platform would show to the person."""

    app: App
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    challenge: str = ""
    all_or_nothing: bool = True
    wants_scopes_back: bool = False

    def back(self, answer: Mapping[str, str]) -> dict[str, str]:
        """The answer with the state as it came, if one came."""
        return dict(answer) if self.state is None else {**answer, "state": self.state}


@dataclass(frozen=True)
class Choice:
    """What the person decided: who, which permissions, which Pages."""

    person: people.Person
    scopes: tuple[str, ...]
    pages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Consent:
    """How one platform asks for consent."""

    platform: str
    label: str
    read: Callable[[Mapping[str, str]], Asked]
    allow: Callable[[Asked, Choice], dict[str, str]]
    denied: Mapping[str, Mapping[str, str]]  # by the button that was pressed
    with_pages: bool = False  # the person also ticks Pages
    fragment: str = ""
    purposes: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()  # permissions that cannot be unticked
    by_username: bool = False  # people know each other by @name here, not by e-mail address


def consent_page(consent: Consent) -> Response:
    """The whole of an authorize address: error page, consent page, or the way back."""
    try:
        asked = consent.read(request.args)
    except Refused as refused:
        page = render_template("refused.html", consent=consent, refused=refused)
        return make_response(page, refused.status)
    except SentBack as back:
        return make_response(redirect(back.location))
    if request.method == "POST":
        return _decided(consent, asked)
    return _asking(consent, asked)


def _asking(consent: Consent, asked: Asked) -> Response:
    everybody = people.at(consent.platform)
    here = world()
    # Chromium also checks the address that a form's answer redirects to; the policy header is written at the end.
    g.form_action = _origin(asked.redirect_uri)
    page = render_template(
        "consent.html",
        consent=consent,
        asked=asked,
        people=everybody,
        suspended={p.id for p in everybody if here.state.standing(consent.platform, p.id).suspended},
        last=_last_person(consent.platform) or everybody[0].id,
        address=request.full_path,
    )
    return make_response(page)


def _decided(consent: Consent, asked: Asked) -> Response:
    decision = request.form.get("decision", "")
    if decision in consent.denied:
        return make_response(redirect(with_query(asked.redirect_uri, asked.back(consent.denied[decision]))))
    person = people.person(consent.platform, request.form.get("person", ""))
    if decision != "allow" or person is None:
        refused = Refused("Nobody was chosen", "Go back, choose a person, then press Allow or Deny.")
        return make_response(render_template("refused.html", consent=consent, refused=refused), 400)
    here = world()
    if here.state.standing(consent.platform, person.id).suspended:
        refused = Refused("This account is locked", f"{person.name} has to unlock the account first.", status=403)
        return make_response(render_template("refused.html", consent=consent, refused=refused), 403)
    try:
        with here.state.writing():
            answer = consent.allow(asked, _choice(asked, person))
    except Refused as refused:
        return make_response(render_template("refused.html", consent=consent, refused=refused), refused.status)
    response = make_response(redirect(with_query(asked.redirect_uri, asked.back(answer)) + consent.fragment))
    _remember(response, consent.platform, person.id)
    return response


def _choice(asked: Asked, person: people.Person) -> Choice:
    ticked = set(request.form.getlist("scope"))
    scopes = asked.scopes if asked.all_or_nothing else tuple(s for s in asked.scopes if s in ticked)
    own = {page.id for page in person.pages}
    return Choice(person, scopes, tuple(page for page in request.form.getlist("page") if page in own))


def registered_app(platform: str, args: Mapping[str, str], same: Callable[[str, str], bool]) -> tuple[App, str]:
    """The app and redirect address of a request. Raises LookupError: `client_id` or `redirect_uri`."""
    app = world().app(platform, args.get("client_id"))
    if app is None:
        raise LookupError("client_id")
    uri = args.get("redirect_uri", "")
    known = any(same(uri, registered) for registered in app.redirect_uris)
    if not known or PLAYS[platform].redirect_problem(uri, app.accept_http_loopback):
        raise LookupError("redirect_uri")
    return app, uri


def with_query(uri: str, answer: Mapping[str, str]) -> str:
    """The address with the answer added to its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}"


def same_origin() -> bool:
    """Whether the present request comes from the sandbox's own pages or from no page at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin == request.host_url.rstrip("/")


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def _remembered() -> dict[str, str]:
    pairs = dict(parse_qsl(request.cookies.get(COOKIE, "")))
    return {platform: person_id for platform, person_id in pairs.items() if people.person(platform, person_id)}


def _last_person(platform: str) -> str:
    return _remembered().get(platform, "")


def _remember(response: Response, platform: str, person_id: str) -> None:
    value = urlencode(_remembered() | {platform: person_id})
    response.set_cookie(COOKIE, value, httponly=True, samesite="Lax", path="/")
