"""What the journeys share: the bakery with Alice in front of it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.cast import Cast, Clock
from tests.journeys.tenant_house import House, Signer


@pytest.fixture
def house(app: Flask, client: FlaskClient, clock: Clock, cast: Cast, sign_in: Signer) -> House:
    """The bakery, with Alice in front of it."""
    return House(app, sign_in(client, cast.alice), cast, clock)
