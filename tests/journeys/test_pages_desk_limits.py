"""Forms of the desk at their ends: numbers that no column holds, hundreds of profiles, the longest texts."""

import re
from typing import Any

import pytest

from socialconsole.models import SCHEDULED, Post
from tests.journeys.tenant_house import House


@pytest.mark.parametrize("version", ["9" * 8, "9" * 30, "9" * 5000, "-1", "one"])
@pytest.mark.parametrize("path", ["/calendar/move", "/queue/place"])
def test_a_version_that_is_none_moves_nothing(house: House, path: str, version: str) -> None:
    post_id = house.delivery(SCHEDULED)[0]
    before = house.row(Post, post_id).due_at
    answer = house.post(path, {"post_id": post_id, "wall_time": "2026-12-01T08:30", "slot": "2026-12-01T08:30",
                               "version": version})
    assert answer.status_code == 409 and house.row(Post, post_id).due_at == before


def sent(house: House, path: str, fields: dict[str, Any], kind: str) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', house.get("/posts").text)
    assert token is not None
    return house.client.post(house.base + path, data={**fields, "csrf_token": token[1]}, content_type=kind)


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/compose/check", "/drafts/save", "/media/pick"])
def test_a_form_with_a_thousand_profiles_and_a_long_text_arrives(house: House, path: str, kind: str) -> None:
    ids = [f"acc_{number}" for number in range(1000)]
    fields = {"accounts": ids, "text": "日本" * 35_000, **{f"shown:{one}": "a b" for one in ids},
              **{f"option:{one}:a": "yes" for one in ids}, "nonce": "n"}
    answer = sent(house, path, fields, kind)
    assert answer.status_code in (200, 303), answer.status_code
    if path == "/media/pick":
        assert answer.text.count('name="accounts"') == 1000 and "option:acc_999:a" in answer.text
