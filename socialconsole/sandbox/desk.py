"""What the portal's pages and its JSON twin both do: make and change apps, act on people, describe records.

Mistakes raise `Mistake` with a sentence; the edges show it, each in its own form.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from . import people
from .faults import Mix
from .plays import PLAYS
from .state import App, Fault, Grant, Post, Settings, Standing, Upload, fresh_id
from .world import World, iso

ACTIONS = {
    "expire": "Access tokens run out now",
    "revoke": "Access is withdrawn",
    "suspend": "The account is locked",
    "lift": "The lock is lifted",
    "password": "The password is changed",
}
LONGEST_LIFE = 10 * 365 * 86_400
MOST_URIS = 10
MOST_GRANTS = 20_000  # at once
AGED_SECONDS = 2 * 86_400  # some platforms renew no token that is younger than a day


class Mistake(Exception):
    """What was asked cannot be done; the text says why and what to do."""

    def __init__(self, words: str, status: int = 422) -> None:
        super().__init__(words)
        self.status = status


def make_app(world: World, wish: Mapping[str, Any]) -> App:
    """A new app at a platform, kept. Raises Mistake."""
    platform = str(wish.get("platform", ""))
    play = PLAYS.get(platform)
    if play is None:
        raise Mistake(f"There is no platform {platform!r} here. Choose one of {', '.join(PLAYS)}.")
    mode = str(wish.get("mode", ""))
    if mode not in play.modes:
        # A mode is optional and named by whoever asks; what this platform does not know means its usual sort of app.
        mode = play.modes[0]
    client_id, secret = play.credentials(mode)
    app = App(
        platform=platform,
        client_id=client_id,
        client_secret=secret,
        name=str(wish.get("name") or "Console").strip()[:60],
        mode=mode,
        settings=play.settings(mode),
        created_at=world.now(),
    )
    given = {name: value for name, value in wish.items() if name not in ("platform", "name", "mode")}
    change_app(world, app, given)
    return app


def change_app(world: World, app: App, changes: Mapping[str, Any]) -> None:
    """Change what may be changed of an app, all of it or nothing, and keep it. Raises Mistake."""
    play = PLAYS[app.platform]
    switches = ["accept_http_loopback", *(one.name for one in play.switches)]
    numbers = [*_LIVES, *(one.name for one in play.numbers)]
    known = {*switches, *numbers, "redirect_uris"}
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise Mistake(f"An app has no setting {unknown[0]!r}. Known are {', '.join(sorted(known))}.", 400)
    values: dict[str, Any] = {name: _switch(name, changes[name]) for name in switches if name in changes}
    values |= {name: _number(name, changes[name]) for name in numbers if name in changes}
    if "redirect_uris" in changes:
        http = bool(values.get("accept_http_loopback", app.accept_http_loopback))
        values["redirect_uris"] = _uris(app.platform, changes["redirect_uris"], http)
    with world.state.writing():
        for name, value in values.items():
            if name in app.settings:
                app.settings[name] = value
            else:
                setattr(app, name, value)
        world.state.keep(app)


_LIVES = ("access_seconds", "code_seconds")  # None: as long as at the real platform


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Mistake(f"{name} is either true or false.", 400)
    return value


def _number(name: str, value: Any) -> int | None:
    if value is None and name in _LIVES:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LONGEST_LIFE:
        raise Mistake(f"{name} is a whole number, 1 or more; leave it out for the platform's own.", 400)
    return value


def _uris(platform: str, value: Any, accept_http_loopback: bool) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(uri, str) for uri in value):
        raise Mistake("redirect_uris is a list of addresses.", 400)
    if len(value) > MOST_URIS:
        raise Mistake(f"An app holds at most {MOST_URIS} redirect addresses.")
    for uri in value:
        problem = PLAYS[platform].redirect_problem(uri, accept_http_loopback)
        if problem:
            raise Mistake(f"{uri[:200]}: {problem}")
    return list(dict.fromkeys(value))


def rotate_secret(world: World, app: App) -> str:
    """A new secret for the app; the old one opens nothing from now on."""
    with world.state.writing():
        app.client_secret = PLAYS[app.platform].credentials(app.mode)[1]
        world.state.keep(app)
    return app.client_secret


def act(world: World, platform: str, person_id: str, action: str, client_id: str | None = None) -> int:
    """Do something to a person's grants; returns how many it touched. Raises Mistake."""
    who = people.person(platform, person_id) or _found_otherwise(world, platform, person_id)
    if who is None or action not in ACTIONS:
        raise Mistake(f"There is no {action!r} for {person_id!r} at {platform!r}.", 404)
    if action == "password" and not PLAYS[platform].ends_by_password:
        raise Mistake(f"{PLAYS[platform].label} ends no connection when a password is changed.")
    with world.state.writing():
        if action in ("suspend", "lift"):
            world.state.keep(Standing(platform, who.id, action == "suspend"))
        grants = world.grants(platform, who.id, client_id)
        for grant in grants:
            if action in ("revoke", "password"):
                world.end_grant(grant, {"revoke": "revoked"}.get(action, action))
            if action == "expire":
                for token in world.tokens(grant, "access"):
                    token.expires_at = min(token.expires_at or world.now(), world.now())
                    world.state.keep(token)
    return len(grants)


def _found_otherwise(world: World, platform: str, known_as: str) -> people.Person | None:
    find = PLAYS[platform].find_person if platform in PLAYS else None
    return find(world, known_as) if find else None


def change_settings(world: World, changes: Mapping[str, Any]) -> None:
    """Change what is set for the whole sandbox, all of it or nothing. Raises Mistake."""
    unknown = sorted(changes.keys() - {"processing_polls", "quotas"})
    if unknown:
        raise Mistake(f"The sandbox has no setting {unknown[0]!r}. Known are processing_polls and quotas.", 400)
    polls = changes.get("processing_polls", world.processing_polls)
    quotas = changes.get("quotas", world.quotas)
    if not _is_count(polls):
        raise Mistake("processing_polls is a whole number, 0 or more.", 400)
    if not isinstance(quotas, dict) or not all(map(_is_count, quotas.values())):
        raise Mistake("quotas is an object of whole numbers, 0 or more, by platform.", 400)
    with world.state.writing():
        world.state.keep(Settings(polls, dict(quotas)))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def order_mix(world: World, wish: Mapping[str, Any]) -> Mix:
    """Let calls meet faults by chance. Raises Mistake."""
    try:
        mix = Mix(_names(wish.get("platforms")), _names(wish.get("operations")), float(wish.get("rate", 0.05)),
                  _names(wish.get("kinds")), float(wish.get("seconds", 30)), int(wish.get("seed", 0)))
        world.faults.mix(mix)
    except (ValueError, TypeError) as problem:
        raise Mistake(str(problem), 400) from problem
    return mix


def _names(value: Any) -> tuple[str, ...]:
    if value in (None, "any"):
        return ()
    if not isinstance(value, list):
        raise ValueError('platforms, operations and kinds are lists, or "any".')
    return tuple(str(one) for one in value)


def make_grants(world: World, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Consent of many people of the crowd at once, with tokens, as if they had walked through it. Raises Mistake."""
    app = world.state.find(App, str(wish.get("client_id", "")))
    count, first, seconds = wish.get("count", 1), wish.get("first", 0), wish.get("seconds", 7200)
    scopes = wish.get("scopes")
    if app is None or not isinstance(scopes, list) or not all(_is_count(one) for one in (count, first, seconds)):
        raise Mistake("Send client_id, count, first, seconds and scopes.", 400)
    if count > MOST_GRANTS:
        raise Mistake(f"At most {MOST_GRANTS} at once.", 400)
    with world.state.writing():
        return [_grant(world, app, people.face(first + number), scopes, seconds) for number in range(count)]


def _grant(world: World, app: App, person_id: str, scopes: list[str], seconds: int) -> dict[str, Any]:
    grant = world.new_grant(app, person_id, scopes)
    access = world.new_token(grant, "access", f"access-{fresh_id(24)}", seconds)
    access.long, access.issued_at = True, access.issued_at - AGED_SECONDS
    refresh = world.new_token(grant, "refresh", f"refresh-{fresh_id(24)}", None)
    who = people.person(app.platform, person_id)
    known_as: Callable[[str, str], str] = PLAYS[app.platform].known_as
    return {"grant": grant.id, "person_id": known_as(person_id, app.client_id), "username": who.username if who else "",
            "access_token": access.value, "refresh_token": refresh.value}


# Records as the JSON control tells them


def counts(world: World) -> dict[str, Any]:
    """What a mix did, and what became of renewals and posts: `creates` are all that were accepted, deleted or not."""
    creates = Counter((one.platform, one.author_id, one.sent) for one in world.state.all(Post) if not one.reply_to)
    return {
        "injected": dict(world.faults.injected),
        **world.truth.counts(),
        "families_revoked": sum(grant.dead == "replayed" for grant in world.state.all(Grant)),
        "creates": [[*which, times] for which, times in creates.items()],
    }


def grant_truths(world: World, platform: str | None) -> list[dict[str, Any]]:
    """Every grant with the tokens that the platform would accept now, and how its renewals went."""
    found = [grant for grant in world.state.all(Grant) if platform in (None, grant.platform)]
    return [
        {
            "grant": grant.id,
            "platform": grant.platform,
            "dead": grant.dead,
            "tokens": [one.value for one in world.tokens(grant) if world.ended(one) in ("", "suspended")],
            **vars(world.truth.of(grant)),
        }
        for grant in found
    ]


def app_facts(app: App) -> dict[str, Any]:
    """All that is to know about an app."""
    facts = {name: value for name, value in vars(app).items() if name != "settings"}
    return facts | {"created_at": iso(app.created_at)} | app.settings


def person_facts(world: World, who: people.Person) -> dict[str, Any]:
    """A person, the grants that stand, and what their platform has to add."""
    facts: dict[str, Any] = {
        "platform": who.platform,
        "id": who.id,
        "name": who.name,
        "username": who.username,
        "suspended": world.state.standing(who.platform, who.id).suspended,
        "grants": [
            {"client_id": grant.client_id, "scopes": grant.scopes, "pages": grant.pages}
            for grant in world.grants(who.platform, who.id)
        ],
    }
    facts["pages"] = [{"id": page.id, "name": page.name, "tasks": list(page.tasks)} for page in who.pages]
    more = PLAYS[who.platform].facts_of_person
    return facts | (more(world, who) if more else {})


def fault_facts(world: World, fault: Fault) -> dict[str, Any]:
    """A fault, how often it is still to come and how many answers it holds now."""
    return {
        "id": fault.id,
        "platform": fault.platform,
        "operation": fault.operation,
        "kind": fault.sort,
        "seconds": fault.seconds,
        "after": fault.after,
        "left": fault.left,
        "waiting": world.faults.waiting(fault),
    }


def post_facts(post: Post) -> dict[str, Any]:
    """A post as readers see it."""
    return {
        "id": post.id,
        "platform": post.platform,
        "author_id": post.author_id,
        "author_name": post.author_name,
        "text": post.text,
        "link": post.link,
        "created_at": iso(post.created_at),
        "permalink": post.permalink,
        "media": post.media,
        "format": post.format,
        "reply_to": post.reply_to,
        "facts": post.facts,
    }


def upload_facts(upload: Upload) -> dict[str, Any]:
    """What came in, and what became of it."""
    return dict(vars(upload)) | {"created_at": iso(upload.created_at)}
