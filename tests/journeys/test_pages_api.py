"""The API to read: every call and every problem stands on the page, which loads nothing from outside."""

import re

from socialconsole.api.operations import OPERATIONS
from socialconsole.api.problems import KINDS
from tests.journeys.tenant_house import words


def test_every_call_and_every_problem_can_be_read_by_everybody(app):
    page = app.test_client().get("/v1/docs", base_url="http://127.0.0.1:8000")
    assert page.status_code == 200
    for one in OPERATIONS.values():
        assert f'id="{one.name}"' in page.text and one.path in page.text
        assert " ".join(one.description.split()) in words(page)
    assert all(f'id="{code}"' in page.text for code in KINDS)
    assert not re.findall(r'(?:src|href)="https?://(?!127\.0\.0\.1)', page.text)


def test_fields_within_fields_are_named_with_their_way(app):
    text = words(app.test_client().get("/v1/docs", base_url="http://127.0.0.1:8000"))
    assert "data[].abilities[].missingScopes list of string" in text
    assert "time or null" in text and '"hour" | "day" | "days" | "week"' in text.replace("&#34;", '"')
