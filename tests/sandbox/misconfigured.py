"""One console, one sandbox, and a person who walks between them while something is set up wrongly.

Whatever is broken is broken where a person would break it: in the sandbox's developer portal or in Configure. Every
page that the console shows on the way is kept, so that secrets can be looked for in all of them.
"""

import html
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import requests
from flask import Flask
from flask.testing import FlaskClient
from requests.adapters import HTTPAdapter

from socialconsole.extensions import db
from socialconsole.models import ConnectionAttempt
from socialconsole.providers import PROVIDERS
from socialconsole.sandbox import create_sandbox
from socialconsole.sandbox.people import at
from socialconsole.sandbox.state import App as SandboxApp
from socialconsole.sandbox.state import Code, Token
from socialconsole.sandbox.world import World
from tests.cast import Cast, Clock
from tests.formats.playground import BASE, Door

PUBLIC = "https://social.example.com"
WORKSPACE = "/w/wsp_bakery"
ADMIN, TENANT, PLATFORM, NOBODY_KNOWS = "admin", "tenant", "platform", "nobody_knows"
PARTIES = {"An administrator of this console": ADMIN, "Whoever can sign in to the profile": TENANT,
           "It cannot be told": NOBODY_KNOWS, "Nobody:": "nobody", "The makers of this console": "developer",
           "Whoever wrote the post": "author"}


@dataclass(frozen=True)
class Said:
    """What the console said: the words, who has to act, and the platform's own code where it is shown."""

    words: str
    who: str
    code: str = ""


def plain(page: str) -> str:
    """What a person reads of a piece of a page."""
    bare = re.sub(r"<(script|style|svg|template)\b.*?</\1>|<wbr>|<[^>]+>",
                  lambda found: "" if "wbr" in found[0] else " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(bare)).strip()


@dataclass
class Walk:
    """Alice, who is admin and owner, with a console in front of her; `platforms` is the sandbox behind it."""

    app: Flask
    client: FlaskClient
    cast: Cast
    clock: Clock
    slug: str = ""
    mode: str = ""
    made: dict[str, Any] = field(default_factory=dict)  # the app as the portal shows it
    pages: list[str] = field(default_factory=list)  # all that the console showed
    secrets: set[str] = field(default_factory=set)
    stopped_at: str = ""  # the platform's own page, where nobody is sent back from it

    def __post_init__(self) -> None:
        self.wsgi = create_sandbox(BASE, None, lambda: self.clock().timestamp())
        self.door = Door(self.wsgi)
        self.portal = self.wsgi.test_client()

    # ------------------------------------------------------------ the portal

    @property
    def world(self) -> World:
        """The sandbox's memory."""
        found: World = self.wsgi.extensions["sandbox"]
        return found

    @property
    def provider(self) -> Any:
        """The platform of this walk."""
        return PROVIDERS[self.slug]

    @property
    def callback(self) -> str:
        """What the console shows as the callback by itself."""
        return f"{PUBLIC}/api/connect/{self.slug}/callback"

    def register(self, slug: str, mode: str = "", *, portal_mode: str | None = None, uris: tuple[str, ...] = (),
                 **switches: Any) -> dict[str, Any]:
        """Make an app in the portal, and set its switches there."""
        self.slug, self.mode = slug, mode
        kind = mode if portal_mode is None else portal_mode
        made = self._portal("POST", "/portal/api/apps", platform=slug, name="Console",
                            redirect_uris=list(uris or (self.callback,)), **({"mode": kind} if kind else {}))
        if switches:
            made = self._portal("PATCH", f"/portal/api/apps/{made['client_id']}", **switches)
        self.made = made
        return made

    def _portal(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = self.portal.open(path, method=method, json=body, base_url=BASE)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json or {})

    def change(self, **settings: Any) -> None:
        """Change the app in the portal."""
        self.made = self._portal("PATCH", f"/portal/api/apps/{self.made['client_id']}", **settings)

    def new_secret(self) -> None:
        """Have the portal make another secret; the console keeps the old one."""
        self._portal("POST", f"/portal/api/apps/{self.made['client_id']}/rotate-secret")

    def registered(self) -> str:
        """The list of callbacks, as somebody copies it out of the portal."""
        return "\n".join(self._portal("GET", f"/portal/api/apps/{self.made['client_id']}")["redirect_uris"])

    # ------------------------------------------------------------ Configure

    def _page(self, path: str, answer: Any) -> Any:
        self.pages.append(f"{path}\n{answer.text}\n{answer.headers.get('HX-Redirect', '')}")
        return answer

    def get(self, path: str, **options: Any) -> Any:
        """Open a page of the console."""
        return self._page(path, self.client.get(path, **options))

    def post(self, path: str, headers: dict[str, str] | None = None, **typed: Any) -> Any:
        """Send a form of the console."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.client.get("/admin/platforms").text)
        assert token is not None
        return self._page(path, self.client.post(path, data={"csrf_token": token[1], **typed},
                                                  headers={"Referer": f"{PUBLIC}/", **(headers or {})}))

    def _form(self, typed: dict[str, Any]) -> dict[str, Any]:
        page = self.client.get(f"/admin/platforms/{self.slug}").text
        version = re.search(r'name="version" value="(\d+)"', page)
        ticked = re.findall(r'name="features" value="([^"]+)" checked', page)
        known = {} if typed.get("mode", self.mode) != self.mode else {"features": ticked}
        return {"version": version[1] if version else "0", "do": "save", "mode": self.mode, **known,
                "client_id": self.made["client_id"], **typed}

    def type_in(self, **typed: Any) -> Any:
        """Type id and secret of the portal into Configure, with changes, and save."""
        return self.post(f"/admin/platforms/{self.slug}", **self._form(self._noted(typed)))

    def _noted(self, typed: dict[str, Any]) -> dict[str, Any]:
        typed = {"client_secret": self.made["client_secret"], **typed}
        self.secrets |= {typed["client_secret"]} - {self.made["client_id"]}  # which may stand there by mistake
        return typed

    def save(self, **typed: Any) -> None:
        """The same, where saving is expected to work."""
        answer = self.type_in(**typed)
        assert answer.status_code == 303, plain(answer.text)

    def turn_on(self) -> None:
        """Turn it on; whoever cannot be certain insists."""
        answer = self.post(f"/admin/platforms/{self.slug}/on")
        if answer.status_code == 409:
            answer = self.post(f"/admin/platforms/{self.slug}/on", confirm="1")
        assert answer.status_code == 303, plain(answer.text)

    def turn_on_blindly(self) -> None:
        """Turn it on while the platform does not answer, so that no check stands in the way."""
        for slug in dict.fromkeys((self.slug, "facebook")):  # whose addresses Instagram shares
            for operation in ("token", "refresh", "profile"):
                self._portal("POST", "/portal/api/faults", platform=slug, operation=operation, kind="500", times=20)
        self.turn_on()
        self.portal.delete("/portal/api/faults", base_url=BASE)

    # ------------------------------------------------------------ what is said there

    def at_save(self, **typed: Any) -> Said:
        """What stands at the fields when what was typed is not saved."""
        answer = self.type_in(**typed)
        assert answer.status_code == 422, plain(answer.text)
        found = re.findall(r'<p class="error"[^>]*>.*?</p>', answer.text, re.S)
        assert found, plain(answer.text)
        return Said(plain(" ".join(found)), ADMIN)

    def at_examine(self, **typed: Any) -> Said:
        """What the paste doctor and the list of conflicts say while somebody types."""
        answer = self.post(f"/admin/platforms/{self.slug}/examine", {"HX-Request": "true"},
                           **self._form(self._noted(typed)))
        assert answer.status_code == 200, answer.text
        return Said(plain(answer.text), ADMIN)

    def at_preview(self, **typed: Any) -> Said:
        """What the difference to the default scopes says while somebody types."""
        answer = self.post(f"/admin/platforms/{self.slug}/preview", {"HX-Request": "true"}, **self._form(typed))
        assert answer.status_code == 200, answer.text
        shown = re.search(r'id="scope-view".*?</div>', answer.text, re.S)
        assert shown is not None
        return Said(plain(f"<p {shown[0]}"), ADMIN)

    def at_check(self) -> Said:
        """What *Check credentials* says."""
        assert self.post(f"/admin/platforms/{self.slug}/check").status_code == 303
        found = re.search(r'<section[^>]*id="check-result".*?</section>',
                          self.get(f"/admin/platforms/{self.slug}").text, re.S)
        assert found is not None
        code = re.search(r"Code: <code>(.*?)</code>", found[0])
        return Said(plain(found[0]), NOBODY_KNOWS if "cannot tell" in found[0] else ADMIN, code[1] if code else "")

    def at_on(self) -> Said:
        """What *On* says where it refuses."""
        answer = self.post(f"/admin/platforms/{self.slug}/on", {"HX-Request": "true"})
        assert answer.status_code == 422, answer.text
        return Said(plain(answer.text), ADMIN)

    def at_compare(self, holds: str | None = None, **typed: Any) -> Said:
        """What *Compare* says of the portal's list."""
        answer = self.post(f"/admin/platforms/{self.slug}/compare", {"HX-Request": "true"},
                           **self._form({"portal_holds": self.registered() if holds is None else holds, **typed}))
        assert answer.status_code == 200, answer.text
        return Said(plain(re.sub(r'<dl class="pair">.*?</dl>', "", answer.text, flags=re.S)), ADMIN)

    # ------------------------------------------------------------ Connect

    def leave(self) -> str:
        """Press Connect; the address of the platform."""
        answer = self.post(f"{WORKSPACE}/connect/{self.slug}")
        assert answer.status_code == 303, plain(answer.text)
        self.pages.pop()  # the redirect itself has to carry the state
        there = str(answer.headers["Location"])
        self.secrets |= {value for name, value in parse_qsl(urlsplit(there).query) if name == "state"}
        return there

    def at_off(self) -> Said:
        """What Connect says where it leads nowhere."""
        answer = self.post(f"{WORKSPACE}/connect/{self.slug}")
        assert answer.status_code == 409, plain(answer.text)
        main = re.search(r"<main\b.*?</main>", answer.text, re.S)
        words = plain(main[0] if main else answer.text)
        return Said(words, ADMIN if "admin" in words.lower() else "")

    def consent(self, there: str, person: str = "", decision: str = "allow") -> str:
        """Answer the consent page. The way back to the console, empty where the platform sends nobody back."""
        where = there.removeprefix(BASE)
        answer = self.portal.get(where, base_url=BASE)
        if answer.status_code == 200 and 'name="decision"' in answer.text:
            somebody = next(one for one in at(self.slug) if not person or one.id == person)
            scopes = dict(parse_qsl(urlsplit(there).query)).get("scope", "")
            answer = self.portal.post(where, base_url=BASE, data={
                "person": somebody.id, "decision": decision, "page": [one.id for one in somebody.pages],
                "scope": re.split(r"[\s,]+", scopes)})
        if answer.status_code in (302, 303):
            back = str(answer.headers["Location"])
            self.secrets |= {value for name, value in parse_qsl(urlsplit(back).query) if name == "code"}
            return back
        self.stopped_at = plain(re.sub(r"<p>The real .*?</p>", "", answer.text, flags=re.S))
        return ""

    def return_to(self, back: str) -> Any:
        """Follow the way back, to our own page."""
        parts = urlsplit(back)
        assert f"{parts.scheme}://{parts.netloc}" == PUBLIC, back
        answer = self._page(parts.path, self.client.get(f"{parts.path}?{parts.query}"))
        assert answer.status_code == 303, plain(answer.text)
        return self.get(urlsplit(answer.headers["Location"]).path)

    def at_callback(self, person: str = "", decision: str = "allow") -> Said:
        """What our page says after the platform sent the person back."""
        back = self.consent(self.leave(), person, decision)
        assert back, f"the platform stopped: {self.stopped_at}"
        page = self.return_to(back).text
        lede = re.search(r'<p class="lede">(.*?)</p>', page, re.S)
        told = re.search(r'<dl class="facts told">.*?</dl>', page, re.S)
        assert lede is not None
        code = re.search(r'<p class="sub">Code <code>(.*?)</code>', page)
        words = f"{plain(lede[1])} {plain(told[0]) if told else ''}"
        return Said(words, party(words), html.unescape(code[1]) if code else "")

    def connect(self) -> None:
        """Walk through consent as somebody who allows everything, and confirm it."""
        page = self.return_to(self.consent(self.leave())).text
        chosen = re.findall(r'name="profiles" value="([^"]+)"', page)
        with self.app.app_context():
            attempt = self._newest().id
        answer = self.post(f"{WORKSPACE}/connect/{attempt}/confirm", profiles=html.unescape(chosen[0]))
        assert answer.status_code == 303, plain(answer.text)

    def is_connected(self, person: str = "") -> bool:
        """Whether a walk ends with profiles to choose from."""
        back = self.consent(self.leave(), person)
        return bool(back) and "Connect" in plain(self.return_to(back).text) and self.attempt_state() == "granted"

    def attempt_state(self) -> str:
        """How the newest walk stands."""
        with self.app.app_context():
            return self._newest().state

    def _newest(self) -> ConnectionAttempt:
        found = db.session.scalar(db.select(ConnectionAttempt).order_by(ConnectionAttempt.created_at.desc(),
                                                                        ConnectionAttempt.id.desc()).limit(1))
        assert found is not None
        return found

    def at_page(self, person: str = "", rung: int = 0) -> Said:
        """What our follow-up says of the platform's own page. `rung`: how many of its causes were ruled out before,
        where the page is the same for several."""
        back = self.consent(self.leave(), person)
        assert not back and self.stopped_at, f"it came back: {back.split('?')[0]}"
        self.clock.advance(minutes=11)
        with self.app.app_context():
            attempt = self._newest().id
        page = self.get(f"{WORKSPACE}/connect/{attempt}").text
        causes = re.findall(r"<li>(?:(?!</li>).)*?<b>“(.*?)”</b>(.*?)</li>", page, re.S)
        fitting = [plain(rest) for shows, rest in causes if self._shows(plain(shows))]
        if rung:
            fitting = [plain(rest) for shows, rest in causes if plain(shows).startswith("The same page")][rung - 1:]
        words = fitting[0] if fitting else ""
        return Said(words, party(words))

    def _shows(self, shows: str) -> bool:
        """Whether a person finds what a cause shows on the platform's page."""
        seen = _letters(self.stopped_at)
        choices = [one for one in re.split(r"\bor\b", shows) if one.strip(" ,:")]
        return any(all(_letters(piece) in seen for piece in re.split(r"[:,]", one)) for one in choices)

    def at_help(self) -> Said:
        """What our help page says when the platform's page is pasted into it."""
        page = self.post(f"/help/{self.slug}", said=self.stopped_at).text
        told = re.search(r'<dl class="facts told">.*?</dl>', page, re.S)
        words = plain(told[0]) if told else ""
        return Said(words, party(words))

    # ------------------------------------------------------------ secrets

    def all_secrets(self) -> set[str]:
        """Everything that no page may show: of the portal, of the tokens, of the walks."""
        here = self.world.state
        found = {app.client_secret for app in here.all(SandboxApp)} | {one.value for one in here.all(Token)}
        found |= {one.value for one in here.all(Code)} | self.secrets
        pairs = {b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode() for app in here.all(SandboxApp)}
        return {one for one in found | pairs if len(one) >= 8}

    def leaks(self, *more: str) -> list[str]:
        """The secrets that stand in a page of the console, or in `more`."""
        text = "\n".join((*self.pages, *more))
        return sorted(secret for secret in self.all_secrets()
                      if any(form in text for form in (secret, html.escape(secret), quote(secret, safe=""))))


def party(words: str) -> str:
    """Who has to act, by the words of the page; empty where nobody is named."""
    named = [who for phrase, who in PARTIES.items() if phrase in words]
    named += [PLATFORM] if re.search(r"Who can end it:? \w+ itself", words) else []
    return named[0] if len(named) == 1 else "/".join(named)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower().replace("’", "'")).strip()


def send(walks: "list[Walk]", proxies: dict[str, Any]) -> Any:
    """In place of `HTTPAdapter.send`: the sandbox under `BASE`, a proxy before the console where one stands."""
    real = HTTPAdapter.send

    def sent(self: HTTPAdapter, request: requests.PreparedRequest, *more: Any, **options: Any) -> requests.Response:
        place = "{0.scheme}://{0.netloc}".format(urlsplit(request.url or ""))
        if place in proxies:
            return proxies[place](self, request)
        if (request.url or "").startswith(BASE + "/"):
            return walks[-1].door.send(self, request, *more, **options)
        return real(self, request, *more, **options)

    return sent
