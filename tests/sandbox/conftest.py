"""A fresh sandbox with a still clock for each test of this folder."""

import pytest

from tests.sandbox.player import Player


@pytest.fixture
def player() -> Player:
    """A sandbox in memory and somebody who talks to it."""
    return Player()
