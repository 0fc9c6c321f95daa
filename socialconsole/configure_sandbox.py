"""Use the sandbox: have an app made in the built-in sandbox and save it, by its control addresses and nothing else.

The console imports nothing of the sandbox. Pressed again, it takes the present secret of the app that exists there and
registers the present callback, so that it is also the way to repair a sandbox app.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import requests
from flask import current_app

from . import configure, outside, platform_apps
from .config import Config
from .configure import NotPossible, Saved
from .configure_checks import first_settings
from .database import alone, release, writing
from .models import PlatformApp, User
from .providers.base import Provider

SECONDS = (2.0, 10.0)  # to connect, to answer: it runs on this machine


def use_sandbox(segment: str, user: User, now: datetime, *, confirm: bool = False, by_file: bool = False) -> Saved:
    """Make (or take over again) an app in the sandbox, its callback registered, and save id and secret.

    Raises NotPossible when the sandbox is off or silent, NeedsConfirmation when live connections would end, and
    Managed unless it is the file that says so (`by_file`).
    """
    if not by_file:
        configure.refuse_managed(segment)
    provider, config = platform_apps.provider_at(segment), _config()
    if not config.sandbox:
        raise NotPossible("The sandbox is switched off here. Start the console with SANDBOX=on to use it.")
    if not provider.connectable:
        raise NotPossible(f"This version cannot connect {provider.name} yet, nor can its sandbox.")
    app = platform_apps.at(segment)
    made = _known_app(app, config) or _new_app(provider, app, config, confirm)
    with writing():
        alone(configure.ADMIN)
        app = platform_apps.at(segment)
        base = configure.stored_settings(app) if app else first_settings(provider)
        typed = replace(base, client_id=made["client_id"], client_secret=made["client_secret"])
        return configure.store(provider, app, typed, True, user, now, confirm)


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def _known_app(app: PlatformApp | None, config: Config) -> dict[str, str] | None:
    """The sandbox app that is saved here, with its present secret and its callback brought up to date; None if gone."""
    if app is None or not app.is_sandbox or not app.is_saved:
        return None
    wanted = {"redirect_uris": [platform_apps.callback_url(app)], "accept_http_loopback": True}
    client_id = app.client_id
    answer = _ask(config, "PATCH", f"/portal/api/apps/{client_id}", wanted)
    return {"client_id": client_id, "client_secret": _text(answer, "client_secret")} if answer else None


def _new_app(provider: Provider, app: PlatformApp | None, config: Config, confirm: bool) -> dict[str, str]:
    # Asked before the sandbox makes anything, so that a "no" leaves nothing behind there.
    configure.ask_before_new_generation(provider, app, is_sandbox=True, confirm=confirm)
    mode = app.mode if app else first_settings(provider).mode
    wanted = {
        "platform": provider.slug,
        "name": f"Social Console at {config.public_url}",
        "redirect_uris": [platform_apps.callback_url(app or provider.slug)],
        "accept_http_loopback": True,
        **({"mode": mode} if mode else {}),
    }
    answer = _ask(config, "POST", "/portal/api/apps", wanted)
    if answer is None:
        raise NotPossible(f"The sandbox has no {provider.name} yet.")
    return {"client_id": _text(answer, "client_id"), "client_secret": _text(answer, "client_secret")}


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise NotPossible("The sandbox gave an answer that this console does not understand. Restart both, then try "
                          "again.")
    return value


def _ask(config: Config, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """The sandbox's JSON answer, None where it does not know what was asked for. Raises NotPossible."""
    release()  # no transaction stays open while another process is asked
    try:
        with outside.platform_session() as session:
            answer = session.request(method, config.sandbox_url + path, json=body, timeout=SECONDS)
            found = answer.json() if answer.ok else None
    except (requests.RequestException, ValueError):
        raise NotPossible(f"The sandbox does not answer at {config.sandbox_url}. It starts together with the console; "
                          "see that it runs, then press “Use the sandbox” again.") from None
    if answer.status_code != 404 and not isinstance(found, dict):
        raise NotPossible(f"The sandbox refused to make an app (status {answer.status_code}). Look at its portal at "
                          f"{config.sandbox_url}/portal.")
    return found
