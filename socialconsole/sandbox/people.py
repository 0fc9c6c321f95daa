"""The built-in people of the platforms, and the pages some of them look after.

They stand in their platforms' own files, the same in every installation, so a screenshot, a test and a story can name
them.
"""

import re
from functools import lru_cache

from .plays import ALL_TASKS, PLAYS, Page, Person

__all__ = ["ALL_TASKS", "Page", "Person", "at", "everybody", "face", "page", "page_by_name", "person"]

# Proofs with thousands of grants need thousands of people: everybody whose id has this shape exists, at each platform.
CROWD = re.compile(r"5550(\d{8})")


def face(number: int) -> str:
    """The id of the n-th person of the crowd."""
    return f"5550{number:08d}"


@lru_cache(maxsize=100_000)
def _of_the_crowd(platform: str, number: str) -> Person:
    return Person(platform, f"5550{number}", f"Person {int(number)}", f"person{int(number)}", "")


def everybody() -> list[Person]:
    """All built-in people, platform by platform."""
    return [who for play in PLAYS.values() for who in play.people]


def at(platform: str) -> list[Person]:
    """Everybody with an account at a platform."""
    return list(PLAYS[platform].people) if platform in PLAYS else []


def person(platform: str, person_id: str) -> Person | None:
    """The person of that platform and built-in id, or None."""
    known = next((who for who in at(platform) if who.id == person_id), None)
    crowd = None if known or platform not in PLAYS else CROWD.fullmatch(person_id)
    return _of_the_crowd(platform, crowd[1]) if crowd else known


def page(page_id: str) -> tuple[Page, Person] | None:
    """The page of that id with the person who looks after it, or None."""
    return next(((one, who) for who in everybody() for one in who.pages if one.id == page_id), None)


def page_by_name(name: str) -> Page | None:
    """The page with that id or user name, or None."""
    return next((one for who in everybody() for one in who.pages if name in (one.id, one.username)), None)
