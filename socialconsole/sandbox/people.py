"""The built-in people of the three platforms, and the Pages some of them look after.

They are the same in every installation, so a screenshot, a test and a story can name them.
"""

import hashlib
from dataclasses import dataclass

ALL_TASKS = ("MANAGE", "CREATE_CONTENT", "MODERATE", "MESSAGING", "ADVERTISE", "ANALYZE")


@dataclass(frozen=True)
class Page:
    """A Facebook Page and what its person may do there; `portfolio` marks one owned by a business portfolio."""

    id: str
    name: str
    username: str
    category: str
    tasks: tuple[str, ...] = ALL_TASKS
    portfolio: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody with an account at one platform."""

    platform: str
    id: str
    name: str
    username: str
    email: str
    subscription: str = "None"
    protected: bool = False
    pages: tuple[Page, ...] = ()


BUSINESS_ID = "610000000000001"
BUSINESS_NAME = "Duarte Group"

PEOPLE: tuple[Person, ...] = (
    Person("twitter", "2244994945", "Acme Bakery", "acme", "hello@acme.example"),
    Person("twitter", "3071882561", "Bob Baker", "bob", "bob@baker.example"),
    Person("twitter", "1580661436132757506", "Nora Quiet", "noraquiet", "nora@quiet.example", protected=True),
    Person(
        "facebook",
        "700000000000101",
        "Mara Lindqvist",
        "mara.lindqvist",
        "mara@mail.example",
        pages=(
            Page("900100000000001", "Harbour Bakery", "harbourbakery", "Bakery"),
            Page("900100000000002", "Linden Cycles", "lindencycles", "Bicycle Shop"),
            Page("900100000000003", "Not Mine", "notmine", "Community", tasks=("ANALYZE", "MODERATE")),
        ),
    ),
    Person("facebook", "700000000000102", "Tomas Ek", "tomas.ek", "tomas@mail.example"),
    Person(
        "facebook",
        "700000000000103",
        "Ines Duarte",
        "ines.duarte",
        "ines@mail.example",
        pages=(
            Page("900300000000001", "Duarte Interiors", "duarteinteriors", "Interior Design Studio"),
            Page("900300000000002", "Casa Azul", "", "Hotel"),
            Page("900300000000003", "Duarte Group", "duartegroup", "Company", portfolio=True),
        ),
    ),
    Person("linkedin", "jane-doe", "Jane Doe", "janedoe", "jane@example.com"),
    Person("linkedin", "omar-said", "Omar Said", "omarsaid", "omar@example.com"),
)

_BY_KEY = {(person.platform, person.id): person for person in PEOPLE}


def at(platform: str) -> list[Person]:
    """Everybody with an account at a platform."""
    return [person for person in PEOPLE if person.platform == platform]


def person(platform: str, person_id: str) -> Person | None:
    """The person of that platform and built-in id, or None."""
    return _BY_KEY.get((platform, person_id))


def page(page_id: str) -> tuple[Page, Person] | None:
    """The Page of that id with the person who looks after it, or None."""
    return next(((p, who) for who in PEOPLE for p in who.pages if p.id == page_id), None)


def page_by_name(name: str) -> Page | None:
    """The Page with that id or user name, or None."""
    return next((p for who in PEOPLE for p in who.pages if name in (p.id, p.username)), None)


def member_id(person_id: str, client_id: str) -> str:
    """The id under which a LinkedIn app knows a member: another one for each app (pairwise subject)."""
    digest = hashlib.sha256(f"{client_id}/{person_id}".encode()).digest()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(letters[byte % len(letters)] for byte in digest[:10])
