"""All routes of the console, with every id in them filled in: what the walks of this folder step through."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from socialconsole import access
from tests.cast import Cast, Things

ABSENT = "x" * 30
# Parameters that name no row; `platform` and `action` come from fixed lists.
OF_NO_ROW = {"token": ABSENT, "segment": "twitter", "digest": "0", "name": "console.css", "action": "reschedule",
             "login_id": ABSENT, "tenant_id": "wsp_bakery", "code": ABSENT,
             "slug": "twitter"}
OF_A_ROW = ("member_id", "invitation_id", "account_id", "attempt_id", "post_id", "delivery_id", "media_id", "upload_id",
            "series_id", "slot_id", "recording_id", "link_id", "incident_id",
            "key_id", "plan_id")


@dataclass(frozen=True)
class Step:
    """One route with one method."""

    rule: Rule
    method: str
    permission: str

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"

    @property
    def ids(self) -> list[str]:
        """The parameters that name a row of a workspace."""
        return [name for name in OF_A_ROW if name in self.rule.arguments]

    def path(self, cast: Cast, things: Things, **other: str) -> str:
        """The address with the bakery's own ids; `other` replaces some."""
        values = {**OF_NO_ROW, "workspace_id": cast.bakery.id, **vars(things), **other}
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], self.rule.rule)


def steps(app: Flask) -> Iterator[Step]:
    """Every route with every method a person uses. Those of programs are walked with keys, in `test_api`."""
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", "")
        if permission == "key":
            continue
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            yield Step(rule, method, permission)


def tenant_steps(app: Flask) -> list[Step]:
    """Those inside a workspace."""
    return [step for step in steps(app) if step.permission in access.PERMISSIONS]


def form_token(client: FlaskClient) -> str:
    """The form token of this browser."""
    found = re.search(r'"X-CSRFToken": "([^"]+)"', client.get("/sign-in", follow_redirects=True).text)
    assert found is not None
    return found[1]


def same(text: str, *ids: str) -> str:
    """A page without what differs on each answer: the form token and the ids that were asked for."""
    text = re.sub(r'(value="|"X-CSRFToken": ")[\w-]+\.[\w-]+\.[\w-]+"', "TOKEN", text)
    for one in ids:
        text = text.replace(one, "ID")
    return text
