"""Any request, good or bad, gets an answer that the OpenAPI document describes: generated from the document itself.

A short run each time; `make fuzz` makes 10,000 cases and more.
"""

import contextlib
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from socialconsole import api_keys
from socialconsole.api import rates
from socialconsole.api.operations import OPERATIONS
from socialconsole.extensions import db
from socialconsole.models import User, Workspace
from socialconsole.public_ids import public

CASES = int(os.environ.get("FUZZ", "6"))  # of each call and each sort
# What is right by its shape may still be a stranger's, of another version, or not fit how things stand.
ACCEPTED = ["2xx", "304", "401", "403", "404", "409", "412", "422"]
REFUSED = ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422"]
CANARY = "canary-secret-7f3a9"


@pytest.fixture
def program(house, monkeypatch):
    """A key that may everything, and what there is to be found."""
    monkeypatch.setattr(rates, "OF_KEY", rates.Limit("key", 10**9))
    account = house.account()
    with house.app.app_context():
        where = db.session.get_one(Workspace, house.cast.bakery.id)
        who = db.session.get_one(User, house.cast.alice.id)
        keys = {"workspace": api_keys.create(where, who, "Fuzz", tuple(api_keys.PERMISSIONS), None, house.clock())[1],
                "admin": api_keys.create(None, who, "Fuzz", (), None, house.clock())[1]}
    return keys, {"workspaceId": public(house.cast.bakery.id), "accountId": account}


def at_our_host(app):
    """The console, asked at its own address."""
    def asked(environ, start_response):
        return app({**environ, "HTTP_HOST": "127.0.0.1:8000", "HTTP_ACCEPT_ENCODING": "identity"}, start_response)

    return asked


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_any_request_gets_an_answer_that_the_document_describes(house, program, name, mode):
    keys, real = program
    told = house.client.get("/v1/openapi.json").json
    del told["security"]  # the key is always shown; what comes without one is tried elsewhere
    schema = schemathesis.openapi.from_dict(told)
    schema.app = at_our_host(house.app)
    schema.config.checks.positive_data_acceptance.expected_statuses = ACCEPTED
    schema.config.checks.negative_data_rejection.expected_statuses = REFUSED
    call = next(one.ok() for one in schema.get_all_operations() if one.ok().definition.raw["operationId"] == name)
    shown = keys["admin" if OPERATIONS[name].needs == "admin" else "workspace"]

    @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=call.as_strategy(generation_mode=mode), meant=st.booleans())
    def run(case, meant):
        if meant and mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: real.get(name, value) for name, value in (case.path_parameters or {}).items()}
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {shown}"})
        assert answer.status_code < 500 and CANARY not in answer.text

    with contextlib.suppress(Unsatisfiable):  # a call without any value cannot be asked wrongly
        run()
