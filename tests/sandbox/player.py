"""A caller of the sandbox for tests: makes apps, gives consent, exchanges codes, asks the APIs. The clock is still."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from werkzeug.test import TestResponse

from socialconsole.sandbox import create_sandbox

BASE = "http://localhost:18100"
CALLBACK = "https://console.example/api/connect/it/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

ACME, BOB = "2244994945", "3071882561"
MARA, TOMAS, INES = "700000000000101", "700000000000102", "700000000000103"
BAKERY, CYCLES, NOT_MINE = "900100000000001", "900100000000002", "900100000000003"
JANE, OMAR = "jane-doe", "omar-said"

AUTHORIZE = {
    "twitter": "/x.com/i/oauth2/authorize",
    "facebook": "/www.facebook.com/v25.0/dialog/oauth",
    "linkedin": "/www.linkedin.com/oauth/v2/authorization",
}
SCOPES = {
    "twitter": "tweet.read tweet.write users.read offline.access",
    "facebook": "public_profile,email,pages_show_list,pages_read_engagement,pages_manage_posts",
    "linkedin": "openid profile email w_member_social",
}


class Clock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.instant = 1_795_000_000.0  # 18 November 2026

    def __call__(self) -> float:
        return self.instant

    def forward(self, seconds: float) -> None:
        self.instant += seconds


class Player:
    """One sandbox and somebody who talks to it."""

    def __init__(self, state_file: Path | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.wsgi = create_sandbox(BASE, state_file, self.clock)
        self.client = self.wsgi.test_client()

    # The portal

    def make(self, platform: str, **wish: Any) -> dict[str, Any]:
        answer = self.client.post(
            "/portal/api/apps", json={"platform": platform, "name": "Console", "redirect_uris": [CALLBACK], **wish}
        )
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = told(answer)
        return made

    def change(self, app: dict[str, Any], **changes: Any) -> TestResponse:
        return self.client.patch(f"/portal/api/apps/{app['client_id']}", json=changes)

    def act(self, platform: str, person: str, action: str, **body: Any) -> TestResponse:
        return self.client.post(f"/portal/api/people/{platform}/{person}/{action}", json=body)

    def order(self, platform: str, operation: str, kind: str, **more: Any) -> str:
        body = {"platform": platform, "operation": operation, "kind": kind, **more}
        answer = self.client.post("/portal/api/faults", json=body)
        assert answer.status_code == 201, answer.text
        return str(told(answer)["id"])

    def posts(self, platform: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = told(self.client.get(f"/portal/api/posts?platform={platform}"))
        return found

    # Consent

    def address(self, app: dict[str, Any], **changes: str | None) -> str:
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": app["client_id"],
            "redirect_uri": CALLBACK,
            "scope": SCOPES[app["platform"]],
            "state": "st-1",
        }
        if app["platform"] == "twitter":
            asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        asked |= changes
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items() if value is not None)
        return f"{AUTHORIZE[app['platform']]}?{query}"

    def look(self, app: dict[str, Any], **changes: str | None) -> TestResponse:
        return self.client.get(self.address(app, **changes))

    def decide(
        self,
        app: dict[str, Any],
        person: str,
        decision: str = "allow",
        *,
        pages: tuple[str, ...] = (BAKERY, CYCLES, NOT_MINE),
        declined: tuple[str, ...] = (),
        **changes: str | None,
    ) -> dict[str, str]:
        """Answer the consent page; the query that comes back at the callback."""
        asked = (changes.get("scope") or SCOPES[app["platform"]]).replace(",", " ").split()
        form = {
            "person": person,
            "decision": decision,
            "page": list(pages),
            "scope": [scope for scope in asked if scope not in declined],
        }
        answer = self.client.post(self.address(app, **changes), data=form)
        assert answer.status_code == 302, answer.text
        assert answer.location.startswith(CALLBACK + "?"), answer.location
        return dict(parse_qsl(urlsplit(answer.location).query))

    # X

    def basic(self, app: dict[str, Any], secret: str | None = None) -> dict[str, str]:
        pair = f"{app['client_id']}:{secret or app['client_secret']}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}

    def x_exchange(self, app: dict[str, Any], code: str, /, **changes: str | None) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "client_id": app["client_id"],
        } | changes
        data = {name: value for name, value in form.items() if value is not None}
        return self.client.post("/api.x.com/2/oauth2/token", data=data, headers=self.basic(app))

    def x_tokens(self, app: dict[str, Any], person: str = ACME, **changes: Any) -> dict[str, Any]:
        answer = self.x_exchange(app, self.decide(app, person, **changes)["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = told(answer)
        return found

    def x_refresh(self, app: dict[str, Any], token: str) -> TestResponse:
        return self.client.post(
            "/api.x.com/2/oauth2/token",
            data={"grant_type": "refresh_token", "refresh_token": token, "client_id": app["client_id"]},
            headers=self.basic(app),
        )

    def x_post(self, access: str, text: str, **more: Any) -> TestResponse:
        return self.client.post("/api.x.com/2/tweets", json={"text": text, **more}, headers=bearer(access))

    def x_me(self, access: str, fields: str = "") -> TestResponse:
        query = {"user.fields": fields} if fields else {}
        return self.client.get("/api.x.com/2/users/me", query_string=query, headers=bearer(access))

    # Facebook

    def graph(self, path: str, token: str | None = None, method: str = "GET", **query: str) -> TestResponse:
        if token:
            query["access_token"] = token
        return self.client.open(f"/graph.facebook.com/{path}", method=method, query_string=query)

    def fb_short(self, app: dict[str, Any], person: str = MARA, **consent: Any) -> str:
        code = self.decide(app, person, **consent)["code"]
        answer = self.fb_exchange(app, code)
        assert answer.status_code == 200, answer.text
        return str(told(answer)["access_token"])

    def fb_exchange(self, app: dict[str, Any], code: str, **changes: str) -> TestResponse:
        query = {
            "client_id": app["client_id"],
            "client_secret": app["client_secret"],
            "redirect_uri": CALLBACK,
            "code": code,
        } | changes
        return self.graph("v25.0/oauth/access_token", **query)

    def fb_extend(self, app: dict[str, Any], token: str) -> TestResponse:
        return self.graph(
            "v25.0/oauth/access_token",
            grant_type="fb_exchange_token",
            client_id=app["client_id"],
            client_secret=app["client_secret"],
            fb_exchange_token=token,
        )

    def fb_long(self, app: dict[str, Any], person: str = MARA, **consent: Any) -> str:
        return str(told(self.fb_extend(app, self.fb_short(app, person, **consent)))["access_token"])

    def fb_pages(self, token: str, **query: str) -> dict[str, dict[str, Any]]:
        answer = self.graph("v25.0/me/accounts", token, **query)
        assert answer.status_code == 200, answer.text
        return {page["id"]: page for page in told(answer)["data"]}

    def fb_page_token(self, app: dict[str, Any], page: str = BAKERY) -> str:
        return str(self.fb_pages(self.fb_long(app))[page]["access_token"])

    def fb_post(self, page: str, token: str, message: str, **more: str) -> TestResponse:
        data = {"message": message, "access_token": token, **more}
        return self.client.post(f"/graph.facebook.com/v25.0/{page}/feed", data=data)

    # LinkedIn

    def li_exchange(self, app: dict[str, Any], code: str, /, **changes: str | None) -> TestResponse:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": app["client_id"],
            "client_secret": app["client_secret"],
        } | changes
        data = {name: value for name, value in form.items() if value is not None}
        return self.client.post("/www.linkedin.com/oauth/v2/accessToken", data=data)

    def li_tokens(self, app: dict[str, Any], person: str = JANE, **changes: Any) -> dict[str, Any]:
        answer = self.li_exchange(app, self.decide(app, person, **changes)["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = told(answer)
        return found

    def li_me(self, access: str) -> TestResponse:
        return self.client.get("/api.linkedin.com/v2/userinfo", headers=bearer(access))

    def li_post(self, access: str, commentary: str, **changes: Any) -> TestResponse:
        headers = bearer(access) | {"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}
        headers |= changes.pop("headers", {})
        author = changes.pop("author", None) or f"urn:li:person:{told(self.li_me(access))['sub']}"
        body = {
            "author": author,
            "commentary": commentary,
            "visibility": "PUBLIC",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": False,
        } | changes
        body = {name: value for name, value in body.items() if value is not None}
        headers = {name: value for name, value in headers.items() if value}
        return self.client.post("/api.linkedin.com/rest/posts", json=body, headers=headers)


def told(answer: TestResponse) -> Any:
    """The JSON of an answer."""
    return answer.json


def bearer(token: str) -> dict[str, str]:
    """The header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


def proof(app: dict[str, Any], token: str) -> str:
    """The appsecret_proof of a token."""
    return hmac.new(app["client_secret"].encode(), token.encode(), hashlib.sha256).hexdigest()
