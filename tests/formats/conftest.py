"""The playground of this folder: see `playground.py`.

    def test_a_photo(playground):
        here = playground("facebook")                       # an app at the platform, through the sandbox's JSON control
        here.connect()                                      # the first built-in person, the first usable profile
        photo = here.file(size=50_000, alt_text="Bread")    # kind="image" | "gif" | "video" | "document"
        published = here.deliver(here.draft("Hi", "image", [photo]))
        assert here.posts()[0]["media"][0]["sha256"] == photo.sha256
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.formats.playground import Playground, open_playground


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    """A playground of this test's own."""
    with open_playground(tmp_path) as made:
        yield made
