"""What the journeys share: the bakery with Alice in front of it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from socialconsole.providers.instagram import Instagram
from socialconsole.providers.oauth2 import OAuth2Provider
from socialconsole.providers.verdicts import VALID, Verdict
from tests.cast import Cast, Clock
from tests.journeys.tenant_house import House, Signer


@pytest.fixture
def house(app: Flask, client: FlaskClient, clock: Clock, cast: Cast, sign_in: Signer) -> House:
    """The bakery, with Alice in front of it."""
    return House(app, sign_in(client, cast.alice), cast, clock)


@pytest.fixture(autouse=True)
def platforms_that_accept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials are right, wherever a test does not ask for `strict_platforms`: no platform is reached."""
    if "strict_platforms" not in request.fixturenames:
        monkeypatch.setattr(OAuth2Provider, "check_app", lambda *_: Verdict(VALID, "It accepts them."))
        monkeypatch.setattr(Instagram, "check_app", lambda *_: Verdict(VALID, "It accepts them."))


@pytest.fixture
def strict_platforms() -> None:
    """The platforms are asked as they are, or as the test stands in for them."""
