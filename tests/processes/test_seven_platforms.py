"""All platforms in one running console: configured, connected, and a post with a file sent by the real workers.

What arrives at the sandbox is compared byte by byte with what was chosen.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from socialconsole.providers import PROVIDERS
from tests import made_files, story
from tests.running import Console, until
from tests.visitor import Visitor

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PICTURE = made_files.picture("JPEG", (1080, 1080))
CLIP = made_files.mp4(1080, 1920, 12)

# platform -> words on its Connect button, person, pages to tick, the file, what an author has to choose
SEVEN: dict[str, tuple[str, tuple[str, bytes], dict[str, str]]] = {
    "facebook": ("Facebook", ("bun.jpg", PICTURE), {}),
    "instagram": ("Instagram", ("clip.mp4", CLIP), {}),
    "linkedin": ("LinkedIn", ("bun.jpg", PICTURE), {}),
    "twitter": ("X", ("clip.mp4", CLIP), {}),
    "tiktok": ("TikTok", ("clip.mp4", CLIP), {"privacy_level": "SELF_ONLY", "consent": "yes"}),
    "threads": ("Threads", ("bun.jpg", PICTURE), {}),
    "youtube": ("YouTube", ("clip.mp4", CLIP), {"title": "Saffron buns", "privacy": "unlisted", "made_for_kids": "no",
                                                "synthetic": "no"}),
}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with nothing configured yet."""
    running = Console(tmp_path_factory.mktemp("seven") / "instance")
    try:
        running.start().set_up(story.EMAIL, story.PASSWORD)
        yield running
    finally:
        running.stop()


def people(console: Console, platform: str) -> dict[str, Any]:
    """The first built-in person of a platform."""
    found: list[dict[str, Any]] = console.control("GET", f"/portal/api/people?platform={platform}")
    return found[0]


def connect(visitor: Visitor, console: Console, button: str, person: dict[str, Any]) -> str:
    """Consent as that person, tick the first Page where there are Pages, and return the account's id."""
    visitor.open(console.url + story.workspace_path(visitor, console) + "/profiles").press(button)
    story.consent(visitor, person["name"], tick=tuple(page["name"] for page in person.get("pages", ()))[:1])
    boxes = [words for form in visitor.forms() for words, name, _ in form.boxes if name == "profiles"]
    visitor.press("Connect", tick=(boxes[0],) if len(boxes) > 1 else ())
    found = re.search(r"acc_[0-9A-Z]{26}", visitor.page)
    assert found is not None, visitor.text
    return found[0]


def send(visitor: Visitor, url: str, data: dict[str, Any], files: Any = None) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', visitor.page)
    assert token is not None
    return visitor.session.post(url, data={**data, "csrf_token": token[1]}, files=files, allow_redirects=False,
                                headers={"Accept": "application/json"} if files else {})


@pytest.mark.parametrize("platform", PROVIDERS)
def test_a_post_with_a_file_arrives_byte_by_byte(console: Console, platform: str) -> None:
    label, (name, content), chosen = SEVEN.get(platform) or (PROVIDERS[platform].name, ("bun.jpg", PICTURE), {})
    visitor = story.sign_in(console)
    story.set_up_platform(visitor, console, platform)
    person = people(console, platform)
    account = connect(visitor, console, f"Connect {label}", person)
    where = console.url + story.workspace_path(visitor, console)
    visitor.open(where + "/compose")
    stored = send(visitor, where + "/media", {}, {"files": (name, content)})
    assert stored.status_code in (200, 201), stored.text
    media = stored.json()["media"][0]["id"]
    answer = send(visitor, where + "/compose", {
        "text": "Saffron buns are back", "accounts": account, "when": "now", "nonce": platform, "media": media,
        "again": "yes", **{f"option:{account}:{field}": value for field, value in chosen.items()}})
    assert answer.status_code == 303, visitor_words(answer.text)
    until(lambda: "open on" in visitor.open(console.url + answer.headers["Location"].replace(console.url, "")).text
          or "Published" in visitor.text, 60, f"published: {visitor.text}")
    received = {one["sha256"] for one in console.control("GET", f"/portal/api/uploads?platform={platform}")}
    assert hashlib.sha256(content).hexdigest() in received
    posts = console.control("GET", f"/portal/api/posts?platform={platform}")
    assert len([one for one in posts if "Saffron buns" in str(one)]) == 1


def visitor_words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())[-1500:]
